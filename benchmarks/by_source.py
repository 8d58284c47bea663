"""Confidence fitted on a random split against confidence fitted on left-out sources, judged on photos of a further one.

    yoga-train fit PHOTOS --to RUN --folds 5 --by-source
    python benchmarks/by_source.py RUN STRANGERS

STRANGERS: a folder of photos per pose of the run, of people and places that PHOTOS has none of.  The network is the
same in both rows; only its temperature and threshold differ.  A run with a second opinion has the same tables of both.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from yoga_live.calibration.confidence import (
    ConfidenceReport,
    SourceCalibration,
    answer_poses,
    calibrate,
    calibrate_together,
)
from yoga_live.calibration.logits import SplitLogits, choose_left_out, compute_logits, load_logits
from yoga_live.calibration.metrics import (
    Accuracy,
    measure_accuracy,
    measure_ece,
    measure_nll,
    simulate_perfect_ece,
    top_confidences,
)
from yoga_live.calibration.runs import Run, load_run
from yoga_live.runtime.core.model_metadata import ModelInfo
from yoga_live.runtime.core.types import NO_POSE
from yoga_live.runtime.people import PeopleFinder, SecondOpinion, find_landmarks
from yoga_live.runtime.people.landmarks import PHOTO_MARGIN, PHOTO_SCORE
from yoga_live.runtime.photos.decoding import decode_photo
from yoga_live.train.photos.folder import read_photos
from yoga_live.train.predict.confidence import make_model_info
from yoga_live.train.predict.engine import TorchEngine


def describe(name: str, info: ModelInfo, split: SplitLogits) -> str:
    """One row: temperature, threshold, NLL, ECE, and what the threshold does to poses and to `none`."""
    predicted, sure = split.logits.argmax(axis=1), top_confidences(split.logits, info.temperature)
    mean, high = simulate_perfect_ece(sure)
    poses, confidences = answer_poses(split, info.labels, info.temperature)
    answers, none = np.where(confidences >= info.threshold, poses, -1), info.labels.index(NO_POSE)
    is_none = split.targets == none
    kept = Accuracy(int((answers == split.targets)[~is_none].sum()), int((~is_none).sum()))
    rejected = Accuracy(int((answers[is_none] < 0).sum()), int(is_none.sum()))
    return (
        f"| {name} | {info.temperature:.2f} | {info.threshold:.2f} | {sure.mean():.1%} | "
        f"{measure_nll(split.logits, split.targets, info.temperature):.3f} | "
        f"{measure_ece(sure, predicted == split.targets):.1%} ({mean:.1%}, up to {high:.1%}) | "
        f"{kept.value:.1%} | {rejected.value:.1%} |"
    )


def describe_source(name: str, row: SourceCalibration) -> str:
    """One left-out source."""
    return (
        f"| {name} | {row.accuracy.total} | {row.accuracy.value:.1%} | {row.temperature:.2f} | {row.ece:.1%} "
        f"({row.ece_perfect_mean:.1%}, up to {row.ece_perfect_high:.1%}) |"
    )


def read_strangers(run: Run, folder: Path, engine: TorchEngine, *, with_people: bool) -> SplitLogits:
    """Logits of the photos in a folder per pose, and the key points of the person in each."""
    photos = read_photos(folder, run.size)
    targets = np.array([run.labels.index(photo.pose) for photo in photos.photos])
    logits, landmarks = compute_logits(engine, np.asarray(photos.frames), "strangers"), None
    if with_people:
        finder = PeopleFinder("cpu", margin=PHOTO_MARGIN, min_score=PHOTO_SCORE)
        images = (decode_photo(folder / photo.path, min_side=256) for photo in photos.photos)
        landmarks = np.stack([find_landmarks(finder.find(image)) for image in images])
    return SplitLogits(logits, targets, landmarks=landmarks)


@dataclass(frozen=True)
class Fitted:
    """What was fitted in one way, and the logits that it is judged on."""

    info: ModelInfo
    test: SplitLogits
    strangers: SplitLogits


def print_tables(fitted: dict[str, Fitted], report: ConfidenceReport) -> None:
    """Print what was fitted in each way, on test photos and on strangers, and each left-out source."""
    for title, part in (("test photos of the random split", "test"), ("strangers", "strangers")):
        first: SplitLogits = getattr(next(iter(fitted.values())), part)
        print(f"\n{title}: accuracy {measure_accuracy(first.logits.argmax(axis=1), first.targets)}\n")
        print("| fitted on | temperature | threshold | confidence | NLL | ECE (perfect) | poses right | none right |")
        print("|---|---|---|---|---|---|---|---|")
        print(*(describe(name, row.info, getattr(row, part)) for name, row in fitted.items()), sep="\n")
    print(
        "\n| left-out source | photos | accuracy | temperature of the others | ECE (perfect) |\n|---|---|---|---|---|"
    )
    print(*(describe_source(name, row) for name, row in report.sources.items()), sep="\n")


def main(argv: list[str] | None = None) -> int:
    """Print the tables of the network alone, and of network and key points together where the run has both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("strangers", type=Path, help="folder of photos per pose")
    args = parser.parse_args(argv)
    run = load_run(args.run)
    plain, left_out, engine = make_model_info(run), choose_left_out(run, "left-out"), TorchEngine(run, "cpu")
    validation, test = (load_logits(engine, run, split) for split in ("validation", "test"))
    strangers = read_strangers(run, args.strangers, engine, with_people=bool(plain.second_opinion))
    infos = {"random split": calibrate(plain, validation, test)[0]}
    infos["left-out sources"], report = calibrate(plain, validation, test, left_out)
    print_tables({name: Fitted(info, test, strangers) for name, info in infos.items()}, report)
    if plain.second_opinion:
        print("\nnetwork and key points together")
        infos["random split"], _ = calibrate_together(plain, validation, test)
        infos["left-out sources"], together = calibrate_together(plain, validation, test, left_out)
        rows = {}
        for name, info in infos.items():
            opinion = SecondOpinion.from_document(info.second_opinion, info.labels)
            rows[name] = Fitted(opinion.apply_to(info), mix(opinion, test), mix(opinion, strangers))
        print_tables(rows, together or report)
    return 0


def mix(opinion: SecondOpinion, split: SplitLogits) -> SplitLogits:
    """The logits of network and key points together."""
    assert split.landmarks is not None
    return replace(split, logits=opinion.combine(split.logits, split.landmarks))


if __name__ == "__main__":
    sys.exit(main())
