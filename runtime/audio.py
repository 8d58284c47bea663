"""The source's sound in the annotated video: copied as it is, or transcoded to AAC where MP4 can't hold it."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

COPIED = {"aac", "mp3", "ac3", "eac3", "alac"}
"""Codecs that MP4 holds and browsers or phones play; everything else becomes AAC."""


class AudioTrack:
    """Copy the first audio track of a file into an open MP4, up to a moment at a time."""

    def __init__(self, path: Path, container: Any) -> None:
        import av

        self._input: Any = av.open(str(path))
        self._from = self._input.streams.audio[0]
        self._container = container
        self._origin_s = Fraction(self._input.start_time or 0, 1_000_000)
        self._copies = self._from.codec_context.name in COPIED
        if self._copies:
            self._to = container.add_stream_from_template(self._from)
            self._packets = self._copy()
        else:
            self._to = container.add_stream("aac", rate=self._from.rate)
            self._to.layout = self._from.layout
            self._packets = self._transcode()
        self._waiting: Any = None

    def copy_until(self, time_s: float) -> None:
        """Write the packets that belong before `time_s`; both tracks then lie side by side in the file."""
        while True:
            packet = self._waiting or next(self._packets, None)
            self._waiting = packet
            if packet is None or float(packet.pts * packet.time_base) > time_s:
                return
            packet.stream = self._to
            self._container.mux(packet)
            self._waiting = None

    def close(self) -> None:
        """Close the source."""
        self._input.close()

    def _copy(self) -> Iterator[Any]:
        origin = round(self._origin_s / self._from.time_base)
        for packet in self._input.demux(self._from):
            if packet.dts is not None and packet.pts is not None:
                packet.pts -= origin
                packet.dts -= origin
                yield packet

    def _transcode(self) -> Iterator[Any]:
        for frame in self._input.decode(self._from):
            if frame.pts is not None:
                frame.pts -= round(self._origin_s / frame.time_base)
            yield from self._to.encode(frame)
        yield from self._to.encode(None)
