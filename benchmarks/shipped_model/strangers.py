"""Photos of sources that the shipped network has never seen: what its second opinion is learned and judged on.

They are listed in `labels.csv` (file, pose, kind, source).  Key points of a source are answered by small networks that
have not seen that source either, so that mixture, temperature and threshold are fitted on answers to strangers.
"""

from __future__ import annotations

import csv
import fnmatch
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from yoga_live.calibration.confidence import answer_poses, calibrate
from yoga_live.calibration.logits import SplitLogits
from yoga_live.calibration.metrics import Accuracy, measure_accuracy, measure_ece, simulate_perfect_ece
from yoga_live.runtime.core.model_metadata import ModelInfo
from yoga_live.runtime.core.preprocess import letterbox
from yoga_live.runtime.core.softmax import log_softmax, softmax
from yoga_live.runtime.core.types import NO_POSE, Floats, Ints
from yoga_live.runtime.engines.base import Engine
from yoga_live.runtime.errors import RunError
from yoga_live.runtime.people import PeopleFinder, SecondOpinion, find_landmarks
from yoga_live.runtime.people.landmarks import PHOTO_MARGIN, PHOTO_SCORE
from yoga_live.runtime.people.second_opinion import LEAST
from yoga_live.runtime.photos.decoding import decode_photo
from yoga_live.runtime.system.progress import track
from yoga_live.train.landmarks.mixing import Answers, LearnedMixture, learn_mixture
from yoga_live.train.landmarks.networks import Kinds, fit_networks
from yoga_live.train.landmarks.training import LandmarkPhotos

FOLDS = 5
NEAR_A_POSE = ("none/exercise/lunge", "none/exercise/squat")
"""The bottom of a lunge or a squat may as well be called low_lunge or chair: neither trained nor judged."""
RENDERS = "*/render/*"
FALSE_ALARMS = 0.05


@dataclass(frozen=True)
class Strangers:
    """N photos: landmarks float32 (N, 53), logits float (N, C), targets int (N,), kinds and sources (N,)."""

    landmarks: Floats
    logits: Floats
    targets: Ints
    kinds: npt.NDArray[np.str_]
    sources: npt.NDArray[np.str_]

    def select(self, rows: npt.NDArray[np.bool_]) -> Strangers:
        """Select photos.  rows: bool (N,)."""
        return Strangers(*(part[rows] for part in vars(self).values()))


