"""What is held at a moment of a recording, smoothed with a few seconds of its future."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain

import numpy as np

from ..core.model_metadata import ModelInfo
from ..core.types import NO_POSE, Hold, Segment, Side
from .bodies import BodyHistory
from .hmm_smoother import HmmSmoother
from .observer import Observation, Tracked, observe_nothing
from .segments import end_at_sight, merge_segments
from .settling import Settling, rename_settled
from .sight import Look, Sight

AHEAD_S = 4.0
"""How far the observations are ahead of the picture that is drawn: evidence from later than that moves no edge any
more."""
GONE_S = 3.0
"""Of several people: who has been away for so long is not counted any more until they come back."""


AWAY_STEP_S = 0.25
"""So often it is noted of somebody who comes back that they were away: else what they hold would begin before."""


class PersonSmoother:
    """What one person holds at a moment of a recording."""

    def __init__(self, info: ModelInfo) -> None:
        """info: labels and threshold."""
        self._smoother = HmmSmoother(info.labels, info.threshold)
        self._body = BodyHistory()
        self._recent: tuple[Segment, ...] = ()
        self._sight, self._hidden = Sight(), list[tuple[float, float]]()
        self._smoothed_s, self.observed_s = -1.0, -1.0
        self._pose, self._since_s = NO_POSE, 0.0
        self._side: Side | None = None

    def add(self, look: Look) -> None:
        """Take a look; its time never goes back.  While no whole person is seen, it waits."""
        seen_s, was_hidden = self._sight.seen_s, self._sight.is_hidden
        for each in self._sight.take(look, self._find_held):
            self._smoother.update(each.time_s, each.probabilities)
            if each.person:
                self._body.add(each.person)
            elif each.body:
                self._body.extend([each.body])
        if was_hidden and not self._sight.is_hidden and seen_s is not None:
            self._hidden.append((seen_s, look.time_s))
        self.observed_s = look.time_s

    def _find_held(self) -> str:
        """What was held when a whole person was seen last."""
        recent = self._smoother.segments(since_s=self.observed_s - 4 * AHEAD_S)
        return recent[-1].pose if recent else NO_POSE

    def _find_last_sight(self, time_s: float) -> float | None:
        """When a whole person was seen last, seconds, if none was seen at `time_s`."""
        while self._hidden and self._hidden[0][1] <= time_s:
            self._hidden.pop(0)
        if self._hidden:
            return self._hidden[0][0] if self._hidden[0][0] < time_s else None
        return self._sight.seen_s if self._sight.is_hidden and (self._sight.seen_s or 0.0) < time_s else None

    def hold_at(self, time_s: float) -> Hold:
        """What is held at `time_s`, seconds, never going back.  Who turns to the other side begins another hold."""
        if self.observed_s > self._smoothed_s + AHEAD_S / 8:
            self._smoothed_s = self.observed_s
            recent = self._smoother.segments(since_s=time_s - 4 * AHEAD_S)
            if recent and recent[0].pose == self._pose:  # it began before those that are smoothed anew
                recent = (replace(recent[0], start_s=min(self._since_s, recent[0].start_s)), *recent[1:])
            self._recent = tuple(chain.from_iterable(map(self._body.divide, recent)))
        segment = next((s for s in self._recent if s.start_s <= time_s < s.end_s), self._recent[-1])
        if segment.pose != self._pose or {segment.side, self._side} == {"left", "right"}:
            self._pose, self._since_s, self._side = segment.pose, min(segment.start_s, time_s), segment.side
        self._side = segment.side or self._side
        seen_s = None if self._pose == NO_POSE else self._find_last_sight(time_s)
        hold_s = max((time_s if seen_s is None else seen_s) - self._since_s, 0.0)
        return Hold(self._pose, segment.confidence, hold_s, seen_s is None, side=segment.side, angles=segment.angles)

    def segments(self, end_s: float, person: int | None = None) -> tuple[Segment, ...]:
        """The timeline up to `end_s`, seconds: observations may have gone further."""
        told = self._smoother.segments(end_s=max(end_s, self.observed_s) if self._sight.is_hidden else end_s)
        if self._sight.is_hidden and self._sight.seen_s is not None:
            told = end_at_sight(told, self._sight.seen_s)
        cut = (replace(each, end_s=min(each.end_s, end_s), person=person) for each in told if each.start_s <= end_s)
        return tuple(chain.from_iterable(map(self._body.divide, cut)))


class GroupSmoother:
    """What each of several people of a recording holds, by number."""

    def __init__(self, info: ModelInfo) -> None:
        """info: labels and threshold, as `find_info` gives them."""
        self._info = info
        self._people: dict[int, PersonSmoother] = {}
        self._settling = Settling()
        self._seen_s: dict[int, float] = {}  # when each of them was observed last

    def __len__(self) -> int:
        """How many people have been followed."""
        return len(self._people)

    def add(self, observation: Observation) -> None:
        """Take everybody's probabilities; of those who are away, nothing was seen.  Its time never goes back."""
        time_s, group = observation.time_s, observation.crops.group if observation.crops else None
        there = {number for number, _ in group or ()}
        nothing = observe_nothing(len(self._info.labels))
        for number, smoother in self._people.items():
            if number not in there and time_s - self._seen_s[number] < GONE_S:
                smoother.add(Look(time_s, nothing, is_whole=False))
        for seen in self._settling.update(observation):
            smoother = self._people.setdefault(seen.number, PersonSmoother(self._info))
            if seen.time_s <= smoother.observed_s:
                continue
            if seen.number in self._seen_s and seen.time_s - self._seen_s[seen.number] >= GONE_S:
                begin_s = max(smoother.observed_s, seen.time_s - GONE_S)
                for away_s in np.arange(begin_s + AWAY_STEP_S, seen.time_s, AWAY_STEP_S):  # they have been away
                    smoother.add(Look(float(away_s), nothing, is_whole=False))
            smoother.add(seen.look)
            self._seen_s[seen.number] = seen.time_s

    def holds_at(self, time_s: float, numbers: Iterable[int]) -> dict[int, Hold]:
        """What those of these people who are known hold at `time_s`, seconds, never going back."""
        return {number: self._people[number].hold_at(time_s) for number in numbers if number in self._people}

    def segments(self, end_s: float) -> tuple[Segment, ...]:
        """The timelines of all up to `end_s`, seconds, in the order of time: observations may have gone further."""
        gone = {number for number, seen_s in self._seen_s.items() if end_s - seen_s >= GONE_S}
        return merge_segments(
            smoother.segments(min(end_s, smoother.observed_s) if number in gone else end_s, number)
            for number, smoother in self._people.items()
        )


