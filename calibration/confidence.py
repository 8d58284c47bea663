"""Fits temperature and threshold, so that 90 % confidence is right nine times out of ten, and `none` is predicted."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..runtime.core.model_metadata import UNCALIBRATED_THRESHOLD, ModelInfo
from ..runtime.core.softmax import log_softmax, softmax
from ..runtime.core.types import NO_POSE, Floats, Ints, best_pose
from ..runtime.people.second_opinion import SecondOpinion
from .bootstrap import resample_sums
from .logits import LeftOutLogits, SplitLogits
from .metrics import Accuracy, measure_accuracy, measure_ece, measure_nll, simulate_perfect_ece, top_confidences

log = logging.getLogger(__name__)

TEMPERATURES = np.exp(np.linspace(np.log(0.1), np.log(10), 461))
"""Candidates, 1 % apart: a search over log T cannot diverge or turn negative."""

KEPT_SHARE = 0.95
"""Without photos of `none`, the threshold keeps this fraction of the correct predictions on validation."""

SAME_SCORE = 1e-9
"""Sums of fractions that differ by less than this are equal: one photo more or less is 1 / N."""

ENOUGH = 20
"""Duplicate groups of validation photos from which on they alone decide; see `calibrate`.

With 4, 9 and 15 groups NLL and ECE on other photos are lower and more correct predictions are kept than without this
rule, and more so than with 30 or 60 (docs/explanation/experiments.md, E17).
"""

RESAMPLES = 2000
"""Resamples of the validation photos' duplicate groups; they take a tenth of a second, and other draws move the
threshold by 0.01."""

VALIDATION, LEFT_OUT = "validation photos", "left-out sources"
"""What temperature and threshold are fitted on."""
MOST_SOURCES = 100
"""Sources, the largest first, whose calibration error is measured."""


@dataclass(frozen=True)
class SourceCalibration:
    """Accuracy and ECE on one left-out source, at a temperature that was fitted on the other sources.

    ece_perfect_mean, ece_perfect_high: of a perfectly calibrated model on as many photos, mean and 97.5 % quantile.
    """

    accuracy: Accuracy
    temperature: float
    ece: float
    ece_perfect_mean: float
    ece_perfect_high: float

    def summary(self) -> dict[str, float | int]:
        """Make the entry in the model's metadata."""
        numbers = {name: round(getattr(self, name), 5) for name in ("temperature", "ece", "ece_perfect_high")}
        return {"photos": self.accuracy.total, "accuracy": round(self.accuracy.value, 4), **numbers}


@dataclass(frozen=True)
class ConfidenceReport:
    """The result of calibration: ECE on test photos before and after, and that of a perfect model on as many.

    validation_groups: duplicate groups of the photos that temperature and threshold were fitted on.  fitted_on:
    VALIDATION or LEFT_OUT.  sources: of each left-out source, the largest first.
    """

    temperature: float
    threshold: float
    accuracy: Accuracy
    nll_before: float
    nll_after: float
    ece_before: float
    ece_after: float
    ece_perfect_mean: float
    ece_perfect_high: float
    poses_kept: Accuracy
    none_rejected: Accuracy | None
    validation_groups: int = ENOUGH
    fitted_on: str = VALIDATION
    sources: dict[str, SourceCalibration] = field(default_factory=dict)

    @property
    def trust(self) -> float:
        """How far temperature and threshold follow the photos that they are fitted on, 0 to 1."""
        return measure_trust(self.validation_groups)

    def summary(self) -> dict[str, object]:
        """Make the report for the model's metadata."""
        rows = asdict(self)
        for name in ("accuracy", "poses_kept", "none_rejected"):
            value = getattr(self, name)
            rows[name] = None if value is None else {"share": round(value.value, 4), "photos": value.total}
        rows["sources"] = {name: source.summary() for name, source in self.sources.items()}
        if not self.sources:
            del rows["sources"]
        return {name: round(row, 5) if isinstance(row, float) else row for name, row in rows.items()}


