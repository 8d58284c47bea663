"""Metrics of predictions: accuracy with its interval, calibration error, confusion.  Stateless NumPy functions."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..runtime.core.softmax import log_softmax, softmax
from ..runtime.core.types import Floats, Ints

ECE_BINS = 15
"""Number of equal-width bins, as in Guo et al., On Calibration of Modern Neural Networks, 2017."""


@dataclass(frozen=True)
class Accuracy:
    """A fraction of correct predictions with its 95 % interval."""

    right: int
    total: int

    @property
    def value(self) -> float:
        return self.right / self.total if self.total else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson score interval, 95 % (Wilson 1927): valid for small samples and for fractions near 0 and 1."""
        if not self.total:
            return (0.0, 1.0)
        z, n, p = 1.959964, self.total, self.value
        centre = p + z * z / (2 * n)
        spread = z * float(np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)))
        return ((centre - spread) / (1 + z * z / n), (centre + spread) / (1 + z * z / n))

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.1%} ({self.right} of {self.total}, 95 % interval {low:.1%} to {high:.1%})"


def measure_accuracy(answers: Ints, targets: Ints) -> Accuracy:
    """Top-1 accuracy.  answers, targets: int (N,)."""
    return Accuracy(int((answers == targets).sum()), len(targets))


def measure_recalls(answers: Ints, targets: Ints, classes: int) -> Floats:
    """Recall of every class, float (C,); NaN for a class without photos."""
    matrix = count_confusions(answers, targets, classes)
    totals = matrix.sum(axis=1)
    return np.divide(np.diag(matrix), totals, out=np.full(classes, np.nan), where=totals > 0)


def count_confusions(answers: Ints, targets: Ints, classes: int) -> npt.NDArray[np.int64]:
    """Confusion matrix, int (C, C): row = truth, column = prediction."""
    counts = np.bincount(targets * classes + answers, minlength=classes * classes)
    return counts.reshape(classes, classes)


def list_confusions(
    matrix: npt.NDArray[np.int64], labels: tuple[str, ...], most: int = 5
) -> list[tuple[str, str, int]]:
    """The commonest wrong predictions as (truth, prediction, photos), commonest first."""
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(wrong, axis=None)[::-1][:most]
    pairs = [divmod(int(i), len(labels)) for i in order]
    return [(labels[t], labels[a], int(wrong[t, a])) for t, a in pairs if wrong[t, a]]


def measure_nll(logits: Floats, targets: Ints, temperature: float = 1.0) -> float:
    """Mean negative log-likelihood, nats.  logits: float (N, C); targets: int (N,)."""
    return float(-log_softmax(logits / temperature)[np.arange(len(targets)), targets].mean())


def measure_ece(confidences: Floats, right: npt.NDArray[np.bool_], bins: int = ECE_BINS) -> float:
    """Expected calibration error, 0 to 1 (Guo et al. 2017, eq. 3).  confidences: float (N,); right: bool (N,)."""
    index = np.minimum((confidences * bins).astype(int), bins - 1)
    gaps = np.bincount(index, weights=right.astype(float) - confidences, minlength=bins)
    return float(np.abs(gaps).sum() / len(confidences))


def simulate_perfect_ece(confidences: Floats, draws: int = 1000, seed: int = 0) -> tuple[float, float]:
    """ECE of a perfectly calibrated model on a sample of this size: (mean, 97.5 % quantile).

    Each prediction is correct with exactly its confidence; the rest is sampling noise.
    """
    rng = np.random.default_rng(seed)
    values = [measure_ece(confidences, rng.random(len(confidences)) < confidences) for _ in range(draws)]
    return float(np.mean(values)), float(np.quantile(values, 0.975))


def top_confidences(logits: Floats, temperature: float) -> Floats:
    """Calibrated probability of the top prediction, float (N,)."""
    return softmax(logits / temperature).max(axis=1)


def measure_mcnemar(won: int, lost: int) -> float:
    """Probability that chance alone splits the photos on which two models disagree this unevenly, or more so.

    McNemar's test (1947) in its exact, two-sided binomial form: without a difference each disagreement is a coin toss.
    won, lost: photos that only the one, or only the other, model classifies correctly.
    """
    total = won + lost
    tail = sum(math.comb(total, k) for k in range(min(won, lost) + 1))
    return min(1.0, 2 * tail / 2**total)