class FixedLagSmoother:
    """What is held at a moment of a recording, once the moments after it have been observed."""

    def __init__(self, info: ModelInfo) -> None:
        """info: labels and threshold, as `find_info` gives them."""
        self._main, self._group = PersonSmoother(info), GroupSmoother(info)
        self._observations: deque[Observation] = deque()

    @property
    def observed_s(self) -> float:
        """The time of the last observation, seconds; -1 before the first."""
        return self._main.observed_s

    def add(self, observation: Observation) -> None:
        """Take an observation; its time never goes back."""
        self._main.add(observation.look())
        self._group.add(observation)
        if observation.crops and (settled := observation.crops.settled):
            self._observations = deque(rename_settled(each, settled) for each in self._observations)
        self._observations.append(observation)

    def state_at(self, time_s: float) -> Tracked:
        """What is held at `time_s` (seconds, never going back), and what the observation at it found."""
        while len(self._observations) > 1 and self._observations[1].time_s <= time_s:
            self._observations.popleft()
        newest = self._observations[0]
        crops = newest.crops
        if crops is None:
            return Tracked(self._main.hold_at(time_s), newest.region, newest.class_maps)
        holds = self._group.holds_at(time_s, [number for number, _ in crops.group or ()])
        hold = self._main.hold_at(time_s)
        if crops.group is not None:
            hold = holds.get(crops.person.number, hold) if crops.person else hold
        return Tracked(hold, newest.region, newest.class_maps, crops.person, crops.people, holds)

    def segments(self, end_s: float) -> tuple[Segment, ...]:
        """The timeline up to `end_s`, seconds: observations may have gone further.  Of several people, everybody's."""
        return self._group.segments(end_s) if self._group else self._main.segments(end_s)
