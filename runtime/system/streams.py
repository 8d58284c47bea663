"""What a command says goes to standard output and standard error, which may be closed, or a full disk."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from ..errors import OutputError


class Steady:
    """A stream of the command's; all but writing is the stream's own.

    must_arrive: what can't be written ends the run with one line (standard output, where the answers are); otherwise
    the run goes on without it.  A reader that has seen enough is told by BrokenPipeError in either case.
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
            raise OutputError(f"standard output: {error.strerror or error}; mend that and run it again") from error


@contextmanager
def steady_streams() -> Iterator[None]:
    """Let a command say what it can say: closed streams lead nowhere, broken ones are told of or passed over."""
    _fill_gaps()
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = Steady(before[0], must_arrive=True), Steady(before[1], must_arrive=False)  # pyright: ignore[reportAttributeAccessIssue]
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def _fill_gaps() -> None:
    """A file that is opened later must not get the number of a closed stream: other libraries write there."""
    while (number := os.open(os.devnull, os.O_RDWR)) < 3:  # always the lowest that is free
        os.set_inheritable(number, True)
    os.close(number)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - it lasts as long


def _point_nowhere(stream: TextIO) -> None:
    """What is still in the stream's buffer would fail again at the program's end."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
