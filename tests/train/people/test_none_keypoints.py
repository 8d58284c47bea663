"""The shipped numbers of people who hold no pose: plausible people, no picture, a small file."""

from __future__ import annotations

import numpy as np

from yoga_live.train.people.none_keypoints import NUMBERS, SIDE, load_none_keypoints


def test_each_photo_shows_somebody_in_pixels_of_a_photo_whose_longer_side_is_1000() -> None:
    numbers = load_none_keypoints()
    assert len(numbers.photos) == len(numbers.kinds) == len(numbers.sources) > 500
    for photo in numbers.photos:
        assert len(photo.people) >= 1 and max(photo.size_wh) == SIDE and min(photo.size_wh) > 100
        assert (photo.people.boxes >= 0).all() and (photo.people.boxes <= SIDE).all()
        assert (photo.people.scores > 0.24).all() and (photo.people.keypoint_scores <= 1).all()


def test_kinds_are_other_exercises_and_homes_and_none_that_is_near_a_pose() -> None:
    numbers = load_none_keypoints()
    assert {kind.partition("/")[0] for kind in numbers.kinds} == {"exercise", "home"}
    assert not {"exercise/lunge", "exercise/squat", "exercise/push_up"} & set(numbers.kinds)
    assert len(set(numbers.sources)) > 10


def test_shoulders_are_above_hips_in_most_photos_of_people_at_a_desk() -> None:
    numbers = load_none_keypoints()
    upright = [
        photo.people.keypoints[0, [5, 6], 1].mean() < photo.people.keypoints[0, [11, 12], 1].mean()
        for photo, kind in zip(numbers.photos, numbers.kinds, strict=True)
        if kind in ("home/using_laptop", "home/phone")
    ]
    assert len(upright) > 50 and np.mean(upright) > 0.9


def test_the_file_holds_numbers_alone_and_is_small() -> None:
    assert NUMBERS.stat().st_size < 100_000
    with np.load(NUMBERS, allow_pickle=False) as arrays:
        assert {name: arrays[name].dtype.kind for name in arrays.files} == {
            "names": "U", "kind": "u", "source": "u", "count": "u", "size_wh": "i", "boxes": "i", "keypoints": "i",
            "keypoint_scores": "u", "scores": "u",
        }  # fmt: skip
