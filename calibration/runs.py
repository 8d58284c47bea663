"""Reads a training run for the other rooms: its labels, and which photo was in which split.

The split is written once, by `yoga-train fit`, and never made again.
"""

from __future__ import annotations

import csv
import hashlib
import io
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..runtime.core.model_metadata import LARGEST, LONGEST_LABEL, MOST_LABELS, SMALLEST, ModelInfo, is_printable
from ..runtime.core.preprocess import letterbox
from ..runtime.core.types import Frame
from ..runtime.errors import ModelError, RunError
from ..runtime.photos.decoding import decode_photo
from ..runtime.system.files import ODD_NAMES, make_csv_writer, write_text
from ..runtime.system.foreign_files import (
    check_number,
    check_text,
    check_whole,
    is_inside,
    open_plain,
    open_plain_text,
    read_document,
    show,
)
from ..runtime.system.item_failures import Failure, attempt
from ..runtime.system.plain_text import format_command, format_count
from ..runtime.system.progress import track

log = logging.getLogger(__name__)

SPLITS = ("train", "validation", "test")
MOST_PHOTOS, MOST_EPOCHS = 10**9, 10**6
MOST_TOLD = 5  # undecodable photos that are named one by one


@dataclass(frozen=True)
class RunPhoto:
    """One row of `photos.csv`: path is relative to the photo folder, group is the duplicate group."""

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
    """Read `photos.csv`.  Raises OSError, csv.Error, ValueError or KeyError if `write_run_photos` did not write it."""
    with open_plain_text(path, ODD_NAMES) as file:
        return tuple(_read_row(row) for row in csv.DictReader(file))


def _read_row(row: dict[str, str]) -> RunPhoto:
    """Read one row, whose path must be inside the photo folder.  Raises ValueError or KeyError."""
    if None in row or None in row.values():
        raise ValueError(f"photos.csv has a row with the wrong number of cells, {show(row['path'])}")
    if not is_inside(row["path"]):
        raise ValueError(f"photos.csv names {show(row['path'])}, which leads out of the photo folder")
    if row["split"] not in SPLITS:
        raise ValueError(f"photos.csv names the split {show(row['split'])}; there are {', '.join(SPLITS)}")
    group = row["group"]
    if not (group.isascii() and group.isdigit() and len(group) < 16):
        raise ValueError(f"photos.csv names the group {show(group)}, which is not a number")
    return RunPhoto(row["path"], row["sha256"], row["pose"], int(group), row["split"])


def is_pose_name(name: str) -> bool:
    """Whether a folder of this name is a pose: not hidden, a single name, printable."""
    return is_printable(name) and name[:1] not in ("", ".", "_") and not {"/", "\\"} & {*name}


def _check_labels(labels: tuple[str, ...], photos: tuple[RunPhoto, ...]) -> None:
    """Check labels, which name folders, of a run that may come from elsewhere.  Raises ValueError."""
    if not 2 <= len(labels) <= MOST_LABELS:
        raise ValueError(f"a run has 2 to {MOST_LABELS} labels; run.json has {len(labels)}")
    for label in labels:
        if not isinstance(label, str) or not is_pose_name(label) or len(label) > LONGEST_LABEL:
            raise ValueError(f"the label {show(label)} cannot name a folder of photos")
    if strange := {photo.pose for photo in photos} - set(labels):
        raise ValueError(f"photos.csv names the pose {show(min(strange))}, which is not a label in run.json")
    if len(set(labels)) < len(labels):
        raise ValueError("a label appears twice in run.json")


def _check_metrics(metrics: Any) -> None:
    """Check the metrics that every run has.  Raises KeyError or ValueError."""
    if not isinstance(metrics, dict) or not isinstance(metrics["test"], dict):
        raise ValueError("it has no valid metrics")
    for row in [metrics["test"], *([metrics["frozen"]] if metrics.get("frozen") is not None else [])]:
        if not isinstance(row, dict):
            raise ValueError(f"its metrics hold the invalid value {show(row)}")
        check_number(row["accuracy"], "an accuracy in run.json", 0, 1)
        check_whole(row["photos"], "a number of photos in run.json", 0, MOST_PHOTOS)
    if not isinstance(metrics["interrupted"], bool):
        raise ValueError(f"interrupted should be true or false; it is {show(metrics['interrupted'])}")
    if metrics.get("best_epoch") is not None:
        check_whole(metrics["best_epoch"], "best_epoch", 0, MOST_EPOCHS)


