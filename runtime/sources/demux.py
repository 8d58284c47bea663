"""Media files through FFmpeg, with their flaws: odd names and tags, damaged packets, times that restart."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeVar

from ..photos.limits import check_size

T = TypeVar("T")

MOST_PIXELS = 36_000_000
"""Largest picture of a video: 8K has 33 million pixels (7680 x 4320), cinema 8K 35 (8192 x 4320).  A decoded picture
takes four bytes per pixel, and a few are held at once; a file of 89 bytes may claim one of a gigabyte."""
MOST_DAMAGED = 1000
"""Unreadable packets in a row before a file is given up."""
BACK_S, GAP_S = 1.0, 10.0
"""A time that is this much before or after the last one is checked against the next one."""
LOOKS = 24
"""Places in a file where its times are probed."""
TAGS_KEPT = 19
"""From this major version on, PyAV reads tags in any encoding, and no longer has `metadata_errors`."""
MAY_JUMP = 0x0200
"""FFmpeg's AVFMT_TS_DISCONT: times in this kind of file may restart in the middle."""
NO_TIMES = 0x0080
"""FFmpeg's AVFMT_NOTIMESTAMPS."""
SAYS_LENGTH = {"matroska", "flv", "asf"}
"""Containers whose header states their length, though not that of each stream."""
SHORT_S, SHORT = 1.0, 0.02
"""By how many seconds, and by what fraction, a video may be shorter than its file states."""
DURATION_TAG = r"DURATION(?:-\w+)?=(\d+):(\d\d):(\d\d(?:\.\d+)?)"
"""Matroska's statistics tag of each stream, after its key."""
STILL_BRANDS = {"heic", "heix", "mif1", "avif"}
"""Brands of HEIF (ISO/IEC 23008-12) for single pictures."""
MP4_STARTS = {b"ftyp", b"mdat", b"free", b"wide", b"skip"}
MOST_BOXES = 100_000
"""Boxes of an MP4 that are checked; a recording in fragments of a second has two per second."""


def open_media(file: Path | Any, mode: Literal["r", "w"] = "r", **settings: Any) -> Any:
    """Open a file, an address, or a file-like object with PyAV.  Raises its errors and OSError.

    FFmpeg would treat `Yoga: class.mp4` as an address, and tags of old files are not always UTF-8.  Its decoders refuse
    pictures of more than MOST_PIXELS, which `check_picture` reports.
    """
    import av

    if int(av.__version__.split(".")[0]) < TAGS_KEPT:
        settings["metadata_errors"] = "replace"
    limits = {"max_pixels": str(MOST_PIXELS)}
    if mode == "r":  # the first pictures are decoded during opening
        settings["options"] = limits | settings.get("options", {})
    container: Any = av.open(str(file.absolute()) if isinstance(file, Path) else file, mode, **settings)
    if mode == "r":
        for stream in container.streams.video:
            if stream.codec_context:
                stream.codec_context.options = limits
    return container


def check_picture(stream: Any, head: bytes = b"") -> None:
    """Raise RefusedPicture if a stream's pictures are too large, by its header or its decoder's last refusal.

    head: the file's first bytes, if known; FFmpeg does not know the size of a GIF that it refused.
    """
    codec = stream.codec_context
    if codec is None or stream.type != "video":
        return
    check_size((codec.width, codec.height), MOST_PIXELS)
    check_size((codec.coded_width, codec.coded_height), MOST_PIXELS)
    if head[:6] in (b"GIF87a", b"GIF89a"):
        check_size((int.from_bytes(head[6:8], "little"), int.from_bytes(head[8:10], "little")), MOST_PIXELS)


def may_jump(container: Any) -> bool:
    """Whether times in this kind of file may restart, as when two MPEG-TS files were joined by `cat`."""
    return bool(container.format.flags & MAY_JUMP)


def has_times(container: Any) -> bool:
    """Whether this kind of file has a timestamp for each picture; bare H.264 and the like have none."""
    return not container.format.flags & NO_TIMES


def is_still_picture(container: Any) -> bool:
    """Whether a file is a single picture, by its kind: JPEG, PNG, WebP, TIFF, HEIC, AVIF (a GIF may be either)."""
    kind = container.format.name
    is_bare = kind.startswith("image2") or kind.endswith("_pipe")
    return is_bare or container.metadata.get("major_brand", "").strip() in STILL_BRANDS


def pick_video(container: Any) -> Any | None:
    """Pick the video stream as the program ffmpeg does: a default one, then the largest, then the first.

    A cover picture or thumbnails are picked only if there is nothing else.  FFmpeg's library would take the one with
    more pictures at the file's start.
    """
    from av.stream import Disposition

    streams = list(container.streams.video)
    films = [stream for stream in streams if not _is_still(stream)] or streams
    return max(
        films, key=lambda film: (bool(film.disposition & Disposition.default), _count_pixels(film)), default=None
    )


def pick_sound(container: Any, video: Any | None) -> Any | None:
    """Pick the sound that FFmpeg prefers for a video stream: of the same programme, the default track."""
    return container.streams.best("audio", video) if video is not None else container.streams.best("audio")


def _count_pixels(stream: Any) -> int:
    codec = stream.codec_context
    return codec.width * codec.height if codec else -1


def _is_still(stream: Any) -> bool:
    from av.stream import Disposition

    return bool(stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))


