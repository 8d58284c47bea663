"""Logits to probabilities, numerically safe."""

from __future__ import annotations

import numpy as np

from .types import Floats


def log_softmax(logits: Floats) -> Floats:
    """Log-softmax over the last axis, float64: no overflow whatever the logits."""
    shifted = np.asarray(logits, dtype=np.float64)
    shifted = shifted - shifted.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def softmax(logits: Floats) -> Floats:
    """Softmax over the last axis, float64; sums to 1."""
    return np.exp(log_softmax(logits))
