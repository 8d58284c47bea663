"""500 hostile pictures and what must come of each: all kinds and modes, turned, cut, flipped bits, bombs, others."""

from __future__ import annotations

import io
import random
import struct
import zlib
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from PIL import ExifTags, Image, features

from fault_kinds.icc import make_swapped_profile
from fault_kinds.shape_model import Pixels, draw_quadrants, name_shapes

Wanted = Literal["photo", "refused", "either"]
SIZE_WH = (96, 72)
CUT_FOR_SURE = 0.9
"""A cut file that lacks more than a tenth must be refused; with less missing it may be whole."""
BOMB_SIDE = 50_000_000


@dataclass(frozen=True)
class Picture:
    """One file.  wanted: what must come of it; shapes: labels that the model may answer (none: not judged);
    size_wh: upright; is_bomb: judged alone, for its memory."""

    name: str
    content: bytes
    wanted: Wanted
    shapes: tuple[str, ...] = ()
    size_wh: tuple[int, int] | None = None
    is_bomb: bool = False


FORMATS: dict[str, dict[str, Any]] = {
    **{"jpg": {"format": "JPEG", "quality": 90, "subsampling": 0}, "png": {"format": "PNG"}},
    **{"webp": {"format": "WEBP", "lossless": True}, "tif": {"format": "TIFF"}, "bmp": {"format": "BMP"}},
    **{"gif": {"format": "GIF"}, "jp2": {"format": "JPEG2000"}, "ppm": {"format": "PPM"}, "tga": {"format": "TGA"}},
    "avif": {"format": "AVIF", "quality": 90},
}
MAY_BE_LEFT_OUT = ("tga",)
"""A kind without a first word, so that noise may pass for it: whether it is taken, is the product's to choose."""
CUT_SAFELY = ("jpg", "png", "webp", "tif", "bmp", "avif", "ppm")


def list_pictures(seed: int) -> list[Picture]:
    """The corpus: 500, of which the flipped bits fill up what the other families leave."""
    kinds = [kind for kind in FORMATS if kind != "avif" or features.check("avif")]
    pictures = [*draw_honest(kinds), *draw_turned(), *draw_deep(), *draw_tiny(kinds), *draw_foreign(seed)]
    pictures += [*draw_bombs(), *draw_cut(kinds)]
    return pictures + draw_flipped(kinds, 500 - len(pictures), random.Random(f"{seed} flipped"))


def encode(image: Image.Image, kind: str, **more: Any) -> bytes:
    """A picture as a file of a kind."""
    content = io.BytesIO()
    image.save(content, **{**FORMATS[kind], **more})
    return content.getvalue()


def make_photo(name: str, content: bytes, shown: Pixels) -> Picture:
    """A file that must be taken; shown: what it shows, uint8 (H, W, 3) RGB."""
    wanted: Wanted = "either" if name.endswith(MAY_BE_LEFT_OUT) else "photo"
    return Picture(name, content, wanted, tuple(name_shapes(shown)), (shown.shape[1], shown.shape[0]))


def draw_noisy(width: int, height: int) -> Image.Image:
    """The quadrants with some grain, so that a file has something to lose."""
    rng = np.random.default_rng(width * 1000 + height)
    grain = rng.integers(-20, 21, (height, width, 3))
    return Image.fromarray((draw_quadrants(width, height) + grain).clip(0, 255).astype(np.uint8))


