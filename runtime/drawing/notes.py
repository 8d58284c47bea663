"""Small words and thin lines on the bare picture."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..core.regions import Region
from ..system.progress import format_duration
from .canvas import Bgr, Canvas
from .placement import NAME_SHARE, find_unit
from .text import LEAST_PX, find_ascent, find_height, measure_text, render_text

WHITE = (255, 255, 255)
SOFT = (205, 205, 205)
SMALL_TEXT_SHARE = 0.032  # of the unit: the rate, names of people, and what the marked corners mean
READABLE_PX = 14  # of names of people, which are what is looked for on a small picture
STRIP_LIGHT = 0.32  # what remains of the picture's light under words


def draw_note(
    canvas: Canvas,
    text: str,
    at: tuple[int, int],
    picture_wh: tuple[int, int],
    taken: Sequence[Region],
    size_px: int | None = None,
) -> Region:
    """Small words on the bare picture: a dark ground keeps them legible on light footage.  Returns what is covered.

    at: their right edge and top, pixels; they go down where other words stand already.  size_px: of the letters; None:
    as `find_note_px` has it.
    """
    size_px = size_px or find_note_px(picture_wh)
    pad = find_pad(size_px)
    width, height, top = measure_text(text, size_px) + 2 * pad, find_height(size_px), at[1]
    left = max(0, min(at[0], picture_wh[0]) - width)
    for other in sorted(taken, key=lambda each: each.top):  # who goes down meets only what is lower
        is_beside = left + width <= other.left or left >= other.left + other.width
        if not is_beside and other.top - height < top < other.top + other.height:
            top = other.top + other.height
    ground = Region(left, top, width, height)
    if top + height <= picture_wh[1]:
        canvas.shade(ground, STRIP_LIGHT)
        draw_text(canvas, text, (left + pad, top + find_ascent(size_px)), size_px, WHITE)
    return ground


def find_note_px(picture_wh: tuple[int, int]) -> int:
    """Size of the letters of small words, pixels."""
    return max(LEAST_PX, round(find_unit(picture_wh) * SMALL_TEXT_SHARE))


def find_name_px(picture_wh: tuple[int, int]) -> int:
    """Size of the letters that name people, pixels: readable on small pictures, and never larger than the panel's."""
    return max(find_note_px(picture_wh), min(READABLE_PX, round(find_unit(picture_wh) * NAME_SHARE)))


def find_pad(size_px: int) -> int:
    """Pixels left and right of small words."""
    return max(1, size_px // 4)


def find_thickness(picture_wh: tuple[int, int]) -> int:
    """Pixels of the lines that mark a region."""
    return max(1, round(min(picture_wh) * 0.003))


def draw_corners(canvas: Canvas, region: Region, picture_wh: tuple[int, int]) -> None:
    """Mark a region by four thin angles."""
    thickness = find_thickness(picture_wh)
    arm = max(1, min(region.width, region.height) // 10)
    high, wide = min(thickness, region.height), min(thickness, region.width)
    right, bottom = region.left + region.width, region.top + region.height
    for top in (region.top, bottom - high):
        for left in (region.left, right - arm):
            canvas.fill(Region(left, top, arm, high), SOFT)
    for left in (region.left, right - wide):
        for top in (region.top, bottom - arm):
            canvas.fill(Region(left, top, wide, arm), SOFT)


def read_clock(hold_s: float, goal_s: float | None) -> str:
    """How long it has been held; with a goal how long it still is, then a tick and how long it has been."""
    held = format_duration(hold_s)
    if goal_s is None:
        return held
    return f"−{format_duration(math.ceil(goal_s - hold_s - 1e-6))}" if hold_s < goal_s else f"✓ {held}"


def draw_text(
    canvas: Canvas, text: str, at: tuple[int, int], size_px: int, colour: Bgr, *, right: bool = False
) -> None:
    """Blend a line in.  at: x (left, or right edge if `right`) and y of the letters' base, pixels."""
    if not text:
        return
    ink = render_text(text, size_px, colour)
    x = at[0] - ink.levels.shape[1] if right else at[0]
    canvas.blend(ink, (max(0, x), max(0, at[1] - find_ascent(size_px))))
