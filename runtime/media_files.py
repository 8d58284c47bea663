"""Media files through FFmpeg, as they really are: odd names and tags, damaged packets, times that begin anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any, Literal, TypeVar

T = TypeVar("T")

MOST_DAMAGED = 1000
"""Packets in a row that can't be read, before a file is given up."""
BACK_S, GAP_S = 1.0, 10.0
"""A time that is this much before the last one, or after it, is looked at twice."""
LOOKS = 24
"""Places in a file where its times are read before it is trusted."""
TAGS_KEPT = 19
"""From this major version on PyAV takes tags in any encoding, and knows no `metadata_errors` any more."""
MAY_JUMP = 0x0200
"""FFmpeg's AVFMT_TS_DISCONT: times in this kind of file may begin anew in the middle."""


def open_media(file: Path | Any, mode: Literal["r", "w"] = "r", **settings: Any) -> Any:
    """Open a file, an address, or what reads like a file, by PyAV.  Raises its errors and OSError.

    FFmpeg would take `Yoga: class.mp4` for an address, and tags of old files are not always UTF-8.
    """
    import av

    if int(av.__version__.split(".")[0]) < TAGS_KEPT:
        settings["metadata_errors"] = "replace"
    return av.open(str(file.absolute()) if isinstance(file, Path) else file, mode, **settings)


def may_jump(container: Any) -> bool:
    """Whether times of this kind of file may begin anew, as where two MPEG-TS were joined by `cat`."""
    return bool(container.format.flags & MAY_JUMP)


class Damage:
    """Packets that could not be read and were left out."""

    def __init__(self) -> None:
        self.packets = 0
        self._in_row, self._error = 0, None

    def count(self, error: Exception) -> None:
        """Count a packet.  Raises `error` where there is no end of them."""
        self.packets += 1
        self._in_row, self._error = self._in_row + 1, error
        if self._in_row >= MOST_DAMAGED:
            raise error

    def recover(self) -> None:
        """Something was read after it."""
        self._in_row = 0

    def check_end(self) -> None:
        """Raise the last error if nothing could be read after several: the file lacks its end.

        A single one is what a cut leaves of the last packet; which call of a decoder it fails depends on its threads.
        """
        if self._in_row > 1 and self._error:
            raise self._error


def read_packets(container: Any, stream: Any, damage: Damage) -> Iterator[Any]:
    """Packets of a stream, without those that can't be read; the last one, empty, makes a decoder give all it has."""
    import av.error

    is_over = False
    while not is_over:
        try:
            yield from container.demux(stream)
            is_over = True
        except av.error.InvalidDataError as error:  # noqa: PERF203 - once a damaged packet
            damage.count(error)


def decode_packets(packets: Iterable[Any], damage: Damage, *, is_torn: bool = False) -> Iterator[Any]:
    """Frames, without those of damaged packets.  is_torn: reading began in the middle; what fails at first is none."""
    import av.error

    for packet in packets:
        is_last = packet.dts is None and not packet.size
        while True:
            try:
                frames = packet.decode()
            except av.error.EOFError:  # asked again after the last frame
                break
            except av.error.FFmpegError as error:
                if not is_torn:
                    damage.count(error)
                if is_last:  # frames may be left behind the damaged one
                    continue
                break
            if frames:
                is_torn = False
                damage.recover()
            yield from frames
            break


def follow_jumps(
    items: Iterable[T], read: Callable[[T], int | None], tick: Fraction
) -> Iterator[tuple[T, int | None, int]]:
    """Each item, its own time, and how often time has begun anew: gone back by more than BACK_S, and on from there.

    A single time that disagrees with those on both sides is damaged, and becomes the next after the one before it.
    read: an item's time in ticks, None where it has none; tick: in seconds.
    """
    back, gap = round(BACK_S / tick), round(GAP_S / tick)
    jumps, last = 0, None
    rest = iter(items)
    while (item := next(rest, None)) is not None:
        pts = read(item)
        if pts is not None:
            if last is not None and not -back <= pts - last <= gap:
                following = next(rest, None)
                after = None if following is None else read(following)
                if following is not None:
                    rest = chain([following], rest)
                if after is not None and last < after <= last + gap:
                    pts = last + 1
                elif pts < last:
                    jumps += 1
            last = pts
        yield item, pts, jumps


def goes_back(container: Any, stream: Any) -> bool:
    """Whether times begin anew somewhere, as far as a few looks into a file can tell; it is somewhere else then."""
    import av.error

    last: Fraction | None = None
    for number in range(LOOKS):
        try:
            container.seek(container.size * number // LOOKS, unsupported_byte_offset=True)
            packet = next((packet for packet in container.demux(stream) if packet.dts is not None), None)
        except av.error.FFmpegError:
            continue
        if packet is not None:
            time_s = packet.dts * packet.time_base
            if last is not None and time_s < last - BACK_S:
                return True
            last = time_s
    return False
