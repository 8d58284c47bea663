"""Angles of drawn bodies, where they are unsure, and their averages over a hold."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from yoga_live.runtime.people import KEYPOINTS
from yoga_live.runtime.people.angles import JOINTS, OPPOSITE_JOINTS, BodyAngles, HoldAngles, measure_angles

NAN = float("nan")


def named(angles: np.ndarray) -> dict[str, float]:
    return dict(zip(JOINTS, angles.tolist(), strict=True))


def hold(*looks: np.ndarray) -> BodyAngles:
    angles = HoldAngles()
    for look in looks:
        angles.add(look)
    return angles.summarize()


def test_a_drawn_warrior_has_one_bent_knee_and_level_arms(keypoints_of: Callable) -> None:
    angles = named(measure_angles(*keypoints_of("warrior_2")))
    assert angles["left_knee"] == pytest.approx(104, abs=6) and angles["right_knee"] == pytest.approx(179, abs=2)
    assert angles["left_elbow"] > 175 and angles["right_elbow"] > 175
    assert angles["left_shoulder"] == pytest.approx(90, abs=12)


@pytest.mark.parametrize(("arm", "degrees"), [((0, -1), 180), ((1, 0), 90), ((0, 1), 0)])
def test_a_shoulder_is_180_degrees_with_the_arm_overhead_and_0_with_it_hanging(arm: tuple, degrees: float) -> None:
    points, scores = np.zeros((17, 2)), np.zeros(17)
    names = {"left_shoulder": (50, 50), "left_hip": (50, 100), "left_elbow": (50 + 30 * arm[0], 50 + 30 * arm[1])}
    for name, xy in names.items():
        points[KEYPOINTS.index(name)], scores[KEYPOINTS.index(name)] = xy, 1
    angles = named(measure_angles(points, scores))
    assert angles.pop("left_shoulder") == pytest.approx(degrees)
    assert np.isnan(list(angles.values())).all()


def test_the_mirror_image_has_the_same_angles_on_the_other_side(keypoints_of: Callable) -> None:
    angles = measure_angles(*keypoints_of("tree"))
    mirrored = measure_angles(*keypoints_of("tree", mirror=True))
    np.testing.assert_allclose(mirrored[list(OPPOSITE_JOINTS)], angles, atol=1e-3)


def test_a_joint_with_an_unsure_key_point_has_no_angle(keypoints_of: Callable) -> None:
    points, scores = keypoints_of("tree")
    scores[KEYPOINTS.index("left_ankle")] = 0.39
    angles = named(measure_angles(points, scores))
    assert np.isnan(angles["left_knee"]) and np.isfinite(angles["right_knee"]) and np.isfinite(angles["left_hip"])


def test_a_limb_that_points_to_the_camera_has_no_angle(keypoints_of: Callable) -> None:
    points, scores = keypoints_of("warrior_2")
    points[KEYPOINTS.index("left_wrist")] = points[KEYPOINTS.index("left_elbow")] + 4
    angles = named(measure_angles(points, scores))
    assert np.isnan(angles["left_elbow"]) and np.isfinite(angles["left_shoulder"])


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"key points \(17, 2\) and scores \(17,\); got \(1, 17, 2\)"):
        measure_angles(np.zeros((1, 17, 2)), np.zeros(17))
    with pytest.raises(ValueError, match=r"shape \(8,\) or \(N, 8\); got \(3,\)"):
        HoldAngles().add(np.zeros(3))
    with pytest.raises(ValueError, match="0 to 180"):
        HoldAngles().add(np.full(8, 181.0))


def test_several_looks_at_once_are_as_many_one_by_one() -> None:
    looks = np.random.default_rng(4).uniform(60, 90, (30, 8))
    looks[::3, 2] = NAN
    one_by_one, at_once = hold(*looks), HoldAngles()
    at_once.add(looks)
    np.testing.assert_array_equal(at_once.summarize().degrees, one_by_one.degrees)
    np.testing.assert_array_equal(at_once.summarize().seen, one_by_one.seen)


def test_one_bad_look_does_not_change_a_hold() -> None:
    steady = np.full(8, 90.0)
    angles = hold(*[steady] * 9, np.full(8, 170.0))
    assert angles.looks == 10 and (angles.degrees == 90).all() and (angles.spread == 0).all()


def test_a_joint_that_is_rarely_seen_or_varies_is_left_out() -> None:
    looks = [np.array([90, NAN, 40 if n % 2 else 140, 80 + n, 90, 90, 90, 90]) for n in range(10)]
    looks[0][1] = 90
    angles = hold(*looks)
    assert angles.to_json() == {
        "left_elbow": 90, "right_shoulder": 84, "left_hip": 90, "right_hip": 90, "left_knee": 90, "right_knee": 90,
    }  # fmt: skip
    assert angles.seen[1] == pytest.approx(0.1) and angles.spread[2] == pytest.approx(50)


def test_angles_survive_their_names() -> None:
    angles = BodyAngles.from_json({"left_knee": 92, "right_hip": 130})
    assert angles.to_json() == {"right_hip": 130, "left_knee": 92}
    assert angles.mirror().to_json() == {"left_hip": 130, "right_knee": 92}


def test_a_hold_without_looks_has_no_angles() -> None:
    angles = HoldAngles().summarize()
    assert angles.to_json() == {} and angles.looks == 0


def test_quartiles_are_those_of_numpy_to_a_degree() -> None:
    values = np.random.default_rng(3).integers(80, 101, (101, 8)).astype(float)
    lower, median, upper = np.percentile(values, [25, 50, 75], axis=0)
    angles = hold(*values)
    np.testing.assert_allclose(angles.degrees, median, atol=0.5)
    np.testing.assert_allclose(angles.spread, (upper - lower) / 2, atol=0.5)
