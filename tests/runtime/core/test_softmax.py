"""Softmax: right, and safe for any logits."""

import numpy as np
import pytest

from yoga_live.runtime.core.softmax import log_softmax, softmax


def test_softmax_equals_its_definition() -> None:
    logits = np.random.default_rng(0).normal(size=(5, 7)) * 3
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(softmax(logits), expected, rtol=1e-12)
    np.testing.assert_allclose(log_softmax(logits), np.log(expected), rtol=1e-9)


@pytest.mark.parametrize("scale", [1e4, 1e30, -1e30])
def test_huge_logits_neither_overflow_nor_lose_the_sum(scale: float) -> None:
    probabilities = softmax(np.array([1.0, 0.0, -1.0]) * scale)
    assert np.isfinite(probabilities).all() and probabilities.sum() == pytest.approx(1)
    assert np.isfinite(log_softmax(np.array([1.0, 0.0, -1.0]) * scale)).all()


def test_a_shift_of_all_logits_changes_nothing() -> None:
    logits = np.array([0.3, -2.0, 5.0])
    np.testing.assert_allclose(softmax(logits + 1000), softmax(logits), rtol=1e-9)


def test_half_precision_logits_are_computed_in_double() -> None:
    probabilities = softmax(np.array([[9.0, -9.0, 0.0]], np.float16))
    assert probabilities.dtype == np.float64
    np.testing.assert_allclose(probabilities, softmax(np.array([[9.0, -9.0, 0.0]])))