def calibrate(
    info: ModelInfo, validation: SplitLogits, test: SplitLogits, left_out: LeftOutLogits | None = None
) -> tuple[ModelInfo, ConfidenceReport]:
    """Fit temperature and threshold on validation photos, report on test photos.

    left_out: answers to sources that the networks had not seen, to fit on in place of the validation photos.

    Fewer than `ENOUGH` duplicate groups of validation photos are only trusted in part: the temperature's logarithm goes
    a part of the way from 1, and a threshold above the default a part of the way from there.  A lower one is taken as
    it is: raised to the default, it would reject the poses of a network that is never sure.
    """
    known = validation if left_out is None else left_out.select(left_out.judged)
    trust = measure_trust(_count_groups(known))
    temperature = _fit_trusted(known)
    threshold = choose_threshold(known, info.labels, temperature)
    threshold = trust * threshold + (1 - trust) * min(threshold, UNCALIBRATED_THRESHOLD)
    report = replace(_measure(info, test, temperature, threshold), validation_groups=_count_groups(known))
    if left_out is not None:
        report = replace(report, fitted_on=LEFT_OUT, sources=measure_sources(left_out))
    calibrated = replace(info, temperature=temperature, threshold=threshold, calibration=report.summary())
    return calibrated, report


def _count_groups(split: SplitLogits) -> int:
    return len(np.unique(np.arange(len(split.targets)) if split.groups is None else split.groups))


def _fit_trusted(split: SplitLogits) -> float:
    """Fit the temperature, and follow it as far as so many photos are trusted."""
    return fit_temperature(split.logits, split.targets, split.groups) ** measure_trust(_count_groups(split))


def measure_sources(answers: LeftOutLogits) -> dict[str, SourceCalibration]:
    """Measure each left-out source at the temperature that the other sources ask for."""
    found: dict[str, SourceCalibration] = {}
    for name in answers.list_sources()[:MOST_SOURCES]:
        is_own = answers.sources == name
        temperature = _fit_trusted(answers.select(answers.judged & ~is_own))
        own = answers.select(answers.left_out & is_own)
        predicted, sure = own.logits.argmax(axis=1), top_confidences(own.logits, temperature)
        accuracy, ece = measure_accuracy(predicted, own.targets), measure_ece(sure, predicted == own.targets)
        found[name] = SourceCalibration(accuracy, temperature, ece, *simulate_perfect_ece(sure))
    return found


def calibrate_together(
    info: ModelInfo, validation: SplitLogits, test: SplitLogits, left_out: LeftOutLogits | None = None
) -> tuple[ModelInfo, ConfidenceReport | None]:
    """Fit temperature and threshold of network and key points together, as `calibrate` does for the network alone.

    left_out: as there; without `points` in it, validation photos are fitted on.  The mixture stays what it is.
    Returns the info with a calibrated second opinion, and its report; None where the model has none, or the run has no
    landmarks, which is logged.  Raises ModelError where the second opinion cannot be read.
    """
    if not info.second_opinion:
        return info, None
    if validation.landmarks is None or test.landmarks is None:
        log.warning("the run has no landmarks.npy, so the second opinion keeps its temperature and threshold")
        return info, None
    opinion = SecondOpinion.from_document(info.second_opinion, info.labels)
    mixed, mixed_test = (replace(split, logits=_combine(opinion, split)) for split in (validation, test))
    if left_out is not None and left_out.points is not None:
        logs = opinion.mixture.mix(log_softmax(left_out.logits), left_out.points, opinion.none)
        left_out = replace(left_out, logits=logs)
    else:
        left_out = None
    fitted, report = calibrate(info, mixed, mixed_test, left_out)
    measured = {**opinion.measured, "calibration": report.summary()}
    opinion = replace(opinion, temperature=fitted.temperature, threshold=fitted.threshold, measured=measured)
    return replace(info, second_opinion=opinion.to_document()), report


def _combine(opinion: SecondOpinion, split: SplitLogits) -> Floats:
    assert split.landmarks is not None
    return opinion.combine(split.logits, split.landmarks)


