"""Writes the annotated video: playable at any time while it is written, a plain MP4 once it is closed."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..core.frames import LIMITED, PLAIN_FORMAT, DecodedFrame, TimedFrame
from ..core.opencv import cv2
from ..core.types import Frame
from ..errors import OutputError
from ..sources.base import SourceInfo
from ..sources.demux import open_media
from ..system.claims import check_growing_output
from ..system.files import create_anew, name_part, write_then_rename
from .audio import AudioTrack
from .fragments import drop_torn_fragment

log = logging.getLogger(__name__)

MATRICES, BT601 = (1, 4, 7, 9), 5
"""H.273 matrices that are used to convert BGR; any other one counts as BT.601."""
ENCODER_OPTIONS = {"preset": "veryfast", "crf": "20"}
FRAGMENT_US = 1_000_000
"""One fragment per second: the most that a power cut costs."""


class VideoSink:
    """Writes H.264 in MP4 that every browser plays: yuv420p, BT.709, index first, the source's times and sound."""

    def __init__(self, path: Path, info: SourceInfo, *, force: bool = False) -> None:
        import av.error

        check_video_output(path, force=force)
        self._path, self._info, self._part, self._force = path, info, name_part(path), force
        self._av: Any = av
        self._end_s: float | None = None  # time of the last frame
        self._lasts_s = float(1 / info.rate)  # how long it is shown
        self._pictures, self._is_complete, self._is_broken_off = 0, False, False
        self._broke: str | None = None  # why writing failed
        try:
            create_anew(self._part)
        except OSError as error:
            reason = error.strerror or error
            raise OutputError(f"cannot write {path} under its temporary name {self._part}: {reason}") from error
        try:
            # delay_moov: copied sound is only described by its first packet.
            options = {"movflags": "delay_moov+default_base_moof", "frag_duration": str(FRAGMENT_US)}
            options["flush_packets"] = "1"  # a fragment in a buffer is lost with the power
            self._container = open_media(self._part, "w", format="mp4", options=options)
            self._stream = self._add_stream(info)
            self._audio = AudioTrack(info.audio_from, self._container, info) if info.audio_from else None
        except (av.error.FFmpegError, OSError) as error:
            self._part.unlink(missing_ok=True)
            raise OutputError(f"cannot write {path}: {error}") from error

    def _add_stream(self, info: SourceInfo) -> Any:
        width, height = info.stored_wh or info.size_wh
        stream: Any = self._container.add_stream("libx264", rate=info.rate, options=ENCODER_OPTIONS)
        stream.width, stream.height, stream.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
        stream.time_base = stream.codec_context.time_base = info.time_base
        context = stream.codec_context
        colours = info.colours
        context.colorspace, context.color_primaries, context.color_trc = (
            colours.matrix,
            colours.primaries,
            colours.transfer,
        )
        context.color_range = LIMITED
        if info.pixel_aspect != 1:
            context.sample_aspect_ratio = info.pixel_aspect
        return stream

    def write(self, frame: TimedFrame) -> None:
        """Encode one frame at its own time, stretched if its size differs.  Raises OutputError, e.g. on a full disk."""
        picture = self._to_yuv(frame)
        picture.pts, picture.time_base = frame.pts, self._info.time_base
        picture.pict_type = 0  # lets the encoder choose
        self._end_s, self._lasts_s = frame.time_s, frame.lasts_s or float(1 / self._info.rate)
        self._encode(picture)
        self._add_sound(frame.time_s)

    def _to_yuv(self, frame: TimedFrame) -> Any:
        """Convert the frame for the encoder; pictures of a file are not converted to BGR and back."""
        size_wh = self._stream.width, self._stream.height
        if isinstance(frame, DecodedFrame):
            plain = frame.to_plain()
            with plain.lock:
                return plain.picture.reformat(*size_wh, PLAIN_FORMAT)
        picture = self._av.VideoFrame.from_ndarray(_make_even(frame.image_bgr), format="bgr24")
        matrix = self._info.colours.matrix
        picture.colorspace = matrix if matrix in MATRICES else BT601  # set here: reformat of PyAV 17 lacks BT.2020
        return picture.reformat(*size_wh, PLAIN_FORMAT)

    def _encode(self, picture: Any) -> None:
        with self._naming_the_file():
            packets = self._stream.encode(picture)
            self._container.mux(packets)
            self._pictures += len(packets)

    def _add_sound(self, until_s: float, *, is_last: bool = False) -> None:
        for packet in self._audio.read_until(until_s, is_last=is_last) if self._audio else ():
            with self._naming_the_file():
                self._container.mux(packet)

    @contextmanager
    def _naming_the_file(self) -> Iterator[None]:
        try:
            yield
        except (self._av.error.FFmpegError, OSError) as error:
            self._broke = f"cannot write any more of {self._path}: {error}"
            raise OutputError(self._broke) from error

    def complete(self) -> None:
        """Keep the sound that outlasts the picture; if watching stops before the end, it is cut with the picture."""
        self._is_complete = True

    def break_off(self) -> None:
        """Mark the file as incomplete: it is playable, and keeps its `.part` name."""
        self._is_broken_off = True

    def close(self) -> None:
        """Finish the file, make it a plain MP4 and give it its final name.

        Without a single frame there is no file.  Raises TakenError if another program has created the file meanwhile,
        OutputError for other errors; on a full disk the fragments keep their `.part` name.
        """
        try:
            try:
                if self._end_s is not None and not self._broke:
                    self._encode(None)
                    self._add_sound(self._find_sound_end_s(self._end_s + self._lasts_s), is_last=True)
            finally:
                self._finish()
        except OutputError as error:
            if not self._broke:
                raise
            raise OutputError(f"{self._broke}; {self._describe_part()}") from error

    def _find_sound_end_s(self, picture_end_s: float) -> float:
        if not self._is_complete:
            return picture_end_s
        return math.inf if self._info.end_s is None else max(self._info.end_s - self._info.start_s, picture_end_s)

    def _finish(self) -> None:
        with self._naming_the_file():
            if self._audio:
                self._audio.close()
            self._container.close()
        if self._end_s is None:
            self._part.unlink(missing_ok=True)
            return
        if self._broke:
            raise OutputError(self._broke)
        try:
            if self._is_broken_off:
                with write_then_rename(self._part) as temporary:
                    join_fragments(self._part, temporary, self._lasts_s, self._pictures)
            else:
                with write_then_rename(self._path, replace=self._force, grows=True) as temporary:
                    join_fragments(self._part, temporary, self._lasts_s, self._pictures)
        except (self._av.error.FFmpegError, OSError) as error:
            raise OutputError(f"cannot write {self._path} ({error}); {self._part} is playable") from error

    def _describe_part(self) -> str:
        """Describe what is left of the file after a full disk; an incomplete last fragment is dropped."""
        try:
            if drop_torn_fragment(self._part):
                return f"{self._part} is playable up to that point"
            self._part.unlink(missing_ok=True)
        except OSError:
            return f"{self._part} holds what was written"
        return "nothing could be saved"


