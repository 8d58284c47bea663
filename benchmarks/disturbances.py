"""What a network's answers to the frames of a clip look like under noise, with frames missing, with wrong answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from yoga_live.runtime.core.types import Floats

SEEDS = 5
DISTURBANCES = {"as they are": 1, "noise": SEEDS, "dropped": SEEDS, "flicker": SEEDS, "bad second": SEEDS, "5 FPS": 1}
"""And how often each is drawn."""


@dataclass(frozen=True)
class Stream:
    """A clip as the network saw it: times float (N,), seconds; calibrated probabilities float (N, C)."""

    times_s: Floats
    probabilities: Floats


def disturb(stream: Stream, kind: str, seed: int) -> Stream:
    """A worse stream of the same class."""
    rng = np.random.default_rng(seed)
    times_s, rows = stream.times_s, stream.probabilities
    if kind == "noise":
        logits = np.log(np.maximum(rows, 1e-6)) + rng.normal(0, 2.5, rows.shape)
        rows = np.exp(logits - logits.max(axis=1, keepdims=True))
        rows = rows / rows.sum(axis=1, keepdims=True)
    elif kind == "dropped":
        gap = np.sin(2 * np.pi * times_s / rng.uniform(6, 9) + rng.uniform(0, 6)) > 0.75  # about a second in seven
        kept = ~gap & (rng.random(len(times_s)) < 0.5)
        times_s, rows = times_s[kept], rows[kept]
    elif kind == "flicker":
        rows = rows.copy()
        for start_s in np.arange(rng.uniform(0, 2), times_s[-1], 2.0):
            wrong = np.full(rows.shape[1], 0.02)
            wrong[rng.integers(rows.shape[1])] += 1 - wrong.sum()
            rows[(times_s >= start_s) & (times_s < start_s + 0.25)] = wrong
    elif kind == "bad second":
        rows = rows.copy()
        for start_s in np.arange(rng.uniform(2, 6), times_s[-1], 8.0):
            wrong = np.full(rows.shape[1], 0.01)
            wrong[rng.integers(rows.shape[1])] += 1 - wrong.sum()
            rows[(times_s >= start_s) & (times_s < start_s + 1.0)] = wrong
    elif kind == "5 FPS":
        kept = np.diff(np.floor(times_s * 5), prepend=-1) > 0
        times_s, rows = times_s[kept], rows[kept]
    return Stream(times_s, rows)
