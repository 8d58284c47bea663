"""From photos to a second opinion: what is trained on what, and why there may be none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

from yoga_live.runtime.people.landmarks import PERSON
from yoga_live.train.landmarks.networks import NetworkConfig, name_kinds
from yoga_live.train.landmarks.training import LEAST_PHOTOS, LandmarkPhotos, answer_out_of_fold, train_opinion

from .bodies import LABELS, pose_bodies

QUICK = NetworkConfig(hidden=(32,), epochs=12)


def make_photos(gain: float = 1.5, each: int = 200) -> LandmarkPhotos:
    """Photos with bodies; gain: how well the network tells their labels."""
    landmarks, targets = pose_bodies(each, seed=0)
    rng = np.random.default_rng(1)
    order = rng.permutation(len(targets))
    landmarks, targets = landmarks[order], targets[order]
    splits = np.array(["train", "train", "train", "validation", "test"])[np.arange(len(targets)) % 5]
    logits = gain * np.eye(3)[targets] + rng.normal(0, 1, (len(targets), 3))
    kinds = name_kinds([f"{LABELS[t]}/{n}.jpg" for n, t in enumerate(targets)], LABELS)
    return LandmarkPhotos(LABELS, landmarks, kinds, targets, np.arange(len(targets)), splits, logits)


def test_a_weak_network_is_helped_by_key_points() -> None:
    trained = train_opinion(make_photos(), QUICK)
    assert trained.opinion is not None and trained.test is not None
    alone, together = (trained.test[name].value for name in ("network", "together"))
    assert alone < 0.85 and together > 0.95
    summary = trained.summarise()
    assert summary["used"] and summary["together"]["photos"] == 120 and "reason" not in summary
    assert trained.opinion.measured["test accuracy"]["together"] == {"share": round(together, 4), "photos": 120}


def test_test_photos_decide_nothing() -> None:
    photos = make_photos()
    test = photos.splits == "test"
    targets = np.where(test, (photos.targets + 1) % 3, photos.targets)
    other = train_opinion(replace(photos, targets=targets), QUICK)
    assert other.opinion is not None and other.test is not None and other.test["together"].value < 0.1
    same = train_opinion(photos, QUICK)
    assert same.opinion is not None and (same.opinion.numbers, same.opinion.mixture) == (
        other.opinion.numbers, other.opinion.mixture,
    )  # fmt: skip


def test_a_network_that_is_always_right_is_left_alone() -> None:
    trained = train_opinion(make_photos(gain=60.0), QUICK)
    assert trained.opinion is None and "no better" in trained.reason
    assert trained.summarise()["network"]["accuracy"] == 1 and not trained.summarise()["used"]


def test_classes_that_are_not_told_by_bodies_have_none() -> None:
    photos = make_photos()
    landmarks = photos.landmarks.copy()
    landmarks[np.arange(len(landmarks)) % 3 > 0, PERSON] = 0
    trained = train_opinion(replace(photos, landmarks=landmarks), QUICK)
    assert trained.opinion is None and trained.test is None
    assert trained.summarise() == {"used": False, "reason": trained.reason} and "not told by bodies" in trained.reason


@pytest.mark.parametrize(
    ("splits", "reason"),
    [
        (["validation", "test", "test", "test", "train"], f"it takes {LEAST_PHOTOS} training photos"),
        (["train", "train", "train", "test", "test"], "it takes 20 independent validation photos; there are 0"),
    ],
)
def test_too_few_photos_give_none(splits: list[str], reason: str) -> None:
    photos = make_photos()
    trained = train_opinion(replace(photos, splits=np.array(splits)[np.arange(len(photos.targets)) % 5]), QUICK)
    assert trained.opinion is None and reason in trained.reason


def test_key_points_of_a_fold_are_answered_by_networks_that_have_not_seen_it_nor_its_copies() -> None:
    """In the second fold labels are exchanged: whoever has learned it answers it by these."""
    photos = make_photos(each=60)
    folds = (np.arange(len(photos.targets)) % 2).astype(np.int64)
    targets = np.where(folds == 1, (photos.targets + 1) % 3, photos.targets)
    kinds = name_kinds([f"{LABELS[t]}/{n}.jpg" for n, t in enumerate(targets)], LABELS)
    swapped = replace(photos, targets=targets, kinds=kinds)
    points = answer_out_of_fold(swapped, folds, QUICK)
    assert points is not None and points.shape == (len(targets), 3) and np.isfinite(points).all()
    answers = points.argmax(axis=1)
    assert (answers[folds == 1] == photos.targets[folds == 1]).mean() > 0.9
    assert (answers[folds == 0] == (photos.targets[folds == 0] + 1) % 3).mean() > 0.9
    copied = replace(swapped, groups=np.arange(len(targets)) // 2)  # each photo has a copy in the other fold
    assert answer_out_of_fold(copied, folds, QUICK) is None
