"""A progress line on stderr: how far, how fast, how long still.

Forty lines instead of a library, because `yoga-live` installs on a Jetson with three packages.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import TextIO, TypeVar

from .plain_text import show_name

T = TypeVar("T")


def format_duration(seconds: float) -> str:
    """Format seconds as m:ss or h:mm:ss."""
    whole = max(0, round(seconds))
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def announce_torch(command: str) -> None:
    """Say on a terminal that PyTorch is about to be imported, which takes seconds; not if it has been already."""
    if sys.modules.get("torch") is None and sys.stderr.isatty():
        sys.stderr.write(f"{command}: loading PyTorch\n")
        sys.stderr.flush()


class Progress:
    """Show a bar on a terminal; elsewhere (a log file) one line every ten seconds."""

    def __init__(self, title: str, total: float | None, unit: str = "", stream: TextIO | None = None) -> None:
        self._title, self._total, self._unit = title, total, unit
        self._stream = stream or sys.stderr
        self._on_terminal = self._stream.isatty()
        self._started_s = self._shown_s = time.monotonic()
        self._done, self._note = 0.0, ""

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not GeneratorExit:  # forgotten after an error, whose line stays the last one
            self._show()
        self._stream.write("\n" if self._on_terminal else "")
        self._stream.flush()

    def advance(self, amount: float = 1, note: str = "") -> None:
        """Count work done; `note` (loss, accuracy, a pose) is shown at the end of the line."""
        self._done += amount
        self._note = note or self._note
        now = time.monotonic()
        if now - self._shown_s >= (0.1 if self._on_terminal else 10.0):
            self._shown_s = now
            self._show()

    def say(self, line: str) -> None:
        """Write a line of its own above the bar."""
        line = show_name(line)
        self._stream.write(f"\r\x1b[K{line}\n" if self._on_terminal else f"{line}\n")
        self._show()

    def _show(self) -> None:
        elapsed_s = max(time.monotonic() - self._started_s, 1e-9)
        rate = self._done / elapsed_s
        parts = [f"{self._title} {self._done:.0f}"]
        if self._total:
            share = min(self._done / self._total, 1.0)
            filled = round(share * 24)
            left = format_duration((self._total - self._done) / rate) if share > 0.001 else "?"
            parts = [f"{self._title} [{'#' * filled}{'.' * (24 - filled)}] {share:4.0%}"]
            parts.append(f"{format_duration(elapsed_s)} < {left}")
        parts.append(f"{rate:.1f} {self._unit}/s" if self._unit else "")
        line = show_name("  ".join(part for part in [*parts, self._note] if part))
        self._stream.write(f"\r\x1b[K{self._cut(line)}" if self._on_terminal else f"{line}\n")
        self._stream.flush()

    def _cut(self, line: str) -> str:
        """As much as fits on a line of the terminal: one that is wrapped is not redrawn, it scrolls."""
        try:
            columns = os.get_terminal_size(self._stream.fileno()).columns
        except (OSError, ValueError):
            columns = shutil.get_terminal_size().columns
        room = max(columns or 80, 20) - 1
        ends = accumulate(2 if unicodedata.east_asian_width(letter) in "FW" else 1 for letter in line)
        return "".join(letter for letter, end in zip(line, ends, strict=True) if end <= room)


def track(items: Iterable[T], title: str, total: float | None = None, unit: str = "") -> Iterator[T]:
    """Iterate over `items` under a progress line."""
    with Progress(title, total, unit) as progress:
        for item in items:
            yield item
            progress.advance()
