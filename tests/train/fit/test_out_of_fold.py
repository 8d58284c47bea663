"""What is said of the networks of the folds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from yoga_live.train.distributed.collectives import Workers
from yoga_live.train.fit.config import FitConfig
from yoga_live.train.fit.data import TrainingData
from yoga_live.train.fit.frozen_head import Features
from yoga_live.train.fit.out_of_fold import FOLDS_FOLDER, predict_out_of_fold
from yoga_live.train.photos.drawn_none import PREFIX
from yoga_live.train.photos.folder import Photo, PhotoSet


def test_drawings_of_none_are_not_counted_among_the_photos_that_were_held_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    paths = ["tree/1.jpg", "tree/2.jpg", "none/1.jpg", *(f"none/{PREFIX}{number}.png" for number in range(3))]
    photos = tuple(Photo(path, path.partition("/")[0], path, 0, 0) for path in paths)
    photo_set = PhotoSet(tmp_path, ("tree", "none"), photos, np.empty((0, 0, 0, 3), np.uint8), ())
    targets = np.array([0, 0, 1, 1, 1, 1])
    data = TrainingData(photo_set, targets, np.arange(6), ["train"] * 6)
    folds = np.array([0, 1, 0, 0, 1, 1])
    answers = np.array([[9.0, 0.0], [0.0, 9.0], [0.0, 9.0], *[[0.0, 9.0]] * 3])  # the second tree is missed
    for fold in range(2):  # as a run finds them that was stopped after its folds
        place = tmp_path / FOLDS_FOLDER / str(fold + 1)
        place.mkdir(parents=True)
        np.save(place / "logits.npy", answers[folds == fold])
    features = Features(torch.empty(6, 0), torch.empty(0))
    with caplog.at_level("INFO"):
        logits = predict_out_of_fold(data, folds, FitConfig(), Workers(), tmp_path, features)
    assert (logits == answers).all()
    assert "out of fold: accuracy 66.7% (2 of 3, " in caplog.text
