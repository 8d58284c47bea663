"""Computes the logits of a run's splits, for calibration, comparison and reports.

And keeps those to sources of photos that the network had not seen (`yoga-train fit --folds 5 --by-source`).
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..runtime.core.types import Floats, Frame, Ints
from ..runtime.engines.base import Engine
from ..runtime.errors import OutputError, RunError
from ..runtime.people.landmarks import LANDMARKS
from ..runtime.system.files import ODD_NAMES, make_csv_writer, write_then_rename
from ..runtime.system.foreign_files import open_plain, open_plain_text, show
from ..runtime.system.progress import track
from .runs import Run, RunPhoto, load_frames

LANDMARKS_FILE = "landmarks.npy"
"""Of a run: the landmarks of its photos, float32 (N, 53), in the order of photos.csv."""

LEFT_OUT_FILE = "left_out.csv"
"""Of a run: `path,source,left_out`, then the logit of each label, in the order of photos.csv.

With a second opinion then the log-probability of each label by key points alone, `key points: tree`.
"""
LEFT_OUT_COLUMNS = ["path", "source", "left_out"]
POINTS = "key points: "


@dataclass(frozen=True)
class SplitLogits:
    """Logits float (N, C) and targets int (N,) of one split.

    groups: int (N,), near-duplicates share a number; None where each photo is its own group.  landmarks: float32
    (N, 53), of the person in each photo; None where the run has none.
    """

    logits: Floats
    targets: Ints
    groups: Ints | None = None
    landmarks: Floats | None = None


def compute_logits(engine: Engine, frames: Frame, title: str = "network") -> Floats:
    """Run an engine over frames, uint8 (N, S, S, 3) BGR, eight at a time.  Returns float32 (N, C)."""
    starts = range(0, len(frames), 8)
    parts = [engine.infer(frames[start : start + 8]) for start in track(starts, title, len(starts), "batches")]
    return np.concatenate(parts)


def load_logits(engine: Engine, run: Run, split: str) -> SplitLogits:
    """Logits of one split's photos."""
    frames, targets, rows = load_frames(run, split)
    logits = compute_logits(engine, frames, f"{split}, {engine.info.precision}")
    return SplitLogits(logits, targets, number_groups(rows), select_landmarks(run, rows))


def write_landmarks(folder: Path, landmarks: Floats) -> None:
    """Write the landmarks of a run's photos, float32 (N, 53).  Raises OutputError."""
    try:
        with write_then_rename(folder / LANDMARKS_FILE) as temporary, temporary.open("wb") as file:
            np.save(file, np.asarray(landmarks, np.float32), allow_pickle=False)
    except OSError as error:
        raise OutputError(f"cannot write {folder / LANDMARKS_FILE}: {error.strerror}; free some space") from error


def select_landmarks(run: Run, rows: Sequence[RunPhoto]) -> Floats | None:
    """Read the landmarks of some photos of a run, float32 (n, 53); None where the run has none.  Raises RunError."""
    path = run.folder / LANDMARKS_FILE
    shape = (len(run.photos), LANDMARKS)
    try:
        open_plain(path).close()
        landmarks = np.load(path, mmap_mode="r", allow_pickle=False)  # a false header takes no memory
        if landmarks.shape != shape or landmarks.dtype != np.float32:
            raise ValueError(f"it should be float32 {shape}; it is {landmarks.dtype} {landmarks.shape}")
        if not np.isfinite(landmarks).all():
            raise ValueError("it holds numbers that are not finite")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError) as error:
        raise RunError(f"{path} cannot be read ({error}); train the run again") from error
    places = {photo.path: number for number, photo in enumerate(run.photos)}
    return np.asarray(landmarks[[places[row.path] for row in rows]])


def number_groups(rows: list[RunPhoto]) -> Ints:
    """Number the duplicate groups of photos, int (N,)."""
    return np.array([row.group for row in rows], dtype=np.int64)


