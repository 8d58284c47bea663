"""People keep their numbers from look to look: when they cross, are missed for a moment, come and go."""

from __future__ import annotations

import numpy as np
import pytest

from yoga_live.runtime.core.types import Floats
from yoga_live.runtime.people import People
from yoga_live.runtime.people.tracks import Tracks, assign, find_overlaps

BODY = np.random.default_rng(0).uniform([0.1, 0], [0.9, 1], (17, 2))  # key points in fractions of the box


def place(*people: tuple[float, float] | tuple[float, float, float]) -> People:
    """People of 100 x 200 pixels whose upper left corners are given, and the score if it is not 0.6."""
    boxes = np.array([[x, y, x + 100, y + 200] for x, y, *_ in people], np.float32).reshape(-1, 4)
    points = np.array([BODY * (100, 200) + (x, y) for x, y, *_ in people], np.float32).reshape(-1, 17, 2)
    scores = np.array([score[0] if score else 0.6 for _, _, *score in people], np.float32)
    return People(boxes, points, np.full((len(people), 17), 0.8, np.float32), scores)


def numbers(tracks: Tracks, time_s: float, *people: tuple[float, float] | tuple[float, float, float]) -> dict[int, int]:
    """Number to left edge of those who are followed."""
    return {person.number: round(float(person.box[0])) for person in tracks.update(time_s, place(*people))}


def test_everybody_keeps_the_number_in_whatever_order_they_are_found() -> None:
    tracks = Tracks()
    assert numbers(tracks, 0.0, (0, 0), (300, 0)) == {1: 0, 2: 300}
    assert numbers(tracks, 0.25, (310, 0), (5, 0)) == {1: 5, 2: 310}
    assert numbers(tracks, 1.25, (20, 0), (300, 5)) == {1: 20, 2: 300}


def test_two_people_who_cross_do_not_swap_numbers() -> None:
    tracks = Tracks()
    for step in range(25):
        found = numbers(tracks, step / 4, (600 - 25 * step, 10), (25 * step, 0))
    assert found == {1: 0, 2: 600}


def test_somebody_missed_for_a_moment_keeps_place_and_number_and_somebody_gone_does_not() -> None:
    tracks = Tracks()
    numbers(tracks, 0.0, (0, 0), (300, 0))
    for time_s in (1.0, 2.0):
        assert numbers(tracks, time_s, (0, 0)) == {1: 0, 2: 300}
    assert numbers(tracks, 2.5, (0, 0), (305, 0)) == {1: 0, 2: 305}
    for time_s in (3.5, 4.5, 5.6):
        gone = numbers(tracks, time_s, (0, 0))
    assert gone == {1: 0}
    numbers(tracks, 6.0, (0, 0), (305, 0))
    assert numbers(tracks, 6.25, (0, 0), (305, 0)) == {1: 0, 3: 305}


def test_who_is_new_beside_others_is_believed_at_the_second_look() -> None:
    tracks = Tracks()
    numbers(tracks, 0.0, (0, 0))
    assert numbers(tracks, 0.25, (0, 0), (400, 0)) == {1: 0}
    assert numbers(tracks, 0.5, (0, 0)) == {1: 0}
    assert numbers(tracks, 0.75, (0, 0), (400, 0)) == {1: 0}
    assert numbers(tracks, 1.0, (0, 0), (400, 0)) == {1: 0, 2: 400}


def test_an_unsure_find_follows_who_is_known_and_starts_nobody() -> None:
    tracks = Tracks()
    assert numbers(tracks, 0.0, (0, 0, 0.15)) == {}
    assert numbers(tracks, 0.25, (0, 0, 0.5)) == {1: 0}
    assert numbers(tracks, 0.5, (40, 0, 0.13)) == {1: 40}


def test_a_picture_on_the_wall_never_moves() -> None:
    tracks = Tracks()
    rng = np.random.default_rng(1)
    for step in range(40):
        jitter = rng.uniform(-4, 4, 4)
        people = tracks.update(step, place((jitter[0], jitter[1]), (400 + 3 * step + jitter[2], jitter[3])))
    assert [person.has_moved for person in people] == [False, True]


def test_after_a_cut_everybody_is_new_and_a_camera_that_moves_is_no_cut() -> None:
    tracks = Tracks()
    numbers(tracks, 0.0, (0, 0))
    assert moved(tracks, 0.25, (30, 0)) == {1: 30}
    assert moved(tracks, 0.5, (500, 300), (800, 0)) == {2: 500, 3: 800}


def moved(tracks: Tracks, time_s: float, *people: tuple[float, float]) -> dict[int, int]:
    """As `numbers`, where the whole picture has changed."""
    found = tracks.update(time_s, place(*people), may_be_cut=True)
    return {person.number: round(float(person.box[0])) for person in found}


def test_nobody_is_nobody() -> None:
    assert Tracks().update(0.0, People.nobody()) == ()


@pytest.mark.parametrize(
    ("likeness", "pairs"),
    [
        ([[0.9, 0.8], [0.85, 0.1]], [(0, 0)]),
        ([[0.9, 0.8], [0.85, 0.2]], [(0, 0), (1, 1)]),
        (np.zeros((0, 3)), []),
        (np.zeros((3, 0)), []),
    ],
)
def test_the_likeliest_pair_comes_first(likeness: Floats, pairs: list[tuple[int, int]]) -> None:
    assert assign(np.asarray(likeness), 0.15) == pairs


def test_overlap_is_intersection_over_union() -> None:
    boxes = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]], np.float32)
    assert find_overlaps(boxes[0], boxes) == pytest.approx([1, 1 / 3, 0])
