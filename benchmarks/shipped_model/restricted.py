"""Measure answers restricted to a few poses: `restricted.py --photos FOLDER --strangers FOLDER --work W`.

What becomes of the probability of a pose that is not asked for?  It counts as `none` to a part: 0 renormalises over
what is left, 1 keeps all of it as `none`.  Each part is tried on all pairs and triples of poses: recall of the poses
asked for, and false alarms on other poses, with a confidence of 90 % or more among them, and on `none`.  Mixed up: of
photos of poses asked for whose likeliest pose is another one, how many are right.  ECE is measured on photos of poses
asked for and `none` (a class in which nothing else happens), and on all.

Strangers are answered by what was fitted without their sources; their twin is the random split's test photos, answered
by the shipped model.  W keeps the answers, so that a second run is fast.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from opinion import gather_answers
from strangers import FOLDS, answer_strangers, fit_with, mix_strangers, read_strangers, spread_sources

from yoga_live.calibration.confidence import calibrate
from yoga_live.calibration.logits import SplitLogits
from yoga_live.calibration.metrics import measure_ece
from yoga_live.runtime.core.model_metadata import DEFAULT_MODEL, ModelInfo
from yoga_live.runtime.core.softmax import log_softmax, softmax
from yoga_live.runtime.core.types import NO_POSE, Floats, Ints
from yoga_live.runtime.engines.onnxruntime import OnnxEngine
from yoga_live.runtime.people.second_opinion import LEAST, SecondOpinion
from yoga_live.runtime.system.cli_runner import CommandParser, HelpFormatter, run_command
from yoga_live.runtime.system.plain_text import print
from yoga_live.train.photos.folder import read_photos

PARTS = (0.0, 0.1, 0.25, 0.5, 1.0)
LEAST_PHOTOS, SURE = 10, 0.9
COUNTED = ("mixed up", "mixed up, right", "called", "called, sure")
"""Different photos, over all sets of poses; the rest are means over sets."""


@dataclass(frozen=True)
class Answered:
    """N photos: calibrated probabilities float (N, C), targets int (N,), the threshold for each float (N,)."""

    probabilities: Floats
    targets: Ints
    thresholds: Floats


def answer_left_out(photos: Path, strangers_at: Path, engine: OnnxEngine) -> tuple[Answered, Answered]:
    """Answer strangers without their sources, and the random split's test photos by the shipped model."""
    info, none = engine.info, engine.info.labels.index(NO_POSE)
    known, strangers = gather_answers(read_photos(photos, info.size), engine), read_strangers(strangers_at, engine)
    folds = spread_sources(strangers, none)
    of_strangers = answer_strangers(known, strangers, folds)
    points = np.log(np.maximum(fit_with(known, strangers).classify_landmarks(known.landmarks), LEAST))
    validation, test = known.splits == "validation", known.splits == "test"
    left_out = Answered(np.zeros(strangers.logits.shape), strangers.targets, np.zeros(len(folds)))
    for fold in range(FOLDS):
        rest = folds == fold
        learned = mix_strangers(known, points[validation], strangers, of_strangers, ~rest)
        logs = learned.mixture.mix(log_softmax(strangers.logits), of_strangers, none)
        others = SplitLogits(logs[~rest], strangers.targets[~rest])
        fitted, _ = calibrate(info, others, others)
        left_out.probabilities[rest] = softmax(logs[rest] / fitted.temperature)
        left_out.thresholds[rest] = fitted.threshold
    opinion = SecondOpinion.from_document(info.second_opinion, info.labels)
    combined = softmax(opinion.combine(known.logits[test], known.landmarks[test]) / opinion.temperature)
    return left_out, Answered(combined, known.targets[test], np.full(int(test.sum()), opinion.threshold))


