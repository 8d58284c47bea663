"""Compares files of one model: accuracy, calibration, fidelity, size, speed."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..runtime.core.types import Floats, Frame, Ints
from ..runtime.engines.base import Engine, find_feature_size, infer_features
from ..runtime.errors import OptionError
from ..runtime.people.second_opinion import SecondOpinion
from ..runtime.system.files import write_json, write_text
from .fidelity import Fidelity, measure_fidelity
from .latency import time_engines
from .logits import SplitLogits, compute_logits
from .metrics import Accuracy, measure_accuracy, measure_ece, simulate_perfect_ece, top_confidences

COMPARED, BATCH = 32, 8
"""Frames whose times and features are compared; of one run of the network."""


@dataclass(frozen=True)
class FileScore:
    """One file on the run's test photos.

    ece: at the file's own temperature, with the value of a perfectly calibrated model on as many photos (mean and
    97.5 % quantile).  fidelity: compared with the first file.  p50_ms, p95_ms: of the network, batch 1.
    feature_difference: largest difference of a feature from the first file's, relative to its largest feature; None
    where one of the two has no features.  together: accuracy of network and key points together; None where the file
    has no second opinion, or the run no landmarks.
    """

    path: Path
    precision: str
    device: str
    accuracy: Accuracy
    temperature: float
    ece: float
    perfect_mean: float
    perfect_high: float
    fidelity: Fidelity
    megabytes: float
    p50_ms: float
    p95_ms: float
    feature_difference: float | None = None
    together: Accuracy | None = None

    @property
    def is_honest(self) -> bool:
        """Whether the ECE is below the 97.5 % quantile of a perfectly calibrated model."""
        return self.ece <= self.perfect_high

    def row(self) -> dict[str, Any]:
        """Return the numbers of a table row."""
        low, high = self.accuracy.interval
        values = {
            "file": str(self.path),
            "precision": self.precision,
            "device": self.device,
            "photos": self.accuracy.total,
            "accuracy": self.accuracy.value,
            "accuracy_low": low,
            "accuracy_high": high,
            "temperature": self.temperature,
            "nll": self.fidelity.nll,
            "ece": self.ece,
            "ece_perfect_mean": self.perfect_mean,
            "ece_perfect_high": self.perfect_high,
            "ece_within": self.is_honest,
            "agreement": self.fidelity.agreement.value,
            "divergence": self.fidelity.divergence,
            "worst_logit_difference": self.fidelity.worst_difference,
            "megabytes": self.megabytes,
            "p50_ms": self.p50_ms,
            "p95_ms": self.p95_ms,
            "worst_feature_difference": self.feature_difference,
            "accuracy_with_people": None if self.together is None else self.together.value,
        }
        return {name: round(value, 6) if isinstance(value, float) else value for name, value in values.items()}


def compare_files(
    paths: Sequence[Path], engines: Sequence[Engine], frames: Frame, targets: Ints, landmarks: Floats | None = None
) -> list[FileScore]:
    """Score opened files on test photos; latency side by side.

    frames: uint8 (N, S, S, 3) BGR; targets: int (N,); landmarks: float32 (N, 53), None where the run has none.
    """
    splits = [
        SplitLogits(compute_logits(engine, frames, path.name), targets, landmarks=landmarks)
        for path, engine in zip(paths, engines, strict=True)
    ]
    times = time_engines(engines, frames[:COMPARED])
    features = [_infer_features(engine, frames[:COMPARED]) for engine in engines]
    scores = [
        _score_file(path, engine, split, splits[0], times_ms)
        for path, engine, split, times_ms in zip(paths, engines, splits, times, strict=True)
    ]
    return [
        replace(score, feature_difference=_compare_features(features[0], own), together=_score_together(engine, split))
        for score, own, engine, split in zip(scores, features, engines, splits, strict=True)
    ]


def _score_together(engine: Engine, split: SplitLogits) -> Accuracy | None:
    if not engine.info.second_opinion or split.landmarks is None:
        return None
    opinion = SecondOpinion.from_document(engine.info.second_opinion, engine.info.labels)
    return measure_accuracy(opinion.combine(split.logits, split.landmarks).argmax(axis=1), split.targets)


def _infer_features(engine: Engine, frames: Frame) -> Floats | None:
    if not find_feature_size(engine):
        return None
    return np.concatenate([infer_features(engine, frames[i : i + BATCH])[1] for i in range(0, len(frames), BATCH)])


def _compare_features(first: Floats | None, own: Floats | None) -> float | None:
    if first is None or own is None or first.shape != own.shape:
        return None
    return float(np.abs(first - own).max() / max(np.abs(first).max(), 1e-12))


def _score_file(path: Path, engine: Engine, split: SplitLogits, first: SplitLogits, times_ms: Floats) -> FileScore:
    temperature = engine.info.temperature
    answers, confidences = split.logits.argmax(axis=1), top_confidences(split.logits, temperature)
    perfect_mean, perfect_high = simulate_perfect_ece(confidences)
    return FileScore(
        path,
        engine.info.precision,
        engine.device,
        measure_accuracy(answers, split.targets),
        temperature,
        measure_ece(confidences, answers == split.targets),
        perfect_mean,
        perfect_high,
        measure_fidelity(first.logits, split, temperature),
        path.stat().st_size / 1e6,
        float(np.median(times_ms)),
        float(np.quantile(times_ms, 0.95)),
    )


def format_scores(scores: Sequence[FileScore]) -> str:
    """Format the scores as a table for a terminal."""
    head: tuple[str, ...] = (
        "file",
        "precision",
        "accuracy (95 % interval)",
        "ECE (perfect: mean, up to)",
        "agreement",
        "worst logit",
    )
    rows: list[tuple[str, ...]] = [(*head, "MB", "p50 / p95 ms", "time / first")]
    names = [score.path.name for score in scores]
    for score in scores:
        low, high = score.accuracy.interval
        honest = "within" if score.is_honest else "ABOVE"
        agreement = score.fidelity.agreement
        rows.append(
            (
                score.path.name if names.count(score.path.name) == 1 else str(score.path),
                score.precision,
                f"{score.accuracy.value:.1%} ({low:.1%} to {high:.1%})",
                f"{score.ece:.1%} ({score.perfect_mean:.1%}, {score.perfect_high:.1%}) {honest}",
                f"{agreement.value:.1%} ({agreement.right}/{agreement.total})",
                f"{score.fidelity.worst_difference:.3g}",
                f"{score.megabytes:.1f}",
                f"{score.p50_ms:.1f} / {score.p95_ms:.1f}",
                f"{score.p50_ms / scores[0].p50_ms:.2f}",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    for row, score in zip(rows[1:], scores, strict=True):
        if score.together is not None:
            lines.append(f"{row[0]} with its second opinion, the key points of people: {score.together}")
    return "\n".join(lines)


def check_table_name(path: Path) -> None:
    """Refuse a table that is neither CSV nor JSON.  Raises OptionError."""
    if path.suffix not in (".csv", ".json"):
        raise OptionError(f"the table {path} should end in .csv or .json; give such a name")


def write_scores(scores: Sequence[FileScore], path: Path, *, replace: bool = True) -> None:
    """Write the scores as CSV or JSON, by the file's name."""
    rows = [score.row() for score in scores]
    if path.suffix == ".json":
        return write_json(path, rows, replace=replace)
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return write_text(path, buffer.getvalue(), replace=replace)
