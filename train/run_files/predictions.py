"""The predictions of a run for each of its photos, for `report` and `clean`: `predictions.csv` and `folds.csv`.

`predictions.csv` holds those of the kept model, which was trained on the training photos, and so is sure of them even
if their labels are wrong.  `folds.csv`, written by `yoga-train fit --folds 5`, holds for each photo the prediction of a
network that was trained neither on it nor on a near-duplicate of it.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...calibration.runs import Run
from ...runtime.errors import RunError
from ...runtime.system.files import ODD_NAMES, make_csv_writer, write_then_rename
from ...runtime.system.foreign_files import open_plain_text

PREDICTIONS, FOLDS = "predictions.csv", "folds.csv"


@dataclass(frozen=True)
class Predictions:
    """Probabilities, float (N, C), of a run's photos in the order of `run.photos` and `run.labels`.

    out_of_fold: whether no network predicted a photo that it was trained on.
    """

    probabilities: npt.NDArray[np.floating]
    out_of_fold: bool


def write_predictions(
    path: Path, photo_paths: list[str], labels: tuple[str, ...], probabilities: npt.NDArray[np.floating]
) -> None:
    """Write one row per photo: its path, then a probability for each label.  probabilities: float (N, C)."""
    with (
        write_then_rename(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors=ODD_NAMES) as file,
    ):
        writer = make_csv_writer(file)
        writer.writerow(["path", *labels])
        for photo_path, row in zip(photo_paths, probabilities, strict=True):
            writer.writerow([photo_path, *(f"{value:.6g}" for value in row)])


def load_predictions(run: Run) -> Predictions:
    """Read the out-of-fold predictions, or the model's own if there are none.  Raises RunError."""
    folds = run.folder / FOLDS
    path = folds if folds.exists() else run.folder / PREDICTIONS
    return Predictions(read_predictions(path, run), folds.exists())


def read_predictions(path: Path, run: Run) -> npt.NDArray[np.floating]:
    """Read one of the two files.  Returns float (N, C) in the order of the run's photos.  Raises RunError."""
    try:
        with open_plain_text(path, ODD_NAMES) as file:
            header, *rows = csv.reader(file)
        if any(len(row) != 1 + len(run.labels) for row in rows):
            raise ValueError(f"a row has not one number for each of {len(run.labels)} labels")
        values = np.array([[float(cell) for cell in row[1:]] for row in rows]).reshape(len(rows), len(run.labels))
        if not ((values >= 0) & (values <= 1)).all():  # nor what is no number
            raise ValueError("it holds a number that is no probability")
    except FileNotFoundError as error:
        raise RunError(f"{path} is missing; {run.folder} was trained by an older version: train it again") from error
    except (OSError, ValueError, csv.Error) as error:
        raise RunError(f"{path} cannot be read ({error}); train the run again") from error
    if tuple(header[1:]) != run.labels or [row[0] for row in rows] != [photo.path for photo in run.photos]:
        raise RunError(f"{path} does not belong to {run.folder / 'photos.csv'}; train the run again")
    return values
