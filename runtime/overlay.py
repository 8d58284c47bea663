"""Drawing the answer on the picture: calm, legible from three metres, any script."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from .opencv import cv2
from .pose_names import SANSKRIT, display_name
from .preprocess import Frame
from .progress import format_duration
from .regions import Region
from .session import Hold

FONT = Path(__file__).parent / "fonts" / "DejaVuSans.ttf"
"""DejaVu Sans: Latin with every Sanskrit diacritic, Greek, Cyrillic; OpenCV 4 has ASCII alone."""

WHITE = (255, 255, 255)
SOFT = (205, 205, 205)
ACCENT = (150, 205, 120)  # BGR, a calm green
STRIP_SHARE = 0.19  # of the picture's height
CAPTION_SHARE = 0.3  # of the picture's shorter side: a countdown is read from across the room
STRIP_LIGHT = 0.32  # what remains of the picture's light under the strip


@dataclass(frozen=True)
class OverlayStyle:
    """show_fps: the loop's speed in the corner; mirror: flip the picture (a camera as a mirror), never the text.

    goals_s: label -> seconds that it is to be held; the clock counts down to it.  is_still: a photo, where nothing is
    held: the confidence stands in the clock's place.
    """

    show_fps: bool = True
    mirror: bool = False
    goals_s: Mapping[str, float] = field(default_factory=dict)
    is_still: bool = False


def draw_overlay(
    frame_bgr: Frame,
    hold: Hold,
    fps: float | None = None,
    style: OverlayStyle | None = None,
    region: Region | None = None,
) -> Frame:
    """Return a copy of the frame with pose, confidence, hold time and FPS.  frame_bgr: uint8 (H, W, 3).

    region: the part that was classified; its corners are marked.
    """
    style = style or OverlayStyle()
    scene = frame_bgr.copy()
    if region:
        _draw_corners(scene, region)
    if style.mirror:
        scene = np.asarray(cv2.flip(scene, 1), dtype=np.uint8)
    height, width = scene.shape[:2]
    unit = min(height, width * 0.75)  # a tall phone video is narrow: text must still fit
    strip = round(unit * STRIP_SHARE)
    top, margin = height - strip, round(unit * 0.035)
    area = scene[top:]
    cv2.convertScaleAbs(area, area, STRIP_LIGHT, 0)
    _draw_names(scene, hold, top, margin, unit, "no pose" if style.is_still else "resting")
    if not hold.is_resting:
        goal_s = style.goals_s.get(hold.pose)
        percent = f"{hold.confidence:.0%}"
        clock = percent if style.is_still else _read_clock(hold.hold_s, goal_s)
        _draw_text(scene, clock, (width - margin, top + round(unit * 0.02)), unit * 0.085, WHITE, right=True)
        if not style.is_still:
            _draw_text(scene, percent, (width - margin, top + round(unit * 0.125)), unit * 0.04, SOFT, right=True)
        _draw_bar(scene, hold.hold_s / goal_s if goal_s else hold.confidence, unit)
    if style.show_fps and fps is not None:
        _draw_text(scene, f"{fps:.0f} FPS", (width - margin, margin), unit * 0.036, WHITE, right=True, shade=True)
    return scene


def draw_caption(frame_bgr: Frame, words: str) -> Frame:
    """Return a copy of the frame with a few words, large, in the middle.  frame_bgr: uint8 (H, W, 3)."""
    scene = frame_bgr.copy()
    height, width = scene.shape[:2]
    size = min(height, width) * CAPTION_SHARE
    size *= min(1.0, 0.9 * width / max(_measure_text(words, max(8, round(size))), 1))
    mask_height, mask_width = _render_text(words, max(8, round(size))).shape
    at = max(0, (width - mask_width) // 2), max(0, (height - mask_height) // 2)
    cv2.convertScaleAbs(scene[at[1] : at[1] + mask_height], scene[at[1] : at[1] + mask_height], STRIP_LIGHT, 0)
    _draw_text(scene, words, at, size, WHITE)
    return scene


def _draw_corners(scene: Frame, region: Region) -> None:
    """Mark a region by four thin angles."""
    thickness = max(1, round(min(scene.shape[:2]) * 0.003))
    arm = max(1, min(region.width, region.height) // 10)
    right, bottom = region.left + region.width, region.top + region.height
    for top in (region.top, max(region.top, bottom - thickness)):
        for left in (region.left, max(region.left, right - arm)):
            scene[top : min(top + thickness, bottom), left : min(left + arm, right)] = SOFT
    for left in (region.left, max(region.left, right - thickness)):
        for top in (region.top, max(region.top, bottom - arm)):
            scene[top : min(top + arm, bottom), left : min(left + thickness, right)] = SOFT


def _draw_names(scene: Frame, hold: Hold, top: int, margin: int, unit: float, resting: str) -> None:
    """Pose and, where known, its Sanskrit name; resting is said quietly."""
    if hold.is_resting:
        _draw_text(scene, resting, (margin, top + round(unit * 0.055)), unit * 0.055, SOFT)
        return
    room = scene.shape[1] - 3 * margin - round(unit * 0.26)
    name = display_name(hold.pose)
    size = unit * 0.085
    size *= min(1.0, room / max(_measure_text(name, max(8, round(size))), 1))
    _draw_text(scene, name, (margin, top + round(unit * 0.02)), size, WHITE)
    subtitle = SANSKRIT.get(hold.pose, "")
    if subtitle:
        _draw_text(scene, subtitle, (margin, top + round(unit * 0.125)), unit * 0.04, SOFT)


def _read_clock(hold_s: float, goal_s: float | None) -> str:
    """How long it has been held; with a goal how long it still is, then a tick and how long it has been."""
    if goal_s is None:
        return format_duration(hold_s)
    return f"−{format_duration(math.ceil(goal_s - hold_s))}" if hold_s < goal_s else f"✓ {format_duration(hold_s)}"


def _draw_bar(scene: Frame, share: float, unit: float) -> None:
    """Confidence, or how much of a goal is reached, as a thin line along the lower edge."""
    height, width = scene.shape[:2]
    thickness = max(2, round(unit * 0.012))
    scene[height - thickness :, : round(width * min(max(share, 0.0), 1.0))] = ACCENT


def _draw_text(
    scene: Frame,
    text: str,
    at: tuple[int, int],
    size: float,
    colour: tuple[int, int, int],
    *,
    right: bool = False,
    shade: bool = False,
) -> None:
    """Blend text into the scene.  at: x (left, or right edge if `right`) and y (top), pixels; size: pixels."""
    mask = _render_text(text, max(8, round(size)))
    height, width = mask.shape
    x = max(0, at[0] - width if right else at[0])
    area = scene[at[1] : at[1] + height, x : x + width]
    mask = mask[: area.shape[0], : area.shape[1]]
    if shade:  # on the bare picture, a dark ground keeps the text legible on light footage
        cv2.convertScaleAbs(area, area, STRIP_LIGHT, 0)
    ink = np.empty_like(area)
    ink[:] = colour
    area[:] = _blend(area, ink, mask)


def _blend(ground: Frame, ink: Frame, mask: npt.NDArray[np.uint8]) -> Frame:
    """ground + (ink - ground) * mask / 255, in 16-bit integers."""
    alpha = mask[:, :, None].astype(np.uint16)
    return ((ink * alpha + ground * (255 - alpha) + 127) // 255).astype(np.uint8)


@lru_cache(maxsize=8)
def _load_font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(FONT), size)


def _measure_text(text: str, size: int) -> int:
    return round(_load_font(size).getlength(text))


@lru_cache(maxsize=256)
def _render_text(text: str, size: int) -> npt.NDArray[np.uint8]:
    """Render text once: an opacity mask, uint8 (h, w).  The same words come back in every frame."""
    font = _load_font(size)
    ascent, descent = font.getmetrics()
    image = Image.new("L", (max(1, round(font.getlength(text)) + 2), ascent + descent))
    ImageDraw.Draw(image).text((0, 0), text, fill=255, font=font)
    return np.asarray(image, dtype=np.uint8)
