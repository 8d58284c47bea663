"""What is held at a moment of a recording, smoothed with a few seconds of its future."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from ..classifier import PoseClassifier
from ..core.types import NO_POSE, Hold, Segment
from .hmm_smoother import Hindsight
from .observer import Look, Tracked

AHEAD_S = 4.0
"""How far the looks are ahead of the picture that is drawn: evidence from later than that moves no edge any more."""


class Foresight:
    """What is held at a moment of a recording, once the moments after it have been looked at."""

    def __init__(self, classifier: PoseClassifier) -> None:
        self._hindsight = Hindsight(classifier.labels, classifier.info.threshold)
        self._looks: deque[Look] = deque()
        self._recent: tuple[Segment, ...] = ()
        self._smoothed_s, self.looked_s = -1.0, -1.0
        self._pose, self._since_s = NO_POSE, 0.0

    def add(self, look: Look) -> None:
        """Take a look; its time never goes back."""
        self._hindsight.update(look.time_s, look.probabilities)
        self._looks.append(look)
        self.looked_s = look.time_s

    def tell(self, time_s: float) -> Tracked:
        """What is held at `time_s` (seconds, never going back), and what the look at it found."""
        if self.looked_s > self._smoothed_s + AHEAD_S / 8:
            self._smoothed_s = self.looked_s
            self._recent = self._hindsight.segments(since_s=time_s - 4 * AHEAD_S)
        while len(self._looks) > 1 and self._looks[1].time_s <= time_s:
            self._looks.popleft()
        segment = next((s for s in self._recent if s.start_s <= time_s < s.end_s), self._recent[-1])
        if segment.pose != self._pose:
            self._pose, self._since_s = segment.pose, min(segment.start_s, time_s)
        hold = Hold(self._pose, segment.confidence, time_s - self._since_s)
        return Tracked(hold, self._looks[0].region, self._looks[0].evidence)

    def segments(self, end_s: float) -> tuple[Segment, ...]:
        """The timeline up to `end_s`, seconds: looks may have gone further."""
        told = self._hindsight.segments(end_s=end_s)
        return tuple(replace(each, end_s=min(each.end_s, end_s)) for each in told if each.start_s <= end_s)
