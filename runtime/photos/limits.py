"""Limits on pictures: pixels, sides, bytes, and memory during decoding."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from PIL import Image

from ..core.types import Frame
from ..errors import PhotoError

MAX_PIXELS = 120_000_000
"""A larger picture is refused before decoding: it is a decompression bomb rather than a photo."""
MAX_SIDE = 65_535
"""The longest side that a JPEG can have; longer pictures cost extra memory per row and column."""
MAX_FILE_BYTES = 400_000_000
"""A larger file is not read: 120 million pixels without any compression are 360 MB."""
MOST_MEMORY = 1_000_000_000
"""Bytes that decoding may take besides the files, for all pictures that a process decodes at once.

A picture that would take more by itself is refused; others wait for their turn.  Measured for every format."""
MOST_STRIPS = 262_144
MOST_TILES = 16_384
MOST_ICON_PIXELS = 4096 * 4096
"""Pillow decodes an icon while opening it."""
MOST_EXIF_BYTES = 65_536
"""What one segment of a JPEG holds; only with several segments can copies of overlapping values fill the memory."""

LEAST_SIDE = 16
"""A smaller picture cannot show a pose: it is a tracking pixel, a bullet or an icon."""
ONE_COLOUR_SPAN = 4
"""A picture has one colour if no channel spans more than this many of 256 levels; lossy formats are not exact."""

BYTES_A_PIXEL = {"WEBP": 12, "AVIF": 12, "HEIF": 12, "JPEG2000": 18}
BYTES_A_PIXEL_BY_CODEC = {"bmp_rle": 6, "ppm": 8, "ppm_plain": 8}
"""Bytes per pixel that these decoders take besides Pillow's picture and ours; measured, rounded up."""
FRAME_BYTES = 3
TIFF_TYPE_BYTES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
STRIPS = frozenset((273, 279, 324, 325))
"""Tags of TIFF (6.0, sections 8 and 15): positions and lengths of strips and tiles."""
SUB_DIRECTORIES = frozenset((34665, 34853, 40965))
"""Tags that lead to directories that Pillow also reads: EXIF, GPS, interoperability."""


class RefusedPicture(Exception):
    """A picture that is too large, or not a picture.  Its text follows the file's name."""


def check_size(size_wh: tuple[int, int], most_pixels: int = MAX_PIXELS) -> None:
    """Raise RefusedPicture for a picture with too many pixels, or too long a side."""
    width, height = size_wh
    if width * height > most_pixels:
        raise RefusedPicture(f"has too many pixels: {width} x {height} pixels, more than {most_pixels:,}")
    if max(width, height) > MAX_SIDE:
        raise RefusedPicture(f"has too long a side: {width} x {height} pixels, more than {MAX_SIDE:,}")