@dataclass(frozen=True)
class LeftOutLogits:
    """Logits of N photos by networks of other folds, which had seen no other photo of the source where it was left out.

    logits: float (N, C).  targets, groups: int (N,).  sources: of each photo; empty: of none, only trained on.
    left_out: bool (N,), whether the network had not seen the source; where it had (the only one with that pose), it had
    seen neither the photo nor a near-duplicate.  points: log-probabilities by key points alone, float (N, C), of small
    networks that have not seen the source either; None where the run has none.
    """

    logits: Floats
    targets: Ints
    groups: Ints
    sources: npt.NDArray[np.str_]
    left_out: npt.NDArray[np.bool_]
    points: Floats | None = None

    def select(self, rows: npt.NDArray[np.bool_]) -> SplitLogits:
        """Select photos.  rows: bool (N,)."""
        return SplitLogits(self.logits[rows], self.targets[rows], self.groups[rows])

    @property
    def judged(self) -> npt.NDArray[np.bool_]:
        """The photos that calibration is fitted on, bool (N,): all but those that are only trained on."""
        return self.sources != ""

    def list_sources(self) -> list[str]:
        """The sources that were left out, the largest first."""
        names, counts = np.unique(self.sources[self.left_out], return_counts=True)
        return [str(names[row]) for row in np.argsort(-counts, kind="stable")]


def write_left_out(folder: Path, paths: Sequence[str], labels: tuple[str, ...], answers: LeftOutLogits) -> None:
    """Write `left_out.csv`.  paths: of the N photos, in the order of photos.csv."""
    numbers, names = answers.logits, [*labels]
    if answers.points is not None:
        numbers, names = np.concatenate([numbers, answers.points], axis=1), [*labels, *(POINTS + n for n in labels)]
    with (
        write_then_rename(folder / LEFT_OUT_FILE) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors=ODD_NAMES) as file,
    ):
        writer = make_csv_writer(file)
        writer.writerow([*LEFT_OUT_COLUMNS, *names])
        rows = zip(paths, answers.sources.tolist(), answers.left_out.tolist(), numbers, strict=True)
        for path, source, is_left_out, row in rows:
            writer.writerow([path, source, int(is_left_out), *(f"{value:.6g}" for value in row)])


def choose_left_out(run: Run, asked: str = "auto") -> LeftOutLogits | None:
    """Choose what to fit confidence on: answers to left-out sources where the run has them, else None.

    asked: auto, left-out or validation.  Raises RunError where left-out sources are asked for and there are none.
    """
    found = None if asked == "validation" else read_left_out(run)
    if found is None and asked == "left-out":
        raise RunError(
            f"{run.folder} has no {LEFT_OUT_FILE}, answers to left-out sources; train with yoga-train fit --folds 5 "
            "--by-source, or leave out --on"
        )
    return found


def read_left_out(run: Run) -> LeftOutLogits | None:
    """Read `left_out.csv` of a run; None where the run has none.  Raises RunError."""
    path, count = run.folder / LEFT_OUT_FILE, len(run.labels)
    first, what_to_do = len(LEFT_OUT_COLUMNS), "train the run again, or delete this file to fit on validation photos"
    headers = [[*LEFT_OUT_COLUMNS, *run.labels]]
    headers.append(headers[0] + [POINTS + label for label in run.labels])
    try:
        with open_plain_text(path, ODD_NAMES) as file:
            header, *rows = [*csv.reader(file)] or [[]]
        if not rows:
            raise ValueError("it has no row for a photo")
        if any(len(row) != len(header) for row in rows):
            raise ValueError(f"a row has not one number for each of {len(header) - first} columns")
        if odd := next((row[2] for row in rows if row[2] not in ("0", "1")), None):
            raise ValueError(f"left_out should be 0 or 1; it is {show(odd)}")
        numbers = np.array([[float(cell) for cell in row[first:]] for row in rows]).reshape(len(rows), -1)
        if not np.isfinite(numbers).all():
            raise ValueError("it holds a number that is not finite")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, csv.Error) as error:
        raise RunError(f"{path} cannot be read ({error}); {what_to_do}") from error
    if header not in headers or [row[0] for row in rows] != [photo.path for photo in run.photos]:
        raise RunError(f"{path} does not belong to {run.folder / 'photos.csv'}; {what_to_do}")
    sources, left_out = np.array([row[1] for row in rows]), np.array([row[2] == "1" for row in rows])
    left_out &= sources != ""
    if len(np.unique(sources[left_out])) < 2:
        raise RunError(f"{path} holds fewer than two sources that were left out; {what_to_do}")
    targets = np.array([run.labels.index(photo.pose) for photo in run.photos], dtype=np.int64)
    groups, points = number_groups(list(run.photos)), numbers[:, count:] if header == headers[1] else None
    return LeftOutLogits(numbers[:, :count], targets, groups, sources, left_out, points)
