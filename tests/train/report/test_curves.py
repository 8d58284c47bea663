"""The training log and the charts drawn from it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from yoga_live.runtime.errors import RunError
from yoga_live.train.report.curves import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, choose_ticks, draw_curves
from yoga_live.train.run_files.log import Epoch, read_log

EPOCHS = (Epoch(0, None, 0.9, 0.5, 0.4, 0.0), Epoch(1, 0.7, 0.5, 0.8, 0.75, 3.0), Epoch(2, 0.4, 0.6, 0.8, 0.75, 3.0))


def test_a_log_is_read_by_name_whatever_else_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("new,epoch,validation_nll,train_loss,seconds\nx,0,0.9,,0.0\nx,1,0.5,0.7,3\n")
    assert read_log(path) == (Epoch(0, None, 0.9, None, None, 0.0), Epoch(1, 0.7, 0.5, None, None, 3.0))


def test_a_missing_log_is_no_epochs_and_a_broken_one_an_error(tmp_path: Path) -> None:
    assert read_log(tmp_path / "log.csv") == ()
    (tmp_path / "log.csv").write_text("epoch,train_loss\none,0.5\n")
    with pytest.raises(RunError, match="training log"):
        read_log(tmp_path / "log.csv")


def test_curves_lie_inside_the_frame_and_the_kept_epoch_is_marked() -> None:
    losses, shares = draw_curves(EPOCHS, 1)
    assert [curve.name for curve in losses.curves] == ["training loss", "validation NLL"]
    assert [len(curve.points) for curve in losses.curves] == [2, 3]  # the frozen head has no training loss
    for x, y, _ in (point for chart in (losses, shares) for curve in chart.curves for point in curve.points):
        assert LEFT <= x <= WIDTH - RIGHT and TOP <= y <= HEIGHT - BOTTOM
    assert losses.best_x == losses.curves[0].points[0][0]
    assert shares.curves[0].points[1][2] == "epoch 1, accuracy: 80 %"


def test_a_higher_value_is_drawn_higher() -> None:
    [accuracy, _] = draw_curves(EPOCHS, 0)[1].curves
    assert accuracy.points[0][1] > accuracy.points[1][1]  # y grows downwards in SVG


def test_one_epoch_alone_is_drawn_and_none_are_no_chart() -> None:
    assert len(draw_curves(EPOCHS[:1], 0)) == 2
    assert draw_curves((), None) == ()
    assert draw_curves((Epoch(0, None, math.nan, None, None, None),), 0) == ()


@pytest.mark.parametrize(
    ("low", "high", "top"),
    [(0.3, 0.91, 1.0), (0.0, 0.0, 1.0), (1.0, 1.0, 1.0), (2.0, 2.0, math.inf), (0.017, 930.0, math.inf)],
)
def test_ticks_are_few_round_and_enclose_the_values(low: float, high: float, top: float) -> None:
    ticks = choose_ticks(low, high, top)
    assert ticks[0] <= low and high <= ticks[-1] <= max(top, high)
    assert 2 <= len(ticks) <= 7
