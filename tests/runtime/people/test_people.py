"""The people of a frame: shapes that are checked, choosing some, other pixels."""

from __future__ import annotations

import numpy as np
import pytest

from yoga_live.runtime.people import KEYPOINTS, OPPOSITE_KEYPOINTS, People


def make_people(count: int) -> People:
    rng = np.random.default_rng(count)
    corners = np.sort(rng.uniform(0, 100, (count, 2, 2)), axis=1).reshape(count, 4)
    return People(
        corners.astype(np.float32),
        rng.uniform(0, 100, (count, 17, 2)).astype(np.float32),
        rng.uniform(0, 1, (count, 17)).astype(np.float32),
        rng.uniform(0, 1, count).astype(np.float32),
    )


@pytest.mark.parametrize("name", ["boxes", "keypoints", "keypoint_scores"])
def test_an_array_of_another_shape_is_refused_by_name(name: str) -> None:
    arrays = dict(vars(make_people(2)))
    arrays[name] = arrays[name][:1]
    with pytest.raises(ValueError, match=rf"{name} must be float32 \(2, "):
        People(**arrays)


def test_another_dtype_is_refused() -> None:
    arrays = dict(vars(make_people(2)))
    with pytest.raises(ValueError, match=r"scores must be float32 \(2,\); got float64"):
        People(**{**arrays, "scores": arrays["scores"].astype(np.float64)})


def test_nobody_is_empty_and_can_be_moved_and_chosen_from() -> None:
    nobody = People.nobody()
    assert len(nobody) == 0 and not nobody and nobody.keypoints.shape == (0, 17, 2)
    assert len(nobody.transform((2, 2), (5, 5)).clip((10, 10)).select(np.zeros(0, bool))) == 0


def test_people_are_chosen_by_mask_or_in_the_order_of_indices() -> None:
    people = make_people(3)
    np.testing.assert_array_equal(people.select(np.array([True, False, True])).boxes, people.boxes[[0, 2]])
    chosen = people.select(np.array([2, 0]))
    np.testing.assert_array_equal(chosen.scores, people.scores[[2, 0]])
    np.testing.assert_array_equal(chosen.keypoints, people.keypoints[[2, 0]])


def test_pixels_of_another_frame_are_scaled_then_shifted() -> None:
    people = make_people(2)
    moved = people.transform((2, 3), (10, 20))
    np.testing.assert_allclose(moved.boxes, people.boxes * [2, 3, 2, 3] + [10, 20, 10, 20], rtol=1e-6)
    np.testing.assert_allclose(moved.keypoints, people.keypoints * [2, 3] + [10, 20], rtol=1e-6)
    assert moved.boxes.dtype == moved.keypoints.dtype == np.float32


def test_boxes_are_cut_at_the_border_and_people_outside_are_dropped() -> None:
    people = make_people(2)
    boxes = np.array([[-5, 10, 60, 90], [50, 10, 80, 40]], np.float32)
    people = People(boxes, people.keypoints, people.keypoint_scores, people.scores)
    inside = people.clip((40, 80))
    np.testing.assert_array_equal(inside.boxes, np.array([[0, 10, 40, 80]]))
    np.testing.assert_array_equal(inside.keypoints, people.keypoints[:1])


def test_opposite_key_points_swap_left_and_right_and_keep_the_nose() -> None:
    assert len(KEYPOINTS) == 17 and OPPOSITE_KEYPOINTS[0] == 0
    for index, opposite in enumerate(OPPOSITE_KEYPOINTS):
        assert OPPOSITE_KEYPOINTS[opposite] == index
        assert {KEYPOINTS[index].split("_")[0], KEYPOINTS[opposite].split("_")[0]} in ({"left", "right"}, {"nose"})
        assert KEYPOINTS[index].split("_")[1:] == KEYPOINTS[opposite].split("_")[1:]
