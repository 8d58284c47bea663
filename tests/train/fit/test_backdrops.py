"""Backdrops: found behind a drawn person, never where there is a room, and replaced without touching the person."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from yoga_live.runtime.core.preprocess import BAR_GREY, letterbox
from yoga_live.runtime.core.types import Frame
from yoga_live.train.fit.augmentation import draw_augmentation
from yoga_live.train.fit.backdrops import find_backdrop, find_surroundings
from yoga_live.train.fit.config import Augmentation
from yoga_live.train.photos.dataset import PhotoDataset

STILL = Augmentation(0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, background=1.0, scene=1.0, cut=1.0)
RED = (30, 30, 220)


def draw_person(backdrop: Frame) -> tuple[Frame, np.ndarray]:
    """A figure whose arm encloses a spot of the backdrop, and where it is."""
    photo, person = backdrop.copy(), np.zeros(backdrop.shape[:2], np.uint8)
    for image, colour in ((photo, RED), (person, 1)):
        cv2.rectangle(image, (45, 30), (75, 119), colour, -1)
        cv2.circle(image, (88, 60), 14, colour, 6)
    return photo, person.astype(bool)


def plain(colour: tuple[int, int, int] = (250, 250, 250), size_wh: tuple[int, int] = (120, 120)) -> Frame:
    return np.full((size_wh[1], size_wh[0], 3), colour, np.uint8)


@pytest.mark.parametrize("colour", [(250, 250, 250), (90, 120, 60), (0, 0, 0)])
def test_a_plain_backdrop_is_found_up_to_the_person_and_inside_an_arm(colour: tuple[int, int, int]) -> None:
    photo, person = draw_person(plain(colour))
    found = find_backdrop(photo)
    assert found[60, 88] and not (found & person).any()
    assert (found | person).mean() > 0.97  # but for the pixels between


def test_a_backdrop_that_darkens_slowly_is_found_too() -> None:
    backdrop = plain()
    backdrop[...] = np.linspace(250, 180, 120).astype(np.uint8)[:, None, None]
    photo, person = draw_person(backdrop)
    found = find_backdrop(photo)
    assert found.mean() > 0.5 and not (found & person).any()


def test_a_room_a_tiny_photo_and_a_photo_without_a_person_have_no_backdrop() -> None:
    room = np.random.default_rng(0).integers(0, 256, (120, 120, 3), dtype=np.uint8)
    assert not find_backdrop(draw_person(room)[0]).any()
    assert not find_backdrop(plain()).any()
    assert not find_backdrop(plain(size_wh=(9, 120))).any()


def make_split(size_wh: tuple[int, int] = (120, 90)) -> PhotoDataset:
    """A person before a white wall, and a photo of a green place."""
    photo = draw_person(plain())[0][: size_wh[1]]
    frames = np.stack([letterbox(photo, 60), letterbox(plain((0, 200, 0), size_wh), 60)])
    return PhotoDataset(frames, np.zeros(2, np.int64), None, np.array([size_wh, size_wh]), np.array([1]))


def augment(split: PhotoDataset, ranges: Augmentation, seed: int = 0) -> np.ndarray:
    surroundings = find_surroundings(split, ranges)
    draws = draw_augmentation(1, ranges, torch.Generator().manual_seed(seed), len(surroundings.scenes))
    return surroundings.augment(np.array([0]), 60, draws, torch.device("cpu")).numpy()[0]


def test_a_place_comes_behind_the_person_instead_of_wall_and_bars() -> None:
    image = augment(make_split(), STILL)
    assert np.abs(image[2, 30] - (0, 200, 0)).max() < 1  # was a bar
    assert np.abs(image[20, 5] - (0, 200, 0)).max() < 1  # was the wall
    assert np.abs(image[40, 30] - RED).max() < 1  # the person


def test_without_cutting_the_wall_stays_and_only_the_bars_go() -> None:
    image = augment(make_split(), Augmentation(**{**STILL.__dict__, "cut": 0.0}))
    assert np.abs(image[2, 30] - (0, 200, 0)).max() < 1
    assert np.abs(image[20, 5] - 250).max() < 1


def test_without_backgrounds_bars_stay_grey_and_no_backdrop_is_looked_for() -> None:
    ranges = Augmentation(**{**STILL.__dict__, "background": 0.0})
    split = make_split()
    assert not find_surroundings(split, ranges).backdrops.any()
    np.testing.assert_allclose(augment(split, ranges)[2, 30], BAR_GREY, atol=0.01)


def test_without_places_blotches_come_behind_the_person() -> None:
    split = make_split()
    alone = PhotoDataset(split.frames[:1], split.targets[:1], None, split.sizes_wh[:1])  # type: ignore[index]
    first, second = augment(alone, STILL), augment(alone, STILL, 1)
    assert np.abs(first[20, 5] - second[20, 5]).max() > 5
    assert np.abs(first[40, 30] - RED).max() < 1


def test_a_place_is_cropped_inside_its_bars_and_mirrored() -> None:
    place = plain((0, 0, 0), (120, 40))
    place[:, 60:] = (255, 0, 0)
    split = make_split()
    frames = np.stack([split.frames[0], letterbox(place, 60)])
    wide = PhotoDataset(frames, split.targets, None, np.array([[120, 90], [120, 40]]), np.array([1]))
    corners = np.array([augment(wide, STILL, seed)[2, 2] for seed in range(30)])
    assert np.abs(corners[:, 1:]).max() < 1  # never bar grey
    assert {int(blue) for blue in corners[:, 0].round()} >= {0, 255}


def test_a_photo_is_cut_to_its_person_before_it_is_varied() -> None:
    split = make_split((120, 90))
    crops = np.array([[20, 20, 20, 30], [0, 0, 0, 0]])
    cropped = replace(split, crops=crops)
    ranges = Augmentation(**{**STILL.__dict__, "background": 0.0, "person": 1.0})
    wanted = letterbox(split.frames[0][20:50, 20:40], 60)
    np.testing.assert_allclose(augment(cropped, ranges), wanted, atol=0.01)
    never = replace(ranges, person=0.0)
    np.testing.assert_allclose(augment(cropped, never), split.frames[0], atol=0.01)
    np.testing.assert_allclose(augment(split, ranges), split.frames[0], atol=0.01)  # nobody was looked for


def test_a_place_surrounds_the_person_who_was_cut_out() -> None:
    split = replace(make_split((120, 90)), crops=np.array([[20, 20, 20, 30], [0, 0, 0, 0]]))
    image = augment(split, Augmentation(**{**STILL.__dict__, "cut": 0.0, "person": 1.0}))
    assert np.abs(image[30, 2] - (0, 200, 0)).max() < 1  # beside the narrow crop
    assert np.abs(image[30, 30] - (0, 200, 0)).max() > 50
