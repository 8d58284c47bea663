"""Commands run by the hundred in one process that may die: it is started again, and its death is an answer.

As a script it is the worker: a JSON line in (command, arguments, folder), a JSON line out.  What the command prints
goes through file descriptors, so that what C libraries print is seen too.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import select
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from fault_kinds.outcome import Answer

MAINS = {
    "yoga-live": "yoga_live.runtime.cli.main",
    "yoga-train": "yoga_live.train.cli.main",
    "yoga-export": "yoga_live.export.command",
    "yoga-calibrate": "yoga_live.calibration.command",
}
LIMIT_S = 60.0
MOST_BYTES = 6_000_000_000
"""Of address space for the worker: a command that reads a device to its end meets this before the machine does."""


def list_command(command: str, *arguments: str | Path) -> list[str]:
    """The command line of a command of ours, as a child process of this Python."""
    module = MAINS[command].rpartition(".")[0]
    return [sys.executable, "-m", module, *(os.fspath(argument) for argument in arguments)]


def make_environment(home: Path) -> dict[str, str]:
    """The environment of every command: a home folder of its own, no display."""
    left_out = {"DISPLAY", "WAYLAND_DISPLAY", "XDG_CACHE_HOME", "PYTHONPATH"}
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    return {**kept, "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "PYTHONUNBUFFERED": "1"}


def run_child(
    arguments: list[str],
    environment: Mapping[str, str],
    limit_s: float = LIMIT_S,
    before: Callable[[], None] | None = None,
) -> Answer:
    """Run a command line to its end, or kill it at the limit.  before: is called in the child first."""
    started_s = time.monotonic()
    with subprocess.Popen(
        arguments,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        preexec_fn=before,
    ) as process:
        try:
            out, err = process.communicate(timeout=limit_s)
            code: int | None = process.returncode
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            code = None
    seconds = time.monotonic() - started_s
    return Answer(code, out.decode(errors="replace"), err.decode(errors="replace"), seconds)


class CommandWorker:
    """A process that runs commands one after another."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        places = [str(Path(__file__).parent.parent), environment.get("PYTHONPATH", "")]
        self._environment = {**environment, "PYTHONPATH": os.pathsep.join(place for place in places if place)}
        self._process: subprocess.Popen[bytes] | None = None
        self._said = tempfile.TemporaryDirectory(prefix="faults-worker-")

    def __enter__(self) -> CommandWorker:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        self._said.cleanup()

    def run(self, command: str, *arguments: str | Path, limit_s: float = LIMIT_S) -> Answer:
        """Run a command; a worker that dies or hangs is replaced by the next one."""
        process = self._start()
        assert process.stdin is not None and process.stdout is not None
        started_s = time.monotonic()
        order = {"module": MAINS[command], "arguments": [os.fspath(argument) for argument in arguments]}
        process.stdin.write(json.dumps(order).encode() + b"\n")
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], limit_s)
        line = process.stdout.readline() if ready else b""
        seconds = time.monotonic() - started_s
        told: dict[str, Any] = json.loads(line) if line else {}
        if not line:
            code = None
            if ready:  # its end of the pipe was closed: it is dead
                code = process.wait(10)
            self._end()
            told = {"code": code, "peak_mb": 0.0}
        folder = Path(self._said.name)
        out, err = ((folder / name).read_bytes().decode(errors="replace") for name in ("out", "err"))
        return Answer(told["code"], out, err, seconds, told["peak_mb"])

    def _start(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._end()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "fault_kinds.command_worker", self._said.name],
                env=self._environment,
                cwd=self._said.name,  # with a room of files as its folder, those would pass for modules
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        return self._process

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    with suppress(OSError):
                        pipe.close()
        self._process = None


def _call(module: str, arguments: list[str]) -> int:
    """Run a command's main as the interpreter would.  Returns the exit code."""
    try:
        return int(importlib.import_module(module).main(arguments) or 0)
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:  # noqa: BLE001 - the interpreter would print it and end with 1; the worker goes on
        traceback.print_exc()
        return 1


def _read_memory_mb(field: str) -> float:
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1]) / 1024
    return 0.0


def _reset_peak() -> float:
    """Let the kernel count the peak anew.  Returns the memory in use, MB."""
    gc.collect()
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _read_memory_mb("VmRSS")


def main() -> None:
    """Answer orders until the other side has gone."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    orders, answers = os.dup(0), os.dup(1)
    folder = Path(sys.argv[1])
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    with os.fdopen(orders, "rb") as lines:
        for line in lines:
            order = json.loads(line)
            for number, name in ((1, "out"), (2, "err")):
                file = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                os.dup2(file, number)
                os.close(file)
            before_mb = _reset_peak()
            code = _call(order["module"], order["arguments"])
            sys.stdout.flush()
            sys.stderr.flush()
            told = {"code": code, "peak_mb": max(_read_memory_mb("VmHWM") - before_mb, 0.0)}
            os.write(answers, json.dumps(told).encode() + b"\n")


if __name__ == "__main__":
    main()
