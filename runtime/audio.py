"""The source's sound in the annotated video: copied as it is, or transcoded to AAC where MP4 can't hold it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

from .errors import SourceError

COPIED = {"aac", "mp3", "mp3float", "ac3", "eac3", "alac"}
"""Codecs (FFmpeg's names of their decoders) that MP4 holds and browsers or phones play; everything else becomes AAC."""

LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}
"""Channels to the layout in which they are transcoded; any other number is mixed down to stereo."""

SKIP_LEAD_S = 2.0
"""A seek for sound aims this far before the moment: it goes by the picture's key frames, or by guessed bytes."""


class AudioTrack:
    """The first audio track of a file as packets for an open MP4, up to a moment at a time.

    start_s: where in the file the MP4 begins; sound that began before is left out.
    """

    def __init__(self, path: Path, container: Any, start_s: float = 0.0) -> None:
        import av.error

        self._input: Any = av.open(str(path))
        self._from = self._input.streams.audio[0]
        self._path, self._error = path, av.error.FFmpegError
        self._origin_s = Fraction(self._input.start_time or 0, 1_000_000)
        self._is_part = start_s > 0
        if self._is_part:
            self._skip(start_s)
        if self._from.codec_context.name in COPIED:
            self._to = container.add_stream_from_template(self._from)
            self._packets = self._copy()
            if self._from.codec_context.name == "aac" and not self._from.codec_context.extradata:
                self._packets = self._unwrap(self._packets)
        else:
            rates = av.Codec("aac", "w").audio_rates or [48_000]
            self._to = container.add_stream("aac", rate=min(rates, key=lambda rate: abs(rate - self._from.rate)))
            self._to.layout = LAYOUTS.get(self._from.layout.nb_channels, "stereo")  # PCM's own has no names
            self._packets = self._transcode()
        self._waiting: Any = None

    def read_until(self, time_s: float) -> Iterator[Any]:
        """The packets that belong before `time_s`; both tracks then lie side by side.  Raises SourceError."""
        while True:
            try:
                self._waiting = packet = self._waiting or next(self._packets, None)
            except self._error as error:
                raise SourceError(f"the sound of {self._path} is damaged: {error.strerror}") from error
            if packet is None or float(packet.pts * packet.time_base) > time_s:
                return
            self._waiting = None
            packet.stream = self._to
            yield packet

    def close(self) -> None:
        """Close the source."""
        self._input.close()

    def _skip(self, start_s: float) -> None:
        """Count from `start_s` on, and go near it; where the container can't, all that is before is read and left."""
        with suppress(self._error):
            self._input.seek(round((self._origin_s + Fraction(max(start_s - SKIP_LEAD_S, 0))) * 1_000_000))
        self._origin_s += Fraction(start_s)

    def _copy(self) -> Iterator[Any]:
        origin = round(self._origin_s / self._from.time_base)
        for packet in self._input.demux(self._from):
            if packet.dts is not None and packet.pts is not None:
                packet.pts -= origin
                packet.dts -= origin
                if packet.pts >= 0 or not self._is_part:
                    yield packet

    def _unwrap(self, packets: Iterator[Any]) -> Iterator[Any]:
        """AAC as MPEG-TS has it, an ADTS header on each packet, to AAC as MP4 has it: described once, in front.

        ISO/IEC 14496-3, tables 1.A.5 and 1.15.  FFmpeg's own filter for it does not work with fragments.
        """
        import av

        first = next(packets, None)
        for packet in () if first is None else chain([first], packets):
            content = bytes(packet)
            if packet is first:
                kind, rate = (content[2] >> 6) + 1, content[2] >> 2 & 15
                channels = (content[2] & 1) << 2 | content[3] >> 6
                self._to.codec_context.extradata = bytes([kind << 3 | rate >> 1, (rate & 1) << 7 | channels << 3])
            bare = av.Packet(content[7 if content[1] & 1 else 9 :])
            bare.pts, bare.dts, bare.time_base, bare.duration = (
                packet.pts,
                packet.dts,
                packet.time_base,
                packet.duration,
            )
            yield bare

    def _transcode(self) -> Iterator[Any]:
        for frame in self._decode():
            if frame.pts is not None:
                frame.pts -= round(self._origin_s / frame.time_base)
                if frame.pts < 0 and self._is_part:
                    continue
            yield from self._to.encode(frame)
        yield from self._to.encode(None)

    def _decode(self) -> Iterator[Any]:
        """Decoded frames; a seek by bytes lands within one, which is no damage."""
        may_be_torn = self._is_part
        for packet in self._input.demux(self._from):
            try:
                frames = packet.decode()
            except self._error:
                if not may_be_torn:
                    raise
                continue
            may_be_torn = may_be_torn and not frames
            yield from frames
