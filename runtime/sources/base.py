"""The protocol of sources of timed frames, and their metadata."""

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

    frames: number of frames in the requested part, including those that `at_most_per_s` skips; end_s: when the last of
    them ends; damaged_s: for how long the decoder concealed damage; jumps_s: for each restart of the file's own time,
    the offset added from there on.
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
    """Metadata of a source: size (width, height), nominal rate, length if known, and the file that holds its sound.

    size_wh: of the picture as shown, in square pixels; stored_wh: of the upright picture as stored, whose pixels are
    pixel_aspect times as wide as high; None: the same.

    start_pts: if only a part of a file is read, the time of its first frame, where a saved clip starts.  end_s: where
    that part ends; None: with the file, whose sound may outlast the picture.  colours: the file's colour metadata, for
    a copy.  seen: grows while frames are read; seeks: whether the file can be searched by time.
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
