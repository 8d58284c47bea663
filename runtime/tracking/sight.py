"""What is seen while no whole person is: it waits, so that a cut to a close-up neither ends a hold nor lengthens it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..core.types import NO_POSE, Floats
from ..people.tracks import Person
from .bodies import BodyLook

HIDDEN_S = 5.0
"""For so long a hold waits for a whole person; then what was seen meanwhile counts after all."""


@dataclass(frozen=True, eq=False)
class Look:
    """What one frame says of one person.

    probabilities: calibrated, float (C,).  person: as last found; body: what was measured of them then, where no more
    is kept.  is_whole: whether the finder saw a whole person there when it looked last; True where people are not
    looked for.
    """

    time_s: float
    probabilities: Floats
    person: Person | None = None
    is_whole: bool = True
    body: BodyLook | None = None


class Sight:
    """Tells which looks count, and when."""

    def __init__(self) -> None:
        self.seen_s: float | None = None  # when a whole person was seen last
        self._waiting: list[Look] = []
        self._is_past = False  # nobody was seen whole for too long, or nothing was held when that began

    @property
    def is_hidden(self) -> bool:
        """Whether looks wait for a whole person."""
        return bool(self._waiting)

    def take(self, look: Look, find_held: Callable[[], str]) -> list[Look]:
        """Take a look; its time never goes back.  Returns those that count: while no whole person is seen, none.

        find_held: says what is held after the looks before, asked where that matters.  Once a whole person is seen
        again, what waited is forgotten; after `HIDDEN_S` seconds it is returned.
        """
        if look.is_whole or self.seen_s is None:
            self.seen_s = look.time_s if look.is_whole else None
            self._waiting, self._is_past = [], False
            return [look]
        if not self._waiting and (self._is_past or find_held() == NO_POSE):
            self._is_past = True
            return [look]
        self._waiting.append(look)
        if look.time_s - self.seen_s < HIDDEN_S:
            return []
        waiting, self._waiting, self._is_past = self._waiting, [], True
        return waiting
