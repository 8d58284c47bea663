"""Measure the second opinion: `python benchmarks/second_opinion.py TEST... --run RUN`, `--model FILE` or `--photos P`.

TEST is a folder of photos with a folder per pose, or a table (.csv) with the columns `file` (a path from the table on)
and `pose`.  With --run or --model: network and mixture are those of the run or the file.  With --photos: the shipped
network, key points trained on all of P (a folder per pose), and the mixture that learning starts from; no photo of TEST
may be in P.  Prints a Markdown table for each TEST: network alone, key points alone, both together.
"""

from __future__ import annotations

import argparse
import csv
import fnmatch
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from yoga_live.calibration.metrics import Accuracy, measure_accuracy, measure_mcnemar
from yoga_live.calibration.runs import load_run
from yoga_live.runtime.classifier import PoseClassifier
from yoga_live.runtime.core.preprocess import letterbox
from yoga_live.runtime.core.softmax import log_softmax
from yoga_live.runtime.core.types import Floats, Ints
from yoga_live.runtime.engines.base import Engine
from yoga_live.runtime.people import PeopleFinder, SecondOpinion, find_landmarks
from yoga_live.runtime.people.landmarks import PHOTO_MARGIN, PHOTO_SCORE
from yoga_live.runtime.people.second_opinion import LEAST
from yoga_live.runtime.photos.decoding import decode_photo
from yoga_live.runtime.photos.kinds import is_photo
from yoga_live.runtime.system.item_failures import Failure, attempt


@dataclass(frozen=True)
class Labelled:
    """A photo and its pose."""

    path: Path
    pose: str


@dataclass(frozen=True)
class Seen:
    """What is known of N photos: landmarks float32 (N, 53), logits float (N, C), targets int (N,)."""

    landmarks: Floats
    logits: Floats
    targets: Ints


def list_photos(test: Path, labels: tuple[str, ...], leave_out: Sequence[str] = ()) -> list[Labelled]:
    """List the photos of a folder or a table, without other poses and without the patterns to leave out."""
    if test.suffix == ".csv":
        with test.open(newline="", encoding="utf-8") as file:
            photos = [Labelled(test.parent / row["file"], row["pose"]) for row in csv.DictReader(file)]
        places = [photo.path.relative_to(test.parent).as_posix() for photo in photos]
    else:
        paths = sorted(path for path in test.rglob("*") if is_photo(path))
        photos = [Labelled(path, path.relative_to(test).parts[0]) for path in paths]
        places = [path.relative_to(test).as_posix() for path in paths]
    return [
        photo
        for photo, place in zip(photos, places, strict=True)
        if photo.pose in labels and not any(fnmatch.fnmatch(place, pattern) for pattern in leave_out)
    ]


def see(photos: Sequence[Labelled], labels: tuple[str, ...], finder: PeopleFinder, engine: Engine) -> Seen:
    """Find the person in each photo, and run the network; photos that cannot be read are left out."""
    landmarks, logits, targets = list[Floats](), list[Floats](), list[int]()
    for photo in photos:
        image = attempt(photo.path, lambda path=photo.path: decode_photo(path, min_side=256))
        if isinstance(image, Failure):
            continue
        landmarks.append(find_landmarks(finder.find(image)))
        logits.append(engine.infer(letterbox(image, engine.info.size)[None])[0])
        targets.append(labels.index(photo.pose))
    return Seen(np.stack(landmarks), np.array(logits), np.array(targets))


