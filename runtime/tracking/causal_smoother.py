"""Probabilities over time to a steady pose.  Causal; every constant is in seconds, so 5 and 60 FPS agree."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..core.types import NO_POSE, Floats, best_pose


@dataclass(frozen=True)
class SmoothingConfig:
    """How much evidence changes the answer."""

    memory_s: float = 0.25  # time constant of the running mean of the probabilities
    enter_s: float = 0.3  # from `none`: a pose must lead for this long
    leave_s: float = 1.2  # from a pose: it must have lost the lead for this long, so that one bad second breaks no hold
    keep_share: float = 0.6  # a held pose stays while above this share of the threshold (hysteresis)


@dataclass(frozen=True)
class SmoothedPose:
    """pose: a label or `none`; confidence: its smoothed probability; since_s: when the evidence for it began.

    leads: False while the pose is only kept because what follows it has not lasted long enough.
    """

    pose: str
    confidence: float
    since_s: float
    leads: bool = True


class Smoother:
    """Exponential mean in time, then hysteresis: enter quickly, leave slowly."""

    def __init__(self, labels: tuple[str, ...], threshold: float, config: SmoothingConfig | None = None) -> None:
        self._labels, self._threshold = labels, threshold
        self._config = config or SmoothingConfig()
        self._mean: Floats | None = None
        self._time_s = 0.0
        self._pose, self._since_s = NO_POSE, 0.0
        self._rival, self._rival_since_s = NO_POSE, 0.0
        self._lost_since_s = 0.0

    def update(self, time_s: float, probabilities: Floats) -> SmoothedPose:
        """Take the calibrated probabilities, float (C,), of the frame at `time_s` (seconds, never going back)."""
        if self._mean is None:
            self._mean = np.array(probabilities, dtype=np.float64) / 2  # one frame alone is no certainty
            self._since_s = self._rival_since_s = time_s
        else:
            keep = math.exp(-max(time_s - self._time_s, 0.0) / self._config.memory_s)
            self._mean += (1 - keep) * (probabilities - self._mean)
        self._time_s = time_s
        leader = self._leader(self._mean)
        self._follow(time_s, leader)
        return SmoothedPose(self._pose, self._confidence(self._mean), self._since_s, leader == self._pose)

    def _leader(self, mean: Floats) -> str:
        """The pose that leads now, or `none`; the held pose leads at a lower bar than a new one."""
        best = best_pose(mean, self._labels)
        bar = self._threshold * (self._config.keep_share if self._labels[best] == self._pose else 1.0)
        beaten_by_none = NO_POSE in self._labels and mean[self._labels.index(NO_POSE)] > mean[best]
        return NO_POSE if mean[best] < bar or beaten_by_none else self._labels[best]

    def _follow(self, time_s: float, leader: str) -> None:
        """Leave what has lost the lead for long enough: to a rival that leads without a break, else to `none`."""
        if leader == self._pose:
            self._rival = self._pose
            return
        if self._rival == self._pose:
            self._lost_since_s = time_s
        if leader != self._rival:
            self._rival, self._rival_since_s = leader, time_s
        if self._pose != NO_POSE and time_s - self._lost_since_s < self._config.leave_s - 1e-9:
            return
        if leader != NO_POSE and time_s - self._rival_since_s >= self._config.enter_s - 1e-9:
            self._pose, self._since_s = leader, self._rival_since_s
        elif self._pose != NO_POSE:
            self._pose, self._since_s = NO_POSE, self._lost_since_s

    def _confidence(self, mean: Floats) -> float:
        if self._pose == NO_POSE:
            return float(1 - mean[best_pose(mean, self._labels)])
        return float(mean[self._labels.index(self._pose)])
