"""Standard output and standard error, which may be closed, or files on a full disk."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from ..errors import OutputError


class Steady:
    """Wraps a stream; everything but writing is passed through.

    must_arrive: if writing fails, the command ends with one line (for standard output, which carries the results);
    otherwise it goes on without the stream.  A broken pipe of standard output is raised as BrokenPipeError.
    """

    def __init__(self, stream: TextIO, *, must_arrive: bool) -> None:
        self._stream, self._must_arrive = stream, must_arrive

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            self._go_on_after(error)
            return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._go_on_after(error)

    def _go_on_after(self, error: OSError) -> None:
        if self._must_arrive and isinstance(error, BrokenPipeError):
            raise error
        _point_nowhere(self._stream)
        if self._must_arrive:
            raise OutputError(f"standard output: {error.strerror or error}; fix this and try again") from error


@contextmanager
def steady_streams() -> Iterator[None]:
    """Wrap both streams: closed ones are discarded, broken ones are reported or ignored."""
    _fill_gaps()
    escape_unprintable(sys.stdout)
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = Steady(before[0], must_arrive=True), Steady(before[1], must_arrive=False)  # pyright: ignore[reportAttributeAccessIssue]
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def escape_unprintable(stream: TextIO) -> None:
    """Escape what the stream's encoding lacks, as stderr does: the terminal, or a file name, may not be UTF-8."""
    if reconfigure := getattr(stream, "reconfigure", None):  # not of a StringIO
        with suppress(OSError, ValueError):  # it is closed
            reconfigure(errors="backslashreplace")


def _fill_gaps() -> None:
    """Occupy the numbers of closed streams, so that no file opened later gets one: libraries write to them."""
    while (number := os.open(os.devnull, os.O_RDWR)) < 3:  # always the lowest free number
        os.set_inheritable(number, True)
    os.close(number)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - never closed


def _point_nowhere(stream: TextIO) -> None:
    """Discard the stream's buffer, which would fail again when the program ends."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
