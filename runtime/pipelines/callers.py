"""What a program gives by hand: names that are checked first, and functions whose exceptions stay theirs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ParamSpec

from ..errors import OutputError, SourceError, YogaLiveError, as_run_error
from ..sinks.base import StopWatching
from ..system.addresses import hide_in_text

P = ParamSpec("P")
ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # not a drive, which has one letter


class CallerError(Exception):
    """An exception of the caller's own function, on its way past the handlers of what goes wrong here."""

    def __init__(self, cause: Exception) -> None:
        super().__init__()
        self.cause = cause


def guard(function: Callable[P, None]) -> Callable[P, None]:
    """The caller's function, such that what it raises is told from what goes wrong here."""

    def call(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            function(*args, **kwargs)
        except StopWatching:
            raise
        except Exception as error:
            raise CallerError(error) from error

    return call


@contextmanager
def answering() -> Iterator[None]:
    """Raise the caller's exceptions as they are, and what a file system raises as a YogaLiveError."""
    try:
        yield
    except CallerError as error:
        raise error.cause from None
    except BrokenPipeError:
        raise
    except OSError as error:  # a name that is too long, a folder that nobody may enter
        raise as_run_error(error) from error


def check_video_name(path: str | Path) -> None:
    """Refuse what is no name of a file.  Raises SourceError, which repeats no password."""
    _check_name(path, "the video", SourceError)
    if ADDRESS.match(text := str(path)) and not Path(path).exists():  # a path has one slash where an address has two
        shown = hide_in_text(text, [text])
        raise SourceError(f"{shown} is an address; download it first, or give its frames to PoseTracker")
    if Path(path).is_dir():
        raise SourceError(f"{path} is a folder; give a video")


def check_output_name(path: str | Path, name: str) -> None:
    """Refuse what is no name of a file.  Raises OutputError."""
    _check_name(path, f"the output {name}", OutputError)


def _check_name(path: str | Path, what: str, error: Callable[[str], YogaLiveError]) -> None:
    if not str(path) or not Path(path).name:
        raise error(f"{what} has no name: {str(path)!r}; give the path of a file")
    if "\0" in str(path):
        raise error(f"{what} has a zero byte in its name; give the path of a file")
