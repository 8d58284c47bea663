"""What a living room does to a clip, made on the fly: a source around a source."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from yoga_live.runtime.core.frames import TimedFrame
from yoga_live.runtime.core.types import Frame
from yoga_live.runtime.photos.decoding import decode_photo
from yoga_live.runtime.sources.base import Source

DISTORTIONS: tuple[str, ...] = (
    "none",
    "corner",
    "dark",
    "mirror",
    "turn5",
    "low",
    "screen",
    "corner_screen",
    "handheld",
)
CORNER_SHARE = 0.45
"""Sides of the shrunk clip, of the frame's."""
DARK_LIGHT = 0.35
LOW_SIDE, LOW_FPS = 360, 5
SCREEN_SHARE = 0.18
"""Sides of a television in the room, of the frame's: it never stops moving."""
Change = Callable[[Frame, float], Frame]


class DistortedSource:
    """Give each frame of a source distorted; `low` also drops frames."""

    def __init__(self, source: Source, name: str, clutter: list[Path]) -> None:
        self._source, self._low = source, name == "low"
        self._change = choose_change(name, source.info.name, source.info.size_wh, clutter)
        self.info = source.info
        if self._low:
            self.info = replace(source.info, size_wh=low_size(source.info.size_wh), rate=Fraction(LOW_FPS))

    def __enter__(self) -> DistortedSource:
        self._source.__enter__()
        return self

    def __exit__(self, *exit_info: object) -> None:
        self._source.__exit__(*exit_info)

    def frames(self) -> Iterator[TimedFrame]:
        """Every frame, or five a second."""
        due_s = 0.0
        for frame in self._source.frames():
            if frame.time_s < due_s - 1e-6:
                continue
            if self._low:
                due_s = max(due_s + 1 / LOW_FPS, frame.time_s)
            yield TimedFrame(self._change(frame.image_bgr, frame.time_s), frame.time_s, frame.pts)


def choose_change(name: str, clip: str, size_wh: tuple[int, int], clutter: list[Path]) -> Change:
    """The change of one frame at a time in seconds.  Which photos and which corner depends on the clip's name alone."""
    number = zlib.crc32(clip.encode())
    if "corner" in name:
        corner = Corner(decode_photo(clutter[number % len(clutter)]), size_wh, number % 4)
        if name == "corner":
            return lambda frame, _: corner(frame)
        screen = Screen(decode_photo(clutter[(number + 1) % len(clutter)]), size_wh, 3 - number % 4)
        return lambda frame, time_s: screen(corner(frame), time_s)
    if name == "screen":
        return Screen(decode_photo(clutter[(number + 1) % len(clutter)]), size_wh, number % 4)
    if name == "handheld":
        return shake
    changes: dict[str, Callable[[Frame], Frame]] = {
        "none": lambda frame: frame,
        "dark": lambda frame: np.asarray(cv2.convertScaleAbs(frame, alpha=DARK_LIGHT), np.uint8),
        "mirror": lambda frame: np.ascontiguousarray(frame[:, ::-1]),
        "low": lambda frame: resize(frame, low_size((frame.shape[1], frame.shape[0]))),
        "turn5": turn,
    }
    return lambda frame, _: changes[name](frame)


class Screen:
    """A television in a corner of the frame: a photo that wanders through it, another part of it every two seconds."""

    def __init__(self, photo: Frame, size_wh: tuple[int, int], corner: int) -> None:
        width, height = size_wh
        self._inner_wh = round(width * SCREEN_SHARE), round(height * SCREEN_SHARE)
        self._picture = resize(photo, (2 * self._inner_wh[0], 2 * self._inner_wh[1]))
        self._left = (corner % 2) * (width - self._inner_wh[0])
        self._top = (corner // 2) * (height - self._inner_wh[1])

    def __call__(self, frame: Frame, time_s: float) -> Frame:
        width, height = self._inner_wh
        shift = round((time_s % 2) * 0.3 * width + (time_s // 2) * 0.7 * width)
        part = np.roll(self._picture, shift, axis=1)[:height, :width]
        scene = frame.copy()
        scene[self._top : self._top + height, self._left : self._left + width] = part
        return scene


class Corner:
    """The clip shrunk into a corner of a photo that fills the frame; corner: 0 to 3, row by row."""

    def __init__(self, photo: Frame, size_wh: tuple[int, int], corner: int) -> None:
        width, height = size_wh
        scale = max(width / photo.shape[1], height / photo.shape[0])
        filled = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        top, left = max(0, filled.shape[0] - height) // 2, max(0, filled.shape[1] - width) // 2
        self._ground = resize(np.asarray(filled[top : top + height, left : left + width], np.uint8), size_wh)
        self._inner_wh = round(width * CORNER_SHARE), round(height * CORNER_SHARE)
        self._left = (corner % 2) * (width - self._inner_wh[0])
        self._top = (corner // 2) * (height - self._inner_wh[1])

    def __call__(self, frame: Frame) -> Frame:
        scene = self._ground.copy()
        width, height = self._inner_wh
        scene[self._top : self._top + height, self._left : self._left + width] = resize(frame, self._inner_wh)
        return scene


def shake(frame: Frame, time_s: float) -> Frame:
    """A phone held in a hand: 1 % of the width in slow sway, 0.2 % in tremor (2 and 9 a second), a degree of roll."""
    height, width = frame.shape[:2]
    sway, tremor = 0.01 * width, 0.002 * width
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), math.sin(1.1 * time_s), 1.03)
    matrix[0, 2] += sway * math.sin(0.9 * time_s) + tremor * math.sin(2 * math.pi * 9 * time_s)
    matrix[1, 2] += sway * math.sin(1.7 * time_s) + tremor * math.sin(2 * math.pi * 2 * time_s)
    return np.asarray(cv2.warpAffine(frame, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8)


def turn(frame: Frame) -> Frame:
    """Turn by five degrees, edges continued."""
    height, width = frame.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 5, 1)
    return np.asarray(cv2.warpAffine(frame, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8)


def low_size(size_wh: tuple[int, int]) -> tuple[int, int]:
    """360p of a size."""
    scale = LOW_SIDE / min(size_wh)
    return round(size_wh[0] * scale), round(size_wh[1] * scale)


def resize(frame: Frame, size_wh: tuple[int, int]) -> Frame:
    """Resize without aliasing."""
    return np.asarray(cv2.resize(frame, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
