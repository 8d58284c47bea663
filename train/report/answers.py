"""The predictions of a network for each photo of a run, as arrays and as rows of a page."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...calibration.runs import Run
from ..photos.drawn_none import find_drawn

LEAST_PROBABILITY = 1e-12
"""Keeps a loss finite: a CSV with six digits may hold 0."""


@dataclass(frozen=True)
class PhotoPrediction:
    """One photo with one prediction.  photo: number in `run.photos`; answer: number in `run.labels`.

    probability: of the prediction; truth_probability: of the photo's label.
    """

    photo: int
    truth: int
    answer: int
    probability: float
    truth_probability: float

    @property
    def is_right(self) -> bool:
        return self.truth == self.answer

    @property
    def loss(self) -> float:
        """Negative log-likelihood of the photo's label, in nats."""
        return -math.log(max(self.truth_probability, LEAST_PROBABILITY))


@dataclass(frozen=True)
class RunPredictions:
    """Every photo of a run: probabilities float (N, C), targets int (N,), splits str (N,), groups int (N,).

    drawn: bool (N,), drawings of `none` (`fit --none default`), which are trained on and never tested.
    """

    labels: tuple[str, ...]
    probabilities: npt.NDArray[np.floating]
    targets: npt.NDArray[np.int64]
    splits: npt.NDArray[np.str_]
    groups: npt.NDArray[np.int64]
    drawn: npt.NDArray[np.bool_]

    @property
    def answers(self) -> npt.NDArray[np.int64]:
        """The likeliest pose of each photo, int (N,)."""
        return self.probabilities.argmax(axis=1)

    def numbers_of(self, *splits: str) -> npt.NDArray[np.int64]:
        """Numbers of the photos in these splits, int (M,)."""
        return np.flatnonzero(np.isin(self.splits, splits))

    def describe(self, photo: int, answer: int | None = None) -> PhotoPrediction:
        """Describe one photo with its likeliest pose, or with the one given."""
        row, truth = self.probabilities[photo], int(self.targets[photo])
        answer = int(row.argmax()) if answer is None else answer
        return PhotoPrediction(int(photo), truth, answer, float(row[answer]), float(row[truth]))

    def sort_by_loss(self, photos: npt.NDArray[np.integer]) -> list[PhotoPrediction]:
        """Describe these photos, highest loss first."""
        return sorted((self.describe(int(photo)) for photo in photos), key=lambda answer: -answer.loss)


def join_answers(run: Run, probabilities: npt.NDArray[np.floating]) -> RunPredictions:
    """Join a run's photos with their probabilities, float (N, C)."""
    index = {label: number for number, label in enumerate(run.labels)}
    targets = np.array([index[photo.pose] for photo in run.photos], dtype=np.int64)
    splits = np.array([photo.split for photo in run.photos], dtype=str)
    groups = np.array([photo.group for photo in run.photos], dtype=np.int64)
    return RunPredictions(run.labels, probabilities, targets, splits, groups, find_drawn(p.path for p in run.photos))
