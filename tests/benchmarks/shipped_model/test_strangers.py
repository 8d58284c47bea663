"""Photos of strangers: whole sources are left out, and what is told of them is what the answers are."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from yoga_live.runtime.core.model_metadata import ModelInfo
from yoga_live.runtime.core.types import Floats
from yoga_live.runtime.people import SecondOpinion
from yoga_live.runtime.people.landmarks import LANDMARKS, PERSON
from yoga_live.train.landmarks.networks import Kinds, NetworkConfig, fit_networks, name_kinds
from yoga_live.train.landmarks.training import LandmarkPhotos

sys.path.append(str(Path(__file__).parents[3] / "benchmarks" / "shipped_model"))

import strangers as module  # pyright: ignore[reportMissingImports]

LABELS = ("plank", "tree", "none")


def draw_strangers(count: int = 120, sources: int = 12) -> module.Strangers:
    """Poses and `none` alternate; the first number tells which it is, the second of which source."""
    rng = np.random.default_rng(0)
    targets, of = np.arange(count) % 3, np.arange(count) // 3 % sources
    landmarks = rng.normal(0, 0.1, (count, LANDMARKS)).astype(np.float32)
    landmarks[:, 0], landmarks[:, 1], landmarks[:, PERSON] = targets, of, 0.9
    kinds = np.array([f"{LABELS[at]}/exercise/any" if at == 2 else f"{LABELS[at]}/{LABELS[at]}" for at in targets])
    names = np.array([f"source {number}" for number in of])
    return module.Strangers(landmarks, rng.normal(0, 1, (count, 3)).astype(np.float32), targets, kinds, names)


def draw_known(count: int = 90) -> LandmarkPhotos:
    rng = np.random.default_rng(1)
    targets = np.arange(count) % 3
    landmarks = rng.normal(0, 0.1, (count, LANDMARKS)).astype(np.float32)
    landmarks[:, 0], landmarks[:, PERSON] = targets, 0.9
    paths = [f"{LABELS[at]}/{'standing/' if at == 2 else ''}{row}.jpg" for row, at in enumerate(targets)]
    splits = np.array(["train", "train", "validation"])[np.arange(count) // 3 % 3]
    logits = rng.normal(0, 1, (count, 3)).astype(np.float32)
    return LandmarkPhotos(LABELS, landmarks, name_kinds(paths, LABELS), targets, np.arange(count), splits, logits)


def test_a_source_is_whole_in_one_fold_and_each_fold_has_poses_and_none() -> None:
    strangers = draw_strangers()
    folds = module.spread_sources(strangers, 2)
    for source in np.unique(strangers.sources):
        assert len(np.unique(folds[strangers.sources == source])) == 1
    for fold in range(module.FOLDS):
        assert {*strangers.targets[folds == fold]} == {0, 1, 2}


def test_strangers_are_answered_by_networks_without_their_source(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[set[int]] = []

    def fit(landmarks: Floats, kinds: Kinds, labels: tuple[str, ...]) -> SecondOpinion:
        seen.append({*np.round(landmarks[30 * 2 :, 1]).astype(int)})  # behind the 60 training photos
        return fit_networks(landmarks, kinds, labels, NetworkConfig(hidden=(8,), networks=1, epochs=2))

    monkeypatch.setattr(module, "fit_networks", fit)
    strangers = draw_strangers()
    strangers.landmarks[:, 1] += 100  # no number of a training photo
    folds = module.spread_sources(strangers, 2)
    points = module.answer_strangers(draw_known(), strangers, folds)
    assert points.shape == (120, 3) and (points < 0).all() and len(seen) == module.FOLDS
    for fold in range(module.FOLDS):
        sources = {int(name.split()[1]) + 100 for name in strangers.sources[folds == fold]}
        assert not sources & seen[fold] and seen[fold]


def test_what_is_told_of_strangers_is_what_they_are_answered() -> None:
    strangers = draw_strangers()
    logs = np.where(np.eye(3, dtype=bool)[strangers.targets], 0.0, -5.0)
    logs[0] = [-5.0, -5.0, 0.0]  # a plank that is answered `none`
    judged = module.answer(logs, strangers.targets, ModelInfo(LABELS, 32, threshold=0.5))
    told = module.summarise(judged, strangers, LABELS)
    assert told["poses"]["share"] == pytest.approx(79 / 80, abs=1e-4) and told["poses"]["photos"] == 80
    assert told["plank"]["share"] == pytest.approx(39 / 40) and told["tree"]["share"] == 1
    assert told["none, exercise"]["share"] == 1 and "none, home" not in told


def test_the_recall_is_that_at_the_false_alarms_it_is_told_for() -> None:
    targets = np.repeat([0, 2], [20, 100])
    odds = np.concatenate([np.linspace(0.5, 20.5, 20), np.arange(-90.0, 10.0)])  # 5 of 100 above 4
    logs = np.stack([odds, np.full(120, -50.0), np.zeros(120)], axis=1)
    logs -= np.logaddexp.reduce(logs, axis=1)[:, None]
    assert module.measure_recall(logs, targets, 2) == pytest.approx((odds[:20] > 4.05).mean())
