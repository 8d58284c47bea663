"""`yoga-train fit` from photos to a finished run folder."""

from __future__ import annotations

import csv
import logging
import platform
import shutil
import time
from dataclasses import asdict
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from ..calibration.metrics import (
    Accuracy,
    count_confusions,
    list_confusions,
    measure_accuracy,
    measure_recalls,
)
from ..calibration.runs import SPLITS, RunPhoto, write_run_photos
from ..runtime.errors import DeviceError, OutputError, RunError
from ..runtime.files import write_json
from ..runtime.probabilities import softmax
from .confusion_plot import plot_confusion
from .fit import FitConfig, Fitter, SplitFrames
from .network import ARCH, build_network, load_network
from .photo_folder import PhotoSet, list_poses, read_photos
from .predictions import PREDICTIONS, write_predictions
from .splitting import group_photos, split_groups

log = logging.getLogger(__name__)


def fit_run(photo_folder: Path, folder: Path, config: FitConfig) -> dict[str, object]:
    """Train on a folder per pose and write the run.  Returns run.json's content.  Raises YogaLiveError."""
    _check_run_folder(folder)
    device = choose_device(config.device)
    torch.manual_seed(config.seed)
    network = build_network(len(list_poses(photo_folder)), config.weights)  # first: a wrong file shows at once
    photo_set = read_photos(photo_folder, config.size)
    groups = group_photos(photo_set.photos)
    splits = split_groups(photo_set.photos, groups, config.seed, config.train_only)

    try:
        (folder / "report").mkdir(parents=True)
    except OSError as error:
        raise OutputError(f"the run folder {folder} can't be made: {error.strerror}; choose another place") from error
    _write_photos(folder, photo_set, groups, splits)
    frames = _split_frames(photo_set, splits)
    fitter = Fitter(network, frames, config, device, folder)
    log.info("%s on %s, %s", _describe(photo_set, groups, splits), device, fitter.precision.name)

    started_s = time.monotonic()
    try:
        frozen_logits = fitter.fit_head()
    except BaseException:
        shutil.rmtree(folder)  # nothing was learned yet
        raise
    frozen_seconds = time.monotonic() - started_s
    interrupted = False
    try:
        fitter.fit_all()
    except KeyboardInterrupt:
        interrupted = True
        log.warning("stopped by Ctrl-C; the best epoch so far (%d) is kept", fitter.best_epoch)
    total_seconds = time.monotonic() - started_s

    fitter.network = load_network(folder / "weights.safetensors", len(photo_set.labels)).to(device)
    test = frames["test"]
    logits = fitter.predict(test.frames, exact=True)
    _write_predictions(folder, photo_set, splits, fitter, logits)
    metrics = {
        "frozen": _summarise(frozen_logits, test.targets, photo_set.labels) | {"seconds": round(frozen_seconds, 1)},
        "test": _summarise(logits, test.targets, photo_set.labels) | {"seconds": round(total_seconds, 1)},
        "best_epoch": fitter.best_epoch,
        "interrupted": interrupted,
    }
    _plot_test(folder, logits, test.targets, photo_set.labels)
    content = _describe_run(photo_set, config, fitter, metrics)
    write_json(folder / "run.json", content)
    return content


def choose_device(name: str) -> torch.device:
    """`auto` takes a GPU if there is one; a device asked for by name must be there.  Raises DeviceError."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise DeviceError(
            f"--device {name}: torch {torch.__version__} sees no GPU; use --device cpu, or mend the driver"
        )
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"--device {name} is no device of torch; use auto, cpu, cuda or cuda:1") from error
    if device.type not in ("cpu", "cuda"):
        raise DeviceError(f"--device {name}: yoga-train runs on cpu and cuda")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(f"--device {name}: torch sees {torch.cuda.device_count()} GPUs, counted from cuda:0")
    return device


def _check_run_folder(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder} exists already; give the run another name with --to")


def _write_photos(folder: Path, photo_set: PhotoSet, groups: npt.NDArray[np.int64], splits: list[str]) -> None:
    rows = [
        RunPhoto(photo.path, photo.sha256, photo.pose, int(group), split)
        for photo, group, split in zip(photo_set.photos, groups, splits, strict=True)
    ]
    write_run_photos(folder / "photos.csv", rows)
    if photo_set.broken:
        with (folder / "skipped.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows([("path", "reason"), *photo_set.broken])
        log.warning(
            "%d files are no readable photos and were skipped; see %s",
            len(photo_set.broken),
            folder / "skipped.csv",
        )
    poses_of: dict[int, set[str]] = {}
    for row in rows:
        poses_of.setdefault(row.group, set()).add(row.pose)
    crossing = sum(len(poses) > 1 for poses in poses_of.values())
    if crossing:
        log.warning("%d groups of near-duplicates lie under several poses (label errors?); see photos.csv", crossing)


def _split_frames(photo_set: PhotoSet, splits: list[str]) -> dict[str, SplitFrames]:
    index = {label: number for number, label in enumerate(photo_set.labels)}
    targets = np.array([index[photo.pose] for photo in photo_set.photos], dtype=np.int64)
    of = np.array(splits)
    frames = {name: SplitFrames(photo_set.frames[of == name], targets[of == name]) for name in SPLITS}
    for name, split in frames.items():
        if not len(split.targets):
            raise RunError(f"no photo is left for {name}; add more photos")
    return frames


def _write_predictions(
    folder: Path, photo_set: PhotoSet, splits: list[str], fitter: Fitter, test_logits: npt.NDArray[np.floating]
) -> None:
    """Write what the kept network answers for every photo; test photos exactly as they are reported."""
    of = np.array(splits)
    logits = np.empty((len(of), len(photo_set.labels)))
    logits[of == "test"] = test_logits
    logits[of != "test"] = fitter.predict(photo_set.frames[of != "test"])
    paths = [photo.path for photo in photo_set.photos]
    write_predictions(folder / PREDICTIONS, paths, photo_set.labels, softmax(logits))


def _describe(photo_set: PhotoSet, groups: npt.NDArray[np.int64], splits: list[str]) -> str:
    counts = ", ".join(f"{splits.count(name)} {name}" for name in SPLITS)
    found = f"{len(photo_set.photos)} photos of {len(photo_set.labels)} classes in {len(set(groups.tolist()))} groups"
    return f"{found}: {counts}"


def _summarise(
    logits: npt.NDArray[np.floating], targets: npt.NDArray[np.int64], labels: tuple[str, ...]
) -> dict[str, object]:
    answers = logits.argmax(axis=1)
    accuracy: Accuracy = measure_accuracy(answers, targets)
    recalls = measure_recalls(answers, targets, len(labels))
    return {
        "accuracy": round(accuracy.value, 4),
        "interval": [round(bound, 4) for bound in accuracy.interval],
        "photos": accuracy.total,
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


def _describe_run(
    photo_set: PhotoSet, config: FitConfig, fitter: Fitter, metrics: dict[str, object]
) -> dict[str, object]:
    packages = ("yoga-live", "torch", "torchvision", "numpy")
    return {
        "arch": ARCH,
        "labels": list(photo_set.labels),
        "photo_folder": str(photo_set.folder.resolve()),
        "config": asdict(config),
        "precision": fitter.precision.name,
        "metrics": metrics,
        "versions": {name: _version_of(name) for name in packages} | {"python": platform.python_version()},
        "finished_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def _version_of(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