def _check_summary(summary: Any) -> None:
    """Check the types of the values in run.json.  Raises KeyError or ValueError."""
    if not isinstance(summary, dict) or not isinstance(summary["config"], dict):
        raise ValueError("run.json or its config is not a JSON object")
    if not isinstance(summary["labels"], list):
        raise ValueError(f"the labels should be a list; they are {show(summary['labels'])}")
    check_whole(summary["config"]["size"], "the size of the input", SMALLEST, LARGEST)
    check_text(summary["arch"], "arch", 100)
    if not isinstance(summary["photo_folder"], str) or "\0" in summary["photo_folder"]:
        raise ValueError(f"photo_folder should be a path; it is {show(summary['photo_folder'])}")
    check_text(summary.get("finished_at", ""), "finished_at")
    if not isinstance(summary.get("versions", {}), dict):
        raise ValueError(f"versions should be a JSON object; it is {show(summary['versions'])}")
    _check_metrics(summary["metrics"])


def load_run(folder: Path, photo_folder: Path | None = None) -> Run:
    """Read a run.  photo_folder: where the photos are now, if they were moved.  Raises RunError."""
    try:
        summary = read_document(folder / "run.json")
        _check_summary(summary)
        photos = read_run_photos(folder / "photos.csv")
        labels = tuple(summary["labels"])
        _check_labels(labels, photos)
        where = photo_folder or Path(summary["photo_folder"])
        return Run(folder, labels, summary["config"]["size"], summary["arch"], where, photos, summary)
    except (FileNotFoundError, NotADirectoryError) as error:
        begun = (folder / "photos.csv").is_file() and not (folder / "run.json").exists()
        what_to_do = (
            "wait while it is trained; if it was stopped, repeat its yoga-train fit command with --resume"
            if begun
            else f"make one with: yoga-train fit PHOTOS --to {format_command(folder)}"
        )
        raise RunError(
            f"{folder} is not a finished run: {Path(error.filename).name} is missing; {what_to_do}"
        ) from error
    except OSError as error:
        raise RunError(f"{folder} cannot be read as a run: {error.strerror} ({error.filename})") from error
    except (KeyError, ValueError, TypeError, csv.Error) as error:
        raise RunError(
            f"{folder} cannot be read as a run ({_name(error)}); train it again with this version"
        ) from error


def _name(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def check_model_run(path: Path, info: ModelInfo, run: Run) -> None:
    """Refuse a run that the model was not exported from, whose photos may have other labels.

    Raises ModelError.
    """
    if (info.labels, info.size) != (run.labels, run.size):
        raise ModelError(
            f"{path} predicts {', '.join(info.labels)} at {info.size} px, but the run {run.folder} was trained on "
            f"{', '.join(run.labels)} at {run.size} px; give the run that the model was exported from"
        )
    model_from, finished = info.training.get("finished_at"), run.summary.get("finished_at")
    if (
        model_from and model_from != finished
    ):  # other photos were held out: the model may have been trained on this run's test photos
        raise ModelError(
            f"{path} comes from a run that was finished at {model_from}, but the run {run.folder} was finished at "
            f"{finished}; give the run that the model was exported from"
        )


def load_frames(run: Run, split: str) -> tuple[Frame, npt.NDArray[np.int64], list[RunPhoto]]:
    """Decode and letterbox the photos of one split, as training and the live loop do.

    Returns frames uint8 (N, S, S, 3) BGR, targets int64 (N,) and their rows.
    Photos that cannot be decoded (this version may be stricter) are left out, which is logged.
    Raises RunError if a photo is missing or was changed, or none is left.
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
        raise RunError(f"none of the {len(rows)} {split} photos of {run.folder} can be decoded; see the lines above")
    if failed:
        log.warning(
            "left out %d of %s, which cannot be decoded", len(failed), format_count(len(rows), f"{split} photo")
        )
    targets = np.array([run.labels.index(row.pose) for row, _ in read], dtype=np.int64)
    return np.stack([frame for _, frame in read]), targets, [row for row, _ in read]


def _read_bytes(path: Path) -> bytes:
    try:
        with open_plain(path) as file:
            return file.read()
    except OSError as error:
        raise RunError(f"{path} is missing; if the run's photos were moved, give their folder with --photos") from error
    except ValueError as error:
        raise RunError(f"{path} is not a photo of the run: {error}; restore it, or train again") from error


def _load_one(run: Run, row: RunPhoto) -> Frame | Failure:
    path = run.photo_folder / row.path
    content = attempt(path, partial(_read_bytes, path))
    if isinstance(content, Failure) and content.is_foreseen:
        raise RunError(content.reason)
    if isinstance(content, Failure):
        return content
    if hashlib.sha256(content).hexdigest() != row.sha256:
        raise RunError(f"{path} is not the photo that {run.folder} was trained with; restore it, or train again")
    return attempt(path, lambda: letterbox(decode_photo(content, min_side=run.size), run.size))
