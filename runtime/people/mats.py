"""Remember places, never faces or clothes: who comes back to a mat is the same person to the timeline."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..core.types import Floats
from .tracks import Person


@dataclass(frozen=True)
class MatConfig:
    """When somebody is on a mat.  Distances are in the longest side that their box has had."""

    settle_s: float = 2.0  # who stays in a place for so long is on a mat
    settled: float = 0.4  # and goes no further than this meanwhile
    near: float = 0.7  # who is so near to a mat's middle is on it
    leave_s: float = 1.5  # who is further away for so long has left it


@dataclass(frozen=True)
class Settled:
    """Somebody is now known to be on a mat.

    person: their number so far, below 0; mat: that of the mat, which is theirs from now on.  since_s: when they came.
    """

    person: int
    mat: int
    since_s: float


@dataclass
class _Mat:
    number: int
    place: Floats  # where its person stands, x and y in pixels
    length: float
    track: int | None = None  # who is on it, by the number of their track
    near_s: float = -np.inf  # when they were near it last


@dataclass
class _Stay:
    place: Floats
    since_s: float
    length: float


class Mats:
    """Numbers people by the mats that they are on; who is on none has a number below 0, from look to look the same.

    settled: those of whom it has become certain with the newest look.
    """

    def __init__(self, config: MatConfig | None = None) -> None:
        self._config = config or MatConfig()
        self._mats: list[_Mat] = []
        self._stays: dict[int, _Stay] = {}
        self.settled: tuple[Settled, ...] = ()

    def update(self, time_s: float, people: tuple[Person, ...]) -> tuple[Person, ...]:
        """Take the people at `time_s` (seconds, never decreasing), by the numbers of their tracks.

        Returns those on a mat, by its number: 1, 2, ..., in the order in which the mats were used first; and before
        them the others, with numbers below 0.
        """
        numbers = {person.number for person in people}
        self._stays = {number: stay for number, stay in self._stays.items() if number in numbers}
        for mat in self._mats:
            if mat.track not in numbers:
                mat.track = None
        for person in people:
            self._stay(time_s, person)
            if (mat := self._find_own(person.number)) is not None:
                self._check_there(time_s, person, mat)
        others = [person for person in people if self._find_own(person.number) is None]
        self.settled = tuple(filter(None, (self._settle(time_s, person) for person in others)))
        mats = [(mat.number if (mat := self._find_own(person.number)) else -person.number, person) for person in people]
        return tuple(replace(person, number=number) for number, person in sorted(mats, key=lambda pair: pair[0]))

    def _find_own(self, track: int) -> _Mat | None:
        return next((mat for mat in self._mats if mat.track == track), None)

    def _stay(self, time_s: float, person: Person) -> None:
        """Note how long somebody has been in one place."""
        place, length = find_place(person.box), find_length(person.box)
        stay = self._stays.get(person.number)
        if stay is None or np.linalg.norm(place - stay.place) > self._config.settled * max(length, stay.length):
            self._stays[person.number] = _Stay(place, time_s, length)
        else:
            stay.length = max(length, stay.length)

    def _check_there(self, time_s: float, person: Person, mat: _Mat) -> None:
        """Free the mat of somebody who has left it."""
        mat.length = max(mat.length, find_length(person.box))
        if np.linalg.norm(find_place(person.box) - mat.place) <= self._config.near * mat.length:
            mat.near_s = time_s
        elif time_s - mat.near_s >= self._config.leave_s:
            mat.track = None

    def _settle(self, time_s: float, person: Person) -> Settled | None:
        """Give somebody who has stayed in a place the free mat there, or a new one where there is none."""
        stay = self._stays[person.number]
        if time_s - stay.since_s < self._config.settle_s:
            return None
        place = find_place(person.box)
        near = [mat for mat in self._mats if np.linalg.norm(place - mat.place) <= self._config.near * mat.length]
        free = [mat for mat in near if mat.track is None]
        if not near:
            free = [_Mat(len(self._mats) + 1, stay.place, stay.length)]
            self._mats += free
        if not free:
            return None
        mat = min(free, key=lambda each: float(np.linalg.norm(place - each.place)))
        was_there_s, mat.track, mat.near_s = mat.near_s, person.number, time_s
        return Settled(-person.number, mat.number, max(stay.since_s, was_there_s))


def find_place(box: Floats) -> Floats:
    """Where somebody is on the floor: the middle of the box's lower edge, x and y in pixels.  box: float (4,)."""
    return np.array([(box[0] + box[2]) / 2, box[3]], np.float32)


def find_length(box: Floats) -> float:
    """The longer side of a box, pixels."""
    return float(max(box[2] - box[0], box[3] - box[1], 1))
