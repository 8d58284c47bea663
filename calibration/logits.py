"""Computes the logits of a run's splits, for calibration, comparison and reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..runtime.core.types import Floats, Frame, Ints
from ..runtime.engines.base import Engine
from ..runtime.errors import OutputError, RunError
from ..runtime.people.landmarks import LANDMARKS
from ..runtime.system.files import write_then_rename
from ..runtime.system.foreign_files import open_plain
from ..runtime.system.progress import track
from .runs import Run, RunPhoto, load_frames

LANDMARKS_FILE = "landmarks.npy"
"""Of a run: the landmarks of its photos, float32 (N, 53), in the order of photos.csv."""


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
