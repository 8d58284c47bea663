"""Mats: who comes back to one is the same person; who walks about is nobody."""

from __future__ import annotations

import numpy as np

from yoga_live.runtime.people.mats import Mats
from yoga_live.runtime.people.tracks import Person


def stand(track: int, x: float, *, lying: bool = False) -> Person:
    """Somebody whose lower edge is at (x, 400): 100 x 250 pixels upright, 250 x 100 lying."""
    width, height = (250, 100) if lying else (100, 250)
    box = np.array([x - width / 2, 400 - height, x + width / 2, 400], np.float32)
    return Person(track, box, np.zeros((17, 2), np.float32), np.zeros(17, np.float32), 0.6, 0.0, 0.0)


def watch(mats: Mats, start_s: float, end_s: float, *people: Person) -> list[int]:
    """The numbers at the end of a while in which nobody moves."""
    for time_s in np.arange(start_s, end_s, 0.25):
        found = mats.update(float(time_s), people)
    return [person.number for person in found if person.number > 0]


def test_who_stays_in_a_place_gets_the_number_of_their_mat() -> None:
    mats = Mats()
    assert watch(mats, 0, 1.9, stand(4, 100), stand(9, 600)) == []
    assert watch(mats, 1.9, 5, stand(4, 100), stand(9, 600)) == [1, 2]
    assert watch(mats, 5, 9, stand(4, 130, lying=True), stand(9, 560, lying=True)) == [1, 2]


def test_who_comes_back_is_the_same_row_and_who_walks_past_is_none() -> None:
    mats = Mats()
    watch(mats, 0, 5, stand(1, 100), stand(2, 600))
    for step in range(40):  # the teacher
        found = mats.update(5 + step / 4, (stand(1, 100), stand(2, 600), stand(3, 50 * step)))
        assert [person.number for person in found if person.number > 0] == [1, 2]
    assert watch(mats, 15, 20, stand(1, 100)) == [1]
    assert watch(mats, 20, 25, stand(1, 100), stand(7, 620)) == [1, 2]
    assert watch(mats, 25, 30, stand(8, 110), stand(7, 620)) == [1, 2]


def test_who_moves_to_another_place_gets_another_mat_and_can_return() -> None:
    mats = Mats()
    assert watch(mats, 0, 5, stand(1, 100)) == [1]
    assert watch(mats, 5, 6, stand(1, 700)) == [1]
    assert watch(mats, 6.5, 7, stand(1, 700)) == []
    assert watch(mats, 7, 12, stand(1, 700)) == [2]
    assert watch(mats, 12, 20, stand(1, 110)) == [1]


def test_two_people_never_share_a_mat() -> None:
    mats = Mats()
    watch(mats, 0, 5, stand(1, 100))
    assert watch(mats, 5, 15, stand(1, 100), stand(2, 150)) == [1]
