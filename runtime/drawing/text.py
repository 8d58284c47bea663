"""Words as ink: any script that the font has, measured, shortened, rendered once."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .canvas import Bgr, Ink, Palette

FONT = Path(__file__).parents[1] / "fonts" / "DejaVuSans.ttf"
"""DejaVu Sans: Latin with every Sanskrit diacritic, Greek, Cyrillic; OpenCV 4 has ASCII alone."""
LEAST_PX = 8
"""Smaller letters cannot be read."""


@lru_cache(maxsize=32)
def load_font(size_px: int) -> ImageFont.FreeTypeFont:
    """The font at a size in pixels."""
    return ImageFont.truetype(str(FONT), size_px)


@lru_cache(maxsize=256)
def measure_text(text: str, size_px: int) -> int:
    """Width of a line in pixels."""
    return round(load_font(size_px).getlength(text))


def find_height(size_px: int) -> int:
    """Height of a line in pixels, from the highest letter to the lowest."""
    return sum(load_font(size_px).getmetrics())


def find_ascent(size_px: int) -> int:
    """Pixels from the top of a line to the base of its letters."""
    return load_font(size_px).getmetrics()[0]


@lru_cache(maxsize=64)
def fit_text(text: str, size_px: int, room_px: int, least_px: int = LEAST_PX) -> tuple[str, int]:
    """Make a line fit into `room_px`: smaller letters, down to `least_px`, then fewer.  Returns text and size."""
    width = measure_text(text, size_px)
    if width <= room_px:
        return text, size_px
    size_px = min(size_px, max(least_px, size_px * room_px // max(width, 1)))
    if measure_text(text, size_px) <= room_px:
        return text, size_px
    while text and measure_text(f"{text}…", size_px) > room_px:
        text = text[:-1].rstrip()
    return (f"{text}…" if text else ""), size_px


def split_text(text: str, size_px: int, room_px: int) -> tuple[str, str]:
    """As many words as fit into `room_px`, at least a part of the first, and those that are left."""
    if measure_text(text, size_px) <= room_px:
        return text, ""
    words = text.split()
    count = max((n for n in range(1, len(words)) if measure_text(" ".join(words[:n]), size_px) <= room_px), default=0)
    if not count:
        return fit_text(text, size_px, max(room_px, 0), size_px)[0], ""
    return " ".join(words[:count]), " ".join(words[count:])


@lru_cache(maxsize=64)
def render_text(text: str, size_px: int, colour: Bgr) -> Ink:
    """Render a line once: the same words come back in every frame."""
    font = load_font(size_px)
    image = Image.new("L", (max(1, round(font.getlength(text)) + 2), find_height(size_px)))
    ImageDraw.Draw(image).text((0, 0), text, fill=255, font=font)
    return Ink(np.asarray(image, dtype=np.uint8), Palette.of(colour))
