"""Run by test_tensorrt_names.py in a process of its own, with real bindings on the path and no GPU behind them.

Reads uses as JSON: [module, dotted name, number of positional arguments or null, names of keywords].  Prints, as JSON,
what does not exist or cannot be called so, and what our own subclasses of TensorRT's classes do.
"""

from __future__ import annotations

import importlib
import json
import logging
import re
import sys
from typing import Any

COMMA = re.compile(r",\s*(?![^\[(]*[\])])")  # one that is not inside brackets


def read_signatures(target: Any) -> list[list[str]]:
    """The parameters of each overload, as pybind11's or Cython's docstring has them, without self."""
    name = "__init__" if isinstance(target, type) else target.__name__
    text = (target.__init__ if isinstance(target, type) else target).__doc__ or ""
    found = re.findall(rf"^(?:\d+\. )?{name}\((.*)\)(?: ->.*)?$", text, re.MULTILINE)
    parameters = [COMMA.split(line) for line in found if line != "*args, **kwargs"]
    return [[part for part in parts if part and not part.startswith("self")] for parts in parameters]


def can_be_called(target: Any, count: int, keywords: list[str]) -> bool:
    signatures = read_signatures(target)
    for parameters in signatures:
        names = [re.split(r"[:=]", part)[0].split()[-1] for part in parameters]
        required = [name for name, part in zip(names, parameters, strict=True) if "=" not in part]
        given = set(names[:count]) | set(keywords)
        if count <= len(names) and set(keywords) <= set(names[count:]) and set(required) <= given:
            return True
    return False


def check(module: Any, dotted: str, count: int | None, keywords: list[str], is_override: bool) -> str | None:
    target, seen = module, module.__name__
    for part in dotted.split("."):
        if not hasattr(target, part):
            return f"{seen} has no {part}"
        target, seen = getattr(target, part), f"{seen}.{part}"
    if is_override:
        documented = [len(parameters) for parameters in read_signatures(target)]
        return None if documented == [count] else f"{seen} is called with {documented} arguments, ours takes {count}"
    if count is None:
        return None
    if not callable(target):
        return f"{seen} cannot be called"
    if not can_be_called(target, count, keywords):
        return f"{seen} cannot be called with {count} arguments and {keywords}: {read_signatures(target)}"
    return None


def try_subclasses(trt: Any) -> dict[str, Any]:
    """Make our logger and progress monitor from the real classes, and call them as TensorRT does."""
    from yoga_live.export.build_progress import BuildProgress, make_monitor
    from yoga_live.runtime.engines.tensorrt_bindings import make_logger
    from yoga_live.runtime.system.progress import Progress

    records: list[tuple[str, str]] = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append((record.levelname, record.getMessage()))  # type: ignore[method-assign]
    logging.basicConfig(level=logging.DEBUG, handlers=[handler], force=True)
    logger = make_logger(trt)
    for severity in (trt.ILogger.INTERNAL_ERROR, trt.ILogger.ERROR, trt.ILogger.WARNING, trt.ILogger.INFO):
        logger.log(severity, "a\n b")
    logger.log(trt.ILogger.Severity.VERBOSE, "c")
    told = BuildProgress(Progress("building", 1.0))
    monitor = make_monitor(trt, told)
    monitor.phase_start("build", None, 2)
    answers = [monitor.step_complete("build", 0)]
    told.was_stopped = True
    answers.append(monitor.step_complete("build", 1))
    monitor.phase_finish("build")
    is_theirs = isinstance(logger, trt.ILogger) and isinstance(monitor, trt.IProgressMonitor)
    try:
        trt.Builder(logger)
        refusal = ""
    except TypeError as error:
        refusal = str(error)
    return {"log": records, "errors": logger.errors, "steps": answers, "is_theirs": is_theirs, "builder": refusal}


def main() -> None:
    request = json.loads(sys.stdin.read())
    module: Any = importlib.import_module(request["import"])
    sys.modules["tensorrt"] = module
    wrong = [problem for use in request["uses"] if (problem := check(module, *use)) is not None]
    answer: dict[str, Any] = {"version": getattr(module, "__version__", ""), "wrong": wrong}
    if request["import"] == "tensorrt_bindings":
        answer |= try_subclasses(module)
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
