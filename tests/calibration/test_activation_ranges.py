"""Ranges of activations: exact counts however the values come, and what each method takes from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from yoga_live.calibration.activation_ranges import (
    BINS,
    METHODS,
    MagnitudeHistogram,
    collect_histograms,
    take_largest,
    take_least_entropy,
    take_percentile,
)


def fill(*batches: np.ndarray) -> MagnitudeHistogram:
    histogram = MagnitudeHistogram()
    for batch in batches:
        histogram.add(np.asarray(batch, np.float32))
    return histogram


@settings(max_examples=30, deadline=None)
@example([[1.401298464324817e-45]])  # BINS / this overflows
@given(st.lists(st.lists(st.floats(-1000, 1000, width=32), max_size=20), min_size=1, max_size=8))
def test_every_value_is_counted_once_and_lies_within_every_range_of_its_kind(batches: list[list[float]]) -> None:
    histogram = fill(*[np.array(batch) for batch in batches])
    values = np.abs(np.concatenate([np.array(batch, np.float32) for batch in batches]))
    assert histogram.counts.sum() == len(values)
    largest = float(values.max(initial=0.0))
    assert histogram.largest == largest and histogram.limit >= largest
    assert all(0 <= method(histogram) <= largest for method in METHODS.values())


def test_the_order_of_batches_only_moves_the_edges() -> None:
    rng = np.random.default_rng(0)
    batches = [rng.normal(0, scale, 5000) for scale in (0.1, 1.0, 8.0)]
    up, down = fill(*batches), fill(*batches[::-1])
    for percentile in (90, 99, 99.9):
        width = max(up.limit, down.limit) / BINS
        assert abs(take_percentile(up, percentile) - take_percentile(down, percentile)) <= 2 * width
    assert take_largest(up) == take_largest(down)


@pytest.mark.parametrize("percentile", [50, 90, 99.9, 99.99])
def test_a_percentile_is_numpys_to_a_bin(percentile: float) -> None:
    values = np.random.default_rng(1).exponential(1.0, 200_000)
    histogram = fill(*np.split(values, 40))
    expected = np.quantile(values, percentile / 100)
    assert expected - 1e-6 <= take_percentile(histogram, percentile) <= expected + 2 * histogram.limit / BINS


def test_all_of_the_values_are_the_largest() -> None:
    histogram = fill(np.array([0.5, -3.0, 2.0]))
    assert take_percentile(histogram, 100) == take_largest(histogram) == 3.0


def test_entropy_cuts_a_lone_outlier_and_keeps_a_flat_distribution() -> None:
    rng = np.random.default_rng(2)
    spread = rng.normal(0, 1, 100_000)
    assert take_least_entropy(fill(np.append(spread, 40.0))) < 10
    flat = rng.uniform(-1, 1, 100_000)
    assert take_least_entropy(fill(flat)) > 0.95


def test_zeros_after_a_relu_do_not_narrow_the_range_of_entropy() -> None:
    values = np.abs(np.random.default_rng(3).normal(0, 1, 50_000))
    plain = take_least_entropy(fill(values))
    assert take_least_entropy(fill(np.concatenate([values, np.zeros(500_000)]))) == pytest.approx(plain, rel=0.02)


def test_a_tensor_that_is_always_zero_has_a_range_of_zero() -> None:
    histogram = fill(np.zeros(10), np.zeros((2, 3)))
    assert histogram.counts[0] == 16
    assert {method(histogram) for method in METHODS.values()} == {0.0}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        fill(np.array([1.0, value]))


def test_activations_of_a_graph_are_collected_by_name(tmp_path: Path) -> None:
    frames = helper.make_tensor_value_info("frames", TensorProto.UINT8, [None, 2, 2, 3])
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 2, 2, 3]) for name in ("cast", "minus")]
    nodes = [helper.make_node("Cast", ["frames"], ["cast"], to=TensorProto.FLOAT)]
    nodes.append(helper.make_node("Neg", ["cast"], ["minus"]))
    graph = helper.make_graph(nodes, "two", [frames], outputs)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), tmp_path / "a.onnx")
    pictures = np.random.default_rng(4).integers(0, 256, (5, 2, 2, 3), dtype=np.uint8)
    histograms = collect_histograms(tmp_path / "a.onnx", ["minus", "cast"], pictures)
    assert list(histograms) == ["minus", "cast"]
    for histogram in histograms.values():
        assert histogram.largest == pictures.max() and histogram.counts.sum() == pictures.size
