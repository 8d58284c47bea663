"""The demonstration clip: the package's own figure moves through poses and rests between them.

It shows what the program does on a machine without camera or network; how well the model does is no matter of drawings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from ..core.frames import TimedFrame
from .base import SourceInfo
from .drawn_figure import POSES, Pose, blend_poses, draw_figure

RATE = Fraction(25)
SIZE_WH = (960, 540)
PROGRAMME = ("tree", "warrior_2", "down_dog", "chair", "goddess")
REST_S, MOVE_S, HOLD_S = 1.6, 1.0, 3.4


@dataclass(frozen=True)
class Step:
    """One stretch of the clip: a movement between two poses, or the stillness of one."""

    start: Pose
    end: Pose
    duration_s: float


def list_steps() -> list[Step]:
    """Rest, move, hold, move back, for every pose of the programme."""
    rest = POSES["standing"]
    steps = [Step(rest, rest, REST_S)]
    for name in PROGRAMME:
        pose = POSES[name]
        steps += [
            Step(rest, pose, MOVE_S),
            Step(pose, pose, HOLD_S),
            Step(pose, rest, MOVE_S),
            Step(rest, rest, REST_S),
        ]
    return steps


class DemoSource:
    """The clip as a source, drawn frame by frame."""

    def __init__(self, size_wh: tuple[int, int] = SIZE_WH) -> None:
        self._steps = list_steps()
        duration_s = sum(step.duration_s for step in self._steps)
        self.info = SourceInfo("demo", size_wh, RATE, 1 / RATE, duration_s)

    def __enter__(self) -> DemoSource:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def frames(self) -> Iterator[TimedFrame]:
        """Every frame of the clip."""
        number = 0
        for step in self._steps:
            count = round(step.duration_s * RATE)
            for index in range(count):
                pose = blend_poses(step.start, step.end, _ease(index / count))
                time_s = float(number / RATE)
                self.info.seen.count(time_s, float(1 / RATE))
                yield TimedFrame(draw_figure(pose, self.info.size_wh), time_s, number)
                number += 1


def _ease(fraction: float) -> float:
    """Smoothstep: people start and end a movement slowly."""
    return fraction * fraction * (3 - 2 * fraction)
