"""What a training run leaves behind, as the other rooms read it: labels, and which photo was in which split.

The split is written once, by `yoga-train fit`; nobody splits a second time.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import logging
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..runtime.errors import ModelError, RunError
from ..runtime.files import ODD_NAMES, make_csv_writer, write_text
from ..runtime.item_failures import Failure, attempt
from ..runtime.model_info import ModelInfo
from ..runtime.photos import decode_photo
from ..runtime.preprocess import Frame, letterbox
from ..runtime.progress import track

log = logging.getLogger(__name__)

SPLITS = ("train", "validation", "test")
MOST_TOLD = 5  # photos that can't be decoded and are named one by one


@dataclass(frozen=True)
class RunPhoto:
    """One row of `photos.csv`: path is relative to the photo folder, group joins near-duplicates."""

    path: str
    sha256: str
    pose: str
    group: int
    split: str


@dataclass(frozen=True)
class Run:
    """A finished run: its folder, labels in the network's order, input size and photos."""

    folder: Path
    labels: tuple[str, ...]
    size: int
    arch: str
    photo_folder: Path
    photos: tuple[RunPhoto, ...]
    summary: dict[str, Any]


def write_run_photos(path: Path, photos: list[RunPhoto]) -> None:
    """Write `photos.csv`."""
    buffer = io.StringIO()
    writer = make_csv_writer(buffer)
    writer.writerow(field.name for field in fields(RunPhoto))
    writer.writerows(astuple(photo) for photo in photos)
    write_text(path, buffer.getvalue())


def read_run_photos(path: Path) -> tuple[RunPhoto, ...]:
    """Read `photos.csv`."""
    with path.open(newline="", encoding="utf-8", errors=ODD_NAMES) as file:
        return tuple(
            RunPhoto(row["path"], row["sha256"], row["pose"], int(row["group"]), row["split"])
            for row in csv.DictReader(file)
        )


def is_pose_name(name: str) -> bool:
    """Whether a folder of this name is a pose: visible, one folder, no unreadable letters or control characters."""
    readable = not any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name)
    return readable and name[:1] not in ("", ".", "_") and not {"/", "\\"} & {*name}


def _check_labels(labels: tuple[str, ...], photos: tuple[RunPhoto, ...]) -> None:
    """A run may come from elsewhere, and its labels name folders.  Raises ValueError."""
    for label in labels:
        if not isinstance(label, str) or not is_pose_name(label):
            raise ValueError(f"the label {label!r} can't name a folder of photos")
    if strange := {photo.pose for photo in photos} - set(labels):
        raise ValueError(f"photos.csv names the pose {min(strange)!r}, which run.json does not")
    if len(set(labels)) < len(labels):
        raise ValueError("a label stands twice in run.json")


def _check_metrics(metrics: dict[str, Any]) -> None:
    """Look for what every run says of itself.  Raises KeyError or TypeError."""
    if not isinstance(metrics, dict) or not isinstance(metrics["test"], dict):
        raise TypeError("its metrics are none")
    accuracy, photos, interrupted = metrics["test"]["accuracy"], metrics["test"]["photos"], metrics["interrupted"]
    if not isinstance(accuracy, float | int) or not isinstance(photos, int) or not isinstance(interrupted, bool):
        raise TypeError(f"its metrics are accuracy {accuracy!r}, photos {photos!r}, interrupted {interrupted!r}")


def load_run(folder: Path, photo_folder: Path | None = None) -> Run:
    """Read a run.  photo_folder: where the photos are now, if they were moved.  Raises RunError."""
    try:
        summary = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        photos = read_run_photos(folder / "photos.csv")
        labels = tuple(summary["labels"]) if isinstance(summary["labels"], list) else ()
        _check_labels(labels, photos)
        _check_metrics(summary["metrics"])
        return Run(
            folder,
            labels,
            int(summary["config"]["size"]),
            str(summary["arch"]),
            photo_folder or Path(summary["photo_folder"]),
            photos,
            summary,
        )
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RunError(
            f"{folder} is no finished run: {Path(error.filename).name} is missing; "
            f"make one with: yoga-train fit PHOTOS --to {folder}"
        ) from error
    except (KeyError, ValueError, TypeError, csv.Error) as error:
        raise RunError(f"{folder} can't be read as a run ({_name(error)}); train it again with this version") from error


def _name(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def check_model_run(path: Path, info: ModelInfo, run: Run) -> None:
    """Refuse a run that the model was not exported from: its photos would be held against other labels.

    Raises ModelError.
    """
    if (info.labels, info.size) != (run.labels, run.size):
        raise ModelError(
            f"{path} answers {', '.join(info.labels)} at {info.size} px, but the run {run.folder} was trained on "
            f"{', '.join(run.labels)} at {run.size} px; give the run that the model was exported from"
        )
    model_from, finished = info.training.get("finished_at"), run.summary.get("finished_at")
    if (
        model_from and model_from != finished
    ):  # other photos were held out: the model may have been trained on this run's test photos
        raise ModelError(
            f"{path} comes from a run that was finished at {model_from}, the run {run.folder} was finished at "
            f"{finished}; give the run that the model was exported from"
        )


def load_frames(run: Run, split: str) -> tuple[Frame, npt.NDArray[np.int64], list[RunPhoto]]:
    """Decode and letterbox the photos of one split, just as training and the live loop do.

    Returns frames uint8 (N, S, S, 3) BGR, targets int64 (N,) and their rows.
    A photo that can't be decoded (any more: this version may be stricter) is left out, which is said.
    Raises RunError where a photo is gone or is no longer the one that was held out, or none is left.
    """
    rows = [photo for photo in run.photos if photo.split == split]
    if not rows:
        raise RunError(f"{run.folder} has no {split} photos")
    with ThreadPoolExecutor() as pool:
        decoded = pool.map(lambda row: _load_one(run, row), rows)
        results = list(track(decoded, f"{split} photos", len(rows), "photos"))
    read = [(row, frame) for row, frame in zip(rows, results, strict=True) if not isinstance(frame, Failure)]
    failed = [(row, frame) for row, frame in zip(rows, results, strict=True) if isinstance(frame, Failure)]
    for row, failure in failed[:MOST_TOLD]:
        log.warning("%s: %s", row.path, failure.reason)
    if not read:
        raise RunError(
            f"none of the {len(rows)} {split} photos of {run.folder} can be decoded; the lines above say why"
        )
    if failed:
        log.warning("%d of %d %s photos can't be decoded and are left out", len(failed), len(rows), split)
    targets = np.array([run.labels.index(row.pose) for row, _ in read], dtype=np.int64)
    return np.stack([frame for _, frame in read]), targets, [row for row, _ in read]


def _load_one(run: Run, row: RunPhoto) -> Frame | Failure:
    path = run.photo_folder / row.path
    content = attempt(path, path.read_bytes)
    if isinstance(content, Failure) and not content.is_foreseen:
        return content
    if isinstance(content, Failure):
        raise RunError(f"{path} is gone; name the folder that holds the run's photos now with --photos")
    if hashlib.sha256(content).hexdigest() != row.sha256:
        raise RunError(f"{path} is not the photo that {run.folder} was trained with; train again or restore it")
    return attempt(path, lambda: letterbox(decode_photo(content, min_side=run.size), run.size))
