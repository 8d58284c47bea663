"""`yoga-train predict`: classifies photos with a run, before any export; imports nothing heavy before it runs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ...runtime.errors import OptionError, OutputError
from ...runtime.system.cli_runner import add_command
from ...runtime.system.files import resolve
from ...runtime.system.plain_text import format_command, print
from ...runtime.system.progress import announce_torch

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

EXAMPLES = """examples:
  yoga-train predict new runs/first                     prints the pose of every photo in the folder new
  yoga-train predict a.jpg b.jpg runs/first --table poses.csv           the same as a table, .csv or .json
  yoga-train predict evening runs/first                 evening/tree/*.jpg, ...: also says how many are right

In a folder with one folder of photos per pose, the run's own photos are left out of the accuracy."""

DOWNLOAD_FIRST = "download the photo and give its path"


def add_predict(commands: Commands) -> None:
    """Define predict."""
    predict = add_command(commands, "predict", "Classify photos with a run, before any export.", EXAMPLES)
    predict.set_defaults(run=_predict)
    predict.add_argument(
        "photos", type=Path, nargs="+", metavar="PHOTOS",
        help="photos, folders of photos, or lists of photos (.txt, one path per line)",
    )  # fmt: skip
    predict.add_argument("folder", type=Path, metavar="RUN", help="a finished run, such as runs/first")
    predict.add_argument(
        "--table", type=Path, default=None, metavar="FILE",
        help="write the predictions to a file, .csv or .json, instead of printing them",
    )  # fmt: skip
    predict.add_argument("--device", default="auto", metavar="NAME", help="auto, cpu, cuda or cuda:1")
    predict.add_argument("--force", action="store_true", help="replace an existing table")


def _predict(args: argparse.Namespace) -> None:
    announce_torch("yoga-train")
    from ...calibration.runs import load_run
    from ...runtime.classifier import PoseClassifier
    from ...runtime.cli.photo_batch import check_all_read, classify_batch, list_photos
    from ...runtime.sources.inputs import read_lists
    from ...runtime.system.claims import claim_outputs
    from ..predict.accuracy import AnsweredPhoto, explain_no_accuracy, measure_folders
    from ..predict.engine import TorchEngine

    first = args.photos[0]
    if (first / "run.json").is_file() and not (args.folder / "run.json").is_file():
        right = format_command("yoga-train", "predict", args.folder, first)
        raise OptionError(f"{first} is a run, which comes last: {right}")
    if args.table and resolve(args.table).is_relative_to(resolve(args.folder)):
        raise OutputError(f"--table {args.table} lies in the run, whose files it could replace; write it elsewhere")
    run = load_run(args.folder)
    batch = list_photos(read_lists(args.photos, DOWNLOAD_FIRST), args.table, force=args.force)
    with claim_outputs([args.table] if args.table else [], force=args.force, grow=True):
        classifier = PoseClassifier.from_engine(TorchEngine(run, args.device))
        info = classifier.info
        if not info.calibration:
            line = f"the run is not calibrated: a pose below {info.threshold:.2f} is answered `none`"
            print(f"yoga-train: {line}", file=sys.stderr)
        answers = classify_batch("yoga-train", classifier, batch)
        answered = [
            AnsweredPhoto(file.path, file.place, answer.prediction)
            for file, answer in zip(batch.files, answers, strict=True)
            if answer.prediction
        ]
        accuracy = measure_folders(run, classifier.info_with_people.threshold, answered)
        lines = accuracy.describe() if accuracy else explain_no_accuracy(run, answered)
        for line in lines:
            print(line)
        check_all_read(batch, answers)
