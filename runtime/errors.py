"""All errors, as one small family: every message says what was wrong, what was seen and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class YogaLiveError(Exception):
    """Anything that a command reports as one line and exit code 2."""


class OptionError(YogaLiveError):
    """An option, or a combination of options, that is not possible."""


class MissingPackageError(YogaLiveError):
    """A package that this command needs is not installed, or clashes with another."""


class PhotoError(YogaLiveError):
    """A photo that cannot be decoded."""


class ModelError(YogaLiveError):
    """A model file that cannot be read, or whose content contradicts its metadata."""


class DeviceError(YogaLiveError):
    """A device (GPU, display) that was requested and is missing."""


class SourceError(YogaLiveError):
    """A camera or video that cannot be opened or read."""


class NoFrameError(SourceError):
    """A video, or the requested part of it, without a single frame; the file is not damaged."""


class ClusterError(YogaLiveError):
    """A cluster that cannot be reached, or has no room for a worker."""


class OutputError(YogaLiveError):
    """A file that cannot be written, or would be overwritten."""


class TakenError(OutputError):
    """An output whose name is taken: it exists, another process is writing it, or it was created meanwhile.

    kept: where the result was saved instead, if there is one.
    """

    def __init__(self, message: str, kept: Path | None = None) -> None:
        super().__init__(message)
        self.kept = kept


class RunError(YogaLiveError):
    """A training run or photo folder that is unusable or incomplete."""


class Stopped(KeyboardInterrupt):
    """A signal that ends a command as Ctrl-C does.  number: the signal's number."""

    def __init__(self, number: int, *words: str) -> None:
        super().__init__(*words)
        self.number = number


def as_run_error(error: YogaLiveError | OSError) -> YogaLiveError:
    """Turn an error in the middle of the work into a YogaLiveError.  A broken pipe is raised again: it is no error."""
    if isinstance(error, BrokenPipeError):
        raise error
    if isinstance(error, YogaLiveError):
        return error
    where = f" ({error.filename})" if error.filename else ""
    return OutputError(f"{error.strerror or error}{where}; fix this and try again")


def join_run_errors(errors: Sequence[YogaLiveError | OSError]) -> YogaLiveError:
    """Join the error that ended the work with those of closing it: the last one, and every failed output."""
    named = [as_run_error(error) for error in errors]
    words: list[str] = []
    for error in named:
        if isinstance(error, OutputError):  # if one output is named twice, the last message says more
            words = [*(each for each in words if not str(error).startswith(each)), str(error)]
    return OutputError("; ".join(words)) if isinstance(named[-1], OutputError) and len(words) > 1 else named[-1]
