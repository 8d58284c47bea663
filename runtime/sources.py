"""What a source of frames is, and the one that reads video files; cameras are in live_sources.py."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from .errors import NoFrameError, SourceError
from .files import show_name
from .frames import UNSPECIFIED, Colours, DecodedFrame, TimedFrame, is_rgb
from .media_files import Damage, decode_packets, follow_jumps, goes_back, may_jump, open_media, read_packets
from .spans import Span, format_moment
from .stretches import SAME_S, Turns

if TYPE_CHECKING:
    from .remote_files import RemoteFile

LIVE_TIME_BASE = Fraction(1, 90_000)
LEAD_S, LEAD_FRAMES = 1.0, 17
"""How long before a moment decoding begins: B-frames at a key frame, 16 at most in H.264 and H.265, lack their past."""
SHORT_S, SHORT = 2.0, 0.02
"""By how much, and by what share, a picture may be shorter than its file says."""


@dataclass
class Seen:
    """What has been read of a recording so far.

    frames: how many that are wanted, also those that `at_most_per_s` left out; end_s: when the last of them ends;
    jumps_s: each time that the file's own time begins anew, what is added to it from there on.
    """

    frames: int = 0
    end_s: float = 0.0
    jumps_s: list[Fraction] = field(default_factory=list)

    def count(self, time_s: float, lasts_s: float | None) -> None:
        """Count a frame."""
        self.frames, self.end_s = self.frames + 1, max(time_s + (lasts_s or 0.0), self.end_s)


@dataclass(frozen=True)
class SourceInfo:
    """What a source is: size (width, height), nominal rate, length if known, and the file whose sound belongs to it.

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


