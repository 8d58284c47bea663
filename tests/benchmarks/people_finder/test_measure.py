"""What the finder's measurements count as found."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
sys.path.append(str(Path(__file__).parents[3] / "benchmarks" / "people_finder"))

from measure import CANVAS_WH, compose, count_found, move_one_pixel, overlaps, pad_to_square


def make_boxes(*boxes: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(boxes, np.float32).reshape(-1, 4)


def test_overlap_is_the_shared_part_of_both() -> None:
    same, half, apart = (0, 0, 10, 10), (5, 0, 15, 10), (20, 20, 30, 30)
    np.testing.assert_allclose(overlaps(make_boxes(same), make_boxes(same, half, apart)), [[1, 1 / 3, 0]], atol=1e-6)


def test_a_box_counts_for_one_person_only() -> None:
    truth = make_boxes((0, 0, 10, 10), (1, 0, 11, 10))
    assert count_found(make_boxes((0, 0, 10, 10)), truth) == 1
    assert count_found(make_boxes((1, 0, 11, 10), (0, 0, 10, 10)), truth) == 2
    assert count_found(make_boxes((50, 50, 60, 60)), truth) == 0
    assert count_found(make_boxes(), truth) == 0


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (3, 1), (5, 2)])
def test_people_are_put_side_by_side_with_their_boxes(count: int, rows: int) -> None:
    tiles = [(np.full((200, 100, 3), 10 * index, np.uint8), np.array([10, 20, 90, 180])) for index in range(count)]
    frame, boxes = compose(tiles, rows)
    assert frame.shape == (*CANVAS_WH[::-1], 3) and boxes.shape == (count, 4)
    for index, box in enumerate(boxes.astype(int)):
        assert (frame[box[1] : box[3], box[0] : box[2]] == 10 * index).all()
    assert overlaps(boxes, boxes).sum() == pytest.approx(count)


def test_inputs_are_moved_and_padded() -> None:
    frames = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(1, 2, 3, 3)
    np.testing.assert_array_equal(move_one_pixel(frames)[0, 1, 1:], frames[0, 0, :2])
    square = pad_to_square(frames)
    assert square.shape == (1, 3, 3, 3) and not square[0, 2].any()
