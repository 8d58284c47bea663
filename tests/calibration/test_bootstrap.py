"""Intervals that know of near-duplicates, against what theory says of them."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from yoga_live.calibration.bootstrap import Estimate, estimate_mean, estimate_mean_recall
from yoga_live.calibration.metrics import measure_recalls


def test_photos_of_their_own_have_the_binomial_interval() -> None:
    right = np.arange(1000) % 10 != 0
    found = estimate_mean(right, np.arange(1000))
    spread = 1.96 * math.sqrt(0.9 * 0.1 / 1000)
    assert found.value == pytest.approx(0.9)
    assert (found.photos, found.groups) == (1000, 1000)
    assert (found.low, found.high) == pytest.approx((0.9 - spread, 0.9 + spread), abs=0.003)


def test_copies_of_a_photo_make_the_interval_no_narrower() -> None:
    right = np.arange(200) % 5 != 0
    alone = estimate_mean(right, np.arange(200))
    copied = estimate_mean(np.repeat(right, 9), np.repeat(np.arange(200), 9))
    taken_for_photos = estimate_mean(np.repeat(right, 9), np.arange(1800))
    assert (copied.low, copied.high) == pytest.approx((alone.low, alone.high))
    assert taken_for_photos.high - taken_for_photos.low == pytest.approx((alone.high - alone.low) / 3, rel=0.15)


def test_interval_holds_the_truth_about_95_times_in_100() -> None:
    rng = np.random.default_rng(0)
    inside = 0
    for seed in range(200):
        chances = rng.beta(8, 2, 150)  # families are easier or harder than each other, and of 1 to 6 photos
        groups = np.repeat(np.arange(150), rng.integers(1, 7, 150))
        found = estimate_mean(rng.random(len(groups)) < chances[groups], groups, draws=400, seed=seed)
        inside += found.low <= 0.8 <= found.high
    assert 180 <= inside <= 198


def test_mean_recall_counts_every_pose_alike() -> None:
    targets = np.repeat([0, 1, 2], [80, 15, 5])
    answers = np.where(np.arange(100) % 4 == 0, 2, targets)
    found = estimate_mean_recall(answers == targets, targets, np.arange(100))
    assert found.value == pytest.approx(measure_recalls(answers, targets, 3).mean())
    assert found.low < found.value < found.high


def test_a_pose_that_a_draw_misses_is_left_out_of_it() -> None:
    targets = np.array([0] * 20 + [1])  # in a third of the draws pose 1 is not there
    found = estimate_mean_recall(np.array([True] * 20 + [False]), targets, np.arange(21))
    assert (found.value, found.low, found.high) == (0.5, 0.5, 1.0)


def test_numbers_of_poses_and_groups_need_not_be_contiguous() -> None:
    right, targets, groups = np.array([True, False, True, True]), np.array([7, 7, 3, 3]), np.array([90, 4, 4, 12])
    assert estimate_mean_recall(right, targets, groups) == estimate_mean_recall(
        right, np.array([1, 1, 0, 0]), np.array([2, 0, 0, 1])
    )


def test_differences_may_be_negative() -> None:
    found = estimate_mean(np.array([-1.0, 0.0, 0.0, 0.0] * 50), np.arange(200))
    assert found.value == -0.25 and found.low < -0.25 < found.high < 0


def test_one_family_tells_no_interval_and_no_photo_nothing() -> None:
    one = estimate_mean(np.array([True, False]), np.array([3, 3]))
    assert one.value == 0.5 and math.isnan(one.low) and math.isnan(one.high)
    assert math.isnan(estimate_mean(np.zeros(0, bool), np.zeros(0, int)).value)


def test_the_same_seed_gives_the_same_interval() -> None:
    values, groups = np.sin(np.arange(90)), np.arange(90) // 2
    assert estimate_mean(values, groups) == estimate_mean(values, groups)
    assert estimate_mean(values, groups) != estimate_mean(values, groups, seed=1)


def test_draws_are_the_same_at_once_or_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    right, groups = np.arange(300) % 6 != 0, np.arange(300)
    whole = estimate_mean(right, groups, draws=100)
    monkeypatch.setattr("yoga_live.calibration.bootstrap.CHUNK", 7 * 300)
    assert estimate_mean(right, groups, draws=100) == whole


def test_five_thousand_photos_take_well_under_a_second() -> None:
    rng = np.random.default_rng(0)
    started_s = time.process_time()
    estimate_mean_recall(rng.random(5000) < 0.9, rng.integers(0, 11, 5000), rng.integers(0, 4000, 5000))
    assert time.process_time() - started_s < 1.5  # 0.2 s where nothing else runs


def test_estimate_reads_as_a_share_with_its_interval() -> None:
    assert str(Estimate(0.912, 0.89, 0.931, 100, 80)) == "91.2% (89.0% to 93.1%)"
    assert str(estimate_mean(np.array([True, False]), np.array([3, 3]))) == "50.0% (one duplicate group)"
    assert str(estimate_mean(np.zeros(0, bool), np.zeros(0, int))) == "no photos"
