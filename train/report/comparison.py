"""Compares two runs on the photos that neither of them was trained on."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...calibration.metrics import Accuracy, measure_accuracy, measure_mcnemar, measure_recalls
from ...calibration.runs import SPLITS, Run
from ..run_files.predictions import PREDICTIONS, read_predictions
from .answers import PhotoPrediction, RunPredictions, join_answers


@dataclass(frozen=True)
class Duel:
    """One shared photo that only one of the two runs classifies correctly; their_answer is a pose's name."""

    ours: PhotoPrediction
    their_answer: str
    their_probability: float


@dataclass(frozen=True)
class RecallChange:
    """Recall of one pose on the shared photos."""

    pose: str
    ours: Accuracy
    theirs: Accuracy


@dataclass(frozen=True)
class LeftOut:
    """Number of test photos that are not compared, by reason."""

    trained_by_other: int  # ours, used by the other run in training or validation
    trained_by_this: int  # theirs, used by this run in training or validation
    absent: int  # in only one of the folders
    unknown_pose: int  # with a pose that the other run does not have
    relabelled: int  # compared nevertheless, under this run's label


@dataclass(frozen=True)
class Comparison:
    """Two runs: each on its own test photos, then both on the shared ones, under this run's labels."""

    other: Run
    test: Accuracy
    mean_recall: float
    ours: Accuracy
    theirs: Accuracy
    won: tuple[Duel, ...]
    lost: tuple[Duel, ...]
    p_value: float
    recalls: tuple[RecallChange, ...]
    left_out: LeftOut
    settings: tuple[tuple[str, str, str], ...]

    @property
    def shared(self) -> int:
        return self.ours.total


def compare_runs(run: Run, answers: RunPredictions, other: Run) -> Comparison:
    """Compare two runs.  Raises RunError if the other one has no predictions."""
    theirs = join_answers(other, read_predictions(other.folder / PREDICTIONS, other))
    pairs, left_out = _pair_photos(run, other)
    duels = [_hold_duel(answers, theirs, *pair) for pair in pairs]
    right = [(duel.ours.is_right, duel.their_answer == run.labels[duel.ours.truth]) for duel in duels]
    won = [duel for duel, verdict in zip(duels, right, strict=True) if verdict == (True, False)]
    lost = [duel for duel, verdict in zip(duels, right, strict=True) if verdict == (False, True)]
    test = theirs.numbers_of("test")
    their_answers, their_targets = theirs.answers[test], theirs.targets[test]
    return Comparison(
        other,
        measure_accuracy(their_answers, their_targets),
        float(np.nanmean(measure_recalls(their_answers, their_targets, len(other.labels)))),
        Accuracy(sum(ours for ours, _ in right), len(right)),
        Accuracy(sum(other_right for _, other_right in right), len(right)),
        tuple(sorted(won, key=lambda duel: -duel.ours.probability)),
        tuple(sorted(lost, key=lambda duel: -duel.their_probability)),
        measure_mcnemar(len(won), len(lost)),
        _compare_recalls(run.labels, duels, right),
        left_out,
        list_differences(run, other),
    )


def _pair_photos(run: Run, other: Run) -> tuple[list[tuple[int, int]], LeftOut]:
    """Pair the test photos of both runs by content.  Returns their numbers, and what was left out."""
    ours, theirs = _number_by_content(run), _number_by_content(other)
    pairs: list[tuple[int, int]] = []
    reasons: Counter[str] = Counter()
    for content, number in ours.items():
        photo = run.photos[number]
        if photo.split != "test":
            continue
        if content not in theirs:
            reasons["absent"] += 1
        elif other.photos[theirs[content]].split != "test":
            reasons["trained_by_other"] += 1
        elif photo.pose not in other.labels:
            reasons["unknown_pose"] += 1
        else:
            pairs.append((number, theirs[content]))
            reasons["relabelled"] += other.photos[theirs[content]].pose != photo.pose
    for content, number in theirs.items():
        if other.photos[number].split == "test" and content not in ours:
            reasons["absent"] += 1
        elif other.photos[number].split == "test" and run.photos[ours[content]].split != "test":
            reasons["trained_by_this"] += 1
    names = ("trained_by_other", "trained_by_this", "absent", "unknown_pose", "relabelled")
    return pairs, LeftOut(*(reasons[name] for name in names))


def _number_by_content(run: Run) -> dict[str, int]:
    """Map sha256 -> number of the photo; of copies one counts, preferably one used in training."""
    order = sorted(range(len(run.photos)), key=lambda number: run.photos[number].split != "test")
    return {run.photos[number].sha256: number for number in order}


def _hold_duel(answers: RunPredictions, theirs: RunPredictions, our_photo: int, their_photo: int) -> Duel:
    other = theirs.describe(their_photo)
    return Duel(answers.describe(our_photo), theirs.labels[other.answer], other.probability)


def _compare_recalls(
    labels: tuple[str, ...], duels: list[Duel], right: list[tuple[bool, bool]]
) -> tuple[RecallChange, ...]:
    changes: list[RecallChange] = []
    for number, pose in enumerate(labels):
        rows = [verdict for duel, verdict in zip(duels, right, strict=True) if duel.ours.truth == number]
        ours, theirs = sum(one for one, _ in rows), sum(other for _, other in rows)
        changes.append(RecallChange(pose, Accuracy(ours, len(rows)), Accuracy(theirs, len(rows))))
    return tuple(changes)


def list_differences(run: Run, other: Run) -> tuple[tuple[str, str, str], ...]:
    """Settings, labels and counts in which two runs differ, as (name, here, there)."""
    here, there = describe_settings(run), describe_settings(other)
    names = dict.fromkeys([*here, *there])
    rows = [(name, here.get(name, "not there"), there.get(name, "not there")) for name in names]
    return tuple(row for row in rows if row[1] != row[2])


def describe_settings(run: Run) -> dict[str, str]:
    """List the settings of a run, name -> value: configuration, labels, photos and versions."""
    splits = Counter(photo.split for photo in run.photos)
    settings = {
        "photos": ", ".join(f"{splits[split]} {split}" for split in SPLITS),
        "photo folder": str(run.summary.get("photo_folder", run.photo_folder)),  # then, wherever --photos finds them
        "labels": ", ".join(run.labels),
        "arch": run.arch,
        **_flatten("", {"mirror": True, "mirror_swaps": []} | run.summary["config"]),  # older runs mirrored always
    }
    return settings | {f"version of {name}": str(value) for name, value in run.summary.get("versions", {}).items()}


def _flatten(prefix: str, config: dict[str, Any]) -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, value in config.items():
        flat |= _flatten(f"{prefix}{name}.", value) if isinstance(value, dict) else {f"{prefix}{name}": str(value)}
    return flat
