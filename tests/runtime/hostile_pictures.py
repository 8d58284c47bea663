"""Pictures that are small as files and ask for much memory, in every way that is known, for each kind of picture."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image

from .heic import draw_heic

WIDTH, HEIGHT = 12_000, 10_000  # as many pixels as are allowed


def chunk(kind: bytes, content: bytes) -> bytes:
    """One chunk of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def draw_png(width: int, height: int, *, more: bytes = b"") -> bytes:
    """A whole, black PNG of any size, RGB.  more: chunks before the pixels."""
    row = bytes(width * 3 + 1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", pack_zeros(len(row) * height))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + more + pixels + chunk(b"IEND", b"")


def pack_zeros(count: int) -> bytes:
    """So many zeros, deflated."""
    packer = zlib.compressobj(1)
    parts = [packer.compress(bytes(min(1 << 20, count - at))) for at in range(0, count, 1 << 20)]
    return b"".join(parts) + packer.flush()


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def draw_spot(mode: str = "RGB", size_wh: tuple[int, int] = (64, 48)) -> Image.Image:
    image = Image.new("RGB", size_wh, (200, 30, 60))
    image.paste((20, 90, 200), (5, 5, 30, 30))
    return image.convert(mode)


def claim_jpeg(width: int, height: int, mode: str = "RGB", *, progressive: bool = False) -> bytes:
    """A JPEG whose header claims another size."""
    content = bytearray(encode(draw_spot(mode), "JPEG", subsampling=0, progressive=progressive))
    at = content.find(b"\xff\xc2" if progressive else b"\xff\xc0")
    content[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(content)


def overlap_values(entries: int, size: int) -> bytes:
    """A TIFF structure of so many values that are all the same `size` bytes."""
    head = b"II*\0" + struct.pack("<IH", 8, entries)
    values = b"".join(struct.pack("<HHII", 0x8000 + n, 7, size, 14 + entries * 12) for n in range(entries))
    return head + values + bytes(4 + size)


def join_exif(exif: bytes) -> bytes:
    """A JPEG with EXIF in as many segments as it takes."""
    content = encode(draw_spot(), "JPEG")
    parts = [exif[at : at + 65_500] for at in range(0, len(exif), 65_500)]
    segments = b"".join(b"\xff\xe1" + struct.pack(">H", len(part) + 8) + b"Exif\0\0" + part for part in parts)
    return b"\xff\xd8" + segments + content[content.find(b"\xff\xdb") :]


def write_tiff(width: int, height: int, compression: int, data: bytes, bits: int = 24, **more: list[int]) -> bytes:
    """A little-endian TIFF of one strip.  more: other tags as t278=[1], all LONG."""
    samples = [8, 8, 8] if bits == 24 else [bits]
    tags = {256: [width], 257: [height], 258: samples, 259: [compression], 262: [2 if bits == 24 else 1]}
    tags |= {273: [0], 277: [len(samples)], 278: [height], 279: [len(data)]}
    tags |= {int(name[1:]): values for name, values in more.items()}
    start = 8 + 2 + 12 * len(tags) + 4
    if tags[273] == [0]:
        tags[273] = [start + sum(4 * len(values) for values in tags.values() if len(values) > 1)]
    entries, extra = b"", b""
    for tag, values in sorted(tags.items()):
        where = values[0] if len(values) == 1 else start + len(extra)
        extra += struct.pack(f"<{len(values)}I", *values) if len(values) > 1 else b""
        entries += struct.pack("<HHII", tag, 4, len(values), where)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + extra + data


def claim_gif(width: int, height: int) -> bytes:
    """A GIF whose screen has a size, and its frame too."""
    content = bytearray(encode(draw_spot("P"), "GIF"))
    at = content.find(b"," + struct.pack("<HHHH", 0, 0, 64, 48))
    content[6:10] = content[at + 5 : at + 9] = struct.pack("<HH", width, height)
    return bytes(content)


def write_icon(inner: bytes) -> bytes:
    """An icon that says 16 x 16, whatever is in it."""
    return struct.pack("<HHH", 0, 1, 1) + struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(inner), 22) + inner


def claim_bitmap(width: int, height: int, bits: int, compression: int) -> bytes:
    """The header of a Windows bitmap without its first 14 bytes, a palette, and runs that skip rows."""
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, 0, 0, 0, 256, 0) + bytes(1024)
    return head + b"\xff\x01" * 500 + b"\0\2\xff\xff" * 5000 + b"\0\1"


