"""Looks at every third of the frames that are due, and at those between only where the two disagree.

Between two observations half a second apart that say the same, the network would say it twice more; and what lasts
shorter is no pose to `HmmSmoother`.  What is left out is taken from the line between the two.  On seventeen clips 45 %
of the observations are left, 80 % with noise on all answers, and at most 0.2 % of the frames are named otherwise
(`benchmarks/smoothing.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..core.frames import TimedFrame
from ..core.types import Floats
from .observer import Crops, Observation, Observer, PreparedFrame, pick_main

EVERY = 3
"""Of the frames that are due, every third is observed whatever the others say."""
LONGEST_S = 0.75
"""Observations further apart say nothing of what is between them: a video of few frames is observed whole."""
SAME = 0.1
"""What no probability differs by more than where two observations say the same."""


class AdaptiveObserver:
    """An observer for recordings: its observations come late, by as many as lie between two that are compared."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._last: Observation | None = None
        self._waiting: list[PreparedFrame] = []

    def observe(self, frame: TimedFrame, *, warms: bool = False) -> list[Observation]:
        """Take a frame; its time never goes back.  Returns the observations that are known by now and were not before.

        warms: show it to the next cropper too.
        """
        if self._observer.explains:
            return [self._observer.observe(frame, warms=warms)]
        self._waiting.append(self._observer.prepare(frame, warms=warms))
        if self._last is None:
            return self.finish(goes_on=True)
        return self._compare(self._last) if len(self._waiting) == EVERY else []

    def finish(self, *, goes_on: bool = False) -> list[Observation]:
        """Observe all that wait; what follows, if it does not go on, is another recording, or another chunk of it."""
        observations = [self._observer.observe_prepared(prepared) for prepared in self._waiting]
        self._waiting.clear()
        self._last = observations[-1] if goes_on else None
        return observations

    def _compare(self, last: Observation) -> list[Observation]:
        newest = self._observer.observe_prepared(self._waiting.pop())
        agree = _agree(last, self._waiting, newest)
        between = [
            _fill_in(last, prepared, newest) if agree else self._observer.observe_prepared(prepared)
            for prepared in self._waiting
        ]
        self._waiting.clear()
        self._last = newest
        return [*between, newest]


def _agree(one: Observation, prepared: Sequence[PreparedFrame], other: Observation) -> bool:
    """Whether two observations say the same of everybody, and nobody came or went between them."""
    if other.time_s - one.time_s > LONGEST_S:
        return False
    numbers = _list_group(one.crops)
    if any(_list_group(each.crops) != numbers for each in (*prepared, other)):
        return False
    difference = np.abs(_all_rows(other) - _all_rows(one))
    return float(difference.max(initial=0)) <= SAME


def _fill_in(last: Observation, prepared: PreparedFrame, newest: Observation) -> Observation:
    share = (prepared.time_s - last.time_s) / max(newest.time_s - last.time_s, 1e-9)
    rows = _all_rows(last) + share * (_all_rows(newest) - _all_rows(last))
    crops = prepared.crops
    if crops is None or crops.group is None:
        return Observation(prepared.time_s, prepared.region, rows[0], crops=crops)
    return Observation(prepared.time_s, prepared.region, pick_main(crops, rows), crops=crops, rows=rows)


def _list_group(crops: Crops | None) -> list[int] | None:
    """Who is classified, by number; None: the main person alone."""
    return None if crops is None or crops.group is None else [number for number, _ in crops.group]


def _all_rows(observation: Observation) -> Floats:
    return observation.probabilities[None] if observation.rows is None else observation.rows
