"""Fit and measure the sides of poses: `python benchmarks/people_finder/sides.py --photos photos.csv --clips clips.csv`.

photos.csv: file, pose, side (left or right, the person's own, judged by eye), source.  Prints the weights of each rule,
and how many photos they name with the weights of all photos, and with those of the other sources.  clips.csv: file,
start_s, end_s, pose, side; prints how many half-seconds have the right side: with the true pose, look by look; then as
`annotate_video` tells them, of the half-seconds in which it names a pose.  No weight is fitted on clips.  Paths are
relative to the CSV.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from yoga_live.runtime.classifier import PoseClassifier
from yoga_live.runtime.core.presentation import Mounting
from yoga_live.runtime.core.types import NO_POSE, Floats
from yoga_live.runtime.people import PeopleFinder
from yoga_live.runtime.people.sides import FEATURES, MEMORY_S, SideRule, SideTracker, find_rule, measure_features
from yoga_live.runtime.photos.decoding import decode_photo
from yoga_live.runtime.pipelines.annotate import AnnotateConfig, Outputs, annotate_video, open_recording

LOOKS_PER_S = 2
OTHER = {"left": "right", "right": "left"}
PENALTY = 1.0
"""Of the squared weights, as a fraction of one photo's loss."""


@dataclass(frozen=True)
class Judged:
    """A photo.  features: as `measure_features` gives them; sign: 1 for the right side, -1 for the left."""

    pose: str
    rule: SideRule
    source: str
    features: Floats
    sign: int


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def measure_photos(path: Path) -> list[Judged]:
    """Find the surest person of each photo."""
    finder = PeopleFinder("cpu", margin=0.08, min_score=0.25)
    judged = []
    for row in read_rows(path):
        people, rule = finder.find(decode_photo(path.parent / row["file"])), find_rule(row["pose"])
        if len(people) and rule:
            features = measure_features(people.keypoints[0], people.keypoint_scores[0])
            sign = 1 if row["side"] == "right" else -1
            judged.append(Judged(row["pose"], rule, row["source"], features, sign))
    return judged


def fit_weights(photos: Sequence[Judged]) -> Floats:
    """Logistic regression without an intercept, by Newton's method: a mirror image has the opposite answer."""
    rows = np.array([photo.sign * photo.features for photo in photos])
    weights = np.zeros(len(FEATURES))
    for _ in range(50):
        right = 1 / (1 + np.exp(-rows @ weights))
        gradient = rows.T @ (1 - right) - PENALTY * weights
        curvature = (rows * (right * (1 - right))[:, None]).T @ rows + PENALTY * np.eye(len(FEATURES))
        weights += np.linalg.solve(curvature, gradient)
    return weights


def print_photos(photos: Sequence[Judged]) -> None:
    for rule in dict.fromkeys(photo.rule.meaning for photo in photos):
        of_rule = [photo for photo in photos if photo.rule.meaning == rule]
        weights = fit_weights(of_rule)
        print(f"\n{rule}: " + ", ".join(f"{name} {w:.1f}" for name, w in zip(FEATURES, weights, strict=True)))
        print("\n| pose, source | photos | shipped | fitted on all | on the other sources |\n|---|---|---|---|---|")
        for pose, source in sorted({(photo.pose, photo.source) for photo in of_rule}):
            tested = [photo for photo in of_rule if (photo.pose, photo.source) == (pose, source)]
            others = [photo for photo in of_rule if photo.source != source]
            columns = [np.array(tested[0].rule.weights), weights, *([fit_weights(others)] if others else [])]
            rows = np.array([photo.sign * photo.features for photo in tested])
            shares = [f"{(rows @ column > 0).mean():.1%}" for column in columns] + ["-"] * (not others)
            print(f"| {pose}, {source} | {len(tested)} | {' | '.join(shares)} |")


def print_clips(path: Path) -> None:
    """Look twice a second, as `yoga-live` does while little moves, with the true pose."""
    finder, rows = PeopleFinder("cpu"), read_rows(path)
    print("\n| clip | pose | side | half-seconds | right | wrong | unknown |\n|---|---|---|---|---|---|---|")
    sums: dict[str, int] = defaultdict(int)
    for row in rows:
        start_s, end_s = float(row["start_s"]), float(row["end_s"])
        sides, tracker, due_s = list[str | None](), SideTracker(), start_s
        with open_recording(path.parent / row["file"]) as source:
            for frame in source.frames():
                if frame.time_s < due_s or due_s > end_s:
                    continue
                due_s += 1 / LOOKS_PER_S
                people = finder.find(frame.image_bgr)
                main = (people.keypoints[0], people.keypoint_scores[0]) if len(people) else (None, None)
                sides.append(tracker.update(frame.time_s, row["pose"], *main).side)
        right, unknown = sides.count(row["side"]), sides.count(None)
        counts = {"all": len(sides), "right": right, "wrong": len(sides) - right - unknown, "unknown": unknown}
        for name, count in counts.items():
            sums[name] += count
        print(f"| {row['file']} | {row['pose']} | {row['side']} | {' | '.join(map(str, counts.values()))} |")
    print(f"| all | | | {' | '.join(map(str, sums.values()))} |\n\n{sums['right'] / max(sums['all'], 1):.1%} right")
    print(f"(looks {LOOKS_PER_S} a second, memory {MEMORY_S} s)")


def print_runs(path: Path) -> None:
    """Score what the whole program says; --flip turns pictures and truth round."""
    classifier, rows = PoseClassifier(device="cpu"), read_rows(path)
    print("\n| picture | half-seconds | a pose is named | right side | wrong side |\n|---|---|---|---|---|")
    for flip in (False, True):
        config, counts = AnnotateConfig(mounting=Mounting(flip=flip)), [0, 0, 0, 0]
        for file in dict.fromkeys(row["file"] for row in rows):
            segments = annotate_video(path.parent / file, Outputs(), config, classifier=classifier).segments
            for row in (row for row in rows if row["file"] == file):
                true = OTHER[row["side"]] if flip else row["side"]
                for time_s in np.arange(float(row["start_s"]), float(row["end_s"]) + 1e-6, 0.5):
                    told = next((each for each in segments if each.start_s <= time_s < each.end_s), segments[-1])
                    is_named = told.pose != NO_POSE
                    counts = np.add(counts, [1, is_named, told.side == true, told.side == OTHER[true]]).tolist()
        print(f"| {'flipped' if flip else 'as filmed'} | {' | '.join(map(str, counts))} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--clips", type=Path)
    args = parser.parse_args()
    if args.photos:
        print_photos(measure_photos(args.photos))
    if args.clips:
        print_clips(args.clips)
        print_runs(args.clips)


if __name__ == "__main__":
    main()
