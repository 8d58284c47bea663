"""The article's table (frozen, cleaned, unfrozen) beside fastai, and what cleaning brings back.

    python benchmarks/article.py PHOTOS --weights FILE --fastai FASTAI_PYTHON --work FOLDER

PHOTOS: a folder per pose, taken as right.  A copy of it gets wrong labels planted, as a scraped folder would have them.
Both sides then do what the article did: train the head, clean, train the head again, train everything; on the same
photos, split, starting weights, epochs and size.  Cleaning is ours for both: `yoga-train fit --folds` at a smaller size
ranks the photos, and of the first ones that `yoga-train clean` shows the planted ones get their labels back, as a
person looking at them would do it.  Test photos are scored by their true labels.  Times are whole commands: start,
decoding (with a cold cache), training, validation.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from yoga_live.calibration.metrics import measure_accuracy
from yoga_live.calibration.runs import load_run
from yoga_live.train.clean.cleaner import open_cleaner
from yoga_live.train.clean.review_list import CleaningList
from yoga_live.train.photos.folder import list_files, list_poses
from yoga_live.train.run_files.predictions import PREDICTIONS, load_predictions, read_predictions


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    title: str
    right: int
    photos: int
    seconds: float

    def __str__(self) -> str:
        answers = np.arange(self.photos) < self.right
        accuracy = measure_accuracy(answers.astype(int), np.ones(self.photos, int))
        return f"{self.title:>34}: {accuracy}  {self.seconds:6.0f} s"


def plant_errors(photos: Path, to: Path, share: float, seed: int) -> dict[str, str]:
    """Copy a folder per pose with some photos under a wrong pose.  Returns file name -> true pose of the planted."""
    labels = list_poses(photos)
    files = list_files(photos, labels)
    rng = np.random.default_rng(seed)
    wrong = set(rng.choice(len(files), round(share * len(files)), replace=False).tolist())
    planted = {}
    for number, (pose, path) in enumerate(files):
        name = f"{number:05d}{path.suffix}"
        label = pose
        if number in wrong:
            label = str(rng.choice([other for other in labels if other != pose]))
            planted[name] = pose
        (to / label).mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, to / label / name)
    return planted


def run_ours(args: argparse.Namespace, photos: Path, to: Path, *options: object) -> float:
    """Run `yoga-train fit` with a cold cache.  Returns its seconds."""
    command = [
        *(sys.executable, "-m", "yoga_live.train", "fit", photos, "--to", to, "--weights", args.weights),
        *("--epochs-frozen", args.epochs_frozen, "--device", "cpu", "--batch", 32, *options),
    ]
    cache = args.work / "cache"
    shutil.rmtree(cache, ignore_errors=True)
    started_s = time.perf_counter()
    environment = os.environ | {"XDG_CACHE_HOME": str(cache)}
    subprocess.run([str(part) for part in command], check=True, env=environment, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started_s


def score_ours(title: str, folder: Path, planted: dict[str, str], seconds: float) -> Row:
    """Score a run's test photos by their true labels."""
    run = load_run(folder)
    answers = read_predictions(folder / PREDICTIONS, run).argmax(axis=1)
    test = [i for i, photo in enumerate(run.photos) if photo.split == "test"]
    right = sum(run.labels[answers[i]] == true_pose(run.photos[i].path, planted) for i in test)
    return Row(title, right, len(test), seconds)


def true_pose(path: str, planted: dict[str, str]) -> str:
    pose, _, name = path.partition("/")
    return planted.get(name, pose)


def run_fastai(args: argparse.Namespace, folder: Path, planted: dict[str, str], epochs: int) -> dict[str, Row]:
    """Run fastai on the photos and split of a run of ours."""
    run = load_run(folder)
    split = args.work / f"{folder.name}.csv"
    with split.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(
            [("path", "pose", "split"), *((run.photo_folder / p.path, p.pose, p.split) for p in run.photos)]
        )
    command = [
        *(args.fastai, Path(__file__).with_name("fastai_fit.py"), split, "--weights", args.weights),
        *("--size", args.size, "--epochs-frozen", args.epochs_frozen, "--epochs", epochs),
    ]
    started = time.time()
    done = subprocess.run([str(p) for p in command], check=True, stdout=subprocess.PIPE, text=True, cwd=args.work)
    truth = [true_pose(photo.path, planted) for photo in run.photos if photo.split == "test"]
    rows = {}
    for line in done.stdout.splitlines():
        if line.startswith("{"):
            content = json.loads(line)
            right = sum(answer == pose for answer, pose in zip(content["answers"], truth, strict=True))
            rows[content["phase"]] = Row("", right, len(truth), content["ended"] - started)
    return rows