def measure_trust(groups: int) -> float:
    """How far to follow validation photos of so many duplicate groups, 0 to 1."""
    return min(1.0, groups / ENOUGH)


def fit_temperature(logits: Floats, targets: Ints, groups: Ints | None = None) -> float:
    """Find the temperature of least NLL (Guo et al. 2017, section 4.2); 1 unless it also lowers that of unseen photos.

    groups: int (N,); near-duplicates are on one side of that check, and count as one prediction: even if all of n
    independent predictions are correct, a doubt of 1 / (n + 2) remains (Laplace's rule of succession).  No temperature
    makes the model surer than that, or a handful of photos would turn every prediction into 100 %.
    """
    _, numbers = np.unique(np.arange(len(targets)) if groups is None else groups, return_inverse=True)
    odd = numbers.reshape(-1) % 2 == 1
    if not odd.any():
        return 1.0
    surest = 1 - 1 / (int(numbers.max()) + 1 + 2)
    candidates = [t for t in TEMPERATURES if t >= 1 or top_confidences(logits, t).mean() <= surest]

    def fit(rows: npt.NDArray[np.bool_]) -> float:
        losses = [measure_nll(logits[rows], targets[rows], t) for t in candidates]
        return float(candidates[int(np.argmin(losses))])

    unseen = sum(measure_nll(logits[rows], targets[rows], fit(~rows)) for rows in (odd, ~odd))
    plain = sum(measure_nll(logits[rows], targets[rows]) for rows in (odd, ~odd))
    return fit(np.ones(len(targets), bool)) if unseen < plain else 1.0


def choose_threshold(
    split: SplitLogits, labels: tuple[str, ...], temperature: float, resamples: int = RESAMPLES
) -> float:
    """Choose the threshold on the best pose's probability, between 0 and 0.95 in steps of 0.01.

    With photos of `none`: the largest sum of the fractions of poses and of `none` that are classified correctly (Youden
    1950).  If a range of thresholds is equally good, the middle of the widest range, farthest from the photos on either
    side; the lowest would be 0 for a network that already classifies every `none` here correctly.  A single photo may
    move this by half, so it is found on resampled duplicate groups: of the thresholds within two standard errors of the
    best on the original photos, the one nearest to the mean of the resamples.
    Without: the highest that keeps 95 % of the correct predictions.  resamples: number; 0: only the original photos.
    """
    candidates = np.arange(0, 0.955, 0.01)
    right, is_none = _find_right(split, labels, temperature, candidates)
    if not is_none.any():
        fraction = right.mean(axis=0)
        return float(candidates[np.flatnonzero(fraction >= KEPT_SHARE * fraction[0])[-1]])
    is_pose, count = ~is_none, len(candidates)
    values = np.column_stack([right & is_pose[:, None], right & is_none[:, None], is_pose, is_none])
    _, groups = np.unique(np.arange(len(right)) if split.groups is None else split.groups, return_inverse=True)
    table = np.zeros((int(groups.max()) + 1, values.shape[1]))
    np.add.at(table, groups.reshape(-1), values)
    sums = np.concatenate([table.sum(axis=0)[None], *resample_sums(table, resamples)])
    sums = sums[(sums[:, -2:] > 0).all(axis=1) | (np.arange(len(sums)) == 0)]  # a few photos may leave one side empty
    kept = sums[:, :count] / np.maximum(sums[:, -2:-1], 1)
    rejected = sums[:, count:-2] / np.maximum(sums[:, -1:], 1)
    scores = kept + rejected
    mean = np.mean([_find_middle(row) for row in scores])
    behind = scores[:, [scores[0].argmax()]] - scores
    good = np.flatnonzero(behind[0] <= 2 * behind.std(axis=0) + SAME_SCORE)
    return float(candidates[good[np.abs(good - mean).argmin()]])


