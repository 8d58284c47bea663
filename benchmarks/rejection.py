"""Telling poses from what is none: scores that can do it, and how well each does on each kind of non-pose.

The kinds are kept apart, since people standing about, other asanas and empty rooms are missed for different reasons.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from yoga_live.calibration.confidence import answer_poses, choose_threshold
from yoga_live.calibration.logits import SplitLogits
from yoga_live.runtime.core.softmax import softmax
from yoga_live.runtime.core.types import NO_POSE, Floats, Ints

Bools = npt.NDArray[np.bool_]
RECALL = 0.95
PROBABILITY, LOGIT, ENERGY, EXPLICIT = "maximum probability", "maximum logit", "energy", "explicit class"


@dataclass(frozen=True)
class Rejection:
    """How well one score tells the poses from one kind of non-pose.

    auroc: chance that a pose scores above a non-pose, 0 to 1.  alarms: how many of the `others` non-poses score as
    high as the bar that 95 % of the `poses` photos reach.
    """

    score: str
    kind: str
    poses: int
    others: int
    auroc: float
    alarms: int

    @property
    def alarm_share(self) -> float:
        """False alarms at 95 % recall, 0 to 1."""
        return self.alarms / self.others if self.others else float("nan")


def score_poses(logits: Floats, labels: tuple[str, ...], temperature: float = 1.0) -> dict[str, Floats]:
    """Scores of "this is a pose", each float64 (N,), greater for poses.  logits: float (N, C).

    Maximum probability of a pose (Hendrycks and Gimpel 2017) at the temperature; maximum logit of a pose (Hendrycks et
    al. 2022); energy, the log-sum-exp of the pose logits (Liu et al. 2020, its sign turned).  With a class `none` also
    the explicit class: the log-odds of 1 - p(none) at the temperature, which is the energy's lead over the logit of
    `none` and keeps apart what 1 - p rounds to 1.
    """
    logits = np.asarray(logits, dtype=np.float64)
    is_pose = np.array([label != NO_POSE for label in labels])
    poses = logits[:, is_pose]
    scores = {
        PROBABILITY: softmax(logits / temperature)[:, is_pose].max(axis=1),
        LOGIT: poses.max(axis=1),
        ENERGY: np.logaddexp.reduce(poses, axis=1),
    }
    if not is_pose.all():
        none = logits[:, labels.index(NO_POSE)] / temperature
        scores[EXPLICIT] = np.logaddexp.reduce(poses / temperature, axis=1) - none
    return scores


def measure_auroc(poses: Floats, others: Floats) -> float:
    """Chance that a pose scores above a non-pose, ties half (Mann and Whitney 1947).  Each float (n,); NaN if empty."""
    if not len(poses) or not len(others):
        return float("nan")
    ordered = np.sort(others)
    below, upto = (np.searchsorted(ordered, poses, side) for side in ("left", "right"))
    return float((below + upto).mean() / 2 / len(others))


def choose_bar(poses: Floats, recall: float = RECALL) -> float:
    """Highest bar that at least this share of the poses reaches.  poses: float (n,), n at least 1."""
    lost = int(np.floor((1 - recall) * len(poses) + 1e-9))  # 5 % of 20 are one photo, whatever 1 - 0.95 rounds to
    return float(np.sort(poses)[lost])


def compare_rejection(
    split: SplitLogits, kinds: Iterable[str], labels: tuple[str, ...], temperature: float = 1.0
) -> list[Rejection]:
    """Every score on every kind of non-pose, kinds in order of their names; needs photos of poses.

    kinds: for each photo what kind of non-pose it is, empty for a pose.
    """
    names = np.array(list(kinds), dtype=str)
    results = []
    for kind in sorted(set(names.tolist()) - {""}):
        for score, values in score_poses(split.logits, labels, temperature).items():
            poses, others = values[names == ""], values[names == kind]
            alarms = int((others >= choose_bar(poses)).sum())
            results.append(Rejection(score, kind, len(poses), len(others), measure_auroc(poses, others), alarms))
    return results


@dataclass(frozen=True)
class ThresholdComparison:
    """Which photos are answered rightly, bool (N,), a pose by its name and a non-pose by `none`: with one threshold for
    all poses, and with one for each.  Thresholds come from the other half of the photos.
    """

    shared: Bools
    own: Bools
    is_none: Bools


def choose_pose_thresholds(split: SplitLogits, labels: tuple[str, ...], temperature: float) -> Floats:
    """A threshold for each label, float (C,), between 0 and 0.95 in steps of 0.01.

    The sum that `choose_threshold` makes large is one over the answered poses: each term is made largest by itself, on
    the photos as they are.  Where several do equally well, the one nearest to the shared threshold is taken.
    """
    shared = choose_threshold(split, labels, temperature)
    best, sure = answer_poses(split, labels, temperature)
    is_none = split.targets == labels.index(NO_POSE)
    thresholds = np.full(len(labels), shared)
    candidates = np.arange(0, 0.955, 0.01)
    candidates = candidates[np.argsort(np.abs(candidates - shared), kind="stable")]
    worth = (best == split.targets) / max(int((~is_none).sum()), 1) - is_none / max(int(is_none.sum()), 1)
    for pose in range(len(labels)):
        rows = best == pose
        if rows.any():
            gains = [worth[rows & (sure >= bar)].sum() for bar in candidates]
            thresholds[pose] = candidates[int(np.argmax(np.round(gains, 12)))]
    return thresholds


def compare_thresholds(
    split: SplitLogits, groups: Ints, labels: tuple[str, ...], temperature: float, seed: int = 0
) -> ThresholdComparison:
    """Choose thresholds on one half, score them on the other, then the other way round.

    groups: int (N,); near-duplicates are in one half.  labels hold `none`.
    """
    _, numbers = np.unique(groups, return_inverse=True)
    numbers = numbers.reshape(-1)
    half = np.random.default_rng(seed).permutation(int(numbers.max()) + 1)[numbers] % 2
    best, sure = answer_poses(split, labels, temperature)
    is_none = split.targets == labels.index(NO_POSE)
    shared, own = np.zeros(len(half), bool), np.zeros(len(half), bool)
    for number in range(2):
        rows = half != number
        chosen = SplitLogits(split.logits[rows], split.targets[rows], groups[rows])
        bars = np.full(len(labels), choose_threshold(chosen, labels, temperature))
        for result, thresholds in ((shared, bars), (own, choose_pose_thresholds(chosen, labels, temperature))):
            answered = (best >= 0) & (sure >= thresholds[best])
            result[half == number] = np.where(is_none, ~answered, answered & (best == split.targets))[half == number]
    return ThresholdComparison(shared, own, is_none)
