"""What a source of frames is, and the one that reads video files; cameras are in live_sources.py."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

from .errors import SourceError
from .frames import UNSPECIFIED, Colours, DecodedFrame, TimedFrame, is_rgb

LIVE_TIME_BASE = Fraction(1, 90_000)


@dataclass(frozen=True)
class SourceInfo:
    """What a source is: size (width, height), nominal rate, length if known, and the file whose sound belongs to it.

    colours: what a file says of them, so that a copy says the same.
    """

    name: str
    size_wh: tuple[int, int]
    rate: Fraction
    time_base: Fraction
    duration_s: float | None = None
    is_live: bool = False
    audio_from: Path | None = None
    colours: Colours = field(default_factory=Colours)


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
        rate = self._stream.average_rate or self._stream.guessed_rate or Fraction(25)
        length = self._container.duration
        self.info = SourceInfo(
            path.name,
            self._first.size_wh,
            Fraction(rate),
            Fraction(self._stream.time_base or LIVE_TIME_BASE),
            length / 1_000_000 if length else None,
            audio_from=path if self._container.streams.audio else None,
            colours=_read_colours(self._stream.codec_context, self._first.picture),
        )

    def __enter__(self) -> VideoSource:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def frames(self) -> Iterator[DecodedFrame]:
        """Every frame, in order of presentation."""
        if self._first is not None:
            yield self._first
            self._first = None
        yield from self._frames

    def _decode(self, path: Path) -> Iterator[DecodedFrame]:
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
                yield DecodedFrame(frame, time_s, pts, frame.rotation)
        except av.error.FFmpegError as error:
            where = f"after {float(last * time_base):.1f} s" if last >= 0 else "at its first frame"
            raise SourceError(f"{path} is damaged {where}: {error.strerror}; what came before it was kept") from error


def _read_colours(context: Any, picture: Any) -> Colours:
    """What a decoder was told; reserved numbers say nothing, and a picture in RGB is written as BT.709."""
    if is_rgb(picture):
        return Colours()
    said = context.color_primaries, context.color_trc, context.colorspace
    return Colours(*(UNSPECIFIED if number in (0, 3) else number for number in said))