def say_length_s(container: Any, stream: Any) -> float:
    """Length of a stream as its file states it, in seconds; 0 if it does not."""
    if stream.duration:
        return float(stream.duration * (stream.time_base or 0))
    tags = (re.fullmatch(DURATION_TAG, f"{key}={value}") for key, value in stream.metadata.items())
    tag = next(filter(None, tags), None)
    if tag is None or not container.duration:
        return 0.0
    told_s = 3600 * int(tag[1]) + 60 * int(tag[2]) + float(tag[3])
    return min(told_s, container.duration / 1_000_000)  # a program that cut the file may have left the tag unchanged


def is_cut_off(container: Any, end_s: float, frame_s: float) -> bool:
    """Whether a file whose picture ends at `end_s` seconds is cut off there, and not continued, say, by sound.

    Only containers whose header states their length can be checked.
    """
    if not container.duration or SAYS_LENGTH.isdisjoint(container.format.name.split(",")):
        return False
    told_s = container.duration / 1_000_000
    return is_short(end_s, told_s, frame_s) and is_short(find_end_s(container, end_s), told_s, frame_s)


def is_short(end_s: float, told_s: float, frame_s: float) -> bool:
    """Whether a stream that ends at `end_s` lacks more of its stated `told_s` seconds than rounding explains.

    frame_s: how long a frame is shown; FLV and WMV do not state it for the last one.
    """
    return told_s - end_s - frame_s > max(SHORT_S, SHORT * told_s)


def find_end_s(container: Any, from_s: float) -> float:
    """Find when the last packet of any stream ends, seconds from the file's start; reads from `from_s` on."""
    import av.error

    origin_s, end_s = (container.start_time or 0) / 1_000_000, 0.0
    with suppress(av.error.FFmpegError, OSError):
        container.seek(max(round((origin_s + from_s) * 1_000_000), 0))
        for packet in container.demux():
            if packet.pts is not None:
                end_s = max(end_s, float((packet.pts + (packet.duration or 0)) * packet.time_base) - origin_s)
    return end_s


def lacks_index(file: BinaryIO) -> bool:
    """Whether this is an MP4 or MOV without `moov`, as an unfinished recording of a camera is.

    file: is read from its start; boxes are those of ISO 14496-12.
    """
    file.seek(0)
    kinds = list[bytes]()
    for _ in range(MOST_BOXES):
        head = file.read(16)
        size, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if len(head) < 8 or (not kinds and kind not in MP4_STARTS):
            break
        kinds.append(kind)
        size = int.from_bytes(head[8:16], "big") if size == 1 else size
        if size < 8:  # up to the end of the file, or damaged
            break
        file.seek(size - len(head), 1)
    return bool(kinds) and b"moov" not in kinds


class Damage:
    """Counts packets that could not be read and were skipped."""

    def __init__(self) -> None:
        self.packets = 0
        self._in_row, self._error = 0, None

    def count(self, error: Exception) -> None:
        """Count a packet.  Raises `error` if there are too many in a row."""
        self.packets += 1
        self._in_row, self._error = self._in_row + 1, error
        if self._in_row >= MOST_DAMAGED:
            raise error

    def recover(self) -> None:
        """Note that something was read again."""
        self._in_row = 0

    def check_end(self) -> None:
        """Raise the last error if nothing could be read after several damaged packets: the file lacks its end.

        A single one is the remainder of a cut packet; which call of a decoder fails depends on its threads.
        """
        if self._in_row > 1 and self._error:
            raise self._error


def read_packets(container: Any, stream: Any, damage: Damage) -> Iterator[Any]:
    """Read the packets of a stream, without unreadable ones; the last one, empty, flushes the decoder."""
    import av.error

    is_over = False
    while not is_over:
        try:
            yield from container.demux(stream)
            is_over = True
        except av.error.InvalidDataError as error:  # noqa: PERF203 - only for damaged packets
            damage.count(error)


def decode_packets(packets: Iterable[Any], damage: Damage, *, is_torn: bool = False) -> Iterator[Any]:
    """Decode frames, without those of damaged packets.

    is_torn: reading started in the middle, so that the first failures do not count as damage.  Raises RefusedPicture
    if frames become too large.
    """
    import av
    import av.error

    for packet in packets:
        is_last = packet.dts is None and not packet.size
        while True:
            try:
                frames = packet.decode()
            except av.error.EOFError:  # called again after the last frame
                break
            except av.error.FFmpegError as error:
                check_picture(packet.stream)
                if not is_torn:
                    damage.count(error)
                if is_last:  # there may be frames after the damaged one
                    continue
                break
            if frames:
                is_torn = False
                damage.recover()
            for frame in frames:
                if isinstance(frame, av.VideoFrame):
                    check_size((frame.width, frame.height), MOST_PIXELS)
                yield frame
            break


def follow_jumps(
    items: Iterable[T], read: Callable[[T], int | None], tick: Fraction
) -> Iterator[tuple[T, int | None, int]]:
    """Yield each item, its own time, and the number of restarts so far: steps back by more than BACK_S.

    A single time that disagrees with both neighbours is damaged, and is replaced by the tick after the one before it.
    read: returns an item's time in ticks, None if it has none; tick: in seconds.
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
    """Whether times restart somewhere, as far as a few probes can tell.  This changes the position in the file."""
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
