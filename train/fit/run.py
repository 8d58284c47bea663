"""`yoga-train fit` from photos to a finished run folder."""

from __future__ import annotations

import json
import logging
import os
import platform
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ...calibration.logits import LeftOutLogits, write_left_out
from ...calibration.metrics import (
    Accuracy,
    count_confusions,
    list_confusions,
    measure_accuracy,
    measure_recalls,
)
from ...calibration.runs import SPLITS
from ...runtime.core.softmax import softmax
from ...runtime.core.types import NO_POSE
from ...runtime.errors import OptionError
from ...runtime.system.claims import hold_folder
from ...runtime.system.files import write_json
from ...runtime.system.plain_text import format_count
from ..distributed.rendezvous import join_workers
from ..landmarks.run_opinion import add_second_opinion, answer_left_out
from ..people.crops import crop_photos
from ..photos.dataset import PhotoDataset
from ..photos.drawn_none import PREFIX, add_drawn_none, is_drawn
from ..photos.folder import PhotoSet, list_poses
from ..run_files.confusion_plot import plot_confusion
from ..run_files.left_out import summarise_left_out
from ..run_files.log import Epoch
from ..run_files.predictions import FOLDS, PREDICTIONS, write_predictions
from ..run_files.verdict import judge_run
from .checkpoint import CHECKPOINT
from .config import FitConfig, settle_mirroring
from .consistency import check_agreement, version_of
from .data import TrainingData, read_training_data, split_frames
from .frozen_head import Features, compute_both
from .network import build_starting_network
from .out_of_fold import predict_out_of_fold, remove_folds
from .precision import choose_precision
from .run_folder import check_run_folder, complete_config, describe_change, find_writer, lacks_folds, make_run_folder
from .teacher import open_teacher
from .trainer import Trainer

log = logging.getLogger(__name__)
NOTHING_GAINED = (
    "no epoch of the whole network had a lower validation loss than the frozen phase, whose weights are kept; "
    "more photos help most, then more --epochs"
)
DRAWN_EARLIER = "%s of `none` in %s, drawn by an earlier fit: trained on, never held out; to train without, delete %s*"