def claim_jpeg_2000(width: int, height: int, tile: int = 0) -> bytes:
    """A code stream without data.  tile: side of its tiles; one for all by default."""

    def segment(marker: int, content: bytes) -> bytes:
        return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content

    siz = struct.pack(">H8IH", 0, width, height, 0, 0, tile or width, tile or height, 0, 0, 3) + b"\7\1\1" * 3
    cod = bytes([0, 0, 0, 1, 0, 5, 4, 4, 0, 1])
    qcd = bytes([0x40, *[8 << 3] * 16])
    start = b"\xff\x4f" + segment(0x51, siz) + segment(0x52, cod) + segment(0x5C, qcd)
    return start + segment(0x90, struct.pack(">HIBB", 0, 14, 0, 1)) + b"\xff\x93\xff\xd9"


def claim_targa(width: int, height: int) -> bytes:
    return struct.pack("<BBBHHBHHHHBB", 0, 0, 10, 0, 0, 0, 0, 0, width, height, 32, 0x28) + b"\xff\1\2\3\4" * 20_000


def claim_webp(width: int, height: int) -> bytes:
    """An animated WebP whose canvas has a size."""
    frames = [draw_spot("RGBA"), draw_spot("RGBA").rotate(180)]
    content = bytearray(encode(frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=100))
    assert content[12:16] == b"VP8X"
    content[24:30] = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return bytes(content)


HOSTILE: dict[str, Callable[[], bytes]] = {
    "png of 50 million columns": lambda: draw_png(49_999_999, 1),
    "png of 50 million rows": lambda: draw_png(1, 50_000_000),
    "png as large as allowed": lambda: draw_png(WIDTH, HEIGHT),
    "png with a profile of 500 MB": lambda: draw_png(64, 48, more=chunk(b"iCCP", b"x\0\0" + pack_zeros(500_000_000))),
    "png with 400 MB of text": lambda: draw_png(
        64, 48, more=b"".join(chunk(b"zTXt", b"k%d\0\0" % n + pack_zeros(1_000_000)) for n in range(400))
    ),
    "png with overlapping exif": lambda: draw_png(64, 48, more=chunk(b"eXIf", overlap_values(300, 10_000_000))),
    "jpeg as large as allowed": lambda: claim_jpeg(WIDTH, HEIGHT),
    "jpeg as long as allowed": lambda: claim_jpeg(65_500, 1_800),
    "jpeg, progressive": lambda: claim_jpeg(WIDTH, HEIGHT, progressive=True),
    "jpeg, progressive, cmyk": lambda: claim_jpeg(WIDTH, HEIGHT, "CMYK", progressive=True),
    "jpeg with overlapping exif": lambda: join_exif(overlap_values(300, 10_000_000)),
    "jpeg with a profile of 15 MB": lambda: encode(draw_spot(), "JPEG", icc_profile=bytes(15_000_000)),
    "gif": lambda: claim_gif(WIDTH, HEIGHT),
    "gif of 4 billion pixels": lambda: claim_gif(65_535, 65_535),
    "bmp": lambda: b"BM" + struct.pack("<IHHI", 0, 0, 0, 1078) + claim_bitmap(WIDTH, HEIGHT, 8, 1),
    "tiff with overlapping values": lambda: overlap_values(300, 10_000_000),
    "tiff of 3 million strips": lambda: write_tiff(
        64, 48, 1, bytes(64 * 48 * 3), t273=[8] * 3_000_000, t279=[192] * 3_000_000, t278=[1]
    ),
    "tiff of one strip": lambda: write_tiff(WIDTH, HEIGHT, 8, pack_zeros(WIDTH * HEIGHT * 3)),
    "tiff of floating-point numbers": lambda: write_tiff(9_000, 9_000, 8, pack_zeros(9_000 * 9_000 * 4), 32, t339=[3]),
    "tiff of one tile": lambda: write_tiff(
        64, 48, 8, pack_zeros(1000), t322=[60_000], t323=[60_000], t324=[300], t325=[1000]
    ),
    "jpeg 2000": lambda: claim_jpeg_2000(WIDTH, HEIGHT),
    "jpeg 2000 of 65,535 tiles": lambda: claim_jpeg_2000(255, 257, 1),
    "ppm": lambda: b"P6 %d %d 255\n" % (WIDTH, HEIGHT) + bytes(1000),
    "ico with a png": lambda: write_icon(draw_png(13_000, 13_000)),
    "ico with a bitmap": lambda: write_icon(claim_bitmap(13_000, 26_000, 32, 0)),
    "tga": lambda: claim_targa(WIDTH, HEIGHT),
    "webp, animated": lambda: claim_webp(WIDTH, HEIGHT),
    "webp": lambda: encode(draw_spot("RGB", (7000, 6000)), "WEBP", method=0),
    "avif": lambda: encode(draw_spot("RGBA", (7000, 5000)), "AVIF", speed=10, subsampling="4:4:4"),
    "heic": lambda: draw_heic(np.zeros((96, 128, 3), np.uint8), claims_wh=(WIDTH, HEIGHT)),
}
