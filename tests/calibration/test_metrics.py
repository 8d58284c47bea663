"""The numbers, against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from yoga_live.calibration.metrics import (
    Accuracy,
    count_confusions,
    list_confusions,
    measure_accuracy,
    measure_ece,
    measure_mcnemar,
    measure_nll,
    measure_recalls,
    simulate_perfect_ece,
    top_confidences,
)

TARGETS = np.array([0, 0, 0, 1, 1, 2])
ANSWERS = np.array([0, 1, 1, 1, 2, 2])


@pytest.mark.parametrize(
    ("right", "total", "low", "high"),
    [(8, 10, 0.4902, 0.9433), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662)],
)
def test_interval_is_wilsons(right: int, total: int, low: float, high: float) -> None:
    # The last row is the worked example of Newcombe 1998, table I; the others from Wilson's formula by hand.
    assert Accuracy(right, total).interval == pytest.approx((low, high), abs=1e-4)


def test_no_photos_have_no_accuracy_and_the_widest_interval() -> None:
    assert math.isnan(Accuracy(0, 0).value) and Accuracy(0, 0).interval == (0.0, 1.0)


def test_accuracy_reads_as_a_sentence() -> None:
    assert str(Accuracy(8, 10)) == "80.0% (8 of 10, 95 % interval 49.0% to 94.3%)"


def test_accuracy_counts_the_right_answers() -> None:
    assert measure_accuracy(ANSWERS, TARGETS) == Accuracy(3, 6)


def test_confusion_rows_are_the_truth_and_columns_the_answer() -> None:
    assert count_confusions(ANSWERS, TARGETS, 4).tolist() == [[1, 2, 0, 0], [0, 1, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0]]


def test_recall_is_a_share_of_each_class_and_nan_where_it_has_no_photo() -> None:
    recalls = measure_recalls(ANSWERS, TARGETS, 4)
    np.testing.assert_allclose(recalls, [1 / 3, 1 / 2, 1, np.nan])


def test_confusions_are_listed_commonest_first_without_right_or_absent_ones() -> None:
    matrix = count_confusions(ANSWERS, TARGETS, 3)
    labels = ("tree", "plank", "chair")
    assert list_confusions(matrix, labels) == [("tree", "plank", 2), ("plank", "chair", 1)]
    assert list_confusions(matrix, labels, most=1) == [("tree", "plank", 2)]


def test_nll_is_the_mean_surprise_in_nats() -> None:
    logits = np.log([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]])
    targets = np.array([0, 2])
    assert measure_nll(logits, targets) == pytest.approx(-(math.log(0.5) + math.log(0.1)) / 2)
    hot = [math.sqrt(p) for p in (0.5, 0.25, 0.25)]
    assert measure_nll(logits[:1], targets[:1], 2.0) == pytest.approx(-math.log(hot[0] / sum(hot)))


def test_nll_of_huge_logits_is_finite() -> None:
    assert measure_nll(np.array([[1e5, 0.0]]), np.array([1])) == pytest.approx(1e5)


def test_ece_weighs_the_gap_of_each_bin_by_its_photos() -> None:
    # Two bins: 0.2, 0.4 (one right: gap |0.5 - 0.3|) and 0.6, 1.0, 1.0 (two right: gap |2/3 - 2.6/3|).
    confidences = np.array([0.2, 0.4, 0.6, 1.0, 1.0])
    right = np.array([True, False, False, True, True])
    assert measure_ece(confidences, right, bins=2) == pytest.approx(2 / 5 * 0.2 + 3 / 5 * 0.2)


def test_ece_of_a_model_that_is_always_sure_and_half_right_is_a_half() -> None:
    assert measure_ece(np.ones(10), np.arange(10) % 2 == 0) == 0.5


def test_a_perfect_model_still_shows_nearly_three_percent_ece_on_500_photos() -> None:
    confidences = np.random.default_rng(0).uniform(0.5, 1.0, 500)
    mean, high = simulate_perfect_ece(confidences)
    assert mean == pytest.approx(0.042, abs=0.004)  # confidences from a half to one
    sure = np.random.default_rng(0).beta(8, 1, 500)
    assert simulate_perfect_ece(sure)[0] == pytest.approx(0.027, abs=0.003)  # as sure as a good model is
    assert mean < high < 0.07


def test_a_perfect_model_shows_less_ece_on_more_photos_and_the_same_each_time() -> None:
    confidences = np.random.default_rng(0).beta(8, 1, 8000)
    few, many = simulate_perfect_ece(confidences[:200], 200), simulate_perfect_ece(confidences, 200)
    assert many[0] == pytest.approx(few[0] / math.sqrt(40), rel=0.25)
    assert simulate_perfect_ece(confidences[:200], 200) == few


def test_top_confidence_is_the_largest_probability_at_that_temperature() -> None:
    logits = np.log([[0.7, 0.2, 0.1], [0.3, 0.3, 0.4]])
    np.testing.assert_allclose(top_confidences(logits, 1.0), [0.7, 0.4])
    assert (top_confidences(logits, 2.0) < top_confidences(logits, 1.0)).all()


@pytest.mark.parametrize(
    ("won", "lost", "probability"),
    [(0, 0, 1.0), (1, 1, 1.0), (5, 0, 2 / 32), (0, 5, 2 / 32), (10, 2, 2 * (1 + 12 + 66) / 4096)],
)
def test_mcnemar_is_how_unevenly_coins_would_fall(won: int, lost: int, probability: float) -> None:
    assert measure_mcnemar(won, lost) == pytest.approx(probability)


def test_mcnemar_counts_thousands_of_disagreements() -> None:
    assert measure_mcnemar(2000, 2000) == 1.0
    assert measure_mcnemar(1900, 2100) == pytest.approx(0.0016, abs=2e-4)  # near the normal approximation