def fit_run(
    photo_folder: Path,
    folder: Path,
    config: FitConfig,
    *,
    resume: bool = False,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> dict[str, Any]:
    """Train on a photo folder and write the run.  Returns run.json's content.  Raises YogaLiveError.

    resume: continue where an earlier call with the same photos and configuration was interrupted.  on_epoch: is called
    after each epoch of the kept network.
    """
    with join_workers(config.device) as workers, ExitStack() as held:
        workers = find_writer(workers, folder, resume=resume)
        check_agreement(workers, photo_folder, config, resume=resume)
        if workers.is_writer:
            held.enter_context(hold_folder(folder))
        own = check_run_folder(folder, photo_folder, config, resume=resume) if workers.is_writer else None
        finished = workers.broadcast_object(own)
        if finished and not workers.broadcast_object(lacks_folds(folder, config)):
            return finished
        torch.manual_seed(config.seed)
        labels = list_poses(photo_folder)
        config, reason = settle_mirroring(config, labels)
        # first: a wrong file shows at once
        classes = len({*labels, *([NO_POSE] if config.none else [])})
        network = build_starting_network(classes, config.weights, config.arch, workers)
        draws = config.none and workers.leads_machine
        with add_drawn_none(photo_folder) if draws else nullcontext(0) as drawn_now:  # a failure leaves no drawings
            if config.none:
                workers.barrier()
            if reason:
                log.warning("%s", reason)
            precision = choose_precision(workers)
            teacher = open_teacher(config.teacher, list_poses(photo_folder), precision) if config.teacher else None
            data = read_training_data(photo_folder, config, workers, teacher.size if teacher else 0)
            if workers.is_writer:
                make_run_folder(folder, data)
            workers.barrier()
            splits = split_frames(data)
        if workers.is_writer and not drawn_now and (drawn := sum(is_drawn(p.path) for p in data.photo_set.photos)):
            log.warning(DRAWN_EARLIER, format_count(drawn, "drawn picture"), photo_folder / NO_POSE, PREFIX)
        fitter = Trainer(network, splits, config, workers, folder, on_epoch, teacher)
        log.info("%s on %s, %s", data.describe(), workers.device, fitter.precision.name)
        if gentler := fitter.describe_strength():
            log.info("%s", gentler)
        started_s = time.monotonic()
        features = _compute_all(fitter, data) if config.folds else None
        content = finished or _fit(fitter, data, features, started_s)
        if features is not None and not content["metrics"]["interrupted"] and not fitter.is_stopped:
            content = _answer_out_of_fold(fitter, data, features, content)
    return content


def _compute_all(fitter: Trainer, data: TrainingData) -> Features:
    """Compute the features of every photo with the starting weights, for the kept network and all folds."""
    everything = PhotoDataset(data.photo_set.frames, data.targets)
    mirror = fitter.config.mirror is not False
    return compute_both(
        fitter.network, everything, fitter.precision, fitter.workers, "features", size=fitter.config.size, mirror=mirror
    )


def _fit(fitter: Trainer, data: TrainingData, features: Features | None, started_s: float) -> dict[str, Any]:
    """Train both phases, then measure.  Returns run.json's content."""
    folder, workers, labels, test = fitter.folder, fitter.workers, data.photo_set.labels, fitter.splits["test"]
    config = json.loads(json.dumps(asdict(fitter.config)))
    if not fitter.resume():
        _fit_frozen(fitter, data, features, started_s)
        fitter.notes["config"] = config
    elif workers.is_writer and complete_config(fitter.notes["config"]) != config:
        raise OptionError(describe_change(fitter.notes["config"], fitter.config))
    else:
        started_s -= fitter.notes["frozen"]["seconds"] + sum(float(row["seconds"]) for row in fitter.log_rows)
    interrupted = False
    try:
        fitter.fit_all()
    except KeyboardInterrupt:
        if workers.count > 1:
            raise  # the others cannot take part in the rest; the checkpoint is kept for --resume
        interrupted, fitter.is_stopped = not fitter.is_done, True
        if interrupted:
            log.warning("stopped; kept the best epoch so far (%d); --resume continues", fitter.best_epoch)
    if fitter.config.epochs and not fitter.best_epoch and not interrupted:
        log.info("%s", NOTHING_GAINED)
    seconds = {"seconds": round(time.monotonic() - started_s, 1)}
    fitter.load_best()
    logits = _predict_all(fitter, data)
    metrics = {
        "frozen": fitter.notes["frozen"],
        "test": summarise(logits[data.rows("test")], test.targets, labels) | seconds,
        "best_epoch": fitter.best_epoch,
        "interrupted": interrupted,
    }
    if test.crops is not None:
        crops = fitter.predict(crop_photos(test), exact=True)
        metrics["test_crops"] = summarise(crops, test.targets, labels)
    content = _describe_run(data.photo_set, fitter, metrics)
    if data.plan and data.plan.same_room:
        content["same_room"] = asdict(data.plan.same_room)
    if workers.is_writer:
        paths = [photo.path for photo in data.photo_set.photos]
        write_predictions(folder / PREDICTIONS, paths, labels, softmax(logits))
        _plot_test(folder, logits[data.rows("test")], test.targets, labels)
        write_json(folder / "run.json", content)
        if not interrupted:
            (folder / CHECKPOINT).unlink(missing_ok=True)
    if fitter.config.second_opinion and not interrupted and not fitter.is_stopped:
        content = workers.broadcast_object(_add_second_opinion(fitter, data, logits, content))
    return content


def _add_second_opinion(
    fitter: Trainer, data: TrainingData, logits: npt.NDArray[np.floating], content: dict[str, Any]
) -> dict[str, Any] | None:
    """Train the second opinion, by the writer alone, after the run is written.  Returns run.json's new content."""
    if not fitter.workers.is_writer:
        return None
    found = add_second_opinion(
        fitter.folder, data.photo_set, data.targets, data.groups, data.splits, logits, content, partners=data.partners
    )
    content = {**content, "second_opinion": found}
    write_json(fitter.folder / "run.json", content)
    return content


def _fit_frozen(fitter: Trainer, data: TrainingData, features: Features | None, started_s: float) -> None:
    try:
        logits = fitter.fit_head(features and {name: features.take(data.rows(name)) for name in SPLITS})
    except BaseException:
        if fitter.workers.is_writer:
            shutil.rmtree(fitter.folder)  # nothing was learned yet
        raise
    frozen = summarise(logits["test"], fitter.splits["test"].targets, data.photo_set.labels)
    fitter.notes["frozen"] = frozen | {"seconds": round(time.monotonic() - started_s, 1)}


def _predict_all(fitter: Trainer, data: TrainingData) -> npt.NDArray[np.floating]:
    """Predict every photo with the kept network; test photos exactly as reported.

    After only the frozen phase these are known already.  (Not after epochs without improvement: a resumed run does not
    know them, and must have the same result.)
    """
    logits = np.empty((len(data.targets), len(data.photo_set.labels)))
    known = {} if fitter.config.epochs else fitter.head_logits
    for name, split in fitter.splits.items():
        is_known = name in known and name != "test"
        logits[data.rows(name)] = known[name] if is_known else fitter.predict(split, exact=name == "test")
    return logits


def _answer_out_of_fold(
    fitter: Trainer, data: TrainingData, features: Features, content: dict[str, Any]
) -> dict[str, Any]:
    """Train the folds' networks and keep what they answer.  Returns run.json's content, with folds by source new."""
    photos, folder, by_source = data.photo_set.photos, fitter.folder, data.source_folds
    if data.folds is None or fitter.workers.broadcast_object((folder / FOLDS).exists()):
        return content
    logits = predict_out_of_fold(data, data.folds, fitter.config, fitter.workers, folder, features)
    paths, labels = [photo.path for photo in photos], data.photo_set.labels
    if fitter.workers.is_writer:
        if by_source is not None:
            points = None
            if content.get("second_opinion", {}).get("used"):
                own = data.photo_set, data.targets, data.groups, data.folds, logits, content["config"]
                points = answer_left_out(folder, *own, partners=data.partners)
            sources = np.array(by_source.sources)
            answers = LeftOutLogits(logits, data.targets, data.groups, sources, by_source.left_out, points)
            content = {**content, "left_out": summarise_left_out(answers, labels)}
            write_left_out(folder, paths, labels, answers)
            write_json(folder / "run.json", content)
        write_predictions(folder / FOLDS, paths, labels, softmax(logits))  # last: with it the folds are finished
        remove_folds(folder)
    return fitter.workers.broadcast_object(content)


def summarise(
    logits: npt.NDArray[np.floating], targets: npt.NDArray[np.int64], labels: tuple[str, ...]
) -> dict[str, Any]:
    """Compute the metrics of run.json.  logits: float (N, C); targets: int (N,)."""
    answers = logits.argmax(axis=1)
    accuracy: Accuracy = measure_accuracy(answers, targets)
    recalls = measure_recalls(answers, targets, len(labels))
    verdict = judge_run(accuracy, targets, labels)
    return {
        "accuracy": round(accuracy.value, 4),
        "interval": [round(bound, 4) for bound in accuracy.interval],
        "photos": accuracy.total,
        "guess": [verdict.pose, round(verdict.guess, 4)],
        "mean_recall": round(float(np.nanmean(recalls)), 4),
        "recall": {
            label: None if np.isnan(r) else round(float(r), 4) for label, r in zip(labels, recalls, strict=True)
        },
        "confusions": list_confusions(count_confusions(answers, targets, len(labels)), labels),
    }


def _plot_test(
    folder: Path, logits: npt.NDArray[np.floating], targets: npt.NDArray[np.int64], labels: tuple[str, ...]
) -> None:
    answers = logits.argmax(axis=1)
    title = f"test photos: {measure_accuracy(answers, targets)}"
    plot_confusion(count_confusions(answers, targets, len(labels)), labels, title, folder / "report" / "confusion.png")


def _describe_run(photo_set: PhotoSet, fitter: Trainer, metrics: dict[str, Any]) -> dict[str, Any]:
    packages = ("yoga-live", "torch", "torchvision", "numpy")
    return {
        "arch": fitter.config.arch,
        "labels": list(photo_set.labels),
        "photo_folder": str(photo_set.folder.resolve()),
        "config": asdict(fitter.config),
        "precision": fitter.precision.name,
        "devices": fitter.workers.count,
        "machines": int(os.environ.get("GROUP_WORLD_SIZE", "1")) if fitter.workers.count > 1 else 1,
        "metrics": metrics,
        "versions": {name: version_of(name) for name in packages} | {"python": platform.python_version()},
        "finished_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
