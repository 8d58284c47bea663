"""The source's sound in the annotated video: copied, or transcoded to AAC if MP4 cannot hold it."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

from ..sources.base import SourceInfo
from ..sources.demux import (
    Damage,
    decode_packets,
    follow_jumps,
    open_media,
    pick_sound,
    pick_video,
    read_packets,
)
from ..system.plain_text import format_count

log = logging.getLogger(__name__)

COPIED = {"aac", "mp3", "mp3float", "ac3", "eac3", "alac"}
"""Codecs (FFmpeg's decoder names) that MP4 can hold and browsers or phones play; everything else becomes AAC."""

LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}
"""Number of channels -> layout for transcoding; any other number is mixed down to stereo."""

LATER: Any = object()
"""Placeholder for a packet whose position depends on later frames of the picture."""

PATIENCE_S = 10.0
"""How far ahead the picture may be before a jump in the sound's times counts as the sound's own."""

COARSE = 2
"""Packets or frames that overlap by at most these ticks are not duplicates: their clock is too coarse."""

COARSEST_S = Fraction(1, 1000)
"""A clock with longer ticks, such as one of whole frames (WMA in AVI), is replaced by one of samples."""

SKIP_LEAD_S = 2.0
"""A seek for sound aims this far before the target, because it uses the picture's key frames or estimated bytes."""


class AudioTrack:
    """Reads the best audio track of a file as packets for an open MP4, up to a given time per call.

    Damaged packets are skipped; they never end the picture.
    """

    def __init__(self, path: Path, container: Any, info: SourceInfo) -> None:
        """info: of the picture; sound from before its start is skipped, and the sound follows jumps in its times."""
        import av.error

        self._input = open_media(path)
        self._from: Any = pick_sound(self._input, pick_video(self._input))
        self._path, self._error, self._damage = path, av.error.FFmpegError, Damage()
        self._origin_s = Fraction(self._input.start_time or 0, 1_000_000)
        self._jumps_s, self._own_s, self._until_s = info.seen.jumps_s, list[Fraction](), 0.0
        self._is_part = info.start_s > 0
        self._last_s = Fraction(-1 << 32)  # when the last packet or frame starts
        self._end_s = self._last_s if self._is_part else Fraction(0)  # and when it ends
        if self._is_part:
            self._skip(info.start_s, seeks=info.seeks)
        if self._from.codec_context.name in COPIED:
            self._to = container.add_stream_from_template(self._from)
            self._packets = self._copy()
            if self._from.codec_context.name == "aac" and not self._from.codec_context.extradata:
                self._packets = self._unwrap(self._packets)
        else:
            rates = av.Codec("aac", "w").audio_rates or [48_000]
            self._to = container.add_stream("aac", rate=min(rates, key=lambda rate: abs(rate - self._from.rate)))
            self._to.layout = LAYOUTS.get(self._from.layout.nb_channels, "stereo")  # PCM's layout names no channels
            self._packets = self._transcode()
        self._waiting: Any = None

    def read_until(self, time_s: float, *, is_last: bool = False) -> Iterator[Any]:
        """Read the packets before `time_s`, so that both tracks are interleaved.

        is_last: the picture has ended, so there is no jump in its times to wait for.
        """
        self._until_s = math.inf if is_last else time_s
        while True:
            try:
                self._waiting = packet = self._waiting or next(self._packets, None)
            except (self._error, OSError) as error:
                log.warning("the sound of %s is damaged and ends early: %s", self._path, error.strerror or error)
                self._packets = iter(())
                return
            if packet is None or packet is LATER:
                self._waiting = None
                return
            if float(packet.pts * packet.time_base) > time_s:
                return
            self._waiting = None
            packet.stream = self._to
            yield packet

    def close(self) -> None:
        """Close the source."""
        self._input.close()
        if count := self._damage.packets:
            log.warning("%s: skipped %s of the sound", self._path, format_count(count, "damaged packet"))

    def _skip(self, start_s: float, *, seeks: bool) -> None:
        """Set time 0 to `start_s`, and seek near it; without seeking, everything before is read and dropped."""
        if seeks:
            with suppress(self._error):
                self._input.seek(round((self._origin_s + Fraction(max(start_s - SKIP_LEAD_S, 0))) * 1_000_000))
        self._origin_s += Fraction(start_s)

    def _place(self, items: Iterable[Any], measure_s: Callable[[Any], Fraction]) -> Iterator[tuple[Any, Fraction]]:
        """Yield each packet or frame to keep with its time in seconds; (None, 0) while that is not known yet.

        measure_s: returns the duration of one.  If one has no time of its own (as frames after the first of a packet),
        or the clock is too coarse to distinguish two, it starts at the end of the previous one.
        """
        tick = Fraction(self._from.time_base)
        for item, pts, jumps in follow_jumps(items, lambda item: item.pts, tick):
            while jumps > max(len(self._jumps_s), len(self._own_s)) and self._until_s < self._last_s + PATIENCE_S:
                yield None, Fraction(0)
            time_s = self._end_s if pts is None else self._find_time_s(pts, tick, jumps)
            if time_s <= self._last_s and self._end_s - time_s <= COARSE * tick:
                time_s = self._end_s
            if time_s <= self._last_s:
                continue
            self._end_s = time_s + measure_s(item)
            if time_s >= 0 or not self._is_part:
                self._last_s = time_s
                yield item, time_s

    def _find_time_s(self, pts: int, tick: Fraction, jumps: int) -> Fraction:
        """Convert the time of a packet or frame to that in the copy."""
        if jumps > max(len(self._jumps_s), len(self._own_s)):  # only of the sound: it continues without a gap
            self._own_s += [self._last_s + self._origin_s - pts * tick] * (jumps - len(self._own_s))
        added_s = (self._jumps_s if jumps <= len(self._jumps_s) else self._own_s)[jumps - 1] if jumps else 0
        return pts * tick + added_s - self._origin_s

    def _copy(self) -> Iterator[Any]:
        packets = read_packets(self._input, self._from, self._damage)
        timed = (packet for packet in packets if packet.dts is not None)
        for packet, time_s in self._place(timed, lambda packet: (packet.duration or 0) * Fraction(packet.time_base)):
            if packet is not None:
                pts = round(time_s / Fraction(self._from.time_base))
                packet.dts += 0 if packet.pts is None else pts - packet.pts
                packet.pts = pts
                packet.dts = min(packet.dts, pts)
            yield packet or LATER

    def _unwrap(self, packets: Iterator[Any]) -> Iterator[Any]:
        """Convert AAC from MPEG-TS (an ADTS header on each packet) to AAC for MP4 (described once, in front).

        ISO/IEC 14496-3, tables 1.A.5 and 1.15.  FFmpeg's filter for this does not work with fragments.
        """
        import av

        for packet in packets:
            if packet is LATER:
                yield LATER
                continue
            content = bytes(packet)
            if not self._to.codec_context.extradata:
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
        packets = read_packets(self._input, self._from, self._damage)
        frames = decode_packets(packets, self._damage, is_torn=self._is_part)
        tick = Fraction(self._from.time_base)
        unit = tick if tick <= COARSEST_S else Fraction(1, self._from.rate)  # an encoder's frames are shorter
        for frame, time_s in self._place(frames, lambda frame: Fraction(frame.samples, frame.sample_rate)):
            if frame is None:
                yield LATER
            else:
                frame.pts, frame.time_base = round(time_s / unit), unit
                yield from self._to.encode(frame)
        yield from self._to.encode(None)
