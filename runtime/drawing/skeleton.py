"""The key points of a person, joined to a skeleton over the picture."""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

import numpy as np

from ..core.opencv import cv2
from ..core.regions import Region
from ..core.types import Floats
from .canvas import Ink, Palette
from .notes import find_thickness

BONES = (
    *((5, 6), (11, 12), (5, 11), (6, 12)),  # trunk
    *((5, 7), (7, 9), (6, 8), (8, 10)),  # arms
    *((11, 13), (13, 15), (12, 14), (14, 16)),  # legs
    *((0, 1), (0, 2), (1, 3), (2, 4)),  # face
)
"""Pairs of COCO's 17 key points, in the order of `yoga_live.runtime.people.KEYPOINTS`."""
SURE = 0.2
"""Key points below this score are guesses, and not drawn."""
EDGE_LEVEL, BONE_LEVEL = 128, 255
"""Dark around light can be seen on every ground, on the heat too."""
EDGE_BGR, BONE_BGR = (30, 26, 20), (250, 245, 235)
OPACITY = 0.9


class Body(Protocol):
    """A person's key points.  keypoints: float32 (17, 2), x and y in pixels of the frame; keypoint_scores: (17,)."""

    @property
    def keypoints(self) -> Floats: ...

    @property
    def keypoint_scores(self) -> Floats: ...


@lru_cache(maxsize=2)  # who was found in a look is drawn on several frames
def make_skeleton(body: Body, size_wh: tuple[int, int]) -> tuple[Ink, tuple[int, int]] | None:
    """The skeleton and where it lies, x and y, in a frame of this size; None where no key point is sure."""
    is_sure = body.keypoint_scores >= SURE
    line = find_thickness(size_wh)
    around = 4 * line
    low, high = np.array([-around, -around]), np.array(size_wh) + around
    points = np.rint(np.clip(body.keypoints, low, high)).astype(int)
    if not is_sure.any():
        return None
    left, top = np.maximum(points[is_sure].min(axis=0) - around, 0).tolist()
    right, bottom = np.minimum(points[is_sure].max(axis=0) + around, size_wh).tolist()
    left, top = left - left % 2, top - top % 2  # where a sample of the chroma begins
    if right <= left or bottom <= top:
        return None
    seen = Region(left, top, right - left, bottom - top)
    places = [(int(x) - left, int(y) - top) for x, y in points]
    levels = np.zeros((seen.height, seen.width), np.uint8)
    for level, wider in ((EDGE_LEVEL, line), (BONE_LEVEL, 0)):
        for one, other in BONES:
            if is_sure[one] and is_sure[other]:
                cv2.line(levels, places[one], places[other], level, line + wider, cv2.LINE_AA)
        for place in (place for place, sure in zip(places, is_sure, strict=True) if sure):
            cv2.circle(levels, place, line + wider, level, cv2.FILLED, cv2.LINE_AA)
    return Ink(levels, _make_palette()), (left, top)


@lru_cache(maxsize=1)
def _make_palette() -> Palette:
    levels = np.arange(256)
    opacity = np.interp(levels, [0, EDGE_LEVEL, BONE_LEVEL], [0, OPACITY, OPACITY])
    steps = [EDGE_LEVEL, BONE_LEVEL]
    colours = [np.interp(levels, steps, channel) for channel in zip(EDGE_BGR, BONE_BGR, strict=True)]
    return Palette(opacity, np.stack(colours, axis=1))