def _find_middle(scores: Floats) -> int:
    """Find the middle of the widest range of largest scores, float (N,); of two middles the lower."""
    best = np.concatenate([[False], scores >= scores.max() - SAME_SCORE, [False]])
    starts, ends = np.flatnonzero(best[1:] & ~best[:-1]), np.flatnonzero(best[:-1] & ~best[1:])
    widest = int(np.argmax(ends - starts))
    return int(starts[widest] + ends[widest] - 1) // 2


def answer_poses(split: SplitLogits, labels: tuple[str, ...], temperature: float) -> tuple[Ints, Floats]:
    """Find the best pose (index), or -1 if another class beats it; and its probability."""
    probabilities = softmax(split.logits / temperature)
    best = np.array([best_pose(row, labels) for row in probabilities])
    sure = probabilities[np.arange(len(best)), best]
    return np.where(sure >= probabilities.max(axis=1), best, -1), sure


def _find_right(
    split: SplitLogits, labels: tuple[str, ...], temperature: float, candidates: Floats
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Find what each threshold classifies correctly, bool (N, thresholds), and photos of `none`, bool (N,)."""
    best, sure = answer_poses(split, labels, temperature)
    is_none = split.targets == labels.index(NO_POSE) if NO_POSE in labels else np.zeros(len(best), bool)
    answered = (best >= 0)[:, None] & (sure[:, None] >= candidates)
    return np.where(is_none[:, None], ~answered, answered & (best == split.targets)[:, None]), is_none


def _measure(info: ModelInfo, test: SplitLogits, temperature: float, threshold: float) -> ConfidenceReport:
    right = test.logits.argmax(axis=1) == test.targets
    before, after = (top_confidences(test.logits, t) for t in (1.0, temperature))
    perfect_mean, perfect_high = simulate_perfect_ece(after)
    at_threshold, is_none = _find_right(test, info.labels, temperature, np.array([threshold]))
    kept, rejected = at_threshold[~is_none], at_threshold[is_none]
    return ConfidenceReport(
        temperature,
        threshold,
        measure_accuracy(test.logits.argmax(axis=1), test.targets),
        measure_nll(test.logits, test.targets),
        measure_nll(test.logits, test.targets, temperature),
        measure_ece(before, right),
        measure_ece(after, right),
        perfect_mean,
        perfect_high,
        Accuracy(int(kept.sum()), len(kept)),
        Accuracy(int(rejected.sum()), len(rejected)) if len(rejected) else None,
    )


def plot_reliability(test: SplitLogits, report: ConfidenceReport, path: Path, *, replace: bool = True) -> None:
    """Write a reliability diagram (DeGroot and Fienberg 1983) as PNG: before, after, number of photos per bar."""
    from matplotlib.figure import Figure

    from ..runtime.system.files import write_then_rename

    right = test.logits.argmax(axis=1) == test.targets
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    for axes, temperature, ece, title in zip(
        figure.subplots(1, 2),
        (1.0, report.temperature),
        (report.ece_before, report.ece_after),
        ("before", f"after, T = {report.temperature:.2f}"),
        strict=True,
    ):
        confidences = top_confidences(test.logits, temperature)
        bins = np.minimum((confidences * 10).astype(int), 9)
        for number in range(10):
            rows = bins == number
            if rows.any():
                axes.bar((number + 0.5) / 10, right[rows].mean(), 0.095, color="#7fa8d1")
                axes.plot(confidences[rows].mean(), right[rows].mean(), "o", color="#1f3b57", markersize=4)
                axes.text((number + 0.5) / 10, 0.02, str(rows.sum()), ha="center", fontsize=8)
        axes.plot([0, 1], [0, 1], "--", color="grey", linewidth=1)
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="accuracy", title=f"{title}: ECE {ece:.1%}")
    perfect = f"a perfectly calibrated model has {report.ece_perfect_mean:.1%} on average with as many photos"
    figure.suptitle(f"{len(test.targets)} test photos; {perfect}", fontsize=10)
    with write_then_rename(path, replace=replace) as temporary:
        figure.savefig(temporary, dpi=110)
