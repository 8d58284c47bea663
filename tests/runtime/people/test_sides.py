"""The side of drawn poses, of poses that have none, and over a hold."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from yoga_live.runtime.people import KEYPOINTS, People
from yoga_live.runtime.people.sides import (
    ANY,
    BENT,
    FRONT,
    STANDING,
    SideTracker,
    find_rule,
    find_runs,
    measure_features,
    measure_side,
    swap_sides,
)

SIDES = {"tree": "right", "warrior_2": "left", "low_lunge": "right", "triangle": "left", "half_moon": "left"}
OTHER = {"left": "right", "right": "left"}


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("pose", SIDES)
def test_the_side_of_a_drawn_pose_is_the_persons_own(keypoints_of: Callable, pose: str, mirror: bool) -> None:
    held = SideTracker().update(0, pose, *keypoints_of(pose, mirror=mirror))
    assert held.side == (OTHER[SIDES[pose]] if mirror else SIDES[pose])
    assert held.confidence > 0.9


@pytest.mark.parametrize("pose", ["tree", "half_moon", "warrior_2"])
def test_a_pose_of_another_name_has_the_same_side(keypoints_of: Callable, pose: str) -> None:
    assert SideTracker().update(0, "my own pose", *keypoints_of(pose)).side == SIDES[pose]


@pytest.mark.parametrize("pose", ["goddess", "standing"])
def test_a_symmetric_body_has_no_side_whatever_the_pose_is_called(keypoints_of: Callable, pose: str) -> None:
    assert SideTracker().update(0, "my own pose", *keypoints_of(pose)).side is None


@pytest.mark.parametrize("pose", ["tree", "triangle", "down_dog", "warrior_2"])
def test_features_change_their_sign_in_the_mirror(keypoints_of: Callable, pose: str) -> None:
    mirrored = measure_features(*keypoints_of(pose, mirror=True))
    np.testing.assert_allclose(mirrored, -measure_features(*keypoints_of(pose)), atol=1e-4)


@pytest.mark.parametrize(
    ("label", "rule"),
    [
        ("tree", STANDING),
        ("Tree Pose", STANDING),
        ("warrior_2", BENT),
        ("Virabhadrasana II", BENT),
        ("warrior_3", STANDING),
        ("utthita_trikonasana", FRONT),
        ("ardha_chandrasana", STANDING),
        ("plank", None),
        ("side-plank", ANY),
        ("adho_mukha_svanasana", None),
        ("tree_left", None),
        ("none", None),
        ("sneeze", ANY),
        ("street", ANY),
    ],
)
def test_a_label_says_what_its_side_is(label: str, rule: object) -> None:
    assert find_rule(label) is rule


def test_unsure_key_points_give_a_smaller_answer(keypoints_of: Callable) -> None:
    points, scores = keypoints_of("tree")
    assert measure_side(points, scores, STANDING) > 3 * measure_side(points, scores / 6, STANDING) > 0


def test_swapped_sides_swap_the_answer_and_move_nothing(keypoints_of: Callable) -> None:
    points, scores = keypoints_of("tree")
    people = People(np.zeros((1, 4), np.float32), points[None], scores[None], np.ones(1, np.float32))
    swapped = swap_sides(people)
    assert SideTracker().update(0, "tree", swapped.keypoints[0], swapped.keypoint_scores[0]).side == "left"
    left, right = KEYPOINTS.index("left_knee"), KEYPOINTS.index("right_knee")
    np.testing.assert_array_equal(swapped.keypoints[0, left], points[right])


def test_one_wrong_look_does_not_change_the_side(keypoints_of: Callable) -> None:
    tracker = SideTracker()
    for number in range(8):
        wrong = number == 5
        assert tracker.update(number / 2, "tree", *keypoints_of("tree", mirror=wrong)).side == "right"


def test_a_turn_is_told_within_five_seconds_and_says_when_it_began(keypoints_of: Callable) -> None:
    tracker = SideTracker()
    for number in range(20):
        tracker.update(number / 2, "tree", *keypoints_of("tree"))
    held = [tracker.update(10 + n / 2, "tree", *keypoints_of("tree", mirror=True)) for n in range(12)]
    sides = [each.side for each in held]
    assert sides == ["right"] * sides.index("left") + ["left"] * (12 - sides.index("left"))
    assert sides.index("left") <= 10
    assert held[0].turned_s is None and held[-1].turned_s == 10


def test_a_turn_of_little_evidence_is_told_later_but_told() -> None:
    tracker, lifted = SideTracker(), np.array([1.2, 0, 0, 0, 0, 0, 0])  # 1.8 log-odds
    for number in range(20):
        tracker.weigh(number / 2, "tree", -lifted)
    sides = [tracker.weigh(10 + n / 2, "tree", lifted) for n in range(16)]
    assert [held.side for held in sides] == ["left"] * 12 + ["right"] * 4
    assert sides[-1].turned_s == 10


def test_all_looks_of_a_hold_are_one_run_in_spite_of_a_few_wrong_ones() -> None:
    ((start, end, held),) = find_runs([3.0] * 9 + [-5.0] * 2 + [3.0] * 9)
    assert (start, end, held.side) == (0, 20, "right")


def test_a_hold_on_both_sides_is_two_runs_divided_where_it_turned() -> None:
    runs = find_runs([-2.5] * 12 + [0.1, -0.2] + [2.8] * 15)
    assert [(start, held.side) for start, _, held in runs] == [(0, "left"), (14, "right")]
    assert runs[0][1] == 14 and runs[1][1] == 29


def test_looks_that_say_little_have_no_side() -> None:
    assert find_runs([]) == []
    ((_, _, held),) = find_runs([0.3, -0.2, 0.4])
    assert held.side is None


def test_a_side_stays_while_nobody_is_seen_and_ends_with_the_pose(keypoints_of: Callable) -> None:
    tracker = SideTracker()
    tracker.update(0, "tree", *keypoints_of("tree"))
    assert tracker.update(1, "tree", None, None).side == "right"
    assert tracker.update(2, "warrior_2", None, None).side is None
    assert tracker.update(3, "plank", *keypoints_of("plank")).side is None


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"got \(17,\) and \(17,\)"):
        measure_side(np.zeros(17), np.zeros(17), STANDING)
