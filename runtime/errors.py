"""What can go wrong, as one small family: every message says what was wrong, what was seen, what to do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class YogaLiveError(Exception):
    """Anything that a command reports as one line and exit code 2."""


class OptionError(YogaLiveError):
    """An option or a combination of options that can't be honoured."""


class MissingPackageError(YogaLiveError):
    """A package that this command needs is not installed, or clashes with another."""


class PhotoError(YogaLiveError):
    """A picture that can't be decoded."""


class ModelError(YogaLiveError):
    """A model file that can't be read, or is not what it says."""


class DeviceError(YogaLiveError):
    """A device (GPU, display) that was asked for and isn't there."""


class SourceError(YogaLiveError):
    """A camera or video that can't be opened or read."""


class NoFrameError(SourceError):
    """A video, or the part of it that was asked for, without a single frame; what is there is not damaged."""


class ClusterError(YogaLiveError):
    """A cluster that can't be reached, or has no place for a worker."""


class OutputError(YogaLiveError):
    """A file that can't be written, or would be overwritten."""


class TakenError(OutputError):
    """An output whose name is taken: it exists, another run is writing it, or it was created while this one ran.

    kept: where the result lies then, if there is one.
    """

    def __init__(self, message: str, kept: Path | None = None) -> None:
        super().__init__(message)
        self.kept = kept


class RunError(YogaLiveError):
    """A training run or photo folder that lacks what is needed from it."""


class Stopped(KeyboardInterrupt):
    """A signal that ends a run as Ctrl-C does.  number: of the signal."""

    def __init__(self, number: int, *words: str) -> None:
        super().__init__(*words)
        self.number = number


def as_run_error(error: YogaLiveError | OSError) -> YogaLiveError:
    """What ended a run in its middle, as one of the family.  A pipe that nobody reads is raised again: no trouble."""
    if isinstance(error, BrokenPipeError):
        raise error
    if isinstance(error, YogaLiveError):
        return error
    where = f" ({error.filename})" if error.filename else ""
    return OutputError(f"{error.strerror or error}{where}; mend that and run it again")


def join_run_errors(errors: Sequence[YogaLiveError | OSError]) -> YogaLiveError:
    """What ended a run, and what closing it met after that.  The last is told, with every output that has failed."""
    named = [as_run_error(error) for error in errors]
    words: list[str] = []
    for error in named:
        if isinstance(error, OutputError):  # of one output that is told twice, what was said last says more
            words = [*(each for each in words if not str(error).startswith(each)), str(error)]
    return OutputError("; ".join(words)) if isinstance(named[-1], OutputError) and len(words) > 1 else named[-1]
