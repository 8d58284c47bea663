"""Imports the Python packages of TensorRT and CUDA's runtime, and sends TensorRT's messages to `logging`."""

from __future__ import annotations

import logging
import re
from typing import Any, NamedTuple

from ..errors import MissingPackageError

OLDEST = (10, 3)
"""The oldest TensorRT that reads the files of `yoga-export`; part of JetPack 6.1."""

log = logging.getLogger(__name__)


class Bindings(NamedTuple):
    """The modules that engines are built and run with; tests pass in stand-ins."""

    trt: Any
    cudart: Any


def import_bindings() -> Bindings:
    """Import TensorRT (10.3 or newer) and cuda-bindings.  Raises MissingPackageError, which names an older version."""
    try:
        import tensorrt as trt  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise MissingPackageError(
            f"TensorRT cannot be imported ({error}); on a Jetson it comes with JetPack (apt install tensorrt "
            "python3-libnvinfer) and needs a virtual environment made with --system-site-packages; on a PC run: "
            "pip install tensorrt"
        ) from error
    _check_version(str(getattr(trt, "__version__", "")))
    try:
        from cuda.bindings import runtime as cudart  # pyright: ignore[reportMissingImports, reportAttributeAccessIssue]
    except ImportError as error:
        raise MissingPackageError(
            f"CUDA's Python bindings cannot be imported ({error}); run: pip install cuda-bindings "
            "(with CUDA 12 or JetPack 6: pip install 'cuda-python>=12.6.2,<13')"
        ) from error
    return Bindings(trt, cudart)


def _check_version(version: str) -> None:
    """Refuse a TensorRT that is too old; one without a version is tried.  Raises MissingPackageError."""
    numbers = tuple(int(number) for number in re.findall("[0-9]+", version)[:2])
    if numbers and numbers < OLDEST:
        raise MissingPackageError(
            f"TensorRT {version} is too old: {'.'.join(map(str, OLDEST))} or newer is needed; on a Jetson update to "
            "JetPack 6.1 or newer (6.0 has TensorRT 8.6), on a PC run: pip install --upgrade tensorrt"
        )


def make_logger(trt: Any) -> Any:
    """Make a trt.ILogger that forwards to `logging`; `errors` keeps the error lines for our own messages."""
    levels = {
        trt.ILogger.Severity.INTERNAL_ERROR: logging.ERROR,
        trt.ILogger.Severity.ERROR: logging.ERROR,
        trt.ILogger.Severity.WARNING: logging.WARNING,
        trt.ILogger.Severity.INFO: logging.DEBUG,
        trt.ILogger.Severity.VERBOSE: logging.DEBUG,
    }

    class Logger(trt.ILogger):
        """Forwards to `logging`; the arguments of `log` have TensorRT's names."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, msg: str) -> None:
            """Called by TensorRT, from any of its threads."""
            level = levels[severity]
            if level == logging.ERROR:
                self.errors.append(" ".join(msg.split()))
            log.log(level, "TensorRT: %s", " ".join(msg.split()))

    return Logger()
