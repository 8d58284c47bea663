"""Named pipes as videos: another program writes what is watched while it comes.  They can be read once."""

from __future__ import annotations

import io
import logging
import os
from pathlib import Path

from ..core.presentation import Mounting
from ..errors import OptionError, SourceError
from .base import Source
from .time_range import TimeRange
from .video import VideoSource

log = logging.getLogger(__name__)


class NamedPipe:
    """A named pipe, as `VideoSource` takes a file that is none on this machine."""

    is_read_once = True

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def name(self) -> str:
        return self._path.name

    @property
    def suffix(self) -> str:
        return self._path.suffix

    def __str__(self) -> str:
        return str(self._path)

    def open(self, mode: str = "rb") -> io.FileIO:
        """Open it, which waits until somebody writes; Ctrl-C ends that.  No buffer: what has come is read at once."""
        log.info("waiting for a writer at %s", self._path)
        return io.FileIO(os.open(self._path, os.O_RDONLY), "rb")


def open_pipe(
    path: Path, time_range: TimeRange | None = None, threads: int | None = None, mounting: Mounting | None = None
) -> Source:
    """Wait for a writer and open what it writes; its sound is not kept.  Raises OptionError for a part of it."""
    if time_range and time_range != TimeRange():
        raise OptionError(f"{path} is a named pipe, which is read from its beginning; leave --from and --to out")
    return VideoSource(NamedPipe(path), None, None, threads, mounting)  # pyright: ignore[reportArgumentType] - reads like one


def read_on(path: Path, source: Source, *, draws: bool) -> Source:
    """The source itself in place of one that is opened once more.  draws: its frames are needed twice.

    Raises SourceError where they are, since too large to be kept.
    """
    if draws:
        width, height = source.info.size_wh
        raise SourceError(f"{path} is a named pipe of {width} x {height}, too large to be drawn upon; save it first")
    return source
