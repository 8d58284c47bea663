"""A crop that follows its target calmly: quick outwards, slow inwards.  Times are in seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..core.regions import WHOLE, Box


@dataclass(frozen=True)
class SteadyConfig:
    """How calmly the crop follows."""

    grow_s: float = 0.25  # time constant outwards: nothing is cut off for long
    shrink_s: float = 2.0  # time constant inwards: calm
    slack: float = 0.1  # fraction of the crop, less than the margin around a person: smaller moves are ignored


class SteadyCrop:
    """Follows a box that is chosen anew for each frame."""

    def __init__(self, config: SteadyConfig, box: Box = WHOLE) -> None:
        """box: where it starts, fractions of the frame."""
        self._config = config
        self._target = self._box = box
        self._time_s = 0.0
        self.has_begun = False

    def update(self, time_s: float, target: Box) -> Box:
        """Move towards the target of the frame at `time_s` (seconds, never decreasing).  Returns the crop."""
        elapsed_s, self._time_s = max(time_s - self._time_s, 0.0), time_s
        if _distance(target, self._target) > self._config.slack * min(_sides(target)):
            self._target = target
        self._box = self._follow(self._box, self._target, elapsed_s)
        return self._box

    def jump(self, time_s: float, target: Box) -> Box:
        """Go to the target at once.  Returns it."""
        self._target, self._box, self._time_s, self.has_begun = target, target, time_s, True
        return target

    def _follow(self, box: Box, target: Box, elapsed_s: float) -> Box:
        grow = 1 - math.exp(-elapsed_s / self._config.grow_s)
        shrink = 1 - math.exp(-elapsed_s / self._config.shrink_s)
        return Box(
            _move(box.left, target.left, grow, shrink),
            _move(box.top, target.top, grow, shrink),
            1 - _move(1 - box.right, 1 - target.right, grow, shrink),
            1 - _move(1 - box.bottom, 1 - target.bottom, grow, shrink),
        )


def _move(inset: float, target: float, grow: float, shrink: float) -> float:
    """Move one edge's distance to the frame's edge by a fraction of the way: `grow` outwards, `shrink` inwards."""
    moved = inset + (grow if target < inset else shrink) * (target - inset)
    return target if abs(moved - target) < 1e-3 else moved


def _sides(box: Box) -> tuple[float, float]:
    return box.right - box.left, box.bottom - box.top


def _distance(one: Box, other: Box) -> float:
    """Compute the largest move of an edge, as a fraction of the frame."""
    return max(
        abs(one.left - other.left),
        abs(one.top - other.top),
        abs(one.right - other.right),
        abs(one.bottom - other.bottom),
    )
