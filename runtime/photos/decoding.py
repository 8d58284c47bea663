"""Decodes photos of any kind: JPEG, PNG, GIF, WebP, AVIF, HEIC; rotated, grey, CMYK or broken ones."""

from __future__ import annotations

import io
import stat
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from ..core.types import Frame
from ..errors import PhotoError
from .colours import flatten, to_bgr
from .kinds import EXTENSIONS, guess_content, is_heic
from .limits import (
    MAX_FILE_BYTES,
    MAX_PIXELS,
    RefusedPicture,
    check_header,
    check_size,
    estimate_memory,
    memory,
)
from .turns import ORIENTATION, lies_on_its_side, read_turn, turn_upright

__all__ = [
    "DAMAGE", "EXTENSIONS", "HEIC_HELP", "MAX_PIXELS", "ORIENTATION", "convert_image", "decode_photo", "flatten",
    "inspect_photo", "list_formats", "read_photo", "read_size_wh",
]  # fmt: skip

DAMAGE = (
    *(OSError, SyntaxError, ValueError, EOFError, RuntimeError, LookupError, TypeError, AttributeError),
    *(ArithmeticError, AssertionError, MemoryError, struct.error, zlib.error, Image.DecompressionBombError),
)
"""What Pillow's decoders raise on broken bytes (RuntimeError: AVIF; RecursionError is one)."""
HEIC_HELP = " that can be read here: it is HEIC, the format of iPhones; run: pip install pi-heif, or export it as JPEG"
MOST_WORDS = 200  # characters of a decoder's message


def decode_photo(source: Path | bytes, *, min_side: int | None = None, most_pixels: int = MAX_PIXELS) -> Frame:
    """Decode one picture upright.  Returns uint8 (H, W, 3) BGR in sRGB; transparent parts become white.

    Of a GIF or another animation it decodes the first frame.
    min_side: a JPEG may be decoded at a half, a quarter or an eighth while both sides stay at least this long
    (phone photos then take a fifth of the time).  most_pixels: refuse more, before decoding.
    It takes at most MOST_MEMORY besides the file.  Raises PhotoError with the actual reason, and nothing else.
    """
    name = str(source) if isinstance(source, Path) else "the file"
    content = read_photo(source) if isinstance(source, Path) else source
    with _explain(name, content):
        return _decode(content, min_side, most_pixels)


def convert_image(image: Image.Image) -> Frame:
    """Convert an image that a program opened or made with PIL, which stays open, as `decode_photo` does a photo.

    Returns uint8 (H, W, 3) BGR in sRGB, upright by its EXIF orientation.  Raises PhotoError.
    """
    with _explain("the image", b"pixels"):
        check_size(image.size, MAX_PIXELS)
        image.load()
        return turn_upright(to_bgr(image), read_turn(image))


def read_photo(path: Path) -> bytes:
    """Read a file that may be a photo.  Raises PhotoError if it is unreadable, too large, or not a regular file."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
            raise PhotoError(f"{path} is a device or pipe, not a file")
        if status.st_size > MAX_FILE_BYTES:
            raise PhotoError(f"{path} is too large: {status.st_size:,} bytes, more than {MAX_FILE_BYTES:,}")
        return path.read_bytes()
    except OSError as error:
        raise PhotoError(f"{path} cannot be read: {error.strerror}") from error


def inspect_photo(content: bytes) -> tuple[str, tuple[int, int]]:
    """Read the format (Pillow's name) and the upright width and height from a picture's header.  Raises PhotoError."""
    with _explain("the file", content), _open(content) as image:
        width, height = image.size if not hasattr(image, "tag_v2") else _read_stored_size(image)
        return image.format or "", (height, width) if lies_on_its_side(image) else (width, height)


def read_size_wh(content: bytes) -> tuple[int, int]:
    """Read the upright width and height from the header of a picture for `decode_photo`.  Raises PhotoError."""
    return inspect_photo(content)[1]


@lru_cache(maxsize=1)
def list_formats() -> tuple[str, ...]:
    """List the formats `Image.open` may try: `EXTENSIONS` that this Pillow has (AVIF since 11.3), with TGA last.

    TGA has no magic number, so noise may pass for one: a user's own file may be TGA, a downloaded file is not.
    """
    Image.init()
    return tuple(kind for kind in (*EXTENSIONS, "TGA") if kind in Image.OPEN and kind != "HEIF")


@lru_cache(maxsize=1)
def _load_heif() -> bool:
    """Let Pillow read HEIC if a package for it is installed: pi-heif, or pillow-heif, which can also write it."""
    for name in ("pi_heif", "pillow_heif"):
        try:
            __import__(name).register_heif_opener(thumbnails=False)
        except ImportError:
            continue
        return True
    return False


@contextmanager
def _explain(name: str, content: bytes) -> Iterator[None]:
    """Turn whatever decoding raises into a PhotoError.  name: of the file, for the message."""
    if not content:
        raise PhotoError(f"{name} is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's warnings about odd EXIF or palettes; the size is checked here
            yield
    except RefusedPicture as error:
        raise PhotoError(f"{name} {error}") from error
    except UnidentifiedImageError as error:
        raise PhotoError(f"{name} is not a picture{guess_content(content)}") from error
    except Image.DecompressionBombError as error:
        raise PhotoError(f"{name} has too many pixels: {error}") from error
    except MemoryError as error:
        raise PhotoError(f"{name} needs more memory than is available; make it smaller") from error
    except Exception as error:
        words = " ".join(str(error).split())[:MOST_WORDS] or type(error).__name__
        raise PhotoError(f"{name} is damaged: {words}") from error


@contextmanager
def _open(content: bytes, most_pixels: int = MAX_PIXELS) -> Iterator[Image.Image]:
    """Open a picture after checking that its header is reasonable."""
    check_header(content)
    formats = list_formats()
    if is_heic(content):
        if not _load_heif():
            raise RefusedPicture(f"is not a picture{HEIC_HELP}")
        formats = ("HEIF",)
    with Image.open(io.BytesIO(content), formats=formats) as image:
        check_size(image.size, most_pixels)
        yield image


def _decode(content: bytes, min_side: int | None, most_pixels: int) -> Frame:
    with _open(content, most_pixels) as image:
        stored_wh = image.size
        if min_side:
            image.draft(None, (min_side, min_side))
        cost = estimate_memory(image, stored_wh)
        with memory.hold(cost):
            image.load()
            turn = read_turn(image)
            frame = to_bgr(image)
            image.close()
            return turn_upright(frame, turn)


def _read_stored_size(image: Any) -> tuple[int, int]:
    """Read the width and height of a TIFF as stored; newer Pillows report them upright."""
    return int(image.tag_v2[256]), int(image.tag_v2[257])
