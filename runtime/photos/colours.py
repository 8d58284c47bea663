"""Any picture to 8-bit BGR: transparency over white, wide ranges scaled, colour profiles converted to sRGB."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from ..core.types import Frame

BAND_PIXELS = 1 << 18
"""Pixels converted at once, so that copies stay small for any size of picture."""
ALPHA_MODES = frozenset(("RGBA", "LA", "PA", "RGBa", "La"))
TOPS = (255, 1023, 4095, 16383, 65535)
"""The largest values of 8, 10, 12, 14 and 16 bits: 12 bits stored in 16 do not make a picture dark."""
TOP_OF_SHARES = 1.5
"""Floating-point pictures up to this value hold fractions of white; sharpening and resizing may exceed 1."""
MOST_PROFILE_BYTES = 4_000_000
"""Longer colour profiles are ignored; those of printing presses take 0.5 to 3 MB."""
PROFILES_KEPT = 8
BLACK_POINT_COMPENSATION = 0x2000
"""LittleCMS' flag; Pillow has a name for it since 10.3."""
SAME_COLOUR = 3
"""A profile that moves no colour by more than this many of 255 levels counts as sRGB."""
PROFILED_MODES = {"RGB": "RGB", "RGBA": "RGB", "L": "GRAY", "LA": "GRAY", "CMYK": "CMYK", "P": "RGB", "PA": "RGB"}
"""Pillow's mode -> the colour space that its profile must have."""

Transform = Callable[[Image.Image], Image.Image]


def to_bgr(image: Image.Image) -> Frame:
    """Convert a loaded picture of any mode.  Returns uint8 (H, W, 3) BGR, as stored (not turned)."""
    width, height = image.size
    convert = _choose_conversion(image)
    frame = np.empty((height, width, 3), np.uint8)
    rows = max(1, BAND_PIXELS // max(1, width))
    for top in range(0, height, rows):
        bottom = min(height, top + rows)
        band = convert(image.crop((0, top, width, bottom)))
        frame[top:bottom] = np.frombuffer(band.tobytes("raw", "BGR"), np.uint8).reshape(bottom - top, width, 3)
    return frame


def flatten(image: Image.Image) -> Image.Image:
    """Convert any mode to RGB; alpha (also a palette's) over white, wide ranges scaled."""
    if is_wide(image):
        return _scale(image, *measure_range(image))
    if has_alpha(image):
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def has_alpha(image: Image.Image) -> bool:
    """Whether parts of a picture may be transparent."""
    return image.mode in ALPHA_MODES or "transparency" in image.info


def is_wide(image: Image.Image) -> bool:
    """Whether a picture's values are larger than bytes."""
    return image.mode.startswith("I;16") or image.mode in {"I", "F"}


def measure_range(image: Image.Image) -> tuple[float, float]:
    """Find the values of black and white in a picture of wide values.

    Black is 0, or the lowest value if that is negative.  White is 1 for floating point up to about 1, else the largest
    value of the smallest number of bits that holds all values, else the largest value.
    """
    rows = max(1, BAND_PIXELS // max(1, image.width))
    low, high = 0.0, 0.0
    for top in range(0, image.height, rows):
        values = np.asarray(image.crop((0, top, image.width, min(image.height, top + rows))), dtype=np.float64)
        finite = values[np.isfinite(values)]
        low, high = min(low, finite.min(initial=0)), max(high, finite.max(initial=0))
    if image.mode == "F" and low >= -TOP_OF_SHARES + 1 and high <= TOP_OF_SHARES:
        return 0.0, 1.0
    return float(low), float(next((top for top in TOPS if high <= top), high))


def _scale(image: Image.Image, black: float, white: float) -> Image.Image:
    values = np.nan_to_num(np.asarray(image, dtype=np.float32), nan=black, posinf=white, neginf=black)
    grey = ((values - black) * (255 / ((white - black) or 1))).clip(0, 255)
    return Image.fromarray(grey.astype(np.uint8)).convert("RGB")


def _choose_conversion(image: Image.Image) -> Transform:
    """Choose once for the whole picture how its parts become RGB."""
    if is_wide(image):
        black, white = measure_range(image)
        return partial(_scale, black=black, white=white)
    if image.mode == "LAB":
        return partial(ImageCms.applyTransform, transform=_make_lab_transform())  # pyright: ignore[reportReturnType]
    transform = _find_transform(image)
    if transform is None:
        return flatten
    if PROFILED_MODES[image.mode] != "RGB":
        return partial(_convert_grey_or_ink, transform=transform, is_grey=image.mode != "CMYK")
    return partial(_convert_rgb, transform=transform)


def _convert_rgb(image: Image.Image, transform: Any) -> Image.Image:
    """Convert RGB; alpha is put over white before, because white is the same in any colour space."""
    return _apply(flatten(image), transform)


def _convert_grey_or_ink(image: Image.Image, transform: Any, is_grey: bool) -> Image.Image:
    if is_grey and has_alpha(image):
        image = flatten(image).convert("L")
    return _apply(image, transform)


def _apply(image: Image.Image, transform: Any) -> Image.Image:
    converted = ImageCms.applyTransform(image, transform)
    return image if converted is None else converted


def _find_transform(image: Image.Image) -> Any | None:
    """Find the transform from a picture's colours to sRGB; None without a usable profile, or for sRGB."""
    profile = image.info.get("icc_profile")
    space = PROFILED_MODES.get(image.mode)
    if not isinstance(profile, bytes) or space is None or not 128 < len(profile) <= MOST_PROFILE_BYTES:
        return None
    if profile[16:20].decode("latin-1").strip() != space:
        return None
    return _make_transform(profile, space)


@lru_cache(maxsize=PROFILES_KEPT)
def _make_transform(profile: bytes, space: str) -> Any | None:
    """Build the transform to sRGB as picture editors do: relative colorimetric, with black points matched."""
    mode = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}[space]
    try:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            _srgb(),
            mode,
            "RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=BLACK_POINT_COMPENSATION,  # pyright: ignore[reportArgumentType] - older Pillows know no Flags
        )
        return None if space != "CMYK" and _moves_no_colour(transform, mode) else transform
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):  # a broken profile is ignored
        return None


def _moves_no_colour(transform: Any, mode: str) -> bool:
    """Whether colours throughout the cube stay the same, as with the many profiles that are equal to sRGB."""
    steps = np.arange(0, 256, 15, dtype=np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(1, -1, 3)
    patches = Image.fromarray(cube) if mode == "RGB" else Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    before = np.asarray(patches.convert("RGB"), dtype=np.int16)
    return bool(np.abs(np.asarray(_apply(patches, transform), dtype=np.int16) - before).max() <= SAME_COLOUR)


@lru_cache(maxsize=1)
def _srgb() -> Any:
    return ImageCms.createProfile("sRGB")


@lru_cache(maxsize=1)
def _make_lab_transform() -> Any:
    return ImageCms.buildTransform(ImageCms.createProfile("LAB"), _srgb(), "LAB", "RGB")
