"""Answers for photos that the answering network has not seen, nor any near-duplicate of them: `fit --folds 5`.

The kept network has learned its training photos, wrong labels included, and defends them.  Likely label errors show in
what networks say that were trained on the other folds.
"""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from ..calibration.metrics import measure_accuracy
from ..runtime.probabilities import softmax
from .fit import WEIGHTS, Fitter
from .fit_config import FitConfig, SplitFrames
from .head import Features
from .network import build_network, load_network
from .photo_folder import PhotoSet
from .workers import Workers

log = logging.getLogger(__name__)
FOLDS_FOLDER = "folds"  # where the folds are while they are trained


def predict_out_of_fold(
    photo_set: PhotoSet,
    targets: npt.NDArray[np.int64],
    folds: npt.NDArray[np.int64],
    config: FitConfig,
    workers: Workers,
    folder: Path,
    features: Features,
) -> npt.NDArray[np.floating]:
    """Train a network on all folds but one, for each of them.  Returns probabilities, float (N, C).

    folds: int (N,).  features: of all photos from the starting weights, the same in every fold.  What is finished in
    `folder` is not done again.
    """
    probabilities = np.empty((len(targets), len(photo_set.labels)))
    for fold in range(config.folds):
        held_out = np.flatnonzero(folds == fold)
        place = folder / FOLDS_FOLDER / str(fold + 1)
        finished = place / "logits.npy"
        workers.wait()
        if not finished.exists():
            log.info("fold %d of %d: %d photos held out", fold + 1, config.folds, len(held_out))
            rows = np.flatnonzero(folds != fold)
            logits = _fit_fold(photo_set, targets, rows, held_out, replace(config, seed=config.seed + fold), workers,
                               place, features)  # fmt: skip
            if workers.is_first:
                with finished.with_suffix(".part").open("wb") as file:
                    np.save(file, logits, allow_pickle=False)
                finished.with_suffix(".part").replace(finished)
            workers.wait()
        probabilities[held_out] = softmax(np.load(finished, allow_pickle=False))
    accuracy = measure_accuracy(probabilities.argmax(axis=1), targets)
    log.info("out of fold: accuracy %s", accuracy)
    return probabilities


def _fit_fold(
    photo_set: PhotoSet,
    targets: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    held_out: npt.NDArray[np.int64],
    config: FitConfig,
    workers: Workers,
    place: Path,
    features: Features,
) -> npt.NDArray[np.floating]:
    if workers.is_first:
        place.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    network = build_network(len(photo_set.labels), config.weights, config.arch)
    test = SplitFrames(photo_set.frames, targets[held_out], held_out)
    splits = {"train": SplitFrames(photo_set.frames, targets[rows], rows)}
    fitter = Fitter(network, splits, config, workers, place)
    if not fitter.resume():
        fitter.fit_head({"train": features.take(rows)})
    fitter.fit_all()
    workers.wait()
    fitter.network = load_network(place / WEIGHTS, len(photo_set.labels)).to(workers.device)
    return fitter.predict(test)


def remove_folds(folder: Path) -> None:
    """Clear away what only `--resume` needs."""
    shutil.rmtree(folder / FOLDS_FOLDER, ignore_errors=True)
