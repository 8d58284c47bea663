"""The numbers of a person: the same wherever and however large, and those of a mirror image in a mirror."""

from __future__ import annotations

import numpy as np
import pytest

from yoga_live.runtime.people import KEYPOINTS, OPPOSITE_KEYPOINTS, People
from yoga_live.runtime.people.landmarks import (
    LANDMARKS,
    LARGEST,
    choose_main,
    find_landmarks,
    measure_landmarks,
    mirror_landmarks,
)


def draw_people(*places: tuple[float, float, float, float]) -> People:
    """People of random poses: left, top and size in pixels, and score."""
    rng = np.random.default_rng(3)
    count, points = len(places), len(KEYPOINTS)
    keypoints = rng.uniform(0, 1, (count, points, 2)).astype(np.float32)
    corners = np.array([place[:2] for place in places], np.float32).reshape(-1, 2)
    sizes = np.array([place[2] for place in places], np.float32)
    return People(
        boxes=np.concatenate([corners, corners + sizes[:, None]], axis=1),
        keypoints=keypoints * sizes[:, None, None] + corners[:, None],
        keypoint_scores=rng.uniform(0.2, 1, (count, points)).astype(np.float32),
        scores=np.array([place[3] for place in places], np.float32),
    )


def test_place_and_size_do_not_matter() -> None:
    people = draw_people((10, 20, 100, 0.8))
    numbers = find_landmarks(people)
    assert numbers.shape == (LANDMARKS,) == (53,) and numbers.dtype == np.float32
    elsewhere = find_landmarks(people.transform((3.5, 3.5), (-200, 77)))
    np.testing.assert_allclose(elsewhere, numbers, atol=1e-4)
    stretched = find_landmarks(people.transform((2, 1), (0, 0)))
    assert np.abs(stretched - numbers).max() > 0.2


def test_hips_are_the_origin_and_the_size_is_one() -> None:
    people = draw_people((0, 0, 300, 0.8))
    points = find_landmarks(people)[:34].reshape(17, 2)
    hips = [KEYPOINTS.index("left_hip"), KEYPOINTS.index("right_hip")]
    np.testing.assert_allclose(points[hips].mean(axis=0), 0, atol=1e-5)
    assert ((points - points.mean(axis=0)) ** 2).sum(axis=1).mean() == pytest.approx(1, rel=1e-4)


def test_guesses_of_unseen_points_say_nothing_of_the_size_and_are_bounded() -> None:
    people = draw_people((0, 0, 300, 0.8))
    keypoints, scores = people.keypoints[0].copy(), people.keypoint_scores[0].copy()
    ankle = KEYPOINTS.index("left_ankle")
    scores[ankle] = 0.1
    before = measure_landmarks(keypoints, scores, 0.8)
    keypoints[ankle] = 1e6, -1e6
    after = measure_landmarks(keypoints, scores, 0.8)
    assert after[2 * ankle : 2 * ankle + 2].tolist() == [LARGEST, -LARGEST]
    same = np.delete(np.arange(LANDMARKS), [2 * ankle, 2 * ankle + 1])
    np.testing.assert_array_equal(after[same], before[same])


@pytest.mark.parametrize("scores", [np.zeros(17), np.ones(17)])
def test_points_in_one_place_are_finite(scores: np.ndarray) -> None:
    assert np.isfinite(measure_landmarks(np.full((17, 2), 40.0), scores, 0.5)).all()


def test_the_main_person_is_large_and_sure_and_the_others_are_counted() -> None:
    people = draw_people((0, 0, 50, 0.9), (60, 0, 200, 0.8), (300, 0, 400, 0.22), (0, 300, 60, 0.3))
    assert choose_main(people) == 1
    numbers = find_landmarks(people)
    assert numbers[-2:].tolist() == pytest.approx([0.8, 2])  # one of the others is not sure enough
    np.testing.assert_array_equal(numbers[34:51], people.keypoint_scores[1])


def test_nobody_is_zeros() -> None:
    assert not find_landmarks(People.nobody()).any()


def test_a_mirror_image_has_the_mirrored_numbers() -> None:
    people = draw_people((10, 20, 100, 0.8))
    flipped = People(
        people.boxes,
        (people.keypoints * np.array([-1, 1], np.float32) + np.array([640, 0], np.float32))[:, OPPOSITE_KEYPOINTS],
        people.keypoint_scores[:, OPPOSITE_KEYPOINTS],
        people.scores,
    )
    numbers = find_landmarks(people)[None]
    np.testing.assert_allclose(mirror_landmarks(numbers)[0], find_landmarks(flipped), atol=1e-4)
    np.testing.assert_array_equal(mirror_landmarks(mirror_landmarks(numbers)), numbers)
