"""Activation ranges: histograms of magnitudes, and the range that each method chooses.

One pass over the sample serves all methods.  ONNX Runtime's own histogram calibrators keep every activation of every
photo until the end, over 5 GB for 264 photos of 224 px; here a tensor has 2,048 counts, for any number of photos.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np

from ..runtime.core.types import Floats, Frame
from ..runtime.engines.onnxruntime import import_onnxruntime
from ..runtime.system.progress import track

BINS = 2048
LEVELS = 128
"""Number of magnitudes of a symmetric 8-bit activation."""


STEP = 4
"""Bins between the ranges that entropy tries: a five-hundredth of the histogram."""


class MagnitudeHistogram:
    """Counts of |x| in 2,048 bins from zero to `limit`, which doubles for larger values: bins merge in pairs."""

    def __init__(self) -> None:
        self.counts = np.zeros(BINS, np.int64)
        self.limit, self.largest = 0.0, 0.0

    def add(self, values: Floats) -> None:
        """Count values, float (any shape).  NaN and infinite values raise ValueError."""
        magnitudes = np.abs(values).ravel()
        largest = float(magnitudes.max(initial=0.0))
        if not np.isfinite(largest):
            raise ValueError(f"activations must be finite; got {largest}")
        self.largest = max(self.largest, largest)
        if self.limit == 0:
            if largest == 0:  # zeros belong to the first bin, whatever the limit
                self.counts[0] += len(magnitudes)
                return
            self.limit = largest
        while largest > self.limit:
            merged = self.counts.reshape(-1, 2).sum(axis=1)
            self.counts = np.concatenate([merged, np.zeros(BINS // 2, np.int64)])
            self.limit *= 2
        index = np.minimum((magnitudes / self.limit * BINS).astype(np.int32), BINS - 1)
        self.counts += np.bincount(index, minlength=BINS)


def take_largest(histogram: MagnitudeHistogram) -> float:
    """Choose the min-max range: the largest magnitude."""
    return histogram.largest


def take_percentile(histogram: MagnitudeHistogram, percentile: float) -> float:
    """Choose the smallest range that holds this percentage of all magnitudes, as an upper edge of a bin."""
    reached = np.cumsum(histogram.counts) >= percentile / 100 * histogram.counts.sum()
    edge = (int(np.argmax(reached)) + 1) * histogram.limit / BINS
    return min(edge, histogram.largest)


def take_least_entropy(histogram: MagnitudeHistogram) -> float:
    """Choose the range whose 128 levels lose the least information, by KL divergence from the histogram.

    Migacz, 8-bit inference with TensorRT, GTC 2017.  The bin at zero takes its neighbour's count, as in NVIDIA's
    pytorch-quantization: the many exact zeros after a ReLU cost nothing in any range and would outweigh the rest.
    """
    counts = histogram.counts.astype(np.float64)
    counts[0] = counts[1]
    used = int(np.flatnonzero(histogram.counts).max(initial=0)) + 1
    if used <= LEVELS:
        return histogram.largest
    candidates = range(used, LEVELS - 1, -STEP)
    kept = candidates[int(np.argmin([_measure_loss(counts, bins) for bins in candidates]))]  # the widest of equals
    return min(kept * histogram.limit / BINS, histogram.largest)


def _measure_loss(counts: Floats, kept: int) -> float:
    """Compute the KL divergence, nats, of the first `kept` bins from their 128 levels; infinite where undefined."""
    reference = counts[:kept].copy()
    filled = reference > 0
    level = np.arange(kept) * LEVELS // kept
    sums = np.bincount(level, weights=reference, minlength=LEVELS)
    often = np.bincount(level, weights=filled, minlength=LEVELS)
    means = np.divide(sums, often, out=np.zeros(LEVELS), where=often > 0)
    coded = np.where(filled, means[level], 0.0)
    reference[-1] += counts[kept:].sum()  # larger values are clipped to the largest level
    filled = reference > 0
    if not coded.sum() or (coded[filled] == 0).any():
        return float("inf")
    p, q = reference[filled] / reference.sum(), coded[filled] / coded.sum()
    return float((p * np.log(p / q)).sum())


RangeMethod = Callable[[MagnitudeHistogram], float]

METHODS: dict[str, RangeMethod] = {
    "minmax": take_largest,
    "percentile 99.999": partial(take_percentile, percentile=99.999),
    "percentile 99.99": partial(take_percentile, percentile=99.99),
    "entropy": take_least_entropy,
}


def collect_histograms(model: Path, tensors: Iterable[str], frames: Frame) -> dict[str, MagnitudeHistogram]:
    """Run a float model, whose outputs are `tensors`, over frames, uint8 (N, S, S, 3) BGR, one at a time.

    With one frame at a time, memory holds the activations of one photo.
    """
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    histograms = {name: MagnitudeHistogram() for name in tensors}
    for frame in track(frames, "activations", len(frames), "photos"):
        for name, values in zip(histograms, session.run(list(histograms), {"frames": frame[None]}), strict=True):
            histograms[name].add(values)
    return histograms
