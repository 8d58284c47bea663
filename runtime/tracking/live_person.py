"""What one person in front of a camera holds."""

from __future__ import annotations

import math
from dataclasses import replace

from ..core.types import NO_POSE, Hold, Segment
from .bodies import LiveBody
from .causal_smoother import SmoothedPose, Smoother
from .segments import Session
from .sight import HIDDEN_S, Look, Sight


class LivePerson:
    """Smoother, side and angles, and session in a row."""

    def __init__(self, labels: tuple[str, ...], threshold: float, number: int | None = None) -> None:
        """number: whose it is, where several people are followed."""
        self._labels, self._threshold, self._session = labels, threshold, Session(number)
        self._smoother: Smoother | None = None
        self._smoothed: SmoothedPose | None = None
        self._body, self._sight = LiveBody(), Sight()
        self.time_s = -math.inf  # of the last look

    @property
    def _pose(self) -> str:
        return self._smoothed.pose if self._smoothed else NO_POSE

    def update(self, look: Look) -> Hold:
        """Take a look; who comes back begins anew.  While no whole person is seen, what is held stands still."""
        if self._smoother is None:
            self._smoother, self._body, self._sight = Smoother(self._labels, self._threshold), LiveBody(), Sight()
        self.time_s, before, seen_s = look.time_s, self._pose, self._sight.seen_s
        looks = self._sight.take(look, lambda: before)
        if not looks:
            return self.stand_still(look.time_s)
        smoothed = self._smoothed = [self._smoother.update(each.time_s, each.probabilities) for each in looks][-1]
        if len(looks) > 1 and seen_s is not None and self._pose != before:  # it was given up: it ends at the last sight
            self._end(look.time_s, seen_s)
            smoothed = replace(smoothed, since_s=seen_s if self._pose == NO_POSE else max(smoothed.since_s, seen_s))
            self._smoothed = smoothed
        return self._session.update(look.time_s, smoothed, *self._body.update(look.time_s, smoothed.pose, look.person))

    @property
    def has_begun(self) -> bool:
        """Whether something was seen since they were lost."""
        return self._smoothed is not None

    def repeat(self, time_s: float) -> Hold:
        """Nothing is known of `time_s`: what is held goes on."""
        assert self._smoothed is not None
        if self._sight.is_hidden:
            return self.stand_still(time_s)
        return self._session.update(time_s, self._smoothed, *self._body.update(time_s, self._pose, None))

    def stand_still(self, time_s: float) -> Hold:
        """Nothing can be said at `time_s`: what is held neither ends nor grows."""
        assert self._smoothed is not None
        kept = self._smoothed if self._pose == NO_POSE else replace(self._smoothed, leads=False)
        return self._session.update(time_s, kept, *self._body.update(time_s, kept.pose, None))

    def miss(self, time_s: float) -> None:
        """They are not found at `time_s`: what they hold ends where they were seen whole last, after a while."""
        if self._smoother is None:
            return
        seen_s = self.time_s if self._sight.seen_s is None else self._sight.seen_s
        if self._pose == NO_POSE or time_s - seen_s >= HIDDEN_S:
            self.lose(time_s, seen_s if self._pose != NO_POSE else time_s)

    def lose(self, time_s: float, end_s: float) -> Hold:
        """End what they hold at `end_s`, as is known at `time_s`: what nobody saw is `none`, of no confidence."""
        self._smoother, self._smoothed, self.time_s = None, None, max(self.time_s, end_s)
        return self._end(time_s, end_s)

    def _end(self, time_s: float, end_s: float) -> Hold:
        return self._session.update(time_s, SmoothedPose(NO_POSE, 0.0, end_s, leads=False))

    def segments(self) -> tuple[Segment, ...]:
        """The timeline so far, the running segment included; what waits for a whole person ends at the last sight."""
        return self._session.segments(self._sight.seen_s if self._sight.is_hidden else None)
