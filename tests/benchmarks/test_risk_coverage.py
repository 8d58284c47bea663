"""The risk-coverage curve, against values worked out by hand."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

from risk_coverage import measure_risk_coverage, plot_risk_coverage


def test_the_surest_are_answered_first() -> None:
    curve = measure_risk_coverage(np.array([0.5, 0.9, 0.7, 0.6]), np.array([False, True, False, True]))
    np.testing.assert_allclose(curve.coverage, [0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(curve.risk, [0, 1 / 2, 1 / 3, 1 / 2])
    assert curve.area == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)


def test_equal_confidences_are_answered_together_in_whatever_order_they_come() -> None:
    sure, right = np.array([0.9, 0.5, 0.5, 0.5]), np.array([True, False, True, True])
    curve = measure_risk_coverage(sure, right)
    np.testing.assert_allclose(curve.coverage, [0.25, 1])
    np.testing.assert_allclose(curve.risk, [0, 0.25])
    again = measure_risk_coverage(sure[::-1], right[::-1])
    np.testing.assert_allclose(again.risk, curve.risk)


def test_the_last_point_is_the_error_and_the_best_order_reaches_the_bound() -> None:
    right = np.arange(50) % 5 != 0
    perfect = measure_risk_coverage(right + np.arange(50) / 100, right)
    assert perfect.coverage[-1] == 1 and perfect.risk[-1] == pytest.approx(0.2)
    np.testing.assert_allclose(perfect.best_risk(), perfect.risk, atol=1e-12)
    worst = measure_risk_coverage(-(right + np.arange(50) / 100), right)
    assert worst.area > perfect.area and (worst.best_risk() <= worst.risk + 1e-12).all()


def test_coverage_at_a_risk_is_the_largest_one_and_zero_where_the_surest_is_wrong() -> None:
    curve = measure_risk_coverage(np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, True, False, True]))
    assert [curve.coverage_at(risk) for risk in (0.0, 0.25, 0.3, 0.5)] == [0.5, 1, 1, 1]
    assert measure_risk_coverage(np.array([0.9, 0.8]), np.array([False, True])).coverage_at(0.1) == 0


def test_curves_are_a_picture(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sure = rng.random(300)
    curves = {
        name: measure_risk_coverage(sure**power, rng.random(300) < sure) for name, power in {"a": 1, "b": 2}.items()
    }
    plot_risk_coverage(curves, tmp_path / "risk.png")
    with Image.open(tmp_path / "risk.png") as picture:
        assert picture.width > picture.height > 300
    assert [path.name for path in tmp_path.iterdir()] == ["risk.png"]


def test_a_model_that_is_never_wrong_is_drawn_too(tmp_path: Path) -> None:
    plot_risk_coverage({"all": measure_risk_coverage(np.array([0.9, 0.8]), np.array([True, True]))}, tmp_path / "r.png")
    assert (tmp_path / "r.png").stat().st_size > 1000
