"""What the tests of cleaning share: a copy of the drawn photos with wrong labels, and a run that finds them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from yoga_live.calibration.runs import load_run
from yoga_live.train.cleaning import open_cleaner
from yoga_live.train.cleaning_list import CleaningList
from yoga_live.train.predictions import FOLDS, load_predictions, write_predictions


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
        with open_cleaner(self.photos, {photo.path: photo.sha256 for photo in run.photos}, "messy") as cleaner:
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