def clean(photos: Path, folder: Path, planted: dict[str, str], shares: tuple[float, float]) -> None:
    """Look at the first photos that `clean` shows, mark the planted ones right, and say how many there were."""
    run = load_run(folder, photos)
    with open_cleaner(photos, {photo.path: photo.sha256 for photo in run.photos}, folder.name, "bench") as cleaner:
        shown = CleaningList(cleaner, run, load_predictions(run))
        order = list(shown.select("likely"))
        names = [shown.entries[number].photo.path.partition("/")[2] for number in order]
        first = [name in planted for name in names[: round(shares[0] * len(run.photos))]]
        print(
            f"of the first {shares[0]:.0%} shown, {len(first)} photos, {sum(first)} are planted: {np.mean(first):.1%}"
        )
        (folder / "shown.txt").write_text("\n".join(shown.entries[number].photo.path for number in order))
        looked_at = order[: round(shares[1] * len(run.photos))]
        for number in looked_at:
            photo = shown.entries[number].photo
            if (name := photo.path.partition("/")[2]) in planted:
                cleaner.mark(photo, "relabel", planted[name])
        found = sum(name in planted for name in names[: len(looked_at)])
        print(
            f"of {len(planted)} planted ones, {found} were among the first {shares[1]:.0%} and are mended", flush=True
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--fastai", type=Path, help="Python of an environment with fastai; without it only our side")
    parser.add_argument("--work", type=Path, required=True, help="new folder for copies and runs")
    parser.add_argument("--planted", type=float, default=0.05)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--epochs-frozen", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--clean-size", type=int, default=128)
    parser.add_argument("--clean-epochs", type=int, default=6)
    args = parser.parse_args()
    args.weights = args.weights.resolve()
    args.work.mkdir(parents=True)
    photos, runs = args.work / "photos", args.work / "runs"
    planted = plant_errors(args.photos, photos, args.planted, seed=0)
    print(f"{len(planted)} wrong labels planted", flush=True)
    size = ("--size", args.size)

    seconds = run_ours(args, photos, runs / "frozen", *size, "--epochs", 0)
    print(score_ours("ours, frozen", runs / "frozen", planted, seconds), flush=True)
    seconds = run_ours(args, photos, runs / "uncleaned", *size, "--epochs", args.epochs)
    print(score_ours("ours, unfrozen without cleaning", runs / "uncleaned", planted, seconds), flush=True)
    if args.fastai:
        row = run_fastai(args, runs / "frozen", planted, 0)["frozen"]
        print(Row("fastai, frozen", row.right, row.photos, row.seconds), flush=True)

    folds = ("--size", args.clean_size, "--epochs", args.clean_epochs, "--folds", 5)
    seconds = run_ours(args, photos, runs / "folds", *folds)
    print(f"{'ours, out of fold, to clean with':>34}: {seconds:.0f} s", flush=True)
    clean(photos, runs / "folds", planted, (args.planted, 2 * args.planted))

    like = (*size, "--split-of", runs / "frozen")
    seconds = run_ours(args, photos, runs / "cleaned", *like, "--epochs", 0)
    print(score_ours("ours, cleaned (frozen)", runs / "cleaned", planted, seconds), flush=True)
    seconds = run_ours(args, photos, runs / "unfrozen", *like, "--epochs", args.epochs)
    print(score_ours("ours, cleaned and unfrozen", runs / "unfrozen", planted, seconds), flush=True)
    if args.fastai:
        rows = run_fastai(args, runs / "unfrozen", planted, args.epochs)
        for phase, title in (("frozen", "fastai, cleaned (frozen)"), ("unfrozen", "fastai, cleaned and unfrozen")):
            print(Row(title, rows[phase].right, rows[phase].photos, rows[phase].seconds), flush=True)


if __name__ == "__main__":
    main()
