"""A hold beside one's own photo: the largest differences in words, and silence where it is not sure."""

from __future__ import annotations

import numpy as np

from yoga_live.runtime.people.angles import JOINTS, BodyAngles
from yoga_live.runtime.people.reference import Difference, compare_angles, describe_differences
from yoga_live.runtime.people.sides import BENT, STANDING

WARRIOR = {"left_elbow": 175, "right_elbow": 175, "left_shoulder": 95, "right_shoulder": 90} | {
    "left_hip": 100, "right_hip": 130, "left_knee": 95, "right_knee": 175,
}  # fmt: skip


def body(spread: float = 0.0, **degrees: float) -> BodyAngles:
    values = np.array([(WARRIOR | degrees)[joint] for joint in JOINTS], float)
    return BodyAngles(values, np.full(8, spread), np.ones(8), 10)


def test_the_two_largest_differences_come_first_with_their_direction() -> None:
    found = compare_angles(body(left_knee=125, right_shoulder=70, left_elbow=159), body())
    assert found == (Difference("left_knee", 30), Difference("right_shoulder", -20))
    assert describe_differences(found, "left", BENT) == (
        "front knee 30 degrees straighter and right shoulder 20 degrees more closed than in your photo"
    )


def test_a_hold_on_the_other_side_is_compared_with_the_mirror_image() -> None:
    found = compare_angles(body(left_knee=125).mirror(), body())
    assert found == (Difference("right_knee", 30),)
    assert describe_differences(found, "right", BENT).startswith("front knee 30 degrees straighter")


def test_small_or_unsteady_differences_are_not_mentioned() -> None:
    assert compare_angles(body(left_knee=109), body()) == ()
    assert compare_angles(body(spread=12, left_knee=125), body(spread=10)) == ()


def test_nothing_is_said_of_another_pose_or_of_a_body_that_is_hardly_seen() -> None:
    other = body(**{joint: 180 - degrees for joint, degrees in WARRIOR.items()})
    assert compare_angles(body(), other) == ()
    hidden = body(**dict.fromkeys(JOINTS[:5], float("nan")), left_knee=125)
    assert compare_angles(hidden, body()) == ()
    assert describe_differences(()) == ""


def test_legs_are_left_and_right_where_the_side_is_unknown() -> None:
    difference = (Difference("right_knee", -22.6),)
    assert describe_differences(difference) == "right knee 25 degrees more bent than in your photo"
    assert describe_differences(difference, "left", STANDING) == "lifted knee 25 degrees more bent than in your photo"
    assert describe_differences(difference, photos=3).endswith("than in your photos")
