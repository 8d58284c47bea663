"""Which classes are told by people's bodies."""

from __future__ import annotations

import numpy as np
import pytest

from yoga_live.runtime.people import People
from yoga_live.train.people.bodies import are_bodies, list_classes_of_bodies
from yoga_live.train.people.cache import PhotoPeople

SOMEBODY = PhotoPeople(
    People(
        np.array([[0, 0, 9, 9]], np.float32), np.zeros((1, 17, 2), np.float32), np.zeros((1, 17), np.float32),
        np.ones(1, np.float32),
    ), (9, 9),
)  # fmt: skip
NOBODY = PhotoPeople(People.nobody(), (9, 9))


def make_class(name: str, people: int, photos: int) -> dict[str, PhotoPeople]:
    return {f"{name}/{number}.jpg": SOMEBODY if number < people else NOBODY for number in range(photos)}


@pytest.mark.parametrize(("people", "is_one"), [(0, False), (4, False), (5, True), (10, True)])
def test_classes_are_bodies_where_most_photos_show_somebody(people: int, is_one: bool) -> None:
    assert are_bodies(make_class("tree", people, 10)) is is_one
    assert are_bodies({**make_class("tree", people, 10), **make_class("none", 0, 100)}) is is_one


def test_without_photos_of_a_pose_nothing_is() -> None:
    assert not are_bodies({}) and not are_bodies(make_class("none", 9, 9))


def test_a_class_of_things_beside_poses_is_not_listed() -> None:
    found = {**make_class("tree", 9, 10), **make_class("cup", 1, 10), **make_class("none", 10, 10)}
    assert list_classes_of_bodies(found) == ("tree",)
