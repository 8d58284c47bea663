"""Confidence intervals for photos in duplicate groups, because near-duplicates are right or wrong together.

The cluster bootstrap resamples whole duplicate groups with replacement (Field and Welsh 2007, Bootstrapping clustered
data, the randomised cluster bootstrap).  An interval that counts each copy as an independent photo is too narrow.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..runtime.core.types import Floats, Ints

DRAWS = 2000
CHUNK = 200_000  # numbers drawn at a time, so that they fit in the processor's cache


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval, NaN for a single duplicate group.  groups: number of duplicate groups."""

    value: float
    low: float
    high: float
    photos: int
    groups: int

    def __str__(self) -> str:
        interval = f"{self.low:.1%} to {self.high:.1%}" if self.groups > 1 else "one duplicate group"
        return f"{self.value:.1%} ({interval})" if self.photos else "no photos"


def estimate_mean(values: Floats | npt.NDArray[np.bool_], groups: Ints, draws: int = DRAWS, seed: int = 0) -> Estimate:
    """Estimate the mean over photos with its cluster-bootstrap interval, 95 %, percentile.

    values: bool or float (N,), such as whether a prediction is correct, or the gain of one model over another.
    groups: int (N,), the duplicate groups.  If all values are equal the interval has no width, although the truth may
    be outside of it; Wilson's (`Accuracy.interval`) has a width.
    """
    return estimate_mean_recall(values, np.zeros(len(values), np.int64), groups, draws, seed)


def estimate_mean_recall(
    values: Floats | npt.NDArray[np.bool_], targets: Ints, groups: Ints, draws: int = DRAWS, seed: int = 0
) -> Estimate:
    """Mean over poses of each pose's mean, so that rare poses count like common ones; interval as `estimate_mean`.

    values: bool or float (N,); targets: int (N,), the poses; groups: int (N,).  A pose without photos in a draw is left
    out of that draw's mean.
    """
    if not len(values):
        return Estimate(float("nan"), float("nan"), float("nan"), 0, 0)
    table = _sum_by_group(np.asarray(values, dtype=np.float64), targets, groups)
    value = float(_mean_of_means(table.sum(axis=0))[()])
    if len(table) < 2:
        return Estimate(value, float("nan"), float("nan"), len(values), len(table))
    means = np.concatenate([_mean_of_means(sums) for sums in resample_sums(table, draws, seed)])
    low, high = np.quantile(means, (0.025, 0.975))
    return Estimate(value, float(low), float(high), len(values), len(table))


def _sum_by_group(values: Floats, targets: Ints, groups: Ints) -> Floats:
    """Sums and counts of every duplicate group by pose, float (G, 2 C): sums first."""
    _, rows = np.unique(groups, return_inverse=True)
    _, columns = np.unique(targets, return_inverse=True)
    shape = (int(rows.max()) + 1, int(columns.max()) + 1)
    cells = rows.reshape(-1) * shape[1] + columns.reshape(-1)
    sums = np.bincount(cells, weights=values, minlength=shape[0] * shape[1]).reshape(shape)
    counts = np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape)
    return np.concatenate([sums, counts], axis=1).astype(np.float64)


def resample_sums(table: Floats, draws: int, seed: int = 0) -> Iterator[Floats]:
    """Draw as many duplicate groups as there are, with replacement, and sum their rows, `draws` times.

    table: float (G, K), a row for each duplicate group.  Yields float (n, K), n draws at a time.
    """
    rng, count = np.random.default_rng(seed), len(table)
    step = max(1, CHUNK // count)
    for start in range(0, draws, step):
        size = min(step, draws - start)
        drawn = rng.integers(0, count, (size, count), dtype=np.int32) + np.arange(size)[:, None] * count
        often = np.bincount(drawn.reshape(-1), minlength=size * count).reshape(size, count)
        yield often.astype(np.float64) @ table


def _mean_of_means(sums: Floats) -> Floats:
    """Average the means of the poses with photos.  sums: float (..., 2 C), sums then counts.  Returns float (...)."""
    totals, counts = np.split(sums, 2, axis=-1)
    means = np.divide(totals, counts, out=np.zeros_like(totals), where=counts > 0)
    return np.asarray(means.sum(axis=-1) / (counts > 0).sum(axis=-1), dtype=np.float64)
