"""Frames of a video file, in order of presentation, with their times."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.frames import UNSPECIFIED, Colours, DecodedFrame, is_rgb
from ..core.presentation import Mounting, PresentationReader
from ..errors import NoFrameError, SourceError, YogaLiveError
from ..photos.limits import RefusedPicture
from ..system.plain_text import format_count, show_name
from .base import LIVE_TIME_BASE, Seen, SourceInfo
from .demux import (
    Damage,
    check_picture,
    decode_packets,
    follow_jumps,
    goes_back,
    has_times,
    is_cut_off,
    is_short,
    is_still_picture,
    lacks_index,
    may_jump,
    open_media,
    pick_sound,
    pick_video,
    read_packets,
    say_length_s,
)
from .frame_sampling import SAME_S, FrameSampler
from .inputs import name_missing
from .time_range import TimeRange, format_moment

if TYPE_CHECKING:
    from .remote import RemoteFile

LEAD_S, LEAD_FRAMES = 1.0, 17
"""How long before a time decoding starts: B-frames at a key frame, at most 16 in H.264 and H.265, lack their past."""


class VideoSource:
    """A video file or animated GIF: every frame with its own timestamp, upright as a player shows it."""

    def __init__(
        self,
        path: Path | RemoteFile,
        at_most_per_s: float | None = None,
        time_range: TimeRange | None = None,
        threads: int | None = None,
        mounting: Mounting | None = None,
    ) -> None:
        """at_most_per_s: skip frames that follow too soon, as `FrameSampler` decides; all are decoded.

        time_range: only this part, from the frame at or after its start; times remain the file's own.  threads: for
        decoding (None: one per core).  mounting: the user's correction, after the file's own.  Raises SourceError.
        """
        if isinstance(path, Path) and not path.is_file():
            raise name_missing(path)
        self._path, self._time_range, self._threads, self._mounting = path, time_range or TimeRange(), threads, mounting
        self._damage, self._seen, self._seeks, self._cut_at_s = Damage(), Seen(), True, None
        self._open()
        self._sampler = FrameSampler(at_most_per_s, self._time_range.start_s) if at_most_per_s else None
        self._frames = self._decode(path)
        try:
            self._first = next(self._frames, None)
            if self._first is None:
                raise NoFrameError(self._say_empty())
        except SourceError:
            self._close()
            raise
        self.info = SourceInfo(
            show_name(path.name),
            self._first.size_wh,
            self._find_rate(),
            Fraction(self._stream.time_base or LIVE_TIME_BASE),
            self._find_length_s(),
            audio_from=path if isinstance(path, Path) and pick_sound(self._container, self._stream) else None,
            start_pts=self._first.pts if self._time_range.start_s else 0,
            end_s=self._time_range.end_s,
            colours=_read_colours(self._stream.codec_context, self._first.picture),
            seen=self._seen,
            seeks=self._seeks,
            stored_wh=self._first.stored_wh,
            pixel_aspect=self._first.presentation.stand_up().pixel_aspect,
        )

    @property
    def damage(self) -> str:
        """Describe what could not be read so far, or was assumed; empty if the file is fine."""
        found = list[str]()
        if count := self._damage.packets:
            found.append(f"skipped {format_count(count, 'damaged packet')} of the picture")
        if self._seen.damaged_s:
            found.append(f"did not classify {self._seen.damaged_s:.1f} s with a damaged picture")
        if not self._has_times:
            found.append(f"the file has no timestamps; assumed {float(self.info.rate):.4g} frames per second")
        told = [f"{self._path}: {'; '.join(found)}"] if found else []
        if self._cut_at_s is not None:
            ends = f"ends after {self._seen.end_s:.1f} s instead of {self._cut_at_s:.1f} s as its header says"
            told.append(f"{self._path} {ends}; check whether it is complete")
        return "; ".join(told)

    def goes_back(self) -> bool:
        """Whether the file's times restart in the middle, as far as a few probes tell; do not read after this call."""
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
            raise SourceError(f"cannot open {self._path} as a video: {self._explain(error)}") from error
        self._stream: Any = pick_video(self._container)
        if self._stream is None:
            kinds = [stream.type for stream in self._container.streams]
            self._close()
            raise SourceError(
                f"{self._path} has no video stream, only {' and '.join(kinds) or 'nothing'}; give a video"
            )
        if self._can_be_reopened() and is_still_picture(self._container):
            self._close()
            raise SourceError(f"{self._path} is a photo, not a video; use --images for photos")
        try:
            check_picture(self._stream, self._read_head())
        except RefusedPicture as error:
            self._close()
            raise SourceError(f"{self._path} {error}") from error
        self._has_times = has_times(self._container)
        self._stream.thread_type = "AUTO"
        if self._threads:
            self._stream.thread_count = self._threads

    def _can_be_reopened(self) -> bool:
        """Whether it can be opened again; a named pipe would wait for another writer."""
        return not getattr(self._path, "is_read_once", False)

    def _read_head(self) -> bytes:
        """Read the first bytes of a GIF, because FFmpeg does not report its size."""
        if self._container.format.name != "gif" or not self._can_be_reopened():
            return b""
        with suppress(OSError, YogaLiveError), self._path.open("rb") as file:
            return file.read(10)
        return b""

    def _explain(self, error: Exception) -> object:
        """Explain as well as possible why the file cannot be opened."""
        if isinstance(error, FileNotFoundError):
            return "it does not exist"
        if not self._can_be_reopened():
            return getattr(error, "strerror", None) or error
        if isinstance(self._path, Path) and self._path.stat().st_size == 0:
            return "the file is empty"
        with suppress(OSError, YogaLiveError), self._path.open("rb") as file:
            if lacks_index(file):
                return (
                    "its recording was not finished and it has no index (moov); "
                    "a repair tool may rebuild it from a complete file of the same camera"
                )
        return getattr(error, "strerror", None) or error

    def _close(self) -> None:
        self._container.close()
        if self._file:
            self._file.close()

    def _say_empty(self) -> str:
        if self._time_range == TimeRange():
            return f"{self._path} has no readable frame; check whether it is complete"
        start, length_s = format_moment(self._time_range.start_s), (self._container.duration or 0) / 1_000_000
        if 0 < length_s <= self._time_range.start_s:  # asked only now: some containers guess their length
            return f"--from {start} is after the end of {self._path}, which lasts {format_moment(length_s)}"
        end = "" if self._time_range.end_s is None else f" and before {format_moment(self._time_range.end_s)}"
        return f"{self._path} has no frame at or after {start}{end}"

    def _find_length_s(self) -> float | None:
        """Length of the requested part in seconds; None if the file does not state its length."""
        length = self._container.duration
        if not length:
            return None
        end_s = length / 1_000_000
        return (
            end_s if self._time_range.end_s is None else min(end_s, self._time_range.end_s)
        ) - self._time_range.start_s

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
        rate = Fraction(self._stream.average_rate or 25) if self._has_times else self._find_rate()
        step, is_timed = max(round(1 / rate / time_base), 1), False
        presentation = PresentationReader(self._stream, self._mounting)
        origin = round(Fraction(self._container.start_time or 0, 1_000_000) / time_base)
        last, shift = -1, -origin
        frames = follow_jumps(self._decode_from(origin, time_base, rate), lambda frame: frame.pts, time_base)
        try:
            for index, (frame, own, jumps) in enumerate(frames):
                if own is not None and jumps > len(self._seen.jumps_s):
                    shift = last + step - own
                    self._seen.jumps_s.append((shift + origin) * time_base)
                if own is not None:
                    pts, is_timed = own + shift, True
                else:
                    pts = last + step if is_timed else round(index / rate / time_base)
                last = pts = max(pts, last + 1)
                if (time_s := float(pts * time_base)) < self._time_range.start_s - SAME_S:
                    continue
                if self._time_range.end_s is not None and time_s > self._time_range.end_s - SAME_S:
                    return
                lasts_s = self._read_length_s(frame, time_s, time_base)
                is_damaged = bool(frame.is_corrupt)
                self._seen.count(time_s, lasts_s, (lasts_s or float(1 / rate)) if is_damaged else 0.0)
                if self._sampler and not (is_damaged or self._sampler.take(time_s).is_wanted):
                    continue
                shown = presentation.read(frame)
                yield DecodedFrame(frame, time_s, pts, shown, lasts_s, is_damaged=is_damaged)
            self._look_for_a_cut()
        except RefusedPicture as error:
            when = f"after {float(last * time_base):.1f} s" if last >= 0 else "in its first frame"
            raise SourceError(f"{path} {error}, {when}; the frames before that were used") from error
        except (av.error.FFmpegError, OSError) as error:  # OSError: a remote file that cannot be read on
            where = f"after {float(last * time_base):.1f} s" if last >= 0 else "at its first frame"
            raise SourceError(
                f"{path} is damaged {where}: {error.strerror or error}; the frames before that were used"
            ) from error

    def _find_rate(self) -> Fraction:
        """Find the frame rate; for a file without timestamps, that of the codec's own timing."""
        said, guessed = self._stream.average_rate, self._stream.guessed_rate
        return Fraction((said or guessed if self._has_times else guessed or said) or 25)

    def _look_for_a_cut(self) -> None:
        """At the end, note the stated length of the file if it is shorter than that."""
        if self._time_range.end_s is not None:
            return
        told_s, frame_s = say_length_s(self._container, self._stream), float(1 / self._find_rate())
        if not told_s and is_cut_off(self._container, self._seen.end_s, frame_s):
            told_s = self._container.duration / 1_000_000
        if is_short(self._seen.end_s, told_s, frame_s):
            self._cut_at_s = told_s

    def _read_length_s(self, frame: Any, time_s: float, time_base: Fraction) -> float | None:
        """How long a frame is shown within the requested part, in seconds."""
        lasts_s = float((getattr(frame, "duration", None) or 0) * time_base)
        if self._time_range.end_s is not None:
            lasts_s = min(lasts_s, self._time_range.end_s - time_s)
        return lasts_s or None

    def _decode_from(self, origin: int, time_base: Fraction, rate: Fraction) -> Iterator[Any]:
        """Decode from a key frame well before the requested part; from the first frame if there is none."""
        if self._time_range.start_s:
            self._seeks = not self.goes_back()
            lead_s = max(LEAD_S, float(LEAD_FRAMES / rate))
            latest = origin + round((self._time_range.start_s - lead_s) / time_base)
            for earlier_s in (
                (lead_s, 30 * lead_s) if self._seeks else ()
            ):  # a seek by bytes, as in an MPEG-TS, may land after its target
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
        """Read packets from a key frame near `aim`; None if there is none at or before `latest`.  Both in ticks."""
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
    """Read a decoder's colour metadata; reserved numbers mean nothing, and an RGB picture is written as BT.709."""
    if is_rgb(picture):
        return Colours()
    said = context.color_primaries, context.color_trc, context.colorspace
    return Colours(*(UNSPECIFIED if number in (0, 3) else number for number in said))
