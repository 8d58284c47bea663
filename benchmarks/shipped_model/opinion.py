"""Add features and a second opinion to the shipped model: `opinion.py SOURCES --strangers FOLDER --work W`.

The network stays as it is, bit for bit.  The photos are gathered from SOURCES as for its training (`photos.py`) and
split so: key points are trained on its training photos and on strangers (`strangers.py`), the mixture is learned on its
validation photos and on strangers, temperature and threshold on strangers, whom neither network has seen.  This takes
three minutes.  Prints how strangers are answered by what was fitted without their sources, beside the random split.
Writes W/default.onnx.  `model.py` does this as its last step.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper
from strangers import (
    Strangers,
    answer_strangers,
    describe,
    fit_with,
    judge,
    judge_alone,
    mix_strangers,
    read_strangers,
    spread_sources,
    summarise,
)

from yoga_live.calibration.confidence import ConfidenceReport, calibrate
from yoga_live.calibration.confidence_command import print_together
from yoga_live.calibration.logits import SplitLogits
from yoga_live.calibration.onnx_file import read_model, write_model
from yoga_live.calibration.runs import Run, load_run
from yoga_live.runtime.core.model_metadata import DEFAULT_MODEL, FEATURES, ModelInfo
from yoga_live.runtime.core.softmax import log_softmax
from yoga_live.runtime.core.types import NO_POSE, Floats
from yoga_live.runtime.engines.onnxruntime import OnnxEngine
from yoga_live.runtime.errors import RunError
from yoga_live.runtime.people.second_opinion import LEAST
from yoga_live.runtime.system.cli_runner import CommandParser, HelpFormatter, run_command
from yoga_live.runtime.system.crashes import report_crashes
from yoga_live.runtime.system.plain_text import print
from yoga_live.runtime.system.progress import track
from yoga_live.train.landmarks.networks import name_kinds
from yoga_live.train.landmarks.run_opinion import measure_photos
from yoga_live.train.landmarks.training import LandmarkPhotos
from yoga_live.train.people.finding import find_people, list_contents
from yoga_live.train.photos.folder import PhotoSet, read_photos
from yoga_live.train.photos.near_duplicates import group_photos
from yoga_live.train.photos.splits import split_groups

TRAIN_ONLY, HELD_OUT, SEED = "drawn__*,sun_salutation__*", 0.08, 0  # as model.py has them


def add_features(model: onnx.ModelProto) -> None:
    """Add the output `features` (N, D) to a pose model without: the mean of what its head reads.  In place."""
    graph = model.graph
    if FEATURES in {output.name for output in graph.output}:
        return
    producers = {output: node for node in graph.node for output in node.output}
    head = producers["maps"]
    pool = next(node for node in graph.node if node.op_type == "ReduceMean" and node.input[0] == "maps")
    size = next(tensor.dims[1] for tensor in graph.initializer if tensor.name == head.input[1])
    batch = graph.input[0].type.tensor_type.shape.dim[0].dim_param
    graph.node.append(helper.make_node("ReduceMean", [head.input[0], pool.input[1]], [FEATURES], FEATURES, keepdims=0))
    graph.output.append(helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, [batch, size]))
    onnx.checker.check_model(model, full_check=True)


def gather_answers(photo_set: PhotoSet, engine: OnnxEngine, run: Run | None = None) -> LandmarkPhotos:
    """Answer photos, split as for the shipped model or as a run's.  Raises RunError where the split is another one."""
    photos, labels = photo_set.photos, engine.info.labels
    if run is None:
        groups = group_photos(photos)
        splits = np.array(split_groups(photos, groups, SEED, TRAIN_ONLY, HELD_OUT))
    else:
        rows = {row.path: row for row in run.photos}
        groups = np.array([rows[photo.path].group for photo in photos])
        splits = np.array([rows[photo.path].split for photo in photos])
    targets = np.array([labels.index(photo.pose) for photo in photos])
    logits = np.zeros((len(photos), len(labels)), np.float32)  # of training photos none are needed
    held_out = np.flatnonzero(splits != "train")
    for row in track(held_out, "network", len(held_out), "photos"):
        logits[row] = engine.infer(photo_set.frames[row][None])[0]
    check_split(logits, targets, splits, float(engine.info.training["test_accuracy"]))
    landmarks = measure_photos(photo_set, find_people(photo_set.folder, list_contents(photos), device="cpu"))
    kinds = name_kinds([photo.path for photo in photos], labels)
    return LandmarkPhotos(labels, landmarks, kinds, targets, groups, splits, logits)


