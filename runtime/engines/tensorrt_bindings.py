"""TensorRT and CUDA's runtime as Python packages, and TensorRT's messages in `logging`."""

from __future__ import annotations

import logging
import re
from typing import Any, NamedTuple

from ..errors import MissingPackageError

OLDEST = (10, 3)
"""The oldest TensorRT that takes the files of `yoga-export`: JetPack 6.1 brings it."""

log = logging.getLogger(__name__)


class Bindings(NamedTuple):
    """What engines are built and run with; tests hand in stand-ins for the few calls that are made."""

    trt: Any
    cudart: Any


def import_bindings() -> Bindings:
    """Import TensorRT (10.3 or newer) and cuda-bindings.  Raises MissingPackageError, which names an older version."""
    try:
        import tensorrt as trt  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise MissingPackageError(
            f"TensorRT can't be imported ({error}); on a Jetson it comes with JetPack (apt install tensorrt "
            "python3-libnvinfer) and needs a virtual environment made with --system-site-packages; on a PC run: "
            "pip install tensorrt"
        ) from error
    _check_version(str(getattr(trt, "__version__", "")))
    try:
        from cuda.bindings import runtime as cudart  # pyright: ignore[reportMissingImports, reportAttributeAccessIssue]
    except ImportError as error:
        raise MissingPackageError(
            f"CUDA's Python bindings can't be imported ({error}); run: pip install cuda-bindings "
            "(with CUDA 12 or JetPack 6: pip install 'cuda-python>=12.6.2,<13')"
        ) from error
    return Bindings(trt, cudart)


def _check_version(version: str) -> None:
    """Raises MissingPackageError for a TensorRT that is too old; one that doesn't say how old it is, is tried."""
    numbers = tuple(int(number) for number in re.findall("[0-9]+", version)[:2])
    if numbers and numbers < OLDEST:
        raise MissingPackageError(
            f"TensorRT {version} is too old: {'.'.join(map(str, OLDEST))} or newer is needed; on a Jetson update to "
            "JetPack 6.1 or newer (6.0 brings TensorRT 8.6), on a PC run: pip install --upgrade tensorrt"
        )


def make_logger(trt: Any) -> Any:
    """Make a trt.ILogger that hands on to `logging`; `errors` keeps the error lines for a message of ours."""
    levels = {
        trt.ILogger.Severity.INTERNAL_ERROR: logging.ERROR,
        trt.ILogger.Severity.ERROR: logging.ERROR,
        trt.ILogger.Severity.WARNING: logging.WARNING,
        trt.ILogger.Severity.INFO: logging.DEBUG,
        trt.ILogger.Severity.VERBOSE: logging.DEBUG,
    }

    class Logger(trt.ILogger):
        """Named `log`'s arguments as TensorRT gives them."""

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
