"""Make `train/people/none_keypoints.npz`: key points of people who hold no yoga pose, numbers alone.

    python benchmarks/people_finder/none_keypoints.py SOURCES2

SOURCES2 holds exercise/, home/ and labels.csv (file, pose, kind, source).  Exercises that are near a pose are left out
(`NEAR`), and one source (`LEFT_OUT`), which is there to test with.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import sys
from pathlib import Path

import numpy as np

from yoga_live.runtime.system.cli_runner import HelpFormatter, run_command
from yoga_live.train.people.finding import find_people
from yoga_live.train.people.none_keypoints import NUMBERS, SIDE

NEAR_NAMES = ("lunge", "squat", "high_knees", "mountain_climber", "push_up", "other_asana")
NEAR = {f"exercise/{name}" for name in NEAR_NAMES}
LEFT_OUT = "fedb"


def run(args: argparse.Namespace) -> None:
    """Find the people, and write their numbers."""
    with (args.sources / "labels.csv").open(newline="", encoding="utf-8") as file:
        rows = [
            row for row in csv.DictReader(file)
            if row["pose"] == "none" and row["kind"].startswith(("exercise/", "home/")) and row["kind"] not in NEAR
        ]  # fmt: skip
    rows = [row for row in rows if row["source"] != LEFT_OUT]
    contents = {row["file"]: hashlib.sha256((args.sources / row["file"]).read_bytes()).hexdigest() for row in rows}
    found = find_people(args.sources, contents)
    rows = [row for row in rows if row["file"] in found and len(found[row["file"]].people)]
    names, kinds = np.unique([row["kind"] for row in rows], return_inverse=True)
    _, sources = np.unique([row["source"] for row in rows], return_inverse=True)
    photos = [found[row["file"]] for row in rows]
    people = []
    for photo in photos:
        scale = SIDE / max(photo.size_wh)
        people.append(photo.people.transform((scale, scale), (0, 0)))
    sizes_wh = [[round(length * SIDE / max(photo.size_wh)) for length in photo.size_wh] for photo in photos]
    np.savez_compressed(
        NUMBERS,
        names=names, kind=kinds.astype(np.uint8), source=sources.astype(np.uint8),
        count=np.array([len(each) for each in people], np.uint8), size_wh=np.array(sizes_wh, np.int16),
        boxes=np.concatenate([each.boxes for each in people]).round().astype(np.int16),
        keypoints=np.concatenate([each.keypoints for each in people]).round().astype(np.int16),
        keypoint_scores=(255 * np.concatenate([each.keypoint_scores for each in people])).round().astype(np.uint8),
        scores=(255 * np.concatenate([each.scores for each in people])).round().astype(np.uint8),
    )  # fmt: skip
    count = sum(map(len, people))
    print(f"{len(photos)} photos, {count} people, {len(names)} kinds, {sources.max() + 1} sources")
    print(f"{NUMBERS}: {NUMBERS.stat().st_size:,} bytes")


def main() -> int:
    """Run.  Returns the exit code."""
    parser = argparse.ArgumentParser("none_keypoints.py", description=__doc__, formatter_class=HelpFormatter)
    parser.add_argument("sources", type=Path, metavar="SOURCES2")
    return run_command("none_keypoints.py", run, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
