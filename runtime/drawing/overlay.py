"""Drawing the answer on the picture: calm, legible from three metres, any script."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..core.frames import Colours, DecodedFrame, TimedFrame
from ..core.labels import SANSKRIT, display_name
from ..core.regions import Region
from ..core.types import ClassMaps, Frame, Hold
from ..system.progress import format_duration
from .canvas import Bgr, BgrCanvas, Canvas, Ink, Palette, StretchedCanvas, YuvCanvas
from .heatmap import make_heat

FONT = Path(__file__).parents[1] / "fonts" / "DejaVuSans.ttf"
"""DejaVu Sans: Latin with every Sanskrit diacritic, Greek, Cyrillic; OpenCV 4 has ASCII alone."""

WHITE = (255, 255, 255)
SOFT = (205, 205, 205)
ACCENT = (150, 205, 120)  # BGR, a calm green
STRIP_SHARE = 0.19  # of the picture's height
CAPTION_SHARE = 0.3  # of the picture's shorter side: a countdown is read from across the room
STRIP_LIGHT = 0.32  # what remains of the picture's light under the strip


@dataclass(frozen=True)
class OverlayConfig:
    """show_fps: the loop's speed in the corner; mirror: flip the picture (a camera as a mirror), never the text.

    goals_s: label -> seconds that it is to be held; the clock counts down to it.  explain: show where the network saw
    the pose.  is_still: a photo, where nothing is held: the confidence stands in the clock's place.  resting: what is
    said where no pose is.
    """

    show_fps: bool = True
    mirror: bool = False
    goals_s: Mapping[str, float] = field(default_factory=dict)
    is_still: bool = False
    explain: bool = False
    resting: str = "resting"


def annotate_frame(
    frame: TimedFrame,
    hold: Hold,
    fps: float | None = None,
    style: OverlayConfig | None = None,
    region: Region | None = None,
    class_maps: ClassMaps | None = None,
    colours: Colours | None = None,
) -> TimedFrame:
    """Return a copy of the frame that is drawn on.  A file's stays in YUV, which a video file then takes as it is."""
    if frame.lost_s is not None:
        style = replace(style or OverlayConfig(), resting=f"no picture for {format_duration(frame.lost_s)}")
    if isinstance(frame, DecodedFrame):
        copy = frame.copy_plain()
        canvas: Canvas = YuvCanvas(copy.view_planes(), colours or Colours())
        if canvas.size_wh != copy.size_wh:
            canvas = StretchedCanvas(canvas, copy.size_wh)
        draw_on(canvas, hold, fps, style, region, class_maps)
        return copy
    return replace(frame, image_bgr=draw_overlay(frame.image_bgr, hold, fps, style, region, class_maps))


def draw_overlay(
    frame_bgr: Frame,
    hold: Hold,
    fps: float | None = None,
    style: OverlayConfig | None = None,
    region: Region | None = None,
    class_maps: ClassMaps | None = None,
) -> Frame:
    """Return a copy of the frame with pose, confidence, hold time and FPS.  frame_bgr: uint8 (H, W, 3).

    region: the part that was classified; its corners are marked.  evidence: what spoke for the pose is drawn as heat.
    """
    scene = frame_bgr.copy()
    draw_on(BgrCanvas(scene), hold, fps, style, region, class_maps)
    return scene


def draw_on(
    canvas: Canvas,
    hold: Hold,
    fps: float | None = None,
    style: OverlayConfig | None = None,
    region: Region | None = None,
    class_maps: ClassMaps | None = None,
) -> None:
    """Draw as `draw_overlay` does, in place."""
    style = style or OverlayConfig()
    if class_maps and not hold.is_resting and (heat := make_heat(class_maps, hold.pose, canvas.size_wh)):
        canvas.blend(*heat)
    if region:
        _draw_corners(canvas, region)
    if style.mirror:
        canvas.mirror()
    width, height = canvas.size_wh
    unit = min(height, width * 0.75)  # a tall phone video is narrow: text must still fit
    strip = round(unit * STRIP_SHARE)
    top, margin = height - strip, round(unit * 0.035)
    canvas.shade(Region(0, top, width, strip), STRIP_LIGHT)
    _draw_names(canvas, hold, top, margin, unit, "no pose" if style.is_still else style.resting)
    if not hold.is_resting:
        goal_s = style.goals_s.get(hold.pose)
        percent = f"{hold.confidence:.0%}"
        clock = percent if style.is_still else _read_clock(hold.hold_s, goal_s)
        right = width - margin
        _draw_text(canvas, clock, (right, top + round(unit * 0.02)), unit * 0.085, WHITE, right=True)
        if not style.is_still:
            _draw_text(canvas, percent, (right, top + round(unit * 0.125)), unit * 0.04, SOFT, right=True)
        _draw_bar(canvas, hold.hold_s / goal_s if goal_s else hold.confidence, unit)
    if style.show_fps and fps is not None:
        _draw_text(canvas, f"{fps:.0f} FPS", (width - margin, margin), unit * 0.036, WHITE, right=True, shade=True)