def draw_honest(kinds: list[str]) -> list[Picture]:
    """Every kind in several sizes, modes and ways to be written."""
    sizes = (SIZE_WH, (72, 96), (160, 90), (90, 160), (65, 65), (211, 89))
    pictures = [
        make_photo(
            f"{kind}_{width}x{height}.{kind}", encode(draw_noisy(width, height), kind), draw_quadrants(width, height)
        )
        for kind in kinds
        for width, height in sizes
    ]
    plain, shown = draw_noisy(*SIZE_WH), draw_quadrants(*SIZE_WH)
    grey = np.asarray(plain.convert("L").convert("RGB"))
    modes = {"L": ("jpg", grey), "CMYK": ("jpg", shown), "P": ("png", shown), "1": ("png", None), "LA": ("png", grey)}
    for mode, (kind, truth) in modes.items():
        converted = plain.convert(mode)
        picture = np.asarray(converted.convert("RGB")) if truth is None else truth
        pictures.append(make_photo(f"mode_{mode}.{kind}", encode(converted, kind), picture))
    swapped = np.ascontiguousarray(shown[:, :, ::-1])
    for kind in ("jpg", "png", "tif", "webp"):
        content = encode(plain, kind, icc_profile=make_swapped_profile())
        pictures.append(make_photo(f"profile.{kind}", content, swapped))
        pictures.append(make_photo(f"no_profile.{kind}", encode(plain, kind, icc_profile=b"no profile at all"), shown))
    clear = np.dstack([shown, np.full(shown.shape[:2], 255, np.uint8)])
    clear[:, SIZE_WH[0] // 2 :, 3] = 0
    on_white = shown.copy()
    on_white[:, SIZE_WH[0] // 2 :] = 255
    pictures += [
        make_photo(f"clear.{kind}", encode(Image.fromarray(clear), kind), on_white)
        for kind in ("png", "webp", "tif", "tga")
    ]
    frames = [Image.fromarray(clear), Image.fromarray(np.roll(clear, 9, axis=0))]
    for name, kind in (("clear_moving.png", "png"), ("clear_moving.webp", "webp")):
        content = encode(frames[0], kind, save_all=True, append_images=frames[1:], duration=100)
        pictures.append(make_photo(name, content, on_white))
    moving = encode(plain, "gif", save_all=True, append_images=[plain.rotate(90)], duration=100)
    pictures.append(make_photo("moving.gif", moving, shown))
    pictures.append(make_photo("progressive.jpg", encode(plain, "jpg", progressive=True), shown))
    return [*pictures, make_photo("wrong_suffix.png", encode(plain, "jpg"), shown)]


def draw_turned() -> list[Picture]:
    """EXIF orientations: the picture is stored so that undoing the turn gives the quadrants."""
    undo = Image.Transpose
    stored = {1: None, 2: undo.FLIP_LEFT_RIGHT, 3: undo.ROTATE_180, 4: undo.FLIP_TOP_BOTTOM}
    stored |= {5: undo.TRANSPOSE, 6: undo.ROTATE_90, 7: undo.TRANSVERSE, 8: undo.ROTATE_270}
    pictures = []
    for number, transpose in stored.items():
        image = draw_noisy(*SIZE_WH)
        image = image if transpose is None else image.transpose(transpose)
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = number
        for kind in ("jpg", "png", "webp", "tif"):
            content = encode(image, kind, exif=exif.tobytes() if kind != "tif" else exif)
            pictures.append(make_photo(f"orientation_{number}.{kind}", content, draw_quadrants(*SIZE_WH)))
    return pictures


def draw_deep() -> list[Picture]:
    """Sixteen bits, 32, floats: of whatever range, the picture must be seen."""
    grey = np.asarray(draw_noisy(*SIZE_WH).convert("L")).astype(np.float64)
    stretched = grey * 255 / grey.max()
    shapes = tuple({name for each in (grey, stretched) for name in name_shapes(_to_rgb(each))})
    arrays: dict[str, Any] = {
        "float_0_to_1.tif": (grey / 255).astype(np.float32),
        "float_0_to_255.tif": grey.astype(np.float32),
        "float_0_to_65535.tif": (grey * 257).astype(np.float32),
        "int32.tif": (grey * 257).astype(np.int32),
        **{
            f"{bits}_bit.{kind}": (grey / 255 * (2**bits - 1)).astype(np.uint16)
            for bits in (8, 10, 12, 14, 16)
            for kind in ("png", "tif")
        },
    }  # fmt: skip
    pictures = [
        Picture(name, encode(Image.fromarray(array), name.rpartition(".")[2]), "photo", shapes, SIZE_WH)
        for name, array in arrays.items()
    ]
    broken = (grey / 255).astype(np.float32)
    broken[::7] = np.nan
    broken[1::7] = np.inf
    return [*pictures, Picture("float_nan.tif", encode(Image.fromarray(broken), "tif"), "either")]


def _to_rgb(grey: Any) -> Pixels:
    return np.repeat(grey.clip(0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


def draw_tiny(kinds: list[str]) -> list[Picture]:
    """One pixel, and one colour: nobody's photo."""
    pictures = [
        Picture(f"one_pixel.{kind}", encode(Image.new("RGB", (1, 1), "red"), kind), "refused")
        for kind in kinds
        if kind != "avif"
    ]
    for name, colour in (
        ("black", (0, 0, 0)),
        ("white", (255, 255, 255)),
        ("grey", (114, 114, 114)),
        ("green", (0, 99, 0)),
    ):
        plain = Image.new("RGB", SIZE_WH, colour)
        pictures += [
            Picture(f"plain_{name}.{kind}", encode(plain, kind), "refused") for kind in ("jpg", "png", "webp", "gif")
        ]
    empty = Image.new("RGBA", SIZE_WH, (0, 0, 0, 0))
    return [*pictures, Picture("nothing_but_clear.png", encode(empty, "png"), "refused")]


def draw_foreign(seed: int) -> list[Picture]:
    """What is no picture but is called one."""
    rng = random.Random(f"{seed} foreign")
    heads = {
        "html": b"<!DOCTYPE html><html><body>404</body></html>",
        "pdf": b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n",
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="96" height="72"><rect width="96" height="72"/></svg>',
        "laughs": b'<!DOCTYPE svg [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><svg>&b;</svg>',
        "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 96 72\nshowpage\n",
        "photoshop": b"8BPS\0\1" + bytes(100),
        "zip": b"PK\3\4" + bytes(100),
        "mp4": b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + bytes(100),
        "text": b"a photo of a tree\n" * 20,
        "empty": b"",
        "zeros": bytes(5000),
        "pickle": b"\x80\x04\x95\x10\0\0\0\0\0\0\0\x8c\x08builtins\x94.",
        "elf": b"\x7fELF\2\1\1" + bytes(200),
        "psd_head": b"8B",
    }
    pictures = [Picture(f"{name}.{kind}", head, "refused") for name, head in heads.items() for kind in ("jpg", "png")]
    pictures += [
        Picture(f"noise_{number}.jpg", rng.randbytes(rng.randrange(1, 5000)), "refused") for number in range(20)
    ]
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + rng.randbytes(500)
    return [*pictures, *(Picture(f"broken_heic.{kind}", heic, "refused") for kind in ("heic", "heif", "jpg"))]


def draw_bombs() -> list[Picture]:
    """Small files of large pictures, and large notes in small ones."""
    sizes = ((BOMB_SIDE - 1, 1), (1, BOMB_SIDE), (2, BOMB_SIDE // 2), (60_000, 60_000), (2**31 - 1, 2**31 - 1))
    pictures = [
        Picture(f"bomb_{width}x{height}.png", draw_png(width, height), "refused", is_bomb=True)
        for width, height in sizes
    ]
    head = struct.pack("<BBB", 0, 0, 2) + bytes(9) + struct.pack("<HHBB", 65_000, 65_000, 24, 0)
    pictures.append(Picture("bomb.tga", head + bytes(1000), "refused", is_bomb=True))
    screen = b"GIF89a" + struct.pack("<HHBBB", 65_535, 65_535, 0, 0, 0) + b";"
    pictures.append(Picture("bomb.gif", screen, "refused", is_bomb=True))
    pictures.append(Picture("bomb.bmp", _draw_bmp(40_000, 40_000), "refused", is_bomb=True))
    pictures.append(Picture("bomb.ppm", b"P6 50000 50000 255\n" + bytes(100), "refused", is_bomb=True))
    small = encode(draw_noisy(*SIZE_WH), "png")
    text = zlib.compress(b"a" * 100_000_000, 9)
    for name in (b"zTXt", b"iTXt", b"iCCP"):
        keyword = b"note\0\0" if name != b"iTXt" else b"note\0\1\0\0\0"
        content = small[:33] + _pack_chunk(name, keyword + text) + small[33:]
        pictures.append(Picture(f"bomb_{name.decode()}.png", content, "either", is_bomb=True))
    return pictures


def draw_png(width: int, height: int) -> bytes:
    """A PNG of zeros in few bytes: grey, one byte a pixel, made without holding it; of a huge one the head alone."""
    head = b"\x89PNG\r\n\x1a\n" + _pack_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    data = b""
    if width * height <= BOMB_SIDE + 1:
        packer, left, block = zlib.compressobj(9), (width + 1) * height, bytes(1 << 20)
        parts = []
        while left > 0:
            parts.append(packer.compress(block[:left]))
            left -= len(block)
        data = b"".join(parts) + packer.flush()
    return head + _pack_chunk(b"IDAT", data) + _pack_chunk(b"IEND", b"")


def _pack_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _draw_bmp(width: int, height: int) -> bytes:
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + info


def draw_cut(kinds: list[str]) -> list[Picture]:
    """Files that end too early."""
    pictures = []
    for kind in kinds:
        content = encode(draw_noisy(*SIZE_WH), kind)
        for percent in (1, 5, 20, 40, 60, 75, 89, 95, 99):
            is_sure = kind in CUT_SAFELY and percent / 100 < CUT_FOR_SURE
            cut = content[: max(len(content) * percent // 100, 1)]
            pictures.append(Picture(f"cut_{percent:02d}.{kind}", cut, "refused" if is_sure else "either"))
    return pictures


def draw_flipped(kinds: list[str], count: int, rng: random.Random) -> list[Picture]:
    """Files with some of their bits changed."""
    whole = {kind: encode(draw_noisy(*SIZE_WH), kind) for kind in kinds}
    pictures = []
    for number in range(count):
        kind = kinds[number % len(kinds)]
        content = bytearray(whole[kind])
        reach = len(content) if number % 3 else min(len(content), 200)
        for _ in range(rng.choice((1, 4, 20))):
            content[rng.randrange(reach)] ^= 1 << rng.randrange(8)
        pictures.append(Picture(f"flipped_{number:03d}.{kind}", bytes(content), "either"))
    return pictures
