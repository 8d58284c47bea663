"""What the tests of report and clean share: runs written by hand, and a messy folder with a run that finds it out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from yoga_live.calibration.runs import Run, RunPhoto, load_run, write_run_photos
from yoga_live.runtime.sources.drawn_figure import POSES, draw_figure, jitter_pose, random_appearance
from yoga_live.train.clean.cleaner import open_cleaner
from yoga_live.train.clean.review_list import CleaningList
from yoga_live.train.photos.folder import read_contents
from yoga_live.train.run_files.predictions import FOLDS, PREDICTIONS, load_predictions, write_predictions

LABELS = ("chair", "plank", "tree")
Row = tuple[str, str, str, list[float]]
ROOM_POSES = ("chair", "goddess", "low_lunge", "tree", "warrior_2")


@pytest.fixture
def write_run(tmp_path: Path) -> Callable[..., Run]:
    """Write a run of rows (content, pose, split, probabilities), its photos gone; `folds`: out-of-fold answers."""

    def write(
        name: str,
        rows: Sequence[Row],
        labels: tuple[str, ...] = LABELS,
        folds: Sequence[list[float]] | None = None,
        **config: object,
    ) -> Run:
        folder = tmp_path / name
        folder.mkdir()
        photos = [
            RunPhoto(f"{pose}/{content}.jpg", content, pose, number, split)
            for number, (content, pose, split, _) in enumerate(rows)
        ]
        write_run_photos(folder / "photos.csv", photos)
        paths = [photo.path for photo in photos]
        write_predictions(folder / PREDICTIONS, paths, labels, np.array([row[3] for row in rows]))
        if folds is not None:
            write_predictions(folder / FOLDS, paths, labels, np.array(folds))
        metrics = {
            "frozen": {"accuracy": 0.6667, "photos": 3, "interval": [0.2, 0.9], "mean_recall": 0.5, "seconds": 4.0},
            "test": {"accuracy": 0.6667, "photos": 3, "seconds": 10.0},
            "best_epoch": 1,
            "interrupted": False,
        }
        summary = {
            "labels": list(labels),
            "arch": "resnet34",
            "photo_folder": str(tmp_path / "photos"),
            "config": {"size": 64, "epochs": 2, **config},
            "metrics": metrics,
        }
        (folder / "run.json").write_text(json.dumps(summary))
        (folder / "log.csv").write_text(
            "epoch,train_loss,validation_nll,validation_accuracy,validation_mean_recall,seconds,later\n"
            "0,,0.9,0.5,0.4,0.0,x\n1,0.7,0.5,0.8,0.75,3.0,x\n2,0.4,0.6,0.8,0.75,3.0,x\n"
        )
        return load_run(folder)

    return write


@pytest.fixture
def one_room(tmp_path: Path) -> Path:
    """One person in one room: five poses, ten photos each, a little noise in each."""
    rng = np.random.default_rng(3)
    look = random_appearance(rng)
    for pose in ROOM_POSES:
        folder = tmp_path / "room" / pose
        folder.mkdir(parents=True)
        for number in range(10):
            frame = draw_figure(jitter_pose(POSES[pose], rng, 8.0), (320, 240), look)
            noisy = np.clip(frame + rng.normal(0, 2, frame.shape), 0, 255).astype(np.uint8)
            assert cv2.imwrite(str(folder / f"{number}.jpg"), noisy)
    return tmp_path / "room"


@dataclass(frozen=True)
class MessyFolder:
    """wrong: paths, likeliest wrong first, and what the network says, such as ("tree/00.png", "none")."""

    photos: Path
    run: Path
    wrong: tuple[tuple[str, str], ...]

    @contextmanager
    def open(self) -> Iterator[CleaningList]:
        """What `yoga-train clean` would show."""
        run = load_run(self.run, self.photos)
        with open_cleaner(self.photos, read_contents(self.photos, run.size), "messy") as cleaner:
            yield CleaningList(cleaner, run, load_predictions(run))


@pytest.fixture
def messy(trained_run: Path, drawn_photos: Path, tmp_path: Path) -> MessyFolder:
    """Out-of-fold answers that are sure and right, but for five photos: surely another pose, or surely not theirs."""
    photos = Path(shutil.copytree(drawn_photos, tmp_path / "photos"))
    folder = Path(shutil.copytree(trained_run, tmp_path / "messy"))
    run = load_run(folder, photos)
    paths = [photo.path for photo in run.photos]
    labels = np.array([run.labels.index(photo.pose) for photo in run.photos])
    probabilities = np.full((len(paths), len(run.labels)), 0.04)
    probabilities[np.arange(len(paths)), labels] = 0.88
    train = [path for path, photo in zip(paths, run.photos, strict=True) if photo.split == "train"]
    test = next(photo.path for photo in run.photos if photo.split == "test" and photo.pose == "down_dog")
    first, second, third = (next(p for p in train if p.startswith(pose)) for pose in ("tree", "warrior_2", "none"))
    fourth = next(p for p in train if p.startswith("tree") and p != first)
    answers = {
        first: {"none": 0.99, "tree": 0.001}, second: {"tree": 0.985, "warrior_2": 0.002},
        test: {"tree": 0.97, "down_dog": 0.004}, third: {"down_dog": 0.9, "none": 0.01},
        fourth: {"warrior_2": 0.89, "tree": 0.08},
    }  # fmt: skip
    for path, row in answers.items():
        rest = (1 - sum(row.values())) / (len(run.labels) - len(row))
        probabilities[paths.index(path)] = [row.get(label, rest) for label in run.labels]
    write_predictions(folder / FOLDS, paths, run.labels, probabilities)
    wrong = tuple((path, max(row, key=lambda pose: row[pose])) for path, row in answers.items())
    return MessyFolder(photos, folder, wrong)


@pytest.fixture
def in_folder() -> Callable[..., set[str]]:
    """List a folder's photos as relative paths, pose folders only or all of it: in_folder(photos, "tree")."""

    def list_files(photos: Path, below: str = "") -> set[str]:
        files = (path for path in (photos / below).rglob("*") if path.is_file())
        return {path.relative_to(photos).as_posix() for path in files if path.parent != photos}

    return list_files