def draw_caption(frame_bgr: Frame, words: str) -> Frame:
    """Return a copy of the frame with a few words, large, in the middle.  frame_bgr: uint8 (H, W, 3)."""
    scene = frame_bgr.copy()
    canvas = BgrCanvas(scene)
    height, width = scene.shape[:2]
    size = min(height, width) * CAPTION_SHARE
    size *= min(1.0, 0.9 * width / max(_measure_text(words, max(8, round(size))), 1))
    mask_height, mask_width = _render_text(words, max(8, round(size)), WHITE).levels.shape
    at = max(0, (width - mask_width) // 2), max(0, (height - mask_height) // 2)
    canvas.shade(Region(0, at[1], width, mask_height), STRIP_LIGHT)
    _draw_text(canvas, words, at, size, WHITE)
    return scene


def _draw_corners(canvas: Canvas, region: Region) -> None:
    """Mark a region by four thin angles."""
    thickness = max(1, round(min(canvas.size_wh) * 0.003))
    arm = max(1, min(region.width, region.height) // 10)
    high, wide = min(thickness, region.height), min(thickness, region.width)
    right, bottom = region.left + region.width, region.top + region.height
    for top in (region.top, bottom - high):
        for left in (region.left, right - arm):
            canvas.fill(Region(left, top, arm, high), SOFT)
    for left in (region.left, right - wide):
        for top in (region.top, bottom - arm):
            canvas.fill(Region(left, top, wide, arm), SOFT)


def _draw_names(canvas: Canvas, hold: Hold, top: int, margin: int, unit: float, resting: str) -> None:
    """Pose and, where known, its Sanskrit name; resting is said quietly."""
    if hold.is_resting:
        _draw_text(canvas, resting, (margin, top + round(unit * 0.055)), unit * 0.055, SOFT)
        return
    room = canvas.size_wh[0] - 3 * margin - round(unit * 0.26)
    name = display_name(hold.pose)
    size = unit * 0.085
    size *= min(1.0, room / max(_measure_text(name, max(8, round(size))), 1))
    _draw_text(canvas, name, (margin, top + round(unit * 0.02)), size, WHITE)
    subtitle = SANSKRIT.get(hold.pose, "")
    if subtitle:
        _draw_text(canvas, subtitle, (margin, top + round(unit * 0.125)), unit * 0.04, SOFT)


def _read_clock(hold_s: float, goal_s: float | None) -> str:
    """How long it has been held; with a goal how long it still is, then a tick and how long it has been.

    In whole seconds that have passed, as the live page counts them.
    """
    held = format_duration(math.floor(hold_s + 1e-6))
    if goal_s is None:
        return held
    return f"−{format_duration(math.ceil(goal_s - hold_s - 1e-6))}" if hold_s < goal_s else f"✓ {held}"


def _draw_bar(canvas: Canvas, share: float, unit: float) -> None:
    """Confidence, or how much of a goal is reached, as a thin line along the lower edge."""
    width, height = canvas.size_wh
    thickness = min(max(2, round(unit * 0.012)), height)
    canvas.fill(Region(0, height - thickness, round(width * min(max(share, 0.0), 1.0)), thickness), ACCENT)


def _draw_text(
    canvas: Canvas,
    text: str,
    at: tuple[int, int],
    size: float,
    colour: Bgr,
    *,
    right: bool = False,
    shade: bool = False,
) -> None:
    """Blend text into the scene.  at: x (left, or right edge if `right`) and y (top), pixels; size: pixels."""
    ink = _render_text(text, max(8, round(size)), colour)
    height, width = ink.levels.shape
    x = max(0, at[0] - width if right else at[0])
    if shade:  # on the bare picture, a dark ground keeps the text legible on light footage
        canvas.shade(Region(x, at[1], width, height), STRIP_LIGHT)
    canvas.blend(ink, (x, at[1]))


@lru_cache(maxsize=8)
def _load_font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(FONT), size)


def _measure_text(text: str, size: int) -> int:
    return round(_load_font(size).getlength(text))


@lru_cache(maxsize=64)
def _render_text(text: str, size: int, colour: Bgr) -> Ink:
    """Render text once: the same words come back in every frame."""
    font = _load_font(size)
    ascent, descent = font.getmetrics()
    image = Image.new("L", (max(1, round(font.getlength(text)) + 2), ascent + descent))
    ImageDraw.Draw(image).text((0, 0), text, fill=255, font=font)
    return Ink(np.asarray(image, dtype=np.uint8), Palette.of(colour))
