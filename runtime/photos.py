"""Decoding a photo of any kind: what people collect is JPEG, PNG, GIF, WebP, AVIF, turned, grey, CMYK, broken."""

from __future__ import annotations

import io
import struct
import warnings
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from .errors import PhotoError
from .preprocess import Frame

ORIENTATION = 0x0112  # EXIF tag
MAX_PIXELS = 120_000_000
"""A larger picture is refused before decoding: no photo needs it, a decompression bomb does."""

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation to what undoes it.  Pillow's exif_transpose also rewrites the EXIF, and fails where that is odd."""

EXTENSIONS = {
    **{"JPEG": "jpg", "MPO": "jpg", "PNG": "png", "GIF": "gif", "WEBP": "webp", "AVIF": "avif"},
    **{"BMP": "bmp", "TIFF": "tif", "JPEG2000": "jp2", "PPM": "ppm", "ICO": "ico"},
}
"""Kinds of picture that photos come in, and nothing else is opened: Pillow reads EPS, which is a program, with the help
of Ghostscript and without a time limit, and other kinds with parsers that hardly anybody tests."""

DAMAGE = (OSError, SyntaxError, ValueError, EOFError, RuntimeError, LookupError, TypeError, struct.error)
"""What Pillow's decoders raise on broken bytes (RuntimeError: AVIF)."""

HEIC = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
"""Brands of HEIF files (ISO/IEC 23008-12) that Pillow has no decoder for; AVIF has brands of its own."""


OTHER_KINDS = {
    **{b"%!PS": "PostScript", b"\xc5\xd0\xd3\xc6": "PostScript", b"%PDF": "a PDF", b"8BPS": "a Photoshop file"},
}
"""First bytes of what else people name `.jpg`, so that the refusal can say so."""


def decode_photo(source: Path | bytes, *, min_side: int | None = None, most_pixels: int = MAX_PIXELS) -> Frame:
    """Decode one picture upright.  Returns uint8 (H, W, 3) BGR; transparent parts become white, a GIF its first frame.

    min_side: a JPEG may be decoded at a half, a quarter or an eighth while both sides stay at least this long
    (fewer bytes to decode; phone photos take a fifth of the time).  most_pixels: refuse more, before decoding.
    Raises PhotoError with the true reason.
    """
    name = str(source) if isinstance(source, Path) else "the file"
    try:
        content = source.read_bytes() if isinstance(source, Path) else source
    except OSError as error:
        raise PhotoError(f"{name} can't be read: {error.strerror}") from error
    if not content:
        raise PhotoError(f"{name} is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's notes on odd EXIF or palettes; the size is checked here
            return _decode(content, min_side, most_pixels)
    except UnidentifiedImageError as error:
        raise PhotoError(f"{name} is no picture{_guess_content(content)}") from error
    except (*DAMAGE, Image.DecompressionBombError) as error:
        raise PhotoError(f"{name} is damaged: {error}") from error


@lru_cache(maxsize=1)
def list_formats() -> tuple[str, ...]:
    """What `Image.open` may try: `EXTENSIONS` as far as this Pillow has them (AVIF since 11.3), TGA last of all.

    TGA has no magic number, so that noise may pass for one: a user's own file may be one, a downloaded file is none.
    """
    Image.init()
    return tuple(kind for kind in (*EXTENSIONS, "TGA") if kind in Image.OPEN)


def _decode(content: bytes, min_side: int | None, most_pixels: int) -> Frame:
    with Image.open(io.BytesIO(content), formats=list_formats()) as image:
        width, height = image.size
        if width * height > most_pixels:
            raise ValueError(f"{width} x {height} pixels, more than {most_pixels:,}")
        if min_side:
            image.draft(None, (min_side, min_side))
        image.load()
        turn = TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
        upright = image if turn is None else image.transpose(turn)
        rgb = np.asarray(flatten(upright), dtype=np.uint8)
    return np.ascontiguousarray(rgb[:, :, ::-1])


def read_size_wh(content: bytes) -> tuple[int, int]:
    """Read width and height, upright, from the header of a picture that `decode_photo` takes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(content), formats=list_formats()) as image:
            width, height = image.size
            lies_on_its_side = image.getexif().get(ORIENTATION, 1) in {5, 6, 7, 8}
    return (height, width) if lies_on_its_side else (width, height)


def flatten(image: Image.Image) -> Image.Image:
    """Bring any mode to RGB; alpha (also a palette's) over white."""
    if image.mode.startswith("I;16") or image.mode in {"I", "F"}:
        values = np.asarray(image, dtype=np.float32)
        top = 65535.0 if values.max(initial=0) > 255 else 255.0
        return Image.fromarray((values * (255 / top)).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.mode in {"RGBA", "LA", "PA", "RGBa", "La"} or "transparency" in image.info:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def _guess_content(content: bytes) -> str:
    start = content[:512].lstrip().lower()
    if start.startswith((b"<!doctype", b"<html")) or b"<html" in start:
        return " but an HTML page"
    if content[4:8] == b"ftyp" and content[8:12] in HEIC:
        return " that can be read here but HEIC, an iPhone's own kind; export it as JPEG"
    if b"<svg" in start:
        return " but a drawing (SVG)"
    return next((f" but {name}" for magic, name in OTHER_KINDS.items() if content.startswith(magic)), "")
