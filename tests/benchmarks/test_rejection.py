"""What is no pose, told apart on logits whose truth is known."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from yoga_live.calibration.confidence import choose_threshold
from yoga_live.calibration.logits import SplitLogits
from yoga_live.runtime.core.softmax import softmax

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

from rejection import (
    ENERGY,
    EXPLICIT,
    LOGIT,
    PROBABILITY,
    Rejection,
    choose_bar,
    choose_pose_thresholds,
    compare_rejection,
    compare_thresholds,
    measure_auroc,
    score_poses,
)

LABELS = ("chair", "tree", "none")


def test_scores_are_those_of_the_poses_alone() -> None:
    logits = np.array([[2.0, 1.0, 5.0]])
    scores = score_poses(logits, LABELS)
    assert scores[PROBABILITY] == pytest.approx(softmax(logits)[:, 0])
    assert scores[LOGIT] == [2.0]
    assert scores[ENERGY] == pytest.approx(np.log(np.exp(2.0) + np.exp(1.0)))
    assert scores[EXPLICIT] == pytest.approx(scores[ENERGY] - 5.0)


def test_explicit_class_ranks_as_one_minus_the_probability_of_none_and_never_saturates() -> None:
    logits = np.random.default_rng(0).normal(0, 3, (200, 3))
    scores = score_poses(logits, LABELS, 2.0)[EXPLICIT]
    np.testing.assert_allclose(1 / (1 + np.exp(-scores)), 1 - softmax(logits / 2.0)[:, 2])
    sure = score_poses(np.array([[60.0, 0.0, 0.0], [90.0, 0.0, 0.0]], np.float32), LABELS)[EXPLICIT]
    assert sure[0] < sure[1]


def test_temperature_changes_the_probability_and_not_the_logits() -> None:
    logits = np.array([[2.0, 1.0, 0.0]])
    plain, hot = score_poses(logits, LABELS), score_poses(logits, LABELS, 3.0)
    assert hot[PROBABILITY] < plain[PROBABILITY]
    assert hot[LOGIT] == plain[LOGIT] and hot[ENERGY] == plain[ENERGY]


def test_without_none_there_is_no_explicit_class() -> None:
    assert list(score_poses(np.zeros((1, 2)), LABELS[:2])) == [PROBABILITY, LOGIT, ENERGY]


def test_auroc_counts_pairs_and_ties_half() -> None:
    poses, others = np.array([3.0, 2.0, 1.0]), np.array([2.0, 0.0])
    assert measure_auroc(poses, others) == pytest.approx((2 + 1.5 + 1) / 6)
    assert measure_auroc(others, poses) == pytest.approx(1 - (2 + 1.5 + 1) / 6)
    assert measure_auroc(np.ones(4), np.ones(7)) == 0.5
    assert np.isnan(measure_auroc(poses, np.zeros(0))) and np.isnan(measure_auroc(np.zeros(0), others))


def test_auroc_is_that_of_all_pairs_on_random_scores() -> None:
    rng = np.random.default_rng(0)
    poses, others = rng.integers(0, 20, 150) + 3.0, rng.integers(0, 20, 90) + 0.0
    pairs = (poses[:, None] > others).mean() + (poses[:, None] == others).mean() / 2
    assert measure_auroc(poses, others) == pytest.approx(pairs)


@pytest.mark.parametrize("count", [1, 3, 19, 20, 21, 100, 1000])
def test_bar_is_the_highest_that_95_percent_reach(count: int) -> None:
    scores = np.random.default_rng(count).normal(size=count)
    bar = choose_bar(scores)
    assert (scores >= bar).mean() >= 0.95
    assert (scores > bar).mean() < 0.95


def test_every_kind_is_scored_against_the_same_poses() -> None:
    logits = np.concatenate([np.tile([4.0, 0.0, 0.0], (20, 1)), np.tile([0.0, 0.0, 4.0], (6, 1)), np.zeros((3, 3))])
    kinds = [""] * 20 + ["people"] * 6 + ["asanas"] * 2 + [""]
    rows = compare_rejection(SplitLogits(logits, np.zeros(29, int)), kinds, LABELS)
    assert [(row.score, row.kind, row.poses, row.others) for row in rows[:4]] == [
        (score, "asanas", 21, 2) for score in (PROBABILITY, LOGIT, ENERGY, EXPLICIT)
    ]
    people = {row.score: row for row in rows[4:]}
    assert people[EXPLICIT] == Rejection(EXPLICIT, "people", 21, 6, 1.0, 0)
    assert people[LOGIT].auroc == pytest.approx(1 - 0.5 / 21)
    assert rows[0].alarm_share == 0.0


def test_false_alarms_are_those_that_reach_the_bar() -> None:
    logits = np.zeros((30, 3))
    logits[:, 0] = [*range(1, 21), 0.5, 1.5, 2, 3, 9, *range(5)]
    kinds = [""] * 20 + ["people"] * 5 + ["rooms"] * 5
    rows = compare_rejection(SplitLogits(logits, np.zeros(30, int)), kinds, LABELS)
    assert [(row.kind, row.alarms) for row in rows if row.score == LOGIT] == [("people", 3), ("rooms", 3)]


def draw_lopsided(count: int, seed: int) -> SplitLogits:
    """Chairs are answered with 0.9 and non-poses as a chair with 0.75; trees with 0.6 and never falsely."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, 3, count)
    sure = np.array([0.9, 0.6, 0.75])[targets] + rng.uniform(-0.04, 0.04, count)
    chances = np.repeat(((1 - sure) / 2)[:, None], 3, axis=1)
    chances[np.arange(count), np.array([0, 1, 0])[targets]] = sure
    return SplitLogits(np.log(chances), targets)


