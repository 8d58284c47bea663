"""What is held at a moment of a recording, smoothed with a few seconds of its future."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from ..classifier import PoseClassifier
from ..core.types import NO_POSE, Hold, Segment
from .hmm_smoother import HmmSmoother
from .observer import Observation, Tracked

AHEAD_S = 4.0
"""How far the observations are ahead of the picture that is drawn: evidence from later than that moves no edge any
more."""


class FixedLagSmoother:
    """What is held at a moment of a recording, once the moments after it have been observed."""

    def __init__(self, classifier: PoseClassifier) -> None:
        self._smoother = HmmSmoother(classifier.labels, classifier.info.threshold)
        self._observations: deque[Observation] = deque()
        self._recent: tuple[Segment, ...] = ()
        self._smoothed_s, self.observed_s = -1.0, -1.0
        self._pose, self._since_s = NO_POSE, 0.0

    def add(self, observation: Observation) -> None:
        """Take an observation; its time never goes back."""
        self._smoother.update(observation.time_s, observation.probabilities)
        self._observations.append(observation)
        self.observed_s = observation.time_s

    def state_at(self, time_s: float) -> Tracked:
        """What is held at `time_s` (seconds, never going back), and what the observation at it found."""
        if self.observed_s > self._smoothed_s + AHEAD_S / 8:
            self._smoothed_s = self.observed_s
            self._recent = self._smoother.segments(since_s=time_s - 4 * AHEAD_S)
        while len(self._observations) > 1 and self._observations[1].time_s <= time_s:
            self._observations.popleft()
        segment = next((s for s in self._recent if s.start_s <= time_s < s.end_s), self._recent[-1])
        if segment.pose != self._pose:
            self._pose, self._since_s = segment.pose, min(segment.start_s, time_s)
        hold = Hold(self._pose, segment.confidence, time_s - self._since_s)
        return Tracked(hold, self._observations[0].region, self._observations[0].class_maps)

    def segments(self, end_s: float) -> tuple[Segment, ...]:
        """The timeline up to `end_s`, seconds: observations may have gone further."""
        told = self._smoother.segments(end_s=end_s)
        return tuple(replace(each, end_s=min(each.end_s, end_s)) for each in told if each.start_s <= end_s)