def learn_opinion(info: ModelInfo, known: LandmarkPhotos, strangers: Strangers) -> tuple[ModelInfo, ConfidenceReport]:
    """Learn and calibrate the second opinion.  Returns the model's info with it, and a report on the test photos."""
    folds = spread_sources(strangers, known.labels.index(NO_POSE))
    of_strangers = answer_strangers(known, strangers, folds)
    opinion = fit_with(known, strangers)
    points = np.log(np.maximum(opinion.classify_landmarks(known.landmarks), LEAST))
    validation, test = (known.splits == name for name in ("validation", "test"))
    judged = judge(info, known, points[validation], strangers, of_strangers, folds)
    learned = mix_strangers(known, points[validation], strangers, of_strangers, np.ones(len(folds), bool))
    network, none = log_softmax(known.logits[test]), opinion.none
    mixed = learned.mixture.mix(network, points[test], none)
    fitted, report = calibrate(
        info,
        SplitLogits(learned.mixture.mix(log_softmax(strangers.logits), of_strangers, none), strangers.targets),
        SplitLogits(mixed, known.targets[test], known.groups[test]),
    )
    measured = {
        "left-out sources": summarise(judged, strangers, known.labels),
        "left-out sources, network alone": summarise(judge_alone(info, strangers), strangers, known.labels),
        "random split, test accuracy": {
            name: describe(logs.argmax(axis=1) == known.targets[test])
            for name, logs in (("network", network), ("landmarks", points[test]), ("together", mixed))
        },
        "mixture": learned.name,
        "losses": learned.losses,
        "calibration on the random split": report.summary(),
    }
    opinion = replace(
        opinion,
        mixture=learned.mixture,
        temperature=fitted.temperature,
        threshold=fitted.threshold,
        measured=measured,
    )
    return replace(info, second_opinion=opinion.to_document()), report


def check_split(logits: Floats, targets: Floats, splits: Floats, expected: float) -> None:
    """Refuse test photos on which the model is not as right as it was: it may have been trained on them.

    expected: its test accuracy, 0 to 1.  Raises RunError.
    """
    test = splits == "test"
    accuracy = float((logits[test].argmax(axis=1) == targets[test]).mean())
    if abs(accuracy - expected) > 0.005:  # INT8 and FP32 answer two of 582 photos differently
        raise RunError(
            f"the model is right on {accuracy:.1%} of {int(test.sum())} test photos, and was on {expected:.1%} of its "
            "own: these are other photos, or split otherwise; gather the same SOURCES"
        )


def print_measured(measured: dict[str, Any]) -> None:
    """Print a Markdown table of the second opinion's numbers, sources that were left out first."""
    alone, together = measured["left-out sources, network alone"], measured["left-out sources"]
    print("| photos of sources that were left out | network alone | with the second opinion |")
    print("|---|---|---|")
    for name in together:
        print(f"| {name} | {_format(alone[name])} | {_format(together[name])} |")
    print("")
    print("| random split | right |")
    print("|---|---|")
    for name, share in measured["random split, test accuracy"].items():
        print(f"| {name} | {_format(share)} |")


def _format(value: Any) -> str:
    if isinstance(value, dict):
        low, high = value["interval"]
        return f"{value['share']:.1%} ({low:.1%} to {high:.1%}) of {value['photos']}"
    return " to ".join(f"{each:.1%}" for each in (value if isinstance(value, list) else [value]))


@report_crashes("yoga-train")
def main(argv: list[str] | None = None) -> int:
    """Run the steps.  Returns the exit code."""
    parser = CommandParser("opinion.py", description=__doc__, formatter_class=HelpFormatter)
    parser.add_argument(
        "sources", type=Path, help="folder that holds asanas/, five/, mixed/, everyday/, people/, video/"
    )
    parser.add_argument("--strangers", type=Path, required=True, metavar="FOLDER", help="photos with a labels.csv")
    parser.add_argument(
        "--model", type=Path, default=DEFAULT_MODEL, help="with another model's network (default: shipped)"
    )
    parser.add_argument(
        "--without", default="", metavar="SOURCES", help="leave out these sources of strangers, to score their clips"
    )
    parser.add_argument("--work", type=Path, required=True, metavar="FOLDER", help="photos and the model go here")
    parser.add_argument("--run", type=Path, help="the photos' split is that of this run, not that of the shipped model")
    parser.add_argument("--to", type=Path, metavar="FILE", help="the model, if not W/default.onnx")
    return run_command("yoga-train", _run, parser.parse_args(argv))


def _run(args: argparse.Namespace) -> None:
    from photos import gather_photos

    sources, work = args.sources, args.work
    work.mkdir(parents=True, exist_ok=True)
    if not (work / "photos").exists():
        gather_photos(sources, work / "photos")
    model, info = read_model(args.model)
    engine = OnnxEngine(args.model, "cpu")
    run = None if args.run is None else load_run(args.run, work / "photos")
    known = gather_answers(read_photos(work / "photos", info.size), engine, run)
    strangers = read_strangers(args.strangers, engine)
    strangers = strangers.select(~np.isin(strangers.sources, args.without.split(",")))
    info, report = learn_opinion(replace(info, second_opinion={}), known, strangers)
    print_measured(info.second_opinion["measured"])
    print_together(report, report)
    add_features(model)
    to = args.to or work / "default.onnx"
    write_model(model, info, to)
    print(f"written: {to}")


if __name__ == "__main__":
    sys.exit(main())
