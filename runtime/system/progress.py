"""A progress line on stderr: how far, how fast, how long still; or the same for a program's own bar.

Forty lines instead of a library, because `yoga-live` installs on a Jetson with three packages.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
import unicodedata
from asyncio import CancelledError
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import accumulate
from typing import TextIO, TypeVar

from .plain_text import show_name

T = TypeVar("T")
PAUSE_S, LOG_PAUSE_S = 0.1, 10.0
"""Between two reports, at least: to a terminal or a program's function, and to a log."""
VIDEO_SECONDS = "s of video"
"""The unit in which the watching of a recording is counted."""


@dataclass(frozen=True)
class ProgressUpdate:
    """How far a piece of work is, as the functions that take `on_progress` report it, up to ten times a second::

        def show(update):
            print(f"\\r{update.stage} {update.fraction or 0:.0%} {update.note:40}", end="")
        fit("photos", "runs/first", on_progress=show)

    stage: what is being done, such as `epoch 3/12 at 224 px`; each stage counts from 0.
    done, total: counted in `unit`; total is None where the length is not known.
    unit: what is counted: `photos`, `epochs`, `s of video`, or nothing.
    note: the newest result, such as `loss 0.412  accuracy 91.2%` or the pose that is held; may be empty.
    """

    stage: str
    done: float
    total: float | None = None
    unit: str = ""
    note: str = ""

    @property
    def fraction(self) -> float | None:
        """Done of total, 0 to 1; None where the length is not known."""
        return min(self.done / self.total, 1.0) if self.total else None


OnProgress = Callable[[ProgressUpdate], None]
_RECEIVER: ContextVar[OnProgress | None] = ContextVar("receiver of progress", default=None)
"""Who gets the progress of this thread instead of stderr: it is shown by functions far below those that users call."""


@contextmanager
def send_progress(to: OnProgress | None) -> Iterator[None]:
    """Within the block progress is no line on stderr; `to` gets it, if there is one.  What it raises ends the work."""
    before = _RECEIVER.set(to or _ignore)
    try:
        yield
    finally:
        _RECEIVER.reset(before)


def is_progress_shown() -> bool:
    """Whether progress is a line on stderr here."""
    return _RECEIVER.get() is None


def _ignore(_: ProgressUpdate) -> None:
    """Nobody wants to know."""


def format_duration(seconds: float) -> str:
    """Format seconds as m:ss or h:mm:ss: whole seconds that have passed, as a clock counts them."""
    whole = max(0, int(seconds + 1e-6))  # 29.9999999 is 30
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def format_hold(seconds: float) -> str:
    """Format how long a pose was held, rounded down: tenths of seconds below a minute (4.5 s), then a clock (1:05)."""
    tenths = max(0, int(seconds * 10 + 1e-6))
    return f"{tenths / 10:.1f} s" if tenths < 600 else format_duration(seconds)


def announce_torch(command: str) -> None:
    """Print on a terminal that PyTorch is about to be imported, which takes seconds, unless it already is."""
    if sys.modules.get("torch") is None and sys.stderr.isatty():
        sys.stderr.write(f"{command}: loading PyTorch\n")
        sys.stderr.flush()


class Progress:
    """Show a bar on a terminal; elsewhere (a log file) one line every ten seconds.  Within `send_progress`: neither."""

    def __init__(self, title: str, total: float | None, unit: str = "", stream: TextIO | None = None) -> None:
        self._title, self._total, self._unit = title, total, unit
        self._stream = stream or sys.stderr
        self._receiver = None if stream else _RECEIVER.get()
        self._on_terminal = self._stream.isatty()
        self._pause_s = PAUSE_S if self._on_terminal or self._receiver else LOG_PAUSE_S
        self._started_s = self._shown_s = time.monotonic()
        self._done, self._note = 0.0, ""

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._receiver:
            if kind is None:  # otherwise it may be the receiver that raised
                self._show()
            return
        is_stopped = kind is not None and issubclass(kind, KeyboardInterrupt | GeneratorExit | CancelledError)
        if not is_stopped:  # by Ctrl-C, or forgotten after an error: that line stays the last one
            self._show()
        self._stream.write("\n" if self._on_terminal else "")
        self._stream.flush()

    def advance(self, amount: float = 1, note: str = "") -> None:
        """Add to the work done; `note` (loss, accuracy, a pose) is shown at the end of the line."""
        self._done += amount
        self._note = note or self._note
        now = time.monotonic()
        if now - self._shown_s >= self._pause_s:
            self._shown_s = now
            self._show()

    def finish(self) -> None:
        """Count what is left of the total."""
        self._done = max(self._done, self._total or 0)

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        line = show_name(line)
        if self._receiver:
            self._receiver(ProgressUpdate(self._title, self._done, self._total, self._unit, line))
            return
        self._stream.write(f"\r\x1b[K{line}\n" if self._on_terminal else f"{line}\n")
        self._show()

    def _show(self) -> None:
        if self._receiver:
            self._receiver(ProgressUpdate(self._title, self._done, self._total, self._unit, self._note))
            return
        elapsed_s = max(time.monotonic() - self._started_s, 1e-9)
        rate = self._done / elapsed_s
        parts = [f"{self._title} {self._done:.0f}"]
        if self._total:
            share = min(self._done / self._total, 1.0)
            filled = round(share * 24)
            left = format_duration((self._total - self._done) / rate) if share > 0.001 else "?"
            parts = [f"{self._title} [{'#' * filled}{'.' * (24 - filled)}] {share:4.0%}"]
            parts.append(f"{format_duration(elapsed_s)} < {left}")
        parts.append(_format_rate(rate, self._unit))
        line = show_name("  ".join(part for part in [*parts, self._note] if part))
        self._stream.write(f"\r\x1b[K{self._cut(line)}" if self._on_terminal else f"{line}\n")
        self._stream.flush()

    def _cut(self, line: str) -> str:
        """Cut to the terminal's width, because a wrapped line scrolls instead of being redrawn."""
        try:
            columns = os.get_terminal_size(self._stream.fileno()).columns
        except (OSError, ValueError):
            columns = shutil.get_terminal_size().columns
        room = max(columns or 80, 20) - 1
        ends = accumulate(2 if unicodedata.east_asian_width(letter) in "FW" else 1 for letter in line)
        return "".join(letter for letter, end in zip(line, ends, strict=True) if end <= room)


def _format_rate(rate: float, unit: str) -> str:
    return f"{rate:.1f} x real time" if unit == VIDEO_SECONDS else f"{rate:.1f} {unit}/s" if unit else ""


def track(items: Iterable[T], title: str, total: float | None = None, unit: str = "") -> Iterator[T]:
    """Iterate over `items` under a progress line."""
    with Progress(title, total, unit) as progress:
        for item in items:
            yield item
            progress.advance()
