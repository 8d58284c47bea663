"""The judges of benchmarks/no_negatives.py, on features whose truth is known."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from yoga_live.calibration.logits import SplitLogits

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from no_negatives import choose_by_dropping, fit_linear, score
from rejection import measure_auroc


def test_distances_see_what_lies_far_from_all_classes_where_probabilities_do_not() -> None:
    """Two clusters, and pictures of nothing three times as far out in the direction of the first."""
    rng = np.random.default_rng(0)
    targets = np.arange(200) % 2
    photos = rng.normal(0, 1, (200, 8)) + np.where(targets[:, None] == 0, 4, -4) * np.eye(8)[0]
    nothing = rng.normal(0, 1, (50, 8)) + 12 * np.eye(8)[0] + 12 * np.eye(8)[1]
    head = fit_linear(photos, targets, 2, 0)
    known, others = (score(x, head(x), photos, targets) for x in (photos, nothing))
    aurocs = {name: measure_auroc(known[name], others[name]) for name in known}
    assert aurocs["distance to the nearest mean"] > 0.99 and aurocs["the same, relative"] > 0.9
    assert aurocs["maximum probability"] < 0.6


def test_dropping_the_own_class_gives_a_bar_above_what_photos_get_from_the_other_classes() -> None:
    logits = np.full((30, 3), 0.0)
    targets = np.arange(30) % 3
    logits[np.arange(30), targets] = 6.0
    logits[np.arange(30), (targets + 1) % 3] = 0.5  # without the own class: 0.62 and 0.38
    bar = choose_by_dropping(SplitLogits(logits, targets), 1.0)
    assert 0.62 < bar < 0.96