def measure_set(answered: Answered, kept: list[int], none: int, part: float) -> dict[str, Any]:
    """Restrict to `kept`, a part of the rest being `none`, and measure; NaN where there is too little to measure."""
    excluded = [each for each in range(answered.probabilities.shape[1]) if each not in (*kept, none)]
    shares = answered.probabilities.copy()
    shares[:, none] += part * shares[:, excluded].sum(axis=1)
    shares[:, excluded] = 0
    shares /= shares.sum(axis=1, keepdims=True)
    best, top = shares.argmax(axis=1), shares.max(axis=1)
    targets = answered.targets
    is_kept, is_none = np.isin(targets, kept), targets == none
    said = (best != none) & (top >= answered.thresholds)
    right = best == np.where(is_kept, targets, none)
    inside = is_kept | is_none
    poses = np.where(np.arange(shares.shape[1]) == none, -1, answered.probabilities).argmax(axis=1)
    mixed_up = is_kept & np.isin(poses, excluded)
    return {
        "mixed up": mixed_up,
        "mixed up, right": said & right & mixed_up,
        "called": said & ~inside,
        "called, sure": said & ~inside & (top >= SURE),
        "recall": _mean(said & right, is_kept),
        "others": _mean(said, ~inside),
        "sure": _mean(said & (top >= SURE), ~inside),
        "none": _mean(said, is_none),
        "ECE, class": measure_ece(top[inside], right[inside]) if is_kept.sum() >= LEAST_PHOTOS else np.nan,
        "ECE, all": measure_ece(top, right),
    }


def _mean(values: npt.NDArray[np.bool_], rows: npt.NDArray[np.bool_]) -> float:
    return float(values[rows].mean()) if rows.sum() >= LEAST_PHOTOS else np.nan


def print_table(name: str, answered: Answered, info: ModelInfo) -> None:
    """Print a row for each part: the means over all pairs and triples of poses that have photos."""
    none = info.labels.index(NO_POSE)
    counts = np.bincount(answered.targets, minlength=len(info.labels))
    poses = [each for each in range(len(info.labels)) if each != none]
    sets = [
        list(each)
        for size in (2, 3)
        for each in itertools.combinations(poses, size)
        if counts[list(each)].sum() >= LEAST_PHOTOS
    ]
    print(f"{name}: {len(answered.targets)} photos, {len(sets)} pairs and triples")
    whole = [_measure_unrestricted(answered, kept, none) for kept in sets]
    print(
        "| part that is `none` | mixed up, right | called a pose, surely "
        "| recall | other poses | sure | `none` | ECE, class | ECE, all |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    print(f"| not restricted | | | {np.nanmean(whole):.1%} | | | | | |")
    for part in PARTS:
        measured = [measure_set(answered, kept, none, part) for kept in sets]
        columns = {name: np.array([each[name] for each in measured]) for name in measured[0]}
        photos = {name: int(columns.pop(name).any(axis=0).sum()) for name in COUNTED}
        means = [np.nanmean(values) for values in columns.values()]
        counts = f"{photos['mixed up, right']} of {photos['mixed up']} | {photos['called']}, {photos['called, sure']}"
        print(f"| {part:g} | {counts} | " + " | ".join(f"{mean:.1%}" for mean in means) + " |")


def _measure_unrestricted(answered: Answered, kept: list[int], none: int) -> float:
    best, top = answered.probabilities.argmax(axis=1), answered.probabilities.max(axis=1)
    is_right = (best == answered.targets) & (top >= answered.thresholds)
    return _mean(is_right, np.isin(answered.targets, kept))


def main(argv: list[str] | None = None) -> int:
    """Answer and measure.  Returns the exit code."""
    parser = CommandParser("restricted.py", description=__doc__, formatter_class=HelpFormatter)
    parser.add_argument("--photos", type=Path, required=True, metavar="FOLDER", help="gathered as for the model")
    parser.add_argument("--strangers", type=Path, required=True, metavar="FOLDER", help="photos with a labels.csv")
    parser.add_argument("--work", type=Path, required=True, metavar="FOLDER", help="answers are kept here")
    return run_command("restricted.py", _run, parser.parse_args(argv))


def _run(args: argparse.Namespace) -> None:
    engine = OnnxEngine(DEFAULT_MODEL, "cpu")
    names, cache = ("left-out sources", "random split"), args.work / "answers.npz"
    if not cache.exists():
        args.work.mkdir(parents=True, exist_ok=True)
        pairs = answer_left_out(args.photos, args.strangers, engine)
        np.savez(
            cache,
            **{
                f"{name}/{key}": each for name, one in zip(names, pairs, strict=True) for key, each in vars(one).items()
            },
        )
    with np.load(cache) as arrays:
        for name in names:
            parts = {key: arrays[f"{name}/{key}"] for key in ("probabilities", "targets", "thresholds")}
            print_table(name, Answered(**parts), engine.info)


if __name__ == "__main__":
    sys.exit(main())
