"""Trains the second opinion of a run on the key points of its photos, and measures it on its test photos."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ...calibration.confidence import ENOUGH
from ...calibration.metrics import Accuracy, measure_accuracy
from ...runtime.core.softmax import log_softmax
from ...runtime.core.types import NO_POSE, Floats, Ints
from ...runtime.people.landmarks import PERSON
from ...runtime.people.second_opinion import LEAST, SecondOpinion
from .mixing import ALONE, Answers, learn_mixture
from .networks import Kinds, NetworkConfig, fit_networks

LEAST_PHOTOS = 100
"""Training photos of poses with a person; with 197 of 14 gestures, photos of another session rose from 30 to 75 %."""
LEAST_SHARE = 0.5
"""Of the photos of poses, those in which somebody is found; else the classes are not in the body."""


@dataclass(frozen=True)
class LandmarkPhotos:
    """What the second opinion is trained on: N photos of a run.

    landmarks: float32 (N, 53), zeros where nobody is found.  kinds: their folders.  targets: int (N,).  groups: int
    (N,), near-duplicates share a number.  splits: of each, train, validation or test.  logits: of the run's network,
    float (N, C).  others: landmarks of people at other things, float32 (M, 53), who are trained on as `none`, and
    what each does, M names.
    """

    labels: tuple[str, ...]
    landmarks: Floats
    kinds: Kinds
    targets: Ints
    groups: Ints
    splits: npt.NDArray[np.str_]
    logits: Floats
    others: tuple[Floats, tuple[str, ...]] | None = None


@dataclass(frozen=True)
class TrainedOpinion:
    """What came of it.  opinion: None where there is no second opinion, and `reason` says why.

    test: network alone, key points alone, and together, on the test photos.  losses: of each candidate for the mixture.
    """

    opinion: SecondOpinion | None
    reason: str = ""
    test: dict[str, Accuracy] | None = None
    losses: dict[str, float] | None = None

    def summarise(self) -> dict[str, Any]:
        """For run.json."""
        summary: dict[str, Any] = {"used": self.opinion is not None}
        if self.reason:
            summary["reason"] = self.reason
        for name, accuracy in (self.test or {}).items():
            summary[name] = {
                "accuracy": round(accuracy.value, 4),
                "interval": [round(bound, 4) for bound in accuracy.interval],
                "photos": accuracy.total,
            }
        return summary | ({"losses": self.losses} if self.losses else {})


def train_opinion(photos: LandmarkPhotos, config: NetworkConfig | None = None) -> TrainedOpinion:
    """Train on the training photos, learn the mixture on the validation photos, measure on the test photos."""
    if reason := find_obstacle(photos):
        return TrainedOpinion(None, reason)
    train, validation, test = (np.flatnonzero(photos.splits == name) for name in ("train", "validation", "test"))
    opinion = _fit(photos, train, config)
    points = np.log(np.maximum(opinion.classify_landmarks(photos.landmarks), LEAST))
    network = log_softmax(photos.logits)
    answers = Answers(network[validation], points[validation], photos.targets[validation], photos.groups[validation])
    learned = learn_mixture(answers, opinion.none)
    opinion = replace(opinion, mixture=learned.mixture)
    mixed = learned.mixture.mix(network[test], points[test], opinion.none)
    measured = {
        name: measure_accuracy(logs.argmax(axis=1), photos.targets[test])
        for name, logs in (("network", network[test]), ("landmarks", points[test]), ("together", mixed))
    }
    if learned.name == ALONE:
        reason = "mixed with the key points of people, its answers to validation photos are no better"
        return TrainedOpinion(None, reason, measured, learned.losses)
    notes = {name: {"share": round(each.value, 4), "photos": each.total} for name, each in measured.items()}
    opinion = replace(opinion, measured={"test accuracy": notes, "mixture": learned.name, "losses": learned.losses})
    return TrainedOpinion(opinion, "", measured, learned.losses)


def answer_out_of_fold(photos: LandmarkPhotos, folds: Ints, config: NetworkConfig | None = None) -> Floats | None:
    """Train small networks for each fold, on the others.  Returns log-probabilities of key points alone, (N, C).

    folds: int (N,); near-duplicates of a fold's photos are not trained on, in whatever fold they are.  None where a
    fold has all photos of a label.
    """
    points = np.zeros((len(folds), len(photos.labels)))
    for fold in np.unique(folds):
        held_out = folds == fold
        rows = np.flatnonzero(~held_out & ~np.isin(photos.groups, photos.groups[held_out]))
        if len(np.unique(photos.targets[rows])) < len(photos.labels):
            return None
        opinion = _fit(photos, rows, config)
        points[held_out] = np.log(np.maximum(opinion.classify_landmarks(photos.landmarks[held_out]), LEAST))
    return points


def _fit(photos: LandmarkPhotos, rows: npt.NDArray[np.int64], config: NetworkConfig | None) -> SecondOpinion:
    """Train the small networks on some photos, and on the others that come along."""
    landmarks, kinds = photos.landmarks[rows], photos.kinds.select(rows)
    if photos.others is not None:
        landmarks = np.concatenate([landmarks, photos.others[0]])
        kinds = kinds.add(photos.others[1], photos.labels.index(NO_POSE))
    return fit_networks(landmarks, kinds, photos.labels, config)


def find_obstacle(photos: LandmarkPhotos) -> str:
    """Say why these photos allow no second opinion; empty where they do."""
    is_pose = photos.targets != (photos.labels.index(NO_POSE) if NO_POSE in photos.labels else -1)
    shows = photos.landmarks[:, PERSON] > 0
    share = float(shows[is_pose].mean()) if is_pose.any() else 0.0
    if share < LEAST_SHARE:
        return f"people are found in {share:.0%} of the photos, so these classes are not told by bodies"
    return find_shortage(photos.splits[is_pose & shows], photos.groups[photos.splits == "validation"])


def find_shortage(splits: npt.NDArray[np.str_], groups: Ints) -> str:
    """Say why there are too few photos; empty where there are enough.

    splits: of the photos of poses that show people, (n,).  groups: of the validation photos, int (m,).
    """
    count, independent = int((splits == "train").sum()), len(np.unique(groups))
    if count < LEAST_PHOTOS:
        return f"it takes {LEAST_PHOTOS} training photos of poses with a person; there are {count}"
    if independent < ENOUGH:
        return f"it takes {ENOUGH} independent validation photos; there are {independent}"
    return ""
