"""Confident learning: what the thresholds accuse, whom they spare, and the order."""

from __future__ import annotations

import numpy as np
import pytest

from yoga_live.train.clean.label_errors import LabelErrorCount, find_label_errors


def test_a_photo_that_another_class_claims_with_its_usual_certainty_is_suspect() -> None:
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.05, 0.95]])
    targets = np.array([0, 0, 1, 1, 0])  # the last is a 1 under label 0
    errors = find_label_errors(probabilities, targets)
    assert errors.suspect.tolist() == [False, False, False, False, True] and errors.count == 1
    assert errors.order[0] == 4 and errors.suggestion[4] == 1
    assert errors.certainty[4] == pytest.approx(0.95)


def test_a_class_on_which_the_network_is_unsure_throughout_is_spared() -> None:
    """Label 2 gets 0.4 at best, so 0.45 for class 0 (whose own photos get 0.9) accuses nobody."""
    sure = [[0.9, 0.05, 0.05], [0.05, 0.9, 0.05]] * 5
    unsure = [[0.45, 0.2, 0.35], [0.3, 0.3, 0.4]] * 5
    targets = np.array([0, 1] * 5 + [2, 2] * 5)
    assert not find_label_errors(np.array(sure + unsure), targets).suspect.any()


def test_thresholds_are_those_of_photos_that_the_network_never_saw() -> None:
    """On its training photos it is sure, so their mean would be a bar that no held-out photo passes."""
    training = [[1.0, 0.0], [0.0, 1.0]] * 20
    held_out = [[0.7, 0.3], [0.3, 0.7], [0.72, 0.28], [0.28, 0.72], [0.2, 0.8]]
    targets = np.array([0, 1] * 20 + [0, 1, 0, 1, 0])  # the last is a 1 under label 0
    probabilities, unseen = np.array(training + held_out), np.arange(45) >= 40
    errors = find_label_errors(probabilities, targets, unseen)
    alone = find_label_errors(probabilities[unseen], targets[unseen])
    assert errors.suspect[unseen].tolist() == alone.suspect.tolist() == [False, False, False, False, True]
    assert errors.count == 1 and errors.order[0] == 44
    assert not find_label_errors(probabilities, targets).suspect.any()


def test_planted_errors_come_first_and_a_class_without_photos_accuses_nobody() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, 400)
    logits = rng.normal(0, 1, (400, 5))  # the fifth class has no photo
    logits[np.arange(400), truth] += 4
    logits[:, 4] -= 2
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    targets = truth.copy()
    planted = rng.choice(400, 20, replace=False)
    targets[planted] = (truth[planted] + 1) % 4
    errors = find_label_errors(probabilities, targets)
    first = errors.order[:20]
    assert np.isin(first, planted).mean() >= 0.8
    assert (errors.suggestion[first] == truth[first]).mean() >= 0.8
    assert 4 not in errors.suggestion[errors.suspect]
    assert sorted(errors.order) == list(range(400))


def test_a_count_says_how_many_are_expected_to_be_wrong() -> None:
    sure = [[0.8, 0.2]] * 3
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.05, 0.95], [0.1, 0.9], *sure])
    errors = find_label_errors(probabilities, np.array([0, 0, 1, 1, 0, 0, 0, 0, 0]))
    among = np.array([True, True, True, True, True, False, False, False, False])
    count = errors.count_among(among)
    assert (count.suspects, count.photos) == (1, 5) and count.expected == pytest.approx(0.95)
    assert count.describe(out_of_fold=False) == (
        "likely label errors: 1 of 5 held-out photos, by confident learning; "
        "expected to be wrong: about 1, if the network's probabilities are right"
    )
    none = errors.count_among(np.zeros(9, bool))
    assert none.describe(out_of_fold=True) == "likely label errors: 0 of 0 photos (out of fold), by confident learning"


def judge(right: int, unseen: int) -> LabelErrorCount:
    """A network that is right on so many of its unseen photos and on all photos that it was trained on."""
    probabilities, targets = np.tile([0.9, 0.1], (unseen + 20, 1)), np.zeros(unseen + 20, np.int64)
    targets[right:unseen] = 1
    is_unseen = np.arange(unseen + 20) < unseen
    return find_label_errors(probabilities, targets, is_unseen).count_among(is_unseen)


def test_a_network_that_agrees_with_two_labels_in_three_calls_no_label_wrong() -> None:
    count = judge(66, 100)
    assert not count.is_trusted and count.agreement.value == 0.66
    line = count.describe(out_of_fold=False)
    assert line.startswith("labels that the network doubts: ") and "wrong, if" not in line and "likely" not in line
    assert "agrees with only 66 of the 100 labels of photos it was not trained on, and 75% are needed" in line


def test_the_bar_is_that_of_automatic_cleaning_and_photos_it_was_trained_on_do_not_count() -> None:
    assert judge(75, 100).is_trusted and not judge(74, 100).is_trusted and not judge(0, 0).is_trusted
    assert judge(75, 100).describe(out_of_fold=True).startswith("likely label errors: ")
