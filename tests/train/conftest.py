"""Runs written by hand: what a training leaves behind, without a training."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from yoga_live.calibration.runs import Run, RunPhoto, load_run, write_run_photos
from yoga_live.train.predictions import FOLDS, PREDICTIONS, write_predictions

LABELS = ("chair", "plank", "tree")
Row = tuple[str, str, str, list[float]]


@pytest.fixture
def write_run(tmp_path: Path) -> Callable[..., Run]:
    """Write a run of rows (content, pose, split, probabilities), its photos gone; `folds`: out-of-fold answers."""

    def write(
        name: str,
        rows: Sequence[Row],
        labels: tuple[str, ...] = LABELS,
        folds: Sequence[list[float]] | None = None,
        **config: object,
    ) -> Run:
        folder = tmp_path / name
        folder.mkdir()
        photos = [
            RunPhoto(f"{pose}/{content}.jpg", content, pose, number, split)
            for number, (content, pose, split, _) in enumerate(rows)
        ]
        write_run_photos(folder / "photos.csv", photos)
        paths = [photo.path for photo in photos]
        write_predictions(folder / PREDICTIONS, paths, labels, np.array([row[3] for row in rows]))
        if folds is not None:
            write_predictions(folder / FOLDS, paths, labels, np.array(folds))
        metrics = {
            "frozen": {"accuracy": 0.6667, "photos": 3, "interval": [0.2, 0.9], "mean_recall": 0.5, "seconds": 4.0},
            "test": {"seconds": 10.0},
            "best_epoch": 1,
            "interrupted": False,
        }
        summary = {
            "labels": list(labels),
            "arch": "resnet34",
            "photo_folder": str(tmp_path / "photos"),
            "config": {"size": 64, "epochs": 2, **config},
            "metrics": metrics,
        }
        (folder / "run.json").write_text(json.dumps(summary))
        (folder / "log.csv").write_text(
            "epoch,train_loss,validation_nll,validation_accuracy,validation_mean_recall,seconds,later\n"
            "0,,0.9,0.5,0.4,0.0,x\n1,0.7,0.5,0.8,0.75,3.0,x\n2,0.4,0.6,0.8,0.75,3.0,x\n"
        )
        return load_run(folder)

    return write
