"""The fit of the sides' weights, and the moments at which hidden faces are looked at."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
sys.path.append(str(Path(__file__).parents[3] / "benchmarks" / "people_finder"))

import faces
from sides import Judged, fit_weights

from yoga_live.runtime.people.sides import FEATURES, STANDING


def test_the_fit_finds_the_feature_that_tells_the_side_and_its_sign() -> None:
    rng = np.random.default_rng(1)
    photos = []
    for _ in range(80):
        sign = int(rng.choice([-1, 1]))
        features = rng.normal(0, 0.5, len(FEATURES))
        features[2] = -sign * abs(features[2])
        photos.append(Judged("tree", STANDING, "drawn", features, sign))
    weights = fit_weights(photos)
    assert weights[2] < -2 and np.abs(np.delete(weights, 2)).max() < abs(weights[2]) / 2
    assert np.mean([photo.sign * photo.features @ weights > 0 for photo in photos]) > 0.9


def test_moments_are_drawn_by_seed_over_the_time_of_all_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths_s = {Path("short.mp4"): 10.0, Path("long.mp4"): 90.0}
    monkeypatch.setattr(faces, "read_length_s", lengths_s.get)
    drawn = faces.draw_times(list(lengths_s), 200, 5)
    assert drawn == faces.draw_times(list(lengths_s), 200, 5)
    assert sum(map(len, drawn.values())) == 200 and len(drawn[Path("long.mp4")]) > 150
    assert all(0 <= moment_s < lengths_s[clip] for clip, moments in drawn.items() for moment_s in moments)
