"""Named pipes as videos, written by another program while they are watched.  They can be read only once."""

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
    """A named pipe with the interface of a remote file, for `VideoSource`."""

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
        """Open it, which waits for a writer (Ctrl-C ends the wait).  Unbuffered, so that data is read as it arrives."""
        log.info("waiting until another program writes to %s", self._path)
        return io.FileIO(os.open(self._path, os.O_RDONLY), "rb")


def open_pipe(
    path: Path, time_range: TimeRange | None = None, threads: int | None = None, mounting: Mounting | None = None
) -> Source:
    """Wait for a writer and open what it writes, without sound.  Raises OptionError for a part of it."""
    if time_range and time_range != TimeRange():
        raise OptionError(f"{path} is a named pipe, which can only be read from its start; leave --from and --to out")
    return VideoSource(NamedPipe(path), None, None, threads, mounting)  # pyright: ignore[reportArgumentType] - reads like one


def read_on(path: Path, source: Source, *, draws: bool) -> Source:
    """Return the source itself instead of opening it again.  draws: its frames are needed twice.

    Raises SourceError if they are, because they are too large to be kept in memory.
    """
    if draws:
        width, height = source.info.size_wh
        raise SourceError(
            f"{path} is a named pipe of {width} x {height}, too large to annotate; save it to a file first"
        )
    return source
