"""Sides and angles of what one person holds, from the looks of the finder, beside the smoothed pose."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from ..core.types import NO_POSE, Floats, Segment
from ..people.angles import HoldAngles, measure_angles
from ..people.sides import NO_SIDE, HeldSide, SideTracker, find_rule, find_runs, measure_features, weigh_looks
from ..people.tracks import Person


@dataclass(frozen=True, eq=False)
class BodyLook:
    """What one look of the finder says of a body.  features: of its sides; angles: of its joints, float (8,)."""

    time_s: float
    features: Floats
    angles: Floats

    @classmethod
    def of(cls, person: Person) -> BodyLook:
        """Measure somebody as last found."""
        points, scores = person.keypoints, person.keypoint_scores
        features = measure_features(points, scores).astype(np.float32)
        return cls(person.seen_s, features, measure_angles(points, scores).astype(np.float32))


class LiveBody:
    """Side and angles of what one person holds now, look by look."""

    def __init__(self) -> None:
        self._sides, self._angles = SideTracker(), HoldAngles()
        self._pose, self._held = NO_POSE, NO_SIDE
        self._turned_s, self._seen_s = -1.0, -1.0
        self._named: dict[str, int] = {}

    def update(self, time_s: float, pose: str, person: Person | None) -> tuple[HeldSide, dict[str, int]]:
        """Take what is held at `time_s`, and whom it is about as last found.  Returns the side, and angles by name."""
        is_new = person is not None and person.seen_s > self._seen_s
        if pose != self._pose:
            self._pose, self._angles, self._named, self._turned_s = pose, HoldAngles(), {}, -1.0
            self._held = self._sides.weigh(time_s, pose, None)
        if person is None or not is_new:
            return self._held, self._named
        look, self._seen_s = BodyLook.of(person), person.seen_s
        self._held = self._sides.weigh(look.time_s, pose, look.features)
        if self._held.turned_s is not None and self._held.turned_s != self._turned_s:
            self._turned_s, self._angles = self._held.turned_s, HoldAngles()
        if pose != NO_POSE:
            self._angles.add(look.angles)
            self._named = self._angles.summarize().to_json()
        return self._held, self._named


class BodyHistory:
    """All looks at one person of a recording; what was held on which side is asked for afterwards."""

    def __init__(self) -> None:
        self._looks: list[BodyLook] = []

    @property
    def looks(self) -> tuple[BodyLook, ...]:
        """All looks, in the order of their time."""
        return tuple(self._looks)

    def add(self, person: Person) -> None:
        """Take somebody as last found; the same look counts once."""
        if not self._looks or person.seen_s > self._looks[-1].time_s:
            self._looks.append(BodyLook.of(person))

    def extend(self, looks: Iterable[BodyLook]) -> None:
        """Take looks of another history, of later; those that are not newer than the last one are left out."""
        for look in looks:
            if not self._looks or look.time_s > self._looks[-1].time_s:
                self._looks.append(look)

    def divide(self, segment: Segment) -> Iterator[Segment]:
        """A segment with its side and angles; one for each side, where the body turned in the middle of it."""
        looks = self._find_looks(segment.start_s, segment.end_s)
        if segment.pose == NO_POSE or not looks:
            yield segment
            return
        rule = find_rule(segment.pose)
        runs = find_runs(weigh_looks(np.array([look.features for look in looks]), rule).tolist()) if rule else []
        runs = _join_unsure(runs) or [(0, len(looks), NO_SIDE)]
        starts_s = [segment.start_s, *(looks[first].time_s for first, _, _ in runs[1:]), segment.end_s]
        for (first, end, held), (start_s, end_s) in zip(runs, pairwise(starts_s), strict=True):
            angles = HoldAngles()
            angles.add(np.array([look.angles for look in looks[first:end]]))
            named = angles.summarize().to_json()
            yield replace(segment, start_s=start_s, end_s=end_s, side=held.side, angles=named)

    def _find_looks(self, start_s: float, end_s: float) -> list[BodyLook]:
        first = bisect_left(self._looks, start_s, key=lambda look: look.time_s)
        end = bisect_left(self._looks, end_s, key=lambda look: look.time_s)
        return self._looks[first:end]


def _join_unsure(runs: list[tuple[int, int, HeldSide]]) -> list[tuple[int, int, HeldSide]]:
    """Join runs of no sure side with that beside them: who is seen better later has not turned."""
    joined: list[tuple[int, int, HeldSide]] = []
    for first, end, held in runs:
        if joined and None in (held.side, joined[-1][2].side):
            known = joined[-1][2] if held.side is None else held
            joined[-1] = joined[-1][0], end, known
        else:
            joined.append((first, end, held))
    return joined
