"""Give the shipped model its second opinion: `python benchmarks/shipped_model/opinion.py PHOTOS OTHERS.csv --to FILE`.

PHOTOS is the folder that `photos.py` gathers, with which the network was trained.  OTHERS.csv lists photos that the
network has never seen, with the columns file, pose, kind and source; those of the kinds in `NEAR` are left out, because
the bottom of a lunge may be called a pose.

First key points are learned from PHOTOS alone, and mixed with the network by the weights that learning starts from: of
OTHERS both know nothing, so that the table that is printed, and temperature and threshold, are of other people.  Each
source is judged with the temperature and threshold of the others.  Then the networks that are shipped learn from PHOTOS
and OTHERS.  The pose network stays as it is.
"""

from __future__ import annotations

import argparse
import csv
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parents[1]))
from second_opinion import Seen, list_photos, print_table, see

from yoga_live.calibration.confidence import calibrate, choose_threshold, fit_temperature
from yoga_live.calibration.logits import SplitLogits
from yoga_live.calibration.metrics import measure_accuracy
from yoga_live.calibration.onnx_file import read_model, write_model
from yoga_live.runtime.classifier import DEFAULT_MODEL, PoseClassifier
from yoga_live.runtime.core.model_metadata import ModelInfo
from yoga_live.runtime.core.softmax import softmax
from yoga_live.runtime.core.types import Floats, Ints
from yoga_live.runtime.people import PeopleFinder, SecondOpinion, find_landmarks
from yoga_live.runtime.people.landmarks import PHOTO_MARGIN, PHOTO_SCORE
from yoga_live.train.landmarks.mixing import start_mixture
from yoga_live.train.landmarks.networks import Kinds, fit_networks, name_kinds
from yoga_live.train.people.finding import find_people
from yoga_live.train.photos.folder import read_contents

NEAR = ("exercise/lunge", "exercise/squat", "exercise/high_knees", "exercise/mountain_climber", "exercise/push_up")
DRAWN = "render/*"


def learn(landmarks: Floats, kinds: Kinds, labels: tuple[str, ...]) -> SecondOpinion:
    """Train the small networks, with the mixture that learning starts from."""
    return replace(fit_networks(landmarks, kinds, labels), mixture=start_mixture(len(labels)))


def read_photos(folder: Path, labels: tuple[str, ...]) -> tuple[Floats, list[str]]:
    """Landmarks of a photo folder, float32 (N, 53), and the photos' paths."""
    found = find_people(folder, read_contents(folder, 224), device="cpu")
    paths = [path for path in sorted(found) if path.partition("/")[0] in labels]
    return np.stack([find_landmarks(found[path].people) for path in paths]), paths


def answer(logits: Floats, temperature: float, threshold: float, none: int) -> Ints:
    """The answers to photos, int (N,): `none` unless a pose is sure enough, as the program says them."""
    probabilities = softmax(logits / temperature)
    poses = np.where(np.arange(probabilities.shape[1]) == none, -1, probabilities)
    best, top = poses.argmax(axis=1), poses.max(axis=1)
    return np.where((top >= threshold) & (top >= probabilities.max(axis=1)), best, none)


def print_answers(seen: Seen, together: Floats, sources: np.ndarray, info: ModelInfo, none: int) -> None:
    """What the program says, thresholds included: network alone as shipped; both, calibrated without each source."""
    alone = answer(seen.logits, info.temperature, info.threshold, none)
    both = np.empty_like(alone)
    for source in np.unique(sources):
        rest, own = sources != source, sources == source
        split = SplitLogits(together[rest], seen.targets[rest], sources[rest])
        temperature = fit_temperature(split.logits, split.targets, split.groups)
        threshold = choose_threshold(split, info.labels, temperature)
        both[own] = answer(together[own], temperature, threshold, none)
    is_pose = seen.targets != none
    print("\n| with temperature and threshold | poses named | `none` rejected |\n|---|---|---|")
    for name, answers in (("network alone", alone), ("together", both)):
        parts = [measure_accuracy(answers[rows], seen.targets[rows]) for rows in (is_pose, ~is_pose)]
        cells = [f"{p.value:.1%} ({p.interval[0]:.1%} to {p.interval[1]:.1%}) of {p.total}" for p in parts]
        print(f"| {name} | {' | '.join(cells)} |")


def main() -> int:
    """Measure, then write the model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("others", type=Path, metavar="OTHERS.csv")
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL)
    parser.add_argument("--to", type=Path, required=True)
    args = parser.parse_args()
    classifier = PoseClassifier(args.model, "cpu")
    labels, none = classifier.labels, classifier.labels.index("none")
    finder = PeopleFinder("cpu", margin=PHOTO_MARGIN, min_score=PHOTO_SCORE)
    leave_out = (DRAWN, *(f"{kind}/*" for kind in NEAR))
    others = list_photos(args.others, labels, leave_out)
    seen = see(others, labels, finder, classifier.engine)
    if len(seen.targets) != len(others):
        raise SystemExit("some photos of OTHERS cannot be read; leave them out of the table")
    with args.others.open(newline="", encoding="utf-8") as file:
        source_of = {args.others.parent / row["file"]: row["source"] for row in csv.DictReader(file)}
    _, sources = np.unique([source_of[photo.path] for photo in others], return_inverse=True)
    landmarks, paths = read_photos(args.photos, labels)
    first = learn(landmarks, name_kinds(paths, labels), labels)
    print_table(str(args.others), first, seen)
    together = first.combine(seen.logits, seen.landmarks)
    print_answers(seen, together, sources, classifier.info, none)
    split = SplitLogits(together, seen.targets, sources)
    fitted, report = calibrate(classifier.info, split, split)
    names = [photo.path.relative_to(args.others.parent).parent.as_posix() for photo in others]
    poses = [photo.pose for photo in others]
    more = [f"{pose}/{name}/x" if pose == "none" else f"{pose}/x" for pose, name in zip(poses, names, strict=True)]
    final = learn(np.concatenate([landmarks, seen.landmarks]), name_kinds([*paths, *more], labels), labels)
    measured = {"mixture": "start", "photos": len(paths), "others": len(others), "calibration": report.summary()}
    final = replace(final, temperature=fitted.temperature, threshold=fitted.threshold, measured=measured)
    model, info = read_model(args.model)
    write_model(model, replace(info, second_opinion=final.to_document()), args.to)
    print(f"\n{args.to}: temperature {final.temperature:.2f}, threshold {final.threshold:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