def check_shown(frame_bgr: Frame, *, blank_is_fine: bool = False) -> None:
    """Raise PhotoError for a picture that cannot show a person: only a few pixels, or a single colour.

    blank_is_fine: for photos of `none`, which may be the blank picture of a camera or video.
    """
    height, width = frame_bgr.shape[:2]
    if min(height, width) < LEAST_SIDE:
        raise PhotoError(f"too small: {width} x {height} pixels, a photo has at least {LEAST_SIDE} x {LEAST_SIDE}")
    if not blank_is_fine and is_blank(frame_bgr):
        blue, green, red = frame_bgr[height // 2, width // 2].tolist()
        raise PhotoError(f"of one colour: #{red:02x}{green:02x}{blue:02x} everywhere, it shows nobody")


def is_blank(frame_bgr: Frame) -> bool:
    """Whether a picture has a single colour.  For most pictures a few rows of pixels are enough to tell."""
    few = frame_bgr[:: max(1, frame_bgr.shape[0] // 16), :: max(1, frame_bgr.shape[1] // 16)]
    return _spans_little(few) and _spans_little(frame_bgr)


def _spans_little(frame: Frame) -> bool:
    return all(int(frame[:, :, c].max()) - int(frame[:, :, c].min()) <= ONE_COLOUR_SPAN for c in range(3))


def check_header(content: bytes) -> None:
    """Check what Pillow reads or decodes before it knows a picture's size.  Raises RefusedPicture."""
    try:
        if content.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
            _check_tiff(content)
        elif content.startswith(b"\xff\xd8"):
            exif = _join_exif(content)
            if len(exif) > MOST_EXIF_BYTES:
                _check_tiff(exif)
        elif content.startswith(b"\0\0\1\0"):
            _check_icon(content)
        elif content.startswith((b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP")):
            _check_tiles(content)
        elif content[:4] == b"RIFF" and content[12:16] == b"VP8X":
            check_size(tuple(1 + int.from_bytes(content[at : at + 3], "little") for at in (24, 27)))  # pyright: ignore[reportArgumentType]
        elif content[4:8] == b"ftyp":
            _check_embedded(content)
    except struct.error:  # the header is cut off, which the decoder reports
        pass


def _check_tiff(content: bytes, at: int = 0) -> None:
    """Refuse a TIFF structure with overlapping values (longer in total than the file), or with too many parts.

    Only checks the directories that Pillow reads.  A circular chain of them ends with the third.
    """
    order = "<" if content[at : at + 2] == b"II" else ">"
    is_big = content[at + 2 : at + 4] in (b"+\0", b"\0+")
    (first,) = struct.unpack_from(f"{order}{'Q' if is_big else 'I'}", content, at + (8 if is_big else 4))
    waiting, total = [first], 0
    for _ in range(len(SUB_DIRECTORIES) + 1):
        if not waiting:
            return
        for tag, length, count, value in _read_directory(content, at, waiting.pop(0), order, is_big):
            total += length
            if tag in STRIPS and count > MOST_STRIPS:
                raise RefusedPicture(f"is damaged: it has {count:,} strips or tiles")
            if tag in SUB_DIRECTORIES:
                waiting.append(value)
            if total > len(content) + MOST_EXIF_BYTES:
                raise RefusedPicture("is damaged: the values of its header overlap and are longer than the file")


def _read_directory(
    content: bytes, at: int, first: int, order: str, is_big: bool
) -> Iterator[tuple[int, int, int, int]]:
    """Yield tag, length of the value in bytes, count, and first number of each entry."""
    head, entry = (f"{order}Q", f"{order}HHQQ") if is_big else (f"{order}H", f"{order}HHII")
    if first + struct.calcsize(head) > len(content):
        return
    (count,) = struct.unpack_from(head, content, at + first)
    start, step = at + first + struct.calcsize(head), struct.calcsize(entry)
    for number in range(min(count, (len(content) - start) // step)):
        tag, kind, values, value = struct.unpack_from(entry, content, start + number * step)
        yield tag, TIFF_TYPE_BYTES.get(kind, 0) * values, values, value


def _join_exif(content: bytes) -> bytes:
    """Join the EXIF segments of a JPEG as Pillow does; empty if there is only one."""
    parts: list[bytes] = []
    at = 2
    while at + 4 <= len(content) and content[at] == 0xFF:
        marker, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4], "big")
        if marker in (0xDA, 0xD9) or length < 2:
            break
        if marker == 0xE1 and content[at + 4 : at + 10] == b"Exif\0\0":
            parts.append(content[at + 10 : at + 2 + length])
        at += 2 + length
    return b"".join(parts) if len(parts) > 1 else b""


def _check_icon(content: bytes) -> None:
    (count,) = struct.unpack_from("<H", content, 4)
    for number in range(count):
        (at,) = struct.unpack_from("<I", content, 6 + 16 * number + 12)
        if content[at : at + 8] == b"\x89PNG\r\n\x1a\n":
            width, height = struct.unpack_from(">II", content, at + 16)
        else:
            width, height = struct.unpack_from("<ii", content, at + 4)
        check_size((abs(width), abs(height)), MOST_ICON_PIXELS)


def _check_tiles(content: bytes) -> None:
    """Limit the tiles of a JPEG 2000 (ISO/IEC 15444-1, A.5.1): each costs 12 kB before it is read."""
    at = content.find(b"\xff\x4f\xff\x51")
    if at >= 0:
        x1, y1, _, _, width, height, x0, y0 = struct.unpack_from(">8I", content, at + 8)
        tiles = -(-(x1 - x0) // max(1, width)) * -(-(y1 - y0) // max(1, height))
        if tiles > MOST_TILES:
            raise RefusedPicture(f"is damaged: it has {tiles:,} tiles")


def _check_embedded(content: bytes) -> None:
    """Check the EXIF in AVIF and HEIC, wherever it is."""
    for magic in (b"II*\0", b"MM\0*"):
        at = content.find(magic)
        while at >= 0:
            _check_tiff(content, at)
            at = content.find(magic, at + 1)


def estimate_memory(image: Image.Image, size_wh: tuple[int, int]) -> int:
    """Estimate the bytes needed to decode an opened picture and to make a frame of it.

    size_wh: of the stored picture; `image` may be reduced (a JPEG's draft).
    """
    pixels, full = image.width * image.height, size_wh[0] * size_wh[1]
    pillow = 1 if image.mode in {"1", "L", "P"} else 2 if image.mode.startswith("I;16") else 4
    codec: str = tiles[0][0] if (tiles := getattr(image, "tile", None)) else ""
    decoder = BYTES_A_PIXEL.get(image.format or "", BYTES_A_PIXEL_BY_CODEC.get(codec, 0))
    cost = pixels * (pillow + FRAME_BYTES + decoder)
    if image.info.get("progressive"):
        cost += _count_coefficients(image, full)
    if image.format == "TIFF":
        cost += _count_strip(image)
    return cost


def _count_coefficients(image: Any, full: int) -> int:
    """Count the bytes of a progressive JPEG's coefficients, two for each, all kept until the last scan."""
    layers = [(h, v) for _, h, v, _ in getattr(image, "layer", ())]
    most = max((h * v for h, v in layers), default=1)
    return 2 * full * sum(h * v for h, v in layers) // most


def _count_strip(image: Any) -> int:
    """Count the bytes of the largest strip or tile of a TIFF, which is unpacked as a whole."""
    tags = image.tag_v2
    bits = tags.get(258, (1,))
    samples = sum(bits) if isinstance(bits, tuple) else bits
    if 322 in tags:
        pixels = int(tags[322]) * int(tags.get(323, 1))
    else:
        pixels = int(tags[256]) * min(int(tags[257]), int(tags.get(278, tags[257])))
    return pixels * samples // 8


class _Memory:
    """Memory that decoders share; a request beyond it waits."""

    def __init__(self, total: int) -> None:
        self._total, self._taken = total, 0
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, cost: int) -> Iterator[None]:
        """Reserve bytes during the block.  Raises RefusedPicture for more than the total."""
        if cost > self._total:
            words = f"decoding it would take {cost / 1e9:.1f} GB of memory, more than {self._total / 1e9:g}"
            raise RefusedPicture(f"is too large: {words}; make it smaller")
        with self._changed:
            self._changed.wait_for(lambda: self._taken + cost <= self._total)
            self._taken += cost
        try:
            yield
        finally:
            with self._changed:
                self._taken -= cost
                self._changed.notify_all()


memory = _Memory(MOST_MEMORY)
