"""Copies of a picture are told from other poses in the same room, whatever was done to them."""

from __future__ import annotations

import io
from collections.abc import Callable
from itertools import pairwise

import cv2
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from yoga_live.runtime.sources.drawn_figure import (
    POSES,
    Appearance,
    blend_poses,
    draw_figure,
    jitter_pose,
    random_appearance,
)
from yoga_live.train.photos.folder import hash_photo
from yoga_live.train.photos.picture_groups import find_pictures, group_pictures
from yoga_live.train.photos.same_picture import DIFFERENCE_LIMIT, SIDE, Template, make_thumbnail

from .test_splits import make_photo


def encode(picture: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def crop(picture: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    width, height = picture.size
    return picture.crop((int(left * width), int(top * height), int(right * width), int(bottom * height)))


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "smaller": lambda picture: picture.resize((130, 98)),
    "larger": lambda picture: picture.resize((700, 525)),
    "compressed": lambda picture: encode(picture, 40),
    "mirrored": ImageOps.mirror,
    "cropped at one corner": lambda picture: crop(picture, 0.05, 0.05, 1, 1),
    "cropped all around": lambda picture: encode(crop(picture, 0.025, 0.02, 0.98, 0.97), 80),
    "narrower": lambda picture: crop(picture, 0, 0, 0.95, 1),
    "brighter": lambda picture: ImageEnhance.Brightness(picture).enhance(1.15),
    "darker": lambda picture: ImageEnhance.Brightness(picture).enhance(0.8),
}


def draw(pose: str, look: Appearance, seed: int = 0) -> Image.Image:
    rng = np.random.default_rng(seed)
    frame = draw_figure(jitter_pose(POSES[pose], rng), (320, 240), look)
    noisy = np.clip(frame + rng.normal(0, 2, frame.shape), 0, 255).astype(np.uint8)
    return Image.fromarray(noisy[:, :, ::-1])


def group(pictures: list[Image.Image], *, mirror: bool = True) -> list[int]:
    frames = [np.ascontiguousarray(np.asarray(picture)[:, :, ::-1]) for picture in pictures]
    hashes = np.array([hash_photo(frame) for frame in frames], np.uint64).reshape(-1, 2)
    thumbnails = np.array([make_thumbnail(frame) for frame in frames], np.uint8).reshape(-1, SIDE, SIDE)
    return group_pictures(hashes[:, 0], hashes[:, 1], thumbnails, mirror=mirror).tolist()


@pytest.mark.parametrize("kind", COPIES)
def test_a_copy_is_found_among_other_poses_of_the_same_room(kind: str) -> None:
    look = random_appearance(np.random.default_rng(5))
    poses = [draw(pose, look) for pose in ("tree", "goddess", "warrior_2", "chair")]
    assert group([*poses, *map(COPIES[kind], poses)]) == [0, 1, 2, 3] * 2


@pytest.mark.parametrize("seed", range(4))
def test_one_person_in_one_room_gives_as_many_pictures_as_poses(seed: int) -> None:
    look = random_appearance(np.random.default_rng(seed))
    pictures = [draw(pose, look) for pose in POSES]
    assert group(pictures) == list(range(len(POSES)))


def test_an_arm_that_moves_little_by_little_makes_no_chain() -> None:
    look = random_appearance(np.random.default_rng(1))
    low, high = POSES["standing"], POSES["tree"]
    frames = [draw_figure(blend_poses(low, high, step / 60), (320, 240), look) for step in range(61)]
    groups = group([Image.fromarray(frame[:, :, ::-1]) for frame in frames])
    assert groups[0] != groups[-1] and max(np.bincount(groups)) < 30
    neighbours = sum(one == other for one, other in pairwise(groups))
    assert neighbours > 30  # frames 1/60 apart are as good as copies


def test_the_partition_does_not_depend_on_the_order() -> None:
    look = random_appearance(np.random.default_rng(7))
    pictures = [draw(pose, look, seed) for pose in ("tree", "chair") for seed in range(4)]
    pictures += [COPIES["narrower"](picture) for picture in pictures[::2]]
    expected = np.array(group(pictures))
    same = expected[:, None] == expected
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(pictures))
        found = np.array(group([pictures[i] for i in order]))
        assert ((found[:, None] == found) == same[np.ix_(order, order)]).all()


def test_mirror_images_may_be_other_pictures() -> None:
    picture = draw("warrior_2", random_appearance(np.random.default_rng(2)))
    assert group([picture, ImageOps.mirror(picture)]) == [0, 0]
    assert group([picture, ImageOps.mirror(picture)], mirror=False) == [0, 1]


def test_blank_pictures_and_none_at_all_are_no_trouble() -> None:
    grey, other = (Image.new("RGB", (64, 48), (level,) * 3) for level in (90, 160))
    assert group([grey, grey, other])[:2] == [0, 0]
    assert group([]) == []
    assert Template(np.full((SIDE, SIDE), 9, np.uint8)).measure_difference(np.zeros((SIDE, SIDE), np.uint8)) > 1e9


def test_a_small_object_that_came_is_a_difference() -> None:
    frame = np.asarray(draw("tree", random_appearance(np.random.default_rng(4))))[:, :, ::-1].copy()
    changed = frame.copy()
    cv2.rectangle(changed, (20, 60), (32, 110), (10, 10, 10), -1)
    assert Template(make_thumbnail(frame)).measure_difference(make_thumbnail(changed)) > DIFFERENCE_LIMIT


def test_without_thumbnails_the_hash_decides() -> None:
    assert find_pictures((make_photo("tree", 0), make_photo("chair", 15), make_photo("chair", 31)), None).tolist() == [
        0,
        0,
        0,
    ]
    assert find_pictures((make_photo("tree", 0), make_photo("chair", 31)), None).tolist() == [0, 1]
