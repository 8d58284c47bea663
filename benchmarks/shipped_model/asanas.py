"""Rebuild the model of many asanas: `asanas.py SOURCES --weights FILE --work FOLDER`.

Every folder of `asanas/` that the shipped model's list names is tried as a pose of its own, beside the shipped model's
ten.  A MobileNetV2's head is trained on its frozen body, a second opinion on people's key points; a pose enters where
recall and precision of both together are at least 90 % by cross-validation, in which near-duplicates are never on both
sides.  The others stay `none`.  The model of those that entered is trained, cross-validated again, exported and
quantised.  What is finished in FOLDER is not done again.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from model import TRAIN_ONLY, is_done
from small import take_over

from yoga_live.calibration.command import main as calibrate
from yoga_live.calibration.logits import read_left_out
from yoga_live.calibration.onnx_file import read_model, write_model
from yoga_live.calibration.runs import Run, load_run
from yoga_live.export.command import main as export
from yoga_live.runtime.core.softmax import log_softmax
from yoga_live.runtime.core.types import NO_POSE, Floats
from yoga_live.runtime.people.second_opinion import LEAST, Mixture
from yoga_live.runtime.system.cli_runner import CommandParser, HelpFormatter, run_command
from yoga_live.runtime.system.crashes import report_crashes
from yoga_live.runtime.system.files import make_csv_writer, write_then_rename
from yoga_live.runtime.system.plain_text import print
from yoga_live.train.cli.main import main as train
from yoga_live.train.fit.tensor_files import read_tensors, write_tensors
from yoga_live.train.landmarks.mixing import Answers, learn_mixture
from yoga_live.train.landmarks.networks import name_kinds
from yoga_live.train.landmarks.run_opinion import measure_photos
from yoga_live.train.landmarks.training import LandmarkPhotos, answer_out_of_fold
from yoga_live.train.people.finding import find_people, list_contents
from yoga_live.train.photos.folder import read_photos
from yoga_live.train.photos.splits import assign_folds
from yoga_live.train.run_files.predictions import FOLDS, read_predictions

KINDS = Path(NO_POSE, "asanas")
"""Where the gathered photos have the asanas that the shipped model calls `none`, one folder each."""
MIXED_UP = ("warrior_1",)  # kinds of another collection, which are no class of this one
LEAST_SHARE, FOLD_COUNT = 0.9, 5
ASANAS, DRAWN = "asanas__", ("drawn__", "sun_salutation__")


@dataclass(frozen=True)
class Found:
    """What cross-validation says of a pose.  sources: collections of photos that it has."""

    pose: str
    photos: int
    groups: int
    sources: int
    recall: float
    precision: float

    @property
    def enters(self) -> bool:
        return min(self.recall, self.precision) >= LEAST_SHARE


def arrange(photos: Path, to: Path, poses: set[str] | None = None) -> None:
    """Link the gathered photos into a folder per pose.  poses: asanas that are poses; None: all of them.

    Photos that the journal moved to `none` itself are left out: many show one of these asanas.
    """
    part = to.with_name(f"{to.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    for path in sorted(photos.rglob("*")):
        place = path.relative_to(photos)
        if not path.is_file() or len(place.parts) < 2 or place.parts[0].startswith("_"):
            continue
        if place.parts[0] == NO_POSE and (len(place.parts) == 2 or place.parent == KINDS):
            continue
        kind = place.parts[2] if place.is_relative_to(KINDS) else ""
        if kind and kind not in MIXED_UP and (poses is None or kind in poses):
            place = Path(kind, place.name)
        (part / place).parent.mkdir(parents=True, exist_ok=True)
        os.link(path, part / place)
    part.rename(to)


def answer_folds(run: Run) -> tuple[LandmarkPhotos, Floats, Floats]:
    """What networks of other folds answer: the photos, log-probabilities of the network and of key points, (N, C)."""
    photo_set = read_photos(run.photo_folder, run.size)
    photos, labels = photo_set.photos, run.labels
    rows = {row.path: row for row in run.photos}
    groups = np.array([rows[photo.path].group for photo in photos])
    targets = np.array([labels.index(photo.pose) for photo in photos])
    network = np.log(np.maximum(read_predictions(run.folder / FOLDS, run), LEAST))
    landmarks = measure_photos(photo_set, find_people(photo_set.folder, list_contents(photos), device="cpu"))
    kinds = name_kinds([photo.path for photo in photos], labels)
    splits = np.array([rows[photo.path].split for photo in photos])
    known = LandmarkPhotos(labels, landmarks, kinds, targets, groups, splits, network)
    folds = assign_folds(photos, groups, FOLD_COUNT, int(run.summary["config"]["seed"]))
    points = answer_out_of_fold(known, folds)
    assert points is not None, "a fold has all photos of a pose"
    return known, network, points


def judge_left_out(run: Run, mixture: Mixture) -> dict[str, dict[str, float]]:
    """By source that was left out: photos of poses that another source has, and what is right of them, alone and mixed.

    run: with folds by source.  mixture: learned elsewhere.
    """
    answers = read_left_out(run)
    assert answers is not None and answers.points is not None, "the run has no answers of a second opinion"
    none = run.labels.index(NO_POSE)
    together = mixture.mix(log_softmax(answers.logits), answers.points, none)
    found = {}
    for source in answers.list_sources():
        rows = answers.left_out & (answers.sources == source) & (answers.targets != none)
        if rows.any():
            said = {"network": answers.logits, "landmarks": answers.points, "together": together}
            shares = {name: (logs.argmax(axis=1) == answers.targets)[rows].mean() for name, logs in said.items()}
            called_none = (together.argmax(axis=1) == none)[rows].mean()
            found[source] = {"photos": int(rows.sum()), **shares, "together, called none": called_none}
    return found


def judge(run: Run) -> tuple[list[Found], dict[str, Any], Mixture]:
    """Recall and precision of each pose by cross-validation, the accuracy of both alone and together, the mixture."""
    known, network, points = answer_folds(run)
    names = [Path(photo.path).name for photo in run.photos]
    counts = np.array([not name.startswith(DRAWN) for name in names])  # drawings say nothing of photos
    sources = np.array([name.partition("__")[0] for name in names])
    labels, targets = known.labels, known.targets
    answers = Answers(log_softmax(network), points, targets, known.groups)
    mixture = learn_mixture(answers, labels.index(NO_POSE)).mixture
    together = mixture.mix(answers.network, points, labels.index(NO_POSE))
    accuracies = {
        name: round(float((logs.argmax(axis=1) == targets)[counts].mean()), 4)
        for name, logs in (("network", network), ("landmarks", points), ("together", together))
    }
    said = together.argmax(axis=1)
    found = []
    for number, pose in enumerate(labels):
        own, called = (targets == number) & counts, (said == number) & counts
        right = float((own & called).sum())
        found.append(
            Found(
                pose, int(own.sum()), len(np.unique(known.groups[own])), len(np.unique(sources[own])),
                right / max(own.sum(), 1), right / max(called.sum(), 1),
            )
        )  # fmt: skip
    return found, accuracies | {"photos": int(counts.sum())}, mixture


def write_found(found: list[Found], path: Path) -> None:
    """Write a row for each pose, the surest first."""
    with write_then_rename(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = make_csv_writer(file)
        writer.writerow(("pose", "enters", "recall", "precision", "photos", "groups", "sources"))
        for each in sorted(found, key=lambda each: -min(each.recall, each.precision)):
            row = each.pose, each.enters, f"{each.recall:.3f}", f"{each.precision:.3f}"
            writer.writerow((*row, each.photos, each.groups, each.sources))


def read_entered(path: Path) -> set[str]:
    """The poses of a table that enter."""
    with path.open(newline="", encoding="utf-8") as file:
        return {row["pose"] for row in csv.DictReader(file) if row["enters"] == "True"}


def finish(quantized: Path, run: Run, by_source: Run, to: Path) -> None:
    """Say in the model which poses one collection alone shows, and what cross-validation says of all."""
    found, accuracies, mixture = judge(run)
    write_found(found, to.with_suffix(".csv"))
    left_out = {
        source: {name: round(float(value), 4) for name, value in row.items()}
        for source, row in judge_left_out(by_source, mixture).items()
    }
    model, info = read_model(quantized)
    single = sorted(each.pose for each in found if each.sources < 2 and each.pose != NO_POSE)
    shares = {each.pose: [round(each.recall, 3), round(each.precision, 3)] for each in found}
    notes = {
        "one_collection": single,
        "cross_validation": accuracies | {"recall, precision": shares},
        "left_out_sources": left_out,
    }
    with write_then_rename(to) as temporary:
        write_model(model, replace(info, training=info.training | notes), temporary)
    weak = [f"{each.pose} {each.recall:.1%} / {each.precision:.1%}" for each in found if not each.enters]
    print(f"{len(found)} labels, cross-validation {json.dumps(accuracies)}; below 90 %: {', '.join(weak) or 'no pose'}")
    print(f"left-out sources: {json.dumps(left_out)}")
    print(f"written: {to}")


def list_steps(args: argparse.Namespace, options: list[str]) -> list[tuple[Path, Callable[[], int | None]]]:
    """Each step's output and how to make it.  options: further ones of `yoga-train fit`."""
    from photos import main as gather

    work: Path = args.work
    photos, start, everything, chosen = (work / name for name in ("photos", "start.safetensors", "all", "chosen"))
    trial, table, run, by_source = work / "trial", work / "trial.csv", work / "asanas", work / "by_source"
    full, quantized, shipped = work / "asanas.fp32.onnx", work / "asanas.int8.onnx", work / "asanas.onnx"

    def fit(folder: Path, to: Path, *more: str) -> int:
        arguments = ["fit", str(folder), "--to", str(to), "--weights", str(start), "--arch", "mobilenet_v2"]
        arguments += ["--epochs", "0", "--folds", str(FOLD_COUNT), "--train-only", TRAIN_ONLY, *more, *options]
        return train([*arguments, "--resume"] if to.exists() else arguments)

    return [
        (photos, lambda: gather([str(args.sources), "--to", str(photos)])),
        (start, lambda: write_tensors(start, take_over(read_tensors(args.weights)), {})),
        (everything, lambda: arrange(photos, everything)),
        (trial / FOLDS, lambda: fit(everything, trial, "--no-second-opinion")),
        (table, lambda: write_found(judge(load_run(trial))[0], table)),
        (chosen, lambda: arrange(photos, chosen, read_entered(table))),
        (run / FOLDS, lambda: fit(chosen, run)),
        (by_source / FOLDS, lambda: fit(chosen, by_source, "--by-source")),
        (full, lambda: export(["onnx", str(run), "--to", str(full)])),
        (quantized, lambda: calibrate(["int8", str(full), "--run", str(run), "--to", str(quantized)])),
        (shipped, lambda: finish(quantized, load_run(run), load_run(by_source), shipped)),
    ]


@report_crashes("yoga-export")
def main(argv: list[str] | None = None) -> int:
    """Run the steps that are not done.  Returns the exit code of the first that fails, or 0."""
    parser = CommandParser("asanas.py", description=__doc__, formatter_class=HelpFormatter)
    parser.add_argument("sources", type=Path, help="as model.py takes them")
    parser.add_argument("--weights", type=Path, required=True, help="of a MobileNetV2, as small.py takes them")
    parser.add_argument("--work", type=Path, required=True, metavar="FOLDER", help="photos, runs and models go here")
    args, options = parser.parse_known_args(argv)

    code = run_command("yoga-export", lambda args: args.work.mkdir(parents=True, exist_ok=True), args)
    for output, step in [] if code else list_steps(args, options):
        code = 0 if is_done(output) else step() or 0
        if code:
            break
    return code


if __name__ == "__main__":
    sys.exit(main())