def measure_auroc(scores: Floats, is_positive: npt.NDArray[np.bool_]) -> float:
    """Area under the ROC curve, ties counted by half (Mann and Whitney 1947); NaN without photos of both sides.

    scores: float (N,); is_positive: bool (N,).
    """
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places.reshape(-1)]
    ones, zeros = int(is_positive.sum()), int((~is_positive).sum())
    if not ones or not zeros:
        return float("nan")
    return float((ranks[is_positive].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def measure_row(logs: Floats, targets: Ints, none: int | None) -> list[str]:
    """Accuracy, mean recall, which pose, `none` rejected and AUROC of log-probabilities, float (N, C), as cells."""
    answers = logs.argmax(axis=1)
    recalls = [float((answers[targets == label] == label).mean()) for label in np.unique(targets)]
    cells = [format_accuracy(measure_accuracy(answers, targets)), f"{np.mean(recalls):.1%}"]
    if none is None:
        return [*cells, "-", "-", "-"]
    is_pose = targets != none
    poses = np.where(np.arange(logs.shape[1]) == none, -np.inf, logs).argmax(axis=1)
    odds = np.logaddexp.reduce(np.delete(logs, none, axis=1), axis=1) - logs[:, none]
    return [
        *cells,
        format_accuracy(measure_accuracy(poses[is_pose], targets[is_pose])),
        format_accuracy(measure_accuracy(answers[~is_pose], targets[~is_pose])),
        f"{measure_auroc(odds, is_pose):.3f}",
    ]


def format_accuracy(accuracy: Accuracy) -> str:
    """A percentage with its 95 % interval and the number of photos."""
    if not accuracy.total:
        return "-"
    low, high = accuracy.interval
    return f"{accuracy.value:.1%} ({low:.1%} to {high:.1%}) of {accuracy.total}"


def print_table(name: str, opinion: SecondOpinion, seen: Seen) -> None:
    """Print network alone, key points alone and both, and McNemar's test of the first against the last."""
    network = log_softmax(seen.logits)
    points = np.log(np.maximum(opinion.classify_landmarks(seen.landmarks), LEAST))
    both = opinion.mixture.mix(network, points, opinion.none)
    found = float((seen.landmarks != 0).any(axis=1).mean())
    print(f"\n{name}: {len(seen.targets)} photos, somebody found in {found:.1%}\n")
    print("| | all answers | mean recall | which pose, without `none` | `none` rejected | AUROC, pose against none |")
    print("|---|---|---|---|---|---|")
    for title, logs in (("network alone", network), ("key points alone", points), ("together", both)):
        print(f"| {title} | {' | '.join(measure_row(logs, seen.targets, opinion.none))} |")
    right = [logs.argmax(axis=1) == seen.targets for logs in (network, both)]
    won, lost = int((~right[0] & right[1]).sum()), int((right[0] & ~right[1]).sum())
    print(f"\ntogether: {won} now right, {lost} now wrong; McNemar's exact p = {measure_mcnemar(won, lost):.2g}")


def main(arguments: list[str] | None = None) -> int:
    """Run the measurement.  Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tests", nargs="+", type=Path, metavar="TEST")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--run", type=Path, help="a run with a second opinion")
    source.add_argument("--model", type=Path, help="a model with a second opinion")
    source.add_argument("--photos", type=Path, help="train key points on these, beside the shipped model")
    parser.add_argument("--leave-out", nargs="*", default=[], metavar="PATTERN", help="paths, such as 'render/*'")
    args = parser.parse_args(arguments)
    finder = PeopleFinder("cpu", margin=PHOTO_MARGIN, min_score=PHOTO_SCORE)
    opinion: SecondOpinion | None
    if args.photos:
        classifier = PoseClassifier(device="cpu")
        opinion = train_beside(args.photos, classifier.labels)
    else:
        classifier = open_run(args.run) if args.run else PoseClassifier(args.model, "cpu")
        opinion = classifier.second_opinion
    if opinion is None:
        print(f"{args.run or args.model} has no second opinion", file=sys.stderr)
        return 2
    for test in args.tests:
        photos = list_photos(test, classifier.labels, args.leave_out)
        print_table(str(test), opinion, see(photos, classifier.labels, finder, classifier.engine))
    return 0


def open_run(folder: Path) -> PoseClassifier:
    """Open a run's own network."""
    from yoga_live.train.predict.engine import TorchEngine

    return PoseClassifier.from_engine(TorchEngine(load_run(folder), "cpu"))


def train_beside(folder: Path, labels: tuple[str, ...]) -> SecondOpinion:
    """Train on the key points of all photos of a folder, with the mixture that learning starts from."""
    from yoga_live.train.landmarks.mixing import start_mixture
    from yoga_live.train.landmarks.networks import fit_networks, name_kinds
    from yoga_live.train.people.finding import find_people
    from yoga_live.train.photos.folder import read_contents

    found = find_people(folder, read_contents(folder, 224), device="cpu")
    paths = [path for path in sorted(found) if path.partition("/")[0] in labels]
    landmarks = np.stack([find_landmarks(found[path].people) for path in paths])
    return replace(fit_networks(landmarks, name_kinds(paths, labels), labels), mixture=start_mixture(len(labels)))


if __name__ == "__main__":
    sys.exit(main())
