"""Computes the logits of a run's splits, for calibration, comparison and reports."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..runtime.core.types import Floats, Frame, Ints
from ..runtime.engines.base import Engine
from ..runtime.system.progress import track
from .runs import Run, RunPhoto, load_frames


@dataclass(frozen=True)
class SplitLogits:
    """Logits float (N, C) and targets int (N,) of one split.

    groups: int (N,), near-duplicates share a number; None where each photo is its own group.
    """

    logits: Floats
    targets: Ints
    groups: Ints | None = None


def compute_logits(engine: Engine, frames: Frame, title: str = "network") -> Floats:
    """Run an engine over frames, uint8 (N, S, S, 3) BGR, eight at a time.  Returns float32 (N, C)."""
    starts = range(0, len(frames), 8)
    parts = [engine.infer(frames[start : start + 8]) for start in track(starts, title, len(starts), "batches")]
    return np.concatenate(parts)


def load_logits(engine: Engine, run: Run, split: str) -> SplitLogits:
    """Logits of one split's photos."""
    frames, targets, rows = load_frames(run, split)
    return SplitLogits(
        compute_logits(engine, frames, f"{split}, {engine.info.precision}"), targets, number_groups(rows)
    )


def number_groups(rows: list[RunPhoto]) -> Ints:
    """Number the duplicate groups of photos, int (N,)."""
    return np.array([row.group for row in rows], dtype=np.int64)
