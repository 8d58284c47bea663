"""Class maps: true to the network's answer, and drawn where they belong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from yoga_live.calibration.runs import load_frames, load_run
from yoga_live.runtime.core.softmax import softmax
from yoga_live.train.fit.network import load_network
from yoga_live.train.report.class_maps import compute_class_maps, draw_class_map
from yoga_live.train.run_files.predictions import PREDICTIONS, read_predictions

GREY = np.full((60, 90, 3), 120, np.uint8)


def test_class_maps_belong_to_the_answers_that_the_run_reports(trained_run: Path) -> None:
    run = load_run(trained_run)
    frames, _, rows = load_frames(run, "test")
    network = load_network(trained_run / "weights.safetensors", len(run.labels))
    logits, maps = compute_class_maps(network, frames)
    reported = read_predictions(trained_run / PREDICTIONS, run)[[run.photos.index(row) for row in rows]]
    np.testing.assert_allclose(softmax(logits), reported, atol=1e-4)
    bias = network.head.bias.detach().numpy()
    np.testing.assert_allclose(softmax(maps.mean(axis=(2, 3)) + bias), reported, atol=1e-4)  # centred: the same answer


def colourfulness(picture: np.ndarray) -> np.ndarray:
    return picture.max(axis=2).astype(int) - picture.min(axis=2)


def test_heat_lies_where_the_evidence_is() -> None:
    class_map = np.zeros((6, 6), np.float32)
    class_map[3, 1] = 1.0  # left of the middle
    drawn = draw_class_map(GREY, class_map)
    assert drawn.shape == GREY.shape and drawn.dtype == np.uint8
    row, column = (places.mean() for places in np.nonzero(colourfulness(drawn) > 60))
    assert column == pytest.approx(90 * 1 / 6, abs=2)  # a cell looks around its corner, as in `--explain`
    assert row == pytest.approx(90 * 3 / 6 - 15, abs=2)
    assert colourfulness(drawn)[:, 60:].max() <= 2


def test_evidence_in_the_letterbox_bars_is_not_drawn_into_the_picture() -> None:
    class_map = np.zeros((6, 6), np.float32)
    class_map[0] = 1.0  # the bar above a wide picture
    drawn = draw_class_map(GREY[:30], class_map)
    assert colourfulness(drawn)[15:].max() <= 2


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_no_evidence_leaves_the_picture_grey(value: float) -> None:
    drawn = draw_class_map(GREY, np.full((3, 3), value, np.float32))
    np.testing.assert_array_equal(drawn, GREY)


def test_evidence_everywhere_has_no_outline_along_the_picture_s_edge() -> None:
    drawn = draw_class_map(GREY, np.ones((6, 6), np.float32))
    assert (drawn == drawn[0, 0]).all() and colourfulness(drawn).min() > 20


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 40), (40, 1), (33, 57)])
def test_pictures_of_any_shape_are_drawn_on(size_hw: tuple[int, int]) -> None:
    picture = np.full((*size_hw, 3), 90, np.uint8)
    assert draw_class_map(picture, np.eye(7, dtype=np.float32)).shape == picture.shape
