"""What a source of timed frames is, and what it says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from ..core.frames import Colours, TimedFrame

LIVE_TIME_BASE = Fraction(1, 90_000)


@dataclass
class Seen:
    """What has been read of a recording so far.

    frames: how many that are wanted, also those that `at_most_per_s` left out; end_s: when the last of them ends;
    damaged_s: for how long the decoder made up parts of the picture; jumps_s: each time that the file's own time begins
    anew, what is added to it from there on.
    """

    frames: int = 0
    end_s: float = 0.0
    damaged_s: float = 0.0
    jumps_s: list[Fraction] = field(default_factory=list)

    def count(self, time_s: float, lasts_s: float | None, damaged_s: float = 0.0) -> None:
        """Count a frame."""
        self.frames, self.end_s = self.frames + 1, max(time_s + (lasts_s or 0.0), self.end_s)
        self.damaged_s += damaged_s


@dataclass(frozen=True)
class SourceInfo:
    """What a source is: size (width, height), nominal rate, length if known, and the file whose sound belongs to it.

    size_wh: of the picture as it is shown, in square pixels; stored_wh: of the upright picture as a file holds it, its
    pixels pixel_aspect times as wide as high; None: the same.

    start_pts: where only a part of a file is read, the time of its first frame; there a saved clip begins.  end_s:
    where that part ends; None: with the file, whose sound may outlast the picture.  colours: what a file says of them,
    so that a copy says the same.  seen: grows while frames are read; seeks: whether a part of the file can be
    found by its time.
    """

    name: str
    size_wh: tuple[int, int]
    rate: Fraction
    time_base: Fraction
    duration_s: float | None = None
    is_live: bool = False
    audio_from: Path | None = None
    start_pts: int = 0
    end_s: float | None = None
    colours: Colours = field(default_factory=Colours)
    seen: Seen = field(default_factory=Seen, compare=False)
    seeks: bool = True
    stored_wh: tuple[int, int] | None = None
    pixel_aspect: Fraction = Fraction(1)

    @property
    def start_s(self) -> float:
        """`start_pts` in seconds."""
        return float(self.start_pts * self.time_base)


class Source(Protocol):
    """Opened by `with`; `frames()` is read once."""

    @property
    def info(self) -> SourceInfo: ...
    def __enter__(self) -> Source: ...
    def __exit__(self, *_: object) -> None: ...
    def frames(self) -> Iterator[TimedFrame]: ...
