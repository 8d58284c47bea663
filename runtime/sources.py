"""What a source of frames is, and the one that reads video files; cameras are in live_sources.py."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np

from .errors import SourceError
from .preprocess import Frame

LIVE_TIME_BASE = Fraction(1, 90_000)


@dataclass(frozen=True)
class TimedFrame:
    """image_bgr: uint8 (H, W, 3); time_s: seconds from the start; pts: the same in the source's time base."""

    image_bgr: Frame
    time_s: float
    pts: int


@dataclass(frozen=True)
class SourceInfo:
    """What a source is: size (width, height), nominal rate, length if known, and the file whose sound belongs to it."""

    name: str
    size_wh: tuple[int, int]
    rate: Fraction
    time_base: Fraction
    duration_s: float | None = None
    is_live: bool = False
    audio_from: Path | None = None


class Source(Protocol):
    """Opened by `with`; `frames()` is read once."""

    @property
    def info(self) -> SourceInfo: ...
    def __enter__(self) -> Source: ...
    def __exit__(self, *_: object) -> None: ...
    def frames(self) -> Iterator[TimedFrame]: ...


class VideoSource:
    """A video file or animated GIF, every frame with its own timestamp, upright as a player shows it."""

    def __init__(self, path: Path, at_most_per_s: float | None = None) -> None:
        """at_most_per_s: leave out frames that come sooner after another; all are decoded, few are converted."""
        import av.error

        if not path.is_file():
            raise SourceError(f"the video {path} does not exist; give the path of a file that does")
        try:
            self._container = av.open(str(path))
        except (av.error.FFmpegError, OSError) as error:
            raise SourceError(f"{path} can't be opened as a video: {error.strerror}") from error
        if not self._container.streams.video:
            kinds = [stream.type for stream in self._container.streams]
            self._container.close()
            raise SourceError(f"{path} holds no video, only {kinds}")
        self._stream = self._container.streams.video[0]
        self._stream.thread_type = "AUTO"
        self._interval_s = 1 / at_most_per_s if at_most_per_s else 0.0
        self._frames = self._decode(path)
        try:
            self._first = next(self._frames, None)
        except SourceError:
            self._container.close()
            raise
        if self._first is None:
            self._container.close()
            raise SourceError(f"{path} holds no readable frame; is it complete?")
        height, width = self._first.image_bgr.shape[:2]
        rate = self._stream.average_rate or self._stream.guessed_rate or Fraction(25)
        length = self._container.duration
        self.info = SourceInfo(
            path.name,
            (width, height),
            Fraction(rate),
            Fraction(self._stream.time_base or LIVE_TIME_BASE),
            length / 1_000_000 if length else None,
            audio_from=path if self._container.streams.audio else None,
        )

    def __enter__(self) -> VideoSource:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def frames(self) -> Iterator[TimedFrame]:
        """Every frame, in order of presentation."""
        if self._first is not None:
            yield self._first
            self._first = None
        yield from self._frames

    def _decode(self, path: Path) -> Iterator[TimedFrame]:
        """Decode; times count from the file's own start, so that sound and picture keep their offset."""
        import av.error

        time_base = Fraction(self._stream.time_base or LIVE_TIME_BASE)
        rate = Fraction(self._stream.average_rate or 25)
        origin = round(Fraction(self._container.start_time or 0, 1_000_000) / time_base)
        last, due_s = -1, 0.0
        try:
            for index, frame in enumerate(self._container.decode(self._stream)):
                pts = frame.pts - origin if frame.pts is not None else round(index / rate / time_base)
                last = pts = max(pts, last + 1)
                if (time_s := float(pts * time_base)) < due_s - 1e-6:
                    continue
                due_s = max(due_s + self._interval_s, time_s)
                image = _turn_upright(np.asarray(frame.to_ndarray(format="bgr24"), np.uint8), frame.rotation)
                yield TimedFrame(image, time_s, pts)
        except av.error.FFmpegError as error:
            where = f"after {float(last * time_base):.1f} s" if last >= 0 else "at its first frame"
            raise SourceError(f"{path} is damaged {where}: {error.strerror}; what came before it was kept") from error


def _turn_upright(image: Frame, degrees: int) -> Frame:
    """Apply a phone's rotation flag, in degrees counter-clockwise (as FFmpeg's display matrix has it)."""
    quarter_turns = round(degrees / 90) % 4
    return np.ascontiguousarray(np.rot90(image, quarter_turns)) if quarter_turns else image