def test_each_pose_gets_the_threshold_that_its_own_non_poses_ask_for() -> None:
    thresholds = choose_pose_thresholds(draw_lopsided(600, 0), LABELS, 1.0)
    assert 0.78 < thresholds[0] <= 0.87
    assert thresholds[1] <= 0.57


def test_a_pose_that_is_never_answered_keeps_the_shared_threshold() -> None:
    split = draw_lopsided(300, 0)
    chairs = SplitLogits(split.logits[split.targets != 1], split.targets[split.targets != 1])
    thresholds = choose_pose_thresholds(chairs, LABELS, 1.0)
    assert thresholds[1] == choose_threshold(chairs, LABELS, 1.0)
    assert thresholds[0] == thresholds[1]  # any other does no better


def test_thresholds_of_their_own_pay_where_poses_differ_and_are_scored_on_the_other_half() -> None:
    split = draw_lopsided(600, 1)
    found = compare_thresholds(split, np.arange(600), LABELS, 1.0)
    assert found.own.all()
    assert 0.6 < found.shared.mean() < 0.7
    np.testing.assert_array_equal(found.is_none, split.targets == 2)


def test_near_duplicates_are_never_in_both_halves(monkeypatch: pytest.MonkeyPatch) -> None:
    split, groups = draw_lopsided(90, 2), np.arange(90) // 3 * 5
    halves: list[set[float]] = []

    def note(half: SplitLogits, *_: object) -> float:
        halves.append({float(row[0]) for row in half.logits})
        return 0.5

    monkeypatch.setattr("rejection.choose_threshold", note)
    compare_thresholds(split, groups, LABELS, 1.0)
    for half in halves:
        inside = np.array([float(row[0]) in half for row in split.logits]).reshape(-1, 3)
        assert (inside.all(axis=1) | ~inside.any(axis=1)).all() and 0 < inside.mean() < 1


def test_thresholds_do_not_pay_on_noise() -> None:
    rng = np.random.default_rng(3)
    logits = rng.normal(0, 2, (2000, 3))
    targets = (softmax(logits).cumsum(axis=1) < rng.random((2000, 1))).sum(axis=1)
    found = compare_thresholds(SplitLogits(logits, targets), np.arange(2000), LABELS, 1.0)
    assert abs(found.own.mean() - found.shared.mean()) < 0.02
