"""Find people near and far: the same network on a small and on a large picture."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from ..core.regions import Region
from ..core.types import Floats
from .people import People

FAR_SIDE = 640
"""Longer side of the second input, in which people far away are large enough."""
IDLE_LOOKS = 3
SURE_SCORE = 0.25
"""From this score on, somebody is there."""
MOST_COVERED = 0.5
"""Of a box of the large picture, by a box of the small one: more, and it is the same person or a part of them."""


class Finder(Protocol):
    """Whatever finds the people of a frame."""

    def find(
        self, frame_bgr: npt.NDArray[np.generic], region: Region | None = None, *, min_score: float | None = None
    ) -> People:
        """Find the people of one frame, as `PeopleFinder.find` does."""
        ...


class TwoScaleFinder:
    """Finds large people in a small picture, and small ones in a large picture.

    The network knows people of a certain size in its input: those who fill the frame are missed in a large input, those
    far away in a small one.
    """

    def __init__(self, near: Finder, far: Finder, *, always: bool) -> None:
        """near: looks at a small picture; far: at a large one, always, or where `near` finds nobody for sure.

        Where neither finds anybody, the large picture, which costs several times as much, is left out of the next
        `IDLE_LOOKS` looks.
        """
        self._near, self._far, self._always = near, far, always
        self._idle = 0

    def renew(self) -> TwoScaleFinder:
        """Make a finder of the same kind that has seen nothing yet."""
        return TwoScaleFinder(self._near, self._far, always=self._always)

    def find(
        self, frame_bgr: npt.NDArray[np.generic], region: Region | None = None, *, min_score: float | None = None
    ) -> People:
        """Find the people of one frame, the surest first; arguments and errors as `PeopleFinder.find` has them."""
        near = self._near.find(frame_bgr, region, min_score=min_score)
        if not self._always:
            if near.scores.max(initial=0) >= SURE_SCORE:
                self._idle = 0
                return near
            if self._idle:
                self._idle -= 1
                return near
        far = self._far.find(frame_bgr, region, min_score=min_score)
        self._idle = 0 if far.scores.max(initial=0) >= SURE_SCORE else IDLE_LOOKS
        far = far.select(find_covered(far.boxes, near.boxes) < MOST_COVERED)
        both = near.join(far)
        return both.select(np.argsort(-both.scores, kind="stable"))


def find_covered(boxes: Floats, others: Floats) -> Floats:
    """How much of each box, float (N, 4), the box that covers most of it covers, float (N,), 0 to 1; others: (M, 4)."""
    if not len(others):
        return np.zeros(len(boxes), np.float32)
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    areas = np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(axis=1), 1e-9)
    return np.asarray((shared / areas[:, None]).max(axis=1), np.float32)