class VideoSource:
    """A video file or animated GIF, every frame with its own timestamp, upright as a player shows it."""

    def __init__(
        self,
        path: Path | RemoteFile,
        at_most_per_s: float | None = None,
        span: Span | None = None,
        threads: int | None = None,
    ) -> None:
        """at_most_per_s: leave out frames that come sooner after another, as `Turns` chooses them; all are decoded.

        span: this part alone, from the frame at or after its start; times remain the file's own.  threads: for decoding
        (None: as many as there are cores).  Raises SourceError.
        """
        if isinstance(path, Path) and not path.is_file():
            raise SourceError(f"the video {path} does not exist; give the path of a file that does")
        self._path, self._span, self._threads = path, span or Span(), threads
        self._damage, self._seen, self._seeks, self._is_over = Damage(), Seen(), True, False
        self._open()
        self._turns = Turns(at_most_per_s, self._span.start_s) if at_most_per_s else None
        self._frames = self._decode(path)
        try:
            self._first = next(self._frames, None)
            if self._first is None:
                raise NoFrameError(self._say_empty())
        except SourceError:
            self._close()
            raise
        rate = self._stream.average_rate or self._stream.guessed_rate or Fraction(25)
        self._told_s = float((self._stream.duration or 0) * (self._stream.time_base or 0))
        self.info = SourceInfo(
            show_name(path.name),
            self._first.size_wh,
            Fraction(rate),
            Fraction(self._stream.time_base or LIVE_TIME_BASE),
            self._find_length_s(),
            audio_from=path if isinstance(path, Path) and self._container.streams.audio else None,
            start_pts=self._first.pts if self._span.start_s else 0,
            end_s=self._span.end_s,
            colours=_read_colours(self._stream.codec_context, self._first.picture),
            seen=self._seen,
            seeks=self._seeks,
        )

    @property
    def damage(self) -> str:
        """What could not be read so far, as a sentence; empty if everything could."""
        told_s = self._told_s
        if self._is_over and self._span.end_s is None and told_s - self._seen.end_s > max(SHORT_S, SHORT * told_s):
            return f"{self._path} ends after {self._seen.end_s:.1f} s, not {told_s:.1f} s as it says; is it complete?"
        if count := self._damage.packets:
            return f"{self._path}: {count} damaged packet{'s' * (count > 1)} left out of the picture"
        return ""

    def goes_back(self) -> bool:
        """Whether the file's times begin anew in the middle, as far as a few looks tell; nothing is read after that."""
        return may_jump(self._container) and goes_back(self._container, self._stream)

    def _open(self) -> None:
        import av.error

        self._file = None
        try:
            self._file = None if isinstance(self._path, Path) else self._path.open()
            self._container = open_media(self._file or self._path)
        except (av.error.FFmpegError, OSError) as error:
            if self._file:
                self._file.close()
            reason = "it does not exist" if isinstance(error, FileNotFoundError) else error.strerror or error
            raise SourceError(f"{self._path} can't be opened as a video: {reason}") from error
        if not self._container.streams.video:
            kinds = [stream.type for stream in self._container.streams]
            self._close()
            raise SourceError(f"{self._path} holds no video, only {kinds}")
        self._stream = self._container.streams.video[0]
        self._stream.thread_type = "AUTO"
        if self._threads:
            self._stream.codec_context.thread_count = self._threads

    def _close(self) -> None:
        self._container.close()
        if self._file:
            self._file.close()

    def _say_empty(self) -> str:
        if self._span == Span():
            return f"{self._path} holds no readable frame; is it complete?"
        start, length_s = format_moment(self._span.start_s), (self._container.duration or 0) / 1_000_000
        if 0 < length_s <= self._span.start_s:  # asked only now: some containers guess their length
            return f"--from {start} is beyond the end of {self._path}, which lasts {format_moment(length_s)}"
        end = "" if self._span.end_s is None else f" and before {format_moment(self._span.end_s)}"
        return f"{self._path} holds no frame from {start} on{end}"

    def _find_length_s(self) -> float | None:
        """Seconds of what is read; None where the file does not say how long it is."""
        length = self._container.duration
        if not length:
            return None
        end_s = length / 1_000_000
        return (end_s if self._span.end_s is None else min(end_s, self._span.end_s)) - self._span.start_s

    def __enter__(self) -> VideoSource:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def frames(self) -> Iterator[DecodedFrame]:
        """Every frame, in order of presentation."""
        if self._first is not None:
            yield self._first
            self._first = None
        yield from self._frames

    def _decode(self, path: Path | RemoteFile) -> Iterator[DecodedFrame]:
        """Decode; times count from the file's own start, so that sound and picture keep their offset."""
        import av.error

        time_base = Fraction(self._stream.time_base or LIVE_TIME_BASE)
        rate = Fraction(self._stream.average_rate or 25)
        origin = round(Fraction(self._container.start_time or 0, 1_000_000) / time_base)
        last, shift = -1, -origin
        frames = follow_jumps(self._decode_from(origin, time_base, rate), lambda frame: frame.pts, time_base)
        try:
            for index, (frame, own, jumps) in enumerate(frames):
                if own is not None and jumps > len(self._seen.jumps_s):
                    shift = last + max(round(1 / rate / time_base), 1) - own
                    self._seen.jumps_s.append((shift + origin) * time_base)
                pts = own + shift if own is not None else round(index / rate / time_base)
                last = pts = max(pts, last + 1)
                if (time_s := float(pts * time_base)) < self._span.start_s - SAME_S:
                    continue
                if self._span.end_s is not None and time_s > self._span.end_s - SAME_S:
                    return
                lasts_s = self._read_length_s(frame, time_s, time_base)
                self._seen.count(time_s, lasts_s)
                if self._turns and not self._turns.take(time_s).is_wanted:
                    continue
                yield DecodedFrame(frame, time_s, pts, frame.rotation, lasts_s)
            self._is_over = True
        except (av.error.FFmpegError, OSError) as error:  # OSError: a remote file that can't be read on
            where = f"after {float(last * time_base):.1f} s" if last >= 0 else "at its first frame"
            raise SourceError(
                f"{path} is damaged {where}: {error.strerror or error}; what came before it was kept"
            ) from error

    def _read_length_s(self, frame: Any, time_s: float, time_base: Fraction) -> float | None:
        """How long a frame is shown, as far as it is wanted."""
        lasts_s = float((getattr(frame, "duration", None) or 0) * time_base)
        if self._span.end_s is not None:
            lasts_s = min(lasts_s, self._span.end_s - time_s)
        return lasts_s or None

    def _decode_from(self, origin: int, time_base: Fraction, rate: Fraction) -> Iterator[Any]:
        """Decoded frames from a key frame well before the span on; from the first where there is no such."""
        if self._span.start_s:
            self._seeks = not self.goes_back()
            lead_s = max(LEAD_S, float(LEAD_FRAMES / rate))
            latest = origin + round((self._span.start_s - lead_s) / time_base)
            for earlier_s in (
                (lead_s, 30 * lead_s) if self._seeks else ()
            ):  # a seek by bytes, as in an MPEG-TS, may land after its aim
                packets = self._seek(latest - round(earlier_s / time_base), latest)
                if packets is not None:
                    yield from decode_packets(packets, self._damage, is_torn=True)
                    self._damage.check_end()
                    return
            self._close()
            self._open()
        yield from decode_packets(read_packets(self._container, self._stream, self._damage), self._damage)
        self._damage.check_end()

    def _seek(self, aim: int, latest: int) -> Iterator[Any] | None:
        """Packets from a key frame near `aim` on; None where none is found at or before `latest`.  Both in ticks."""
        import av.error

        try:
            self._container.seek(aim, stream=self._stream)
            packets = read_packets(self._container, self._stream, self._damage)
            first = next((packet for packet in packets if packet.is_keyframe), None)
        except av.error.FFmpegError:
            return None
        if first is None or first.pts is None or first.pts > latest:
            return None
        return chain([first], packets)


def _read_colours(context: Any, picture: Any) -> Colours:
    """What a decoder was told; reserved numbers say nothing, and a picture in RGB is written as BT.709."""
    if is_rgb(picture):
        return Colours()
    said = context.color_primaries, context.color_trc, context.colorspace
    return Colours(*(UNSPECIFIED if number in (0, 3) else number for number in said))
