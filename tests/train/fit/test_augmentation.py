"""Augmentation: nothing where nothing is asked, seeded, in range, and never upside down."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from yoga_live.runtime.core.preprocess import BAR_GREY
from yoga_live.train.fit.augmentation import augment_frames, draw_augmentation, weaken
from yoga_live.train.fit.config import Augmentation

IDENTITY = Augmentation(0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def draw_frames(count: int = 4, size: int = 48) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8))


def augment(frames: torch.Tensor, ranges: Augmentation, seed: int = 0, size: int | None = None) -> torch.Tensor:
    draws = draw_augmentation(len(frames), ranges, torch.Generator().manual_seed(seed))
    return augment_frames(frames, size or frames.shape[1], draws)


def test_identity_ranges_give_the_frames_back() -> None:
    frames = draw_frames()
    torch.testing.assert_close(augment(frames, IDENTITY), frames.float(), rtol=0, atol=0.01)


def test_mirror_mirrors_left_and_right_only() -> None:
    frames = draw_frames()
    mirrored = augment(frames, replace(IDENTITY, mirror=1.0))
    torch.testing.assert_close(mirrored, frames.float().flip(2), rtol=0, atol=0.01)


def test_about_half_of_the_photos_are_mirrored() -> None:
    frames = draw_frames(1, 16).repeat(400, 1, 1, 1)
    changed = (augment(frames, replace(IDENTITY, mirror=0.5)) - frames.float()).abs().amax(dim=(1, 2, 3)) > 1
    assert 150 < int(changed.sum()) < 250


def test_no_draw_turns_a_person_upside_down_or_further_than_the_limit() -> None:
    size = 64
    frames = torch.full((300, size, size, 3), BAR_GREY, dtype=torch.uint8)
    frames[:, 14:18, 30:34] = 255  # the head
    frames[:, 46:50, 30:34] = 0  # the feet
    ranges = replace(IDENTITY, mirror=0.5, turn_degrees=Augmentation().turn_degrees, shift=0.1)
    images = augment(frames, ranges, 3).mean(dim=3) - BAR_GREY
    rows = torch.arange(size).float()

    def centre(weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        total = weights.sum(dim=(1, 2))
        return (weights.sum(1) * rows).sum(1) / total, (weights.sum(2) * rows).sum(1) / total

    head_x, head_y = centre(images.clamp(min=0))
    feet_x, feet_y = centre((-images).clamp(min=0))
    degrees = torch.rad2deg(torch.atan2(feet_x - head_x, feet_y - head_y)).abs()
    assert float(degrees.max()) <= Augmentation().turn_degrees + 1  # rounding of centres
    assert float(degrees.max()) > Augmentation().turn_degrees / 2  # and it does turn
    assert math.isclose(Augmentation().turn_degrees, 12.0)


def test_a_shrunk_photo_is_framed_in_bar_grey() -> None:
    frames = torch.zeros((2, 64, 64, 3), dtype=torch.uint8)
    images = augment(frames, replace(IDENTITY, scale_low=0.5, scale_high=0.5))
    assert float((images[:, :12] - BAR_GREY).abs().max()) < 0.01
    assert float(images[:, 20:44, 20:44].max()) < 0.01


def test_erasing_paints_bar_grey_rectangles_up_to_a_third_of_the_side() -> None:
    frames = torch.zeros((50, 60, 60, 3), dtype=torch.uint8)
    erased = (augment(frames, replace(IDENTITY, erase=1.0)) == BAR_GREY).all(dim=3)
    assert bool(erased.any(dim=2).any(dim=1).all())
    assert int(erased.any(dim=2).sum(dim=1).max()) <= 21 and int(erased.any(dim=1).sum(dim=1).max()) <= 21


def test_light_changes_brightness_and_colour_zero_makes_grey() -> None:
    frames = draw_frames(40)
    brighter = augment(frames, replace(IDENTITY, light=0.3)).mean(dim=(1, 2, 3))
    assert float(brighter.std()) > 5
    saturation = augment(frames, replace(IDENTITY, colour=1.0))
    spread = (saturation.amax(dim=3) - saturation.amin(dim=3)).mean(dim=(1, 2))
    assert float(spread.max()) > 1.2 * float(spread.min())


@pytest.mark.parametrize("size", [32, 48, 64])
def test_output_stays_between_0_and_255_at_the_size_asked_for(size: int) -> None:
    wild = Augmentation(light=0.9, colour=0.9, erase=0.5)
    images = augment(draw_frames(32), wild, size=size)
    assert images.shape == (32, size, size, 3) and images.dtype == torch.float32
    assert float(images.min()) >= 0 and float(images.max()) <= 255


def test_one_seed_gives_one_augmentation_and_another_seed_another() -> None:
    frames = draw_frames()
    first = augment(frames, Augmentation(), 5)
    assert torch.equal(augment(frames, Augmentation(), 5), first)
    assert not torch.equal(augment(frames, Augmentation(), 6), first)


def test_each_photo_of_a_batch_gets_its_own_draw_and_the_input_is_left_alone() -> None:
    frames = draw_frames(1).repeat(2, 1, 1, 1)
    before = frames.clone()
    images = augment(frames, Augmentation())
    assert not torch.equal(images[0], images[1])
    assert torch.equal(frames, before)


def test_blur_smooths_a_photo_keeps_its_brightness_and_a_flat_one_as_it_is() -> None:
    frames = draw_frames(6)
    blurred = augment(frames, replace(IDENTITY, blur=1.0))
    assert float(blurred.std()) < 0.95 * float(frames.float().std())
    torch.testing.assert_close(blurred.mean(dim=(1, 2, 3)), frames.float().mean(dim=(1, 2, 3)), rtol=0.01, atol=1)
    flat = torch.full((2, 32, 32, 3), 77, dtype=torch.uint8)
    torch.testing.assert_close(augment(flat, replace(IDENTITY, blur=1.0)), flat.float(), rtol=0, atol=0.01)


def test_a_random_background_surrounds_a_shrunk_photo_and_leaves_the_photo_alone() -> None:
    frames = torch.zeros((2, 64, 64, 3), dtype=torch.uint8)
    images = augment(frames, replace(IDENTITY, scale_low=0.5, scale_high=0.5, background=1.0))
    assert float(images[:, 20:44, 20:44].max()) < 0.01
    assert float(images[:, :12].std()) > 10 and not torch.equal(images[0, :12], images[1, :12])
    same = augment(draw_frames(), replace(IDENTITY, background=1.0))
    torch.testing.assert_close(same, draw_frames().float(), rtol=0, atol=0.01)


def test_a_share_of_a_batch_is_augmented_as_it_would_be_in_the_whole() -> None:
    frames = draw_frames(8)
    everything = Augmentation(blur=0.5, background=0.5, erase=0.5)
    draws = draw_augmentation(8, everything, torch.Generator().manual_seed(1))
    whole = augment_frames(frames, 48, draws)
    shares = [augment_frames(frames[rows], 48, draws.take(rows)) for rows in (slice(0, 3), slice(3, 8))]
    torch.testing.assert_close(torch.cat(shares), whole)


def test_weakened_ranges_go_from_the_photo_as_it_is_to_what_was_configured() -> None:
    ranges = Augmentation()
    assert weaken(ranges, 1) == ranges
    none = weaken(ranges, 0)
    assert none == replace(
        ranges, turn_degrees=0, scale_low=1, scale_high=1, shift=0, light=0, colour=0, erase=0, blur=0, background=0
    )
    half = weaken(ranges, 0.5)
    assert half.turn_degrees == 6 and half.scale_low == pytest.approx(0.4**0.5) and half.mirror == 0.5


def test_how_often_a_person_is_cropped_is_drawn_last_so_that_a_seed_draws_the_rest_as_before() -> None:
    plain, cropping = (
        draw_augmentation(400, replace(IDENTITY, person=person), torch.Generator().manual_seed(1))
        for person in (0.0, 0.25)
    )
    assert not plain.person.any() and 60 < int(cropping.person.sum()) < 140
    torch.testing.assert_close(plain.affine, cropping.affine)
    assert torch.equal(plain.cut, cropping.cut)


def test_short_trainings_crop_people_as_often() -> None:
    assert weaken(Augmentation(person=0.5), 0.1).person == 0.5
