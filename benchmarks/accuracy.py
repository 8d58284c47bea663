"""How right the model is on photos like its own, on another source's and on what is no pose: trainings, then tables.

    python benchmarks/accuracy.py PHOTOS --weights FILE --work FOLDER [--folds 5] [--leave-out asanas,five,mixed]

PHOTOS is what `python benchmarks/shipped_model/photos.py SOURCES --to PHOTOS` gathers: file names begin with their
source.  Drawings and frames of animations always train and are never tested on.  Every training is that of `yoga-train
fit` without validation photos: the last epoch is kept.  Near-duplicates never straddle:
- folds: families of near-duplicates are held out whole (clips of `people` too); drawings that share one stay away;
- a source left out: its photos with a near-duplicate in another source are not scored, and that source's trains on;
- `--run RUN` trains nothing and scores a finished run on its test photos;
- `audited.csv` holds the labels that an eye gave to one photo of each family in the poses' folders, whatever folder
  (and whatever label the cleaner's journal gives) it lies in now; the photos on it are a row of their own;
- `--unseen K`: the other asanas are held out a whole asana at a time, which asks whether one never seen is rejected;
- `--only fold_1_of_3` trains that one alone; `--beside FOLDER` sets the answers beside those of another run of this
  command to the same photos, with other settings: what they gain, photo by photo.

Each training's answers are in FOLDER before the next begins, and a killed one goes on from its last epoch: the same
command goes on, and makes the tables at once when all is done.  `--check` runs everything small: random weights, 32
pixels, one epoch.  Clips are scored by `benchmarks/clips.py`.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import logging
import re
import shutil
import sys
import tempfile
from collections import defaultdict
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from accuracy_tables import UNSORTED, Answers, print_answers, print_gains, print_left_out, print_rejection

from yoga_live.calibration.runs import Run, load_run
from yoga_live.runtime.core.types import NO_POSE
from yoga_live.runtime.errors import OptionError, RunError
from yoga_live.runtime.system.cli_runner import HelpFormatter, run_command
from yoga_live.runtime.system.files import write_then_rename
from yoga_live.train.distributed.collectives import Workers
from yoga_live.train.distributed.devices import choose_device
from yoga_live.train.fit.config import FitConfig
from yoga_live.train.fit.data import TrainingData, number_kinds
from yoga_live.train.fit.frozen_head import Features, compute_both
from yoga_live.train.fit.network import build_network, load_network
from yoga_live.train.fit.precision import Precision
from yoga_live.train.fit.trainer import WEIGHTS, Trainer
from yoga_live.train.photos.dataset import PhotoDataset
from yoga_live.train.photos.folder import Photo, read_photos
from yoga_live.train.photos.near_duplicates import group_photos
from yoga_live.train.photos.splits import assign_folds

log = logging.getLogger(__name__)
Rows = npt.NDArray[np.int64]
ALWAYS_TRAINED = ("drawn", "sun_salutation")
CLIP = re.compile(r"people__([a-z_]+)_\d{4}\.")  # one frame a second of a clip


@dataclass(frozen=True)
class Trial:
    """One training: which photos it learns from and which it answers, int (n,) each, row numbers."""

    name: str
    train: Rows
    test: Rows
    seed: int


class MirroredFrames(PhotoDataset):
    """The same photos in a mirror."""

    def take(self, indices: npt.NDArray[np.integer] | slice) -> npt.NDArray[np.uint8]:
        return np.ascontiguousarray(super().take(indices)[:, :, ::-1])


def source_of(photo: Photo) -> str:
    """The collection that a photo comes from."""
    return photo.path.rpartition("/")[2].partition("__")[0]


def read_data(folder: Path, size: int, poses: tuple[str, ...]) -> tuple[TrainingData, Rows]:
    """Read everything.  Returns it and the rows that take part, int (n,); the others have the target -1.

    poses: only these, all if empty.  Raises YogaLiveError.
    """
    photo_set = read_photos(folder, size)
    labels = poses or photo_set.labels
    if unknown := sorted(set(labels) - set(photo_set.labels)):
        raise OptionError(
            f"--poses {','.join(unknown)}: no such folder in {folder}; there are {', '.join(photo_set.labels)}"
        )
    index = {label: number for number, label in enumerate(labels)}
    targets = np.array([index.get(photo.pose, -1) for photo in photo_set.photos], dtype=np.int64)
    rows = np.flatnonzero(targets >= 0)
    kinds, known = np.full(len(targets), -1), number_kinds(tuple(photo_set.photos[row] for row in rows))
    if known is not None:
        kinds[rows] = known
    groups = join_clips(photo_set.photos, group_photos(photo_set.photos))
    photo_set = replace(photo_set, labels=labels)
    return TrainingData(photo_set, targets, groups, [], None if known is None else kinds), rows


def join_clips(photos: tuple[Photo, ...], groups: Rows) -> Rows:
    """Make all frames of a clip one family, although they differ."""
    clips: dict[str, set[int]] = defaultdict(set)
    for photo, group in zip(photos, groups, strict=True):
        if found := CLIP.search(photo.path):
            clips[found[1]].add(int(group))
    joined = groups.copy()
    for families in clips.values():
        old = np.unique(joined[np.isin(groups, list(families))])  # a family may have joined another clip already
        joined[np.isin(joined, old)] = old[0]
    return joined


def list_trials(data: TrainingData, rows: Rows, args: argparse.Namespace) -> list[Trial]:
    """All trainings that were asked for.  Raises RunError where photos are too few."""
    photos, groups = data.photo_set.photos, data.groups
    sources = np.array([source_of(photo) for photo in photos])
    real = rows[~np.isin(sources[rows], ALWAYS_TRAINED)]

    def hold_out(name: str, test: Rows, seed: int) -> Trial:
        return Trial(name, rows[~np.isin(groups[rows], groups[test])], test, seed)

    trials = []
    if args.folds:
        folds = assign_folds(tuple(photos[row] for row in real), groups[real], args.folds, args.seed)
        trials += [
            hold_out(f"fold_{n + 1}_of_{args.folds}", real[folds == n], args.seed + n) for n in range(args.folds)
        ]
    for source in filter(None, args.leave_out.split(",")):
        train = rows[sources[rows] != source]
        own = real[sources[real] == source]
        if not len(own):
            known = ", ".join(sorted(set(sources)))
            raise RunError(f"--leave-out {source}: no file name begins with {source}__; there are {known}")
        others = {photos[row].pose for row in train if sources[row] not in ALWAYS_TRAINED}
        is_shared = np.array([photos[row].pose in others for row in own])
        trials.append(
            Trial(f"without_{source}", train, own[is_shared & ~np.isin(groups[own], groups[train])], args.seed)
        )
    if args.unseen:
        folds = assign_folds(tuple(photos[row] for row in real), groups[real], args.unseen, args.seed)
        kinds = [photos[row].kind if photos[row].pose == NO_POSE else "" for row in real]
        asanas = sorted({kind for kind in kinds if kind.startswith("asanas/")})
        order = np.random.default_rng(args.seed).permutation(len(asanas))
        place = {asana: int(order[number]) % args.unseen for number, asana in enumerate(asanas)}
        folds = np.array([place.get(kind, fold) for kind, fold in zip(kinds, folds, strict=True)])
        count = args.unseen
        trials += [hold_out(f"unseen_{n + 1}_of_{count}", real[folds == n], args.seed + n) for n in range(count)]
    return trials


def choose_trials(trials: list[Trial], only: str) -> list[Trial]:
    """Those that are named, all if none is.  Raises OptionError."""
    names = list(filter(None, only.split(",")))
    if unknown := sorted(set(names) - {trial.name for trial in trials}):
        raise OptionError(f"--only {','.join(unknown)}: there are {', '.join(trial.name for trial in trials)}")
    return [trial for trial in trials if not names or trial.name in names]


class Trainings:
    """Runs trials once each, and keeps their answers in a folder."""

    def __init__(self, data: TrainingData, config: FitConfig, folder: Path, workers: Workers) -> None:
        self.data, self.config, self.folder, self.workers = data, config, folder, workers
        photos = "\n".join(f"{photo.path} {photo.sha256}" for photo in data.photo_set.photos)
        self.settings: dict[str, Any] = json.loads(json.dumps(asdict(replace(config, device="auto"))))
        self.settings |= {"labels": list(data.photo_set.labels), "photos": hashlib.sha256(photos.encode()).hexdigest()}
        self._features: Features | None = None

    def answer(self, trial: Trial) -> Answers:
        """Train, unless that was done.  Raises OptionError if the folder holds answers to other questions."""
        path = self.folder / f"{trial.name}.npz"
        if not path.exists():
            log.info("%s: %d photos train, %d are answered", trial.name, len(trial.train), len(trial.test))
            plain, mirrored = self._fit(trial)
            with write_then_rename(path) as temporary, temporary.open("wb") as file:
                settings = np.array(json.dumps(self.settings))
                np.savez(file, plain=plain, mirrored=mirrored, rows=trial.test, settings=settings)
            shutil.rmtree(self.folder / trial.name)
        return self._read(path, trial, tuple(self.settings))

    def read_beside(self, folder: Path, trial: Trial) -> Answers:
        """The answers of a run with other settings.  Raises OptionError if they are not there, or to other photos."""
        return self._read(folder / f"{trial.name}.npz", trial, ("labels", "photos"))

    def _read(self, path: Path, trial: Trial, same: tuple[str, ...]) -> Answers:
        if not path.exists():
            raise OptionError(f"{path} does not exist; train it there first")
        with np.load(path, allow_pickle=False) as kept:
            self._check(path, json.loads(str(kept["settings"])), same)
            if not np.array_equal(kept["rows"], trial.test):
                raise OptionError(f"{path} answers other photos; give another folder")
            return describe_answers(self.data, trial.test, kept["plain"], kept["mirrored"])

    def _check(self, path: Path, settings: dict[str, Any], same: tuple[str, ...]) -> None:
        if differ := sorted(name for name in same if settings.get(name) != self.settings[name]):
            raise OptionError(f"{path} was made with other {', '.join(differ)}; give another folder")

    def _fit(self, trial: Trial) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]:
        config, place, classes = (
            replace(self.config, seed=trial.seed),
            self.folder / trial.name,
            len(self.data.photo_set.labels),
        )
        place.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(config.seed)
        network = build_network(classes, config.weights, config.arch)
        fitter = Trainer(network, {"train": self.data.select(trial.train)}, config, self.workers, place)
        if fitter.resume():
            self._check(place, fitter.notes["settings"], tuple(self.settings))
        else:
            fitter.notes["settings"] = self.settings
            fitter.fit_head({"train": self.features.take(trial.train)})
        fitter.fit_all()
        fitter.network = load_network(place / WEIGHTS, classes).to(self.workers.device)
        frames, targets = self.data.photo_set.frames, self.data.targets[trial.test]
        plain, mirrored = PhotoDataset(frames, targets, trial.test), MirroredFrames(frames, targets, trial.test)
        return fitter.predict(plain, exact=True), fitter.predict(mirrored, exact=True)

    @property
    def features(self) -> Features:
        """Features of every photo from the starting weights, the same in every training; kept in the folder."""
        path = self.folder / "features.npz"
        if self._features is None and path.exists():
            with np.load(path, allow_pickle=False) as kept:
                if json.loads(str(kept["settings"])) == self.settings:
                    self._features = Features(torch.from_numpy(kept["plain"]), torch.from_numpy(kept["mirrored"]))
        if self._features is None:
            self._features = self._compute_features()
            with write_then_rename(path) as temporary, temporary.open("wb") as file:
                arrays = {name: getattr(self._features, name).numpy() for name in ("plain", "mirrored")}
                np.savez(file, **arrays, settings=np.array(json.dumps(self.settings)))
        return self._features

    def _compute_features(self) -> Features:
        """Features of the photos that take part; zeros for the others."""
        rows = np.flatnonzero(self.data.targets >= 0)
        torch.manual_seed(self.config.seed)
        network = build_network(2, self.config.weights, self.config.arch).to(self.workers.device)
        photos = PhotoDataset(self.data.photo_set.frames, self.data.targets[rows], rows)
        precision, size = Precision(self.workers.device), self.config.size
        found = compute_both(network, photos, precision, self.workers, "features", size=size)
        features = []
        for part in (found.plain, found.mirrored):
            features.append(torch.zeros(len(self.data.targets), part.shape[1]))
            features[-1][torch.from_numpy(rows)] = part
        return Features(*features)


def answer_run(data: TrainingData, run: Run, workers: Workers) -> Answers:
    """What a finished run answers to its test photos.  Raises RunError if they are not those of PHOTOS."""
    held_out = {photo.sha256 for photo in run.photos if photo.split == "test"}
    photos = data.photo_set.photos
    test = np.array([row for row, photo in enumerate(photos) if photo.sha256 in held_out], dtype=np.int64)
    if run.labels != data.photo_set.labels or len({photos[row].sha256 for row in test}) < len(held_out):
        raise RunError(f"{run.folder} was not trained with these photos")
    network = load_network(run.folder / WEIGHTS, len(run.labels))
    frames, targets = data.photo_set.frames, data.targets[test]
    with tempfile.TemporaryDirectory() as folder:
        plain, mirrored = PhotoDataset(frames, targets, test), MirroredFrames(frames, targets, test)
        fitter = Trainer(network, {"train": plain}, FitConfig(size=run.size), workers, Path(folder))
        return describe_answers(data, test, fitter.predict(plain, exact=True), fitter.predict(mirrored, exact=True))


def describe_answers(
    data: TrainingData, rows: Rows, plain: npt.NDArray[np.floating], mirrored: npt.NDArray[np.floating]
) -> Answers:
    """What the tables need to know of the answered photos."""
    photos = [data.photo_set.photos[row] for row in rows]
    parts = [photo.kind.partition("/")[0] or UNSORTED if photo.pose == NO_POSE else "" for photo in photos]
    sources = np.array([source_of(photo) for photo in photos], dtype=str)
    kinds = np.array(parts, dtype=str)
    index = {label: number for number, label in enumerate(data.photo_set.labels)}
    seen = read_audited()
    audited = np.array([index.get(seen.get(photo.sha256[:16], ""), -1) for photo in photos], dtype=np.int64)
    targets, groups = data.targets[rows], data.groups[rows]
    return Answers(data.photo_set.labels, rows, plain, mirrored, targets, groups, sources, kinds, audited)


def read_audited() -> dict[str, str]:
    """First 16 digits of a photo's SHA-256 -> the label that a careful eye gave it; "" where it can't be told."""
    with (Path(__file__).parent / "audited.csv").open(newline="", encoding="utf-8") as file:
        return {row["sha256"]: row["pose"] for row in csv.DictReader(file)}


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Define the options."""
    defaults = FitConfig()
    parser = argparse.ArgumentParser("accuracy.py", description=__doc__, formatter_class=HelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--work", type=Path, required=True, metavar="FOLDER", help="where answers and plots are kept")
    parser.add_argument(
        "--run", type=Path, dest="run_folder", default=argparse.SUPPRESS, metavar="RUN",
        help="train nothing: score a finished run on its test photos",
    )  # fmt: skip
    parser.add_argument("--weights", default=defaults.weights, help="imagenet, none, or a file")
    parser.add_argument("--folds", type=int, default=5, help="of cross-validation; 0: none")
    parser.add_argument("--leave-out", default="asanas,five,mixed", metavar="A,B", help="sources; '' for none")
    parser.add_argument("--unseen", type=int, default=0, metavar="K", help="folds by whole asanas of none; 0: none")
    parser.add_argument("--only", default="", metavar="A,B", help="these trainings alone, by name")
    parser.add_argument("--beside", type=Path, metavar="FOLDER", help="another --work, with other settings")
    parser.add_argument("--poses", default="", metavar="A,B", help="a model of these alone")
    parser.add_argument("--size", type=int, default=defaults.size)
    parser.add_argument("--epochs", type=int, default=defaults.epochs)
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--device", default=defaults.device)
    parser.add_argument("--check", action="store_true", help="everything, but small: a minute on a few hundred photos")
    return parser.parse_args(argv)


def run(args: argparse.Namespace) -> None:
    """Train what is not trained yet, then print the tables."""
    config = FitConfig(args.weights, epochs=args.epochs, size=args.size, seed=args.seed, device=args.device)
    if args.check:
        config = replace(config, weights="none", size=32, epochs=1, epochs_frozen=1)
    if hasattr(args, "run_folder"):
        if args.only or args.beside:
            raise OptionError("--run trains nothing; leave --only and --beside out")
        finished = load_run(args.run_folder)
        data, _ = read_data(args.photos, finished.size, ())
        args.work.mkdir(parents=True, exist_ok=True)
        answers = answer_run(data, finished, Workers(device=choose_device(args.device)))
        print_answers(answers, "Test photos of the run", finished.size, args.work)
        return
    data, rows = read_data(args.photos, config.size, tuple(filter(None, args.poses.split(","))))
    trials = choose_trials(list_trials(data, rows, args), args.only)
    args.work.mkdir(parents=True, exist_ok=True)
    trainings = Trainings(data, config, args.work, Workers(device=choose_device(config.device)))
    beside = {trial.name: trainings.read_beside(args.beside, trial) for trial in trials} if args.beside else {}
    found = {trial.name: trainings.answer(trial) for trial in trials}
    folds = [own for name, own in found.items() if name.startswith("fold_")]
    unseen = [own for name, own in found.items() if name.startswith("unseen_")]
    whole = Answers.join(folds) if folds else None
    if whole:
        title = "Cross-validation" if len(folds) == args.folds else f"{len(folds)} of {args.folds} folds"
        print_answers(whole, title, config.size, args.work)
    left_out = {name.removeprefix("without_"): own for name, own in found.items() if name.startswith("without_")}
    if left_out:
        print_left_out(left_out, whole)
    if unseen:
        print_rejection(Answers.join(unseen), "No pose, asanas of `none` never seen in training")
    for kind in ("fold", "without", "unseen") if beside else ():
        if names := [name for name in found if name.startswith(f"{kind}_")]:
            own, others = (Answers.join([answers[name] for name in names]) for answers in (found, beside))
            print_gains(own, others, f"{', '.join(names)} beside {args.beside}")


def main(argv: list[str] | None = None) -> int:
    """Run the evaluation.  Returns the exit code."""
    return run_command("yoga-train", run, parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