def read_strangers(folder: Path, engine: Engine) -> Strangers:
    """Find the person in each photo of `labels.csv`, and run the network.  Raises RunError."""
    try:
        with (folder / "labels.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise RunError(f"{folder / 'labels.csv'} cannot be read: {error.strerror}") from error
    kinds = [row["pose"] + "/" + row["kind"] for row in rows]
    left_out = (*NEAR_A_POSE, RENDERS)
    kept = [at for at, kind in enumerate(kinds) if not any(fnmatch.fnmatch(kind, pattern) for pattern in left_out)]
    finder, labels = PeopleFinder("cpu", margin=PHOTO_MARGIN, min_score=PHOTO_SCORE), engine.info.labels
    landmarks, logits = list[Floats](), list[Floats]()
    for at in track(kept, "strangers", len(kept), "photos"):
        image = decode_photo(folder / rows[at]["file"], min_side=256)
        landmarks.append(find_landmarks(finder.find(image)))
        logits.append(engine.infer(letterbox(image, engine.info.size)[None])[0])
    return Strangers(
        np.stack(landmarks),
        np.stack(logits),
        np.array([labels.index(rows[at]["pose"]) for at in kept]),
        np.array([kinds[at] for at in kept]),
        np.array([rows[at]["source"] for at in kept]),
    )


def spread_sources(strangers: Strangers, none: int) -> Ints:
    """The fold of each photo, int (N,): whole sources, so that poses and `none` are spread evenly."""
    names, of = np.unique(strangers.sources, return_inverse=True)
    counts = np.stack([np.bincount(of, strangers.targets != none), np.bincount(of, strangers.targets == none)], axis=1)
    shares = counts / np.maximum(counts.sum(axis=0), 1)
    sums, folds = np.zeros((FOLDS, 2)), np.zeros(len(names), int)
    for name in np.argsort(-shares.sum(axis=1), kind="stable"):
        folds[name] = int(np.argmin(((sums + shares[name]) ** 2 - sums**2).sum(axis=1)))
        sums[folds[name]] += shares[name]
    return folds[of]


def fit_with(known: LandmarkPhotos, strangers: Strangers) -> SecondOpinion:
    """Train the small networks on the key points of the training photos and of strangers."""
    rows = np.flatnonzero(known.splits == "train")
    kinds = _join(known.kinds.select(rows), known, strangers)
    return fit_networks(np.concatenate([known.landmarks[rows], strangers.landmarks]), kinds, known.labels)


def _join(kinds: Kinds, known: LandmarkPhotos, strangers: Strangers) -> Kinds:
    """Append the kinds of strangers; those of a pose are the largest of its kinds in training."""
    counts, none = np.bincount(kinds.numbers, minlength=len(kinds.labels)), known.labels.index(NO_POSE)
    is_none, placed = strangers.targets == none, np.zeros(len(strangers.targets), int)
    joined = kinds.add(strangers.kinds[is_none].tolist(), none)
    placed[is_none] = joined.numbers[len(kinds.numbers) :]
    for label in np.unique(strangers.targets[~is_none]):
        same = np.flatnonzero(kinds.labels == label)
        placed[strangers.targets == label] = same[counts[same].argmax()]
    return replace(joined, numbers=np.concatenate([kinds.numbers, placed]))


def answer_strangers(known: LandmarkPhotos, strangers: Strangers, folds: Ints) -> Floats:
    """Log-probabilities of key points, float64 (N, C), each from networks without the photo's source."""
    points = np.zeros(strangers.logits.shape)
    for fold in range(FOLDS):
        rest = folds == fold
        opinion = fit_with(known, strangers.select(~rest))
        points[rest] = np.log(np.maximum(opinion.classify_landmarks(strangers.landmarks[rest]), LEAST))
    return points


def mix_strangers(
    known: LandmarkPhotos, points: Floats, strangers: Strangers, of_strangers: Floats, rows: npt.NDArray[np.bool_]
) -> LearnedMixture:
    """Learn the mixture on the validation photos and on some strangers.

    points: of the validation photos, float (V, C); of_strangers: (N, C); rows: bool (N,).
    """
    at = np.flatnonzero(known.splits == "validation")
    answers = Answers(
        np.concatenate([log_softmax(known.logits[at]), log_softmax(strangers.logits[rows])]),
        np.concatenate([points, of_strangers[rows]]),
        np.concatenate([known.targets[at], strangers.targets[rows]]),
        np.concatenate([known.groups[at], known.groups.max() + 1 + np.arange(int(rows.sum()))]),
    )
    return learn_mixture(answers, known.labels.index(NO_POSE))


@dataclass(frozen=True)
class Judged:
    """Answers to strangers, each by a mixture, temperature and threshold that were fitted without the photo's source.

    answers: int (N,), -1 for `none`; confidences: float (N,), of the most probable label; right: bool (N,), whether
    that one is right; logs: float (N, C).
    """

    answers: Ints
    confidences: Floats
    right: npt.NDArray[np.bool_]
    logs: Floats


def judge(
    info: ModelInfo, known: LandmarkPhotos, points: Floats, strangers: Strangers, of_strangers: Floats, folds: Ints
) -> Judged:
    """Answer strangers of each fold by what was fitted on those of the others.  Arguments as elsewhere here."""
    none, count = known.labels.index(NO_POSE), len(strangers.targets)
    judged = Judged(np.zeros(count, int), np.zeros(count), np.zeros(count, bool), np.zeros(strangers.logits.shape))
    for fold in range(FOLDS):
        rest = folds == fold
        learned = mix_strangers(known, points, strangers, of_strangers, ~rest)
        logs = learned.mixture.mix(log_softmax(strangers.logits), of_strangers, none)
        others = SplitLogits(logs[~rest], strangers.targets[~rest])
        fitted, _ = calibrate(info, others, others)
        part = answer(logs[rest], strangers.targets[rest], fitted)
        for name, values in vars(part).items():
            getattr(judged, name)[rest] = values
    return judged


def judge_alone(info: ModelInfo, strangers: Strangers) -> Judged:
    """Answer strangers by the network alone, at its own temperature and threshold."""
    return answer(log_softmax(strangers.logits), strangers.targets, info)


def answer(logs: Floats, targets: Ints, info: ModelInfo) -> Judged:
    """Answer by log-probabilities, float (N, C), at the temperature and threshold of `info`."""
    poses, sure = answer_poses(SplitLogits(logs, targets), info.labels, info.temperature)
    shares = softmax(logs / info.temperature)
    right = shares.argmax(axis=1) == targets
    return Judged(np.where(sure >= info.threshold, poses, -1), shares.max(axis=1), right, logs)


def summarise(judged: Judged, strangers: Strangers, labels: tuple[str, ...]) -> dict[str, object]:
    """What is told of strangers of sources that were left out, for the model's metadata."""
    none = labels.index(NO_POSE)
    is_pose = strangers.targets != none
    right = np.where(is_pose, judged.answers == strangers.targets, judged.answers < 0)
    low, high = simulate_perfect_ece(judged.confidences)
    summary: dict[str, object] = {"poses": describe(right[is_pose])}
    for prefix in ("exercise", "home", "rooms"):
        is_kind = np.char.startswith(strangers.kinds, f"{NO_POSE}/{prefix}")
        if is_kind.any():
            summary[f"none, {prefix}"] = describe(right[is_kind])
    for label in np.unique(strangers.targets[is_pose]):
        summary[labels[label]] = describe(right[strangers.targets == label])
    summary["ece"] = round(measure_ece(judged.confidences, judged.right), 4)
    summary["ece of a perfect model"] = [round(low, 4), round(high, 4)]
    summary[f"mean recall at {FALSE_ALARMS:.0%} false alarms"] = round(
        measure_recall(judged.logs, strangers.targets, none), 4
    )
    return summary


def describe(right: npt.NDArray[np.bool_]) -> dict[str, object]:
    """A share with its interval."""
    accuracy: Accuracy = measure_accuracy(right.astype(int), np.ones(len(right), int))
    return {
        "share": round(accuracy.value, 4),
        "interval": [round(bound, 4) for bound in accuracy.interval],
        "photos": accuracy.total,
    }


def measure_recall(logs: Floats, targets: Ints, none: int, least: int = 10) -> float:
    """Mean recall over poses of at least 10 photos, where 5 % of the photos of `none` are called a pose, 0 to 1.

    logs: log-probabilities, float (N, C).  targets: int (N,).
    """
    odds = np.logaddexp.reduce(np.delete(logs, none, axis=1), axis=1) - logs[:, none]
    poses = np.where(np.arange(logs.shape[1]) == none, -np.inf, logs).argmax(axis=1)
    is_said = odds > np.quantile(odds[targets == none], 1 - FALSE_ALARMS)
    labels = [label for label in np.unique(targets) if label != none and (targets == label).sum() >= least]
    return float(np.mean([(is_said & (poses == label))[targets == label].mean() for label in labels]))
