"""What was seen of people before it was certain that they are on a mat: it counts once it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..people.mats import Settled
from .observer import Observation
from .sight import Look

KEPT_S = 6.0
"""Longer than it takes until somebody is known to be on a mat."""


@dataclass(frozen=True)
class Seen:
    """What one observation says of one of several people."""

    number: int
    look: Look

    @property
    def time_s(self) -> float:
        """When that was, seconds."""
        return self.look.time_s


class Settling:
    """Keeps what is seen of people who may be on a mat, until that is certain."""

    def __init__(self) -> None:
        self._waiting: dict[int, list[Seen]] = {}

    def update(self, observation: Observation) -> list[Seen]:
        """Take an observation.  Returns what it says of each of several people, by their numbers.

        Before that comes what was seen earlier of those who are now known to be on a mat, by the mat's number.
        """
        crops, time_s = observation.crops, observation.time_s
        if crops is None or crops.group is None or observation.rows is None:
            return []
        known: list[Seen] = []
        for settled in crops.settled:
            earlier = self._waiting.pop(settled.person, [])
            known += [replace(seen, number=settled.mat) for seen in earlier if seen.time_s >= settled.since_s]
        people = {person.number: person for person in crops.people}
        for (number, _), row in zip(crops.group, observation.rows, strict=True):
            person = people.get(number)
            seen = Seen(number, Look(time_s, row, person, crops.shows_whole(person)))
            (known if number > 0 else self._waiting.setdefault(number, [])).append(seen)
        waiting = {n: [seen for seen in rows if time_s - seen.time_s <= KEPT_S] for n, rows in self._waiting.items()}
        self._waiting = {number: rows for number, rows in waiting.items() if rows}
        return known


def rename_settled(observation: Observation, settled: Iterable[Settled]) -> Observation:
    """An earlier observation, in which those who are now known to be on a mat have its number."""
    crops = observation.crops
    names = {each.person: each.mat for each in settled if observation.time_s >= each.since_s}
    if crops is None or crops.group is None or not names:
        return observation
    group = tuple((names.get(number, number), region) for number, region in crops.group)
    people = tuple(replace(person, number=names.get(person.number, person.number)) for person in crops.people)
    return replace(observation, crops=replace(crops, group=group, people=people))
