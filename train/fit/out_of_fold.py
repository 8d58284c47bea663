"""Out-of-fold predictions: by networks trained neither on the photo nor on a near-duplicate (`fit --folds 5`).

The kept network has learned its training photos with their wrong labels.  Likely label errors show in the predictions
of networks that were trained on the other folds.  With `--by-source` a fold holds whole sources of photos.
"""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from ...calibration.metrics import measure_accuracy
from ...runtime.system.files import write_then_rename
from ..distributed.collectives import Workers
from ..photos.drawn_none import find_drawn
from .config import FitConfig
from .data import TrainingData
from .frozen_head import Features
from .network import build_starting_network
from .trainer import Trainer

log = logging.getLogger(__name__)
FOLDS_FOLDER = "folds"  # where the folds are while they are trained


def predict_out_of_fold(
    data: TrainingData,
    folds: npt.NDArray[np.int64],
    config: FitConfig,
    workers: Workers,
    folder: Path,
    features: Features,
) -> npt.NDArray[np.floating]:
    """Train one network per fold, on all other folds.  Returns logits, float (N, C), to the writer.

    folds: int (N,); near-duplicates of the fold's photos are not trained on, in whatever fold they are.  features: of
    all photos from the starting weights, the same in every fold.  Folds that are finished in `folder` are not trained
    again.  The accuracy that is logged is that of photos, without drawings of `none`.
    """
    everything = np.empty((len(data.targets), len(data.photo_set.labels)))
    count, is_photo = int(folds.max()) + 1, ~find_drawn(photo.path for photo in data.photo_set.photos)
    for fold in range(count):
        held_out = np.flatnonzero(folds == fold)
        place = folder / FOLDS_FOLDER / str(fold + 1)
        finished = place / "logits.npy"
        if not workers.broadcast_object(finished.exists()):
            log.info("fold %d of %d: %d photos held out", fold + 1, count, is_photo[held_out].sum())
            rows = np.flatnonzero((folds != fold) & ~np.isin(data.groups, data.groups[held_out]))
            own_config = replace(config, seed=config.seed + fold)
            logits = _fit_fold(data, rows, held_out, own_config, workers, place, features)
            if workers.is_writer:
                with write_then_rename(finished) as temporary, temporary.open("wb") as file:
                    np.save(file, logits, allow_pickle=False)
        elif workers.is_writer:
            logits = np.load(finished, allow_pickle=False)
        else:
            logits = np.zeros((len(held_out), len(data.photo_set.labels)))  # the writer alone has and needs them
        everything[held_out] = logits
    accuracy = measure_accuracy(everything.argmax(axis=1)[is_photo], data.targets[is_photo])
    log.info("out of fold: accuracy %s", accuracy)
    return everything


def _fit_fold(
    data: TrainingData,
    rows: npt.NDArray[np.int64],
    held_out: npt.NDArray[np.int64],
    config: FitConfig,
    workers: Workers,
    place: Path,
    features: Features,
) -> npt.NDArray[np.floating]:
    if workers.is_writer:
        place.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    classes = len(data.photo_set.labels)
    network = build_starting_network(classes, config.weights, config.arch, workers)
    fitter = Trainer(network, {"train": data.select(rows)}, config, workers, place)
    if not fitter.resume():
        fitter.fit_head({"train": features.take(rows)})
    fitter.fit_all()
    fitter.load_best()
    return fitter.predict(data.select(held_out))


def remove_folds(folder: Path) -> None:
    """Remove files that only `--resume` needs."""
    shutil.rmtree(folder / FOLDS_FOLDER, ignore_errors=True)