def join_fragments(path: Path, to: Path, last_s: float, pictures: int) -> None:
    """Copy the packets of a fragmented MP4 into a plain one with the index first, which is best for seeking.

    last_s: how long the last picture is shown; pictures: their number.
    """
    options = {"movflags": "+faststart"}
    with open_media(path) as source, open_media(to, "w", format="mp4", options=options) as plain:
        streams: dict[int, Any] = {}
        for stream in source.streams:
            streams[stream.index] = plain.add_stream_from_template(stream)  # pyright: ignore[reportArgumentType]
        for packet in _lengthen_last(source.demux(), last_s, pictures):
            packet.stream = streams[packet.stream.index]
            plain.mux(packet)


def _lengthen_last(packets: Iterable[Any], last_s: float, pictures: int) -> Iterator[Any]:
    """Extend the video track to the end of its last frame, in both clocks of an MP4.

    Its edit list ends with the packet shown last, its media with the packet decoded last, which differ with B-frames;
    and x264 gives the duration of a frame without a successor to no packet.
    """
    held: list[Any] = []  # the packet shown last so far, then those decoded after it
    first_pts = first_dts = seen = 0
    for packet in packets:
        if packet.dts is None:
            continue
        if packet.stream.type != "video":
            yield packet
            continue
        if not held:
            first_pts, first_dts = packet.pts, packet.dts
        elif packet.pts > held[0].pts:
            _shorten(held, packet.pts)
            yield from held
            held.clear()
        held.append(packet)
        seen += 1
        if seen == pictures:  # not after all packets: longer sound would be written before the picture's end
            _lengthen(held[0], held[-1], last_s, first_pts - first_dts)
            _shorten(held, held[0].pts + held[0].duration)
            yield from held
            held.clear()
    yield from held


def _lengthen(latest: Any, last: Any, last_s: float, delay: int) -> None:
    """Set the durations of the packet shown last and the packet decoded last."""
    latest.duration = max(round(last_s / latest.time_base), 1)
    end = latest.pts + latest.duration
    last.dts = max(last.dts, last.pts - delay)
    if last is not latest:
        last.duration = max(min(end - delay - last.dts, end - last.pts), 1)


def _shorten(packets: Iterable[Any], end: int) -> None:
    """Cut the packets at `end`: at varying rates, x264 gives a packet the duration of another frame."""
    for packet in packets:
        packet.duration = min(packet.duration, end - packet.pts)


def check_video_output(path: Path, *, force: bool = False) -> None:
    """Refuse a path that is not an MP4, or is taken.  Raises OutputError."""
    if path.suffix.lower() != ".mp4":
        raise OutputError(f"{path} should end in .mp4, the format that browsers and phones play")
    check_growing_output(path, force=force)


def _make_even(image: Frame) -> Frame:
    """Repeat the last row or column if a side is odd: 4:2:0 needs even sides."""
    height, width = image.shape[:2]
    if height % 2 or width % 2:
        image = np.asarray(cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE), np.uint8)
    return image
