"""The finder on drawn people: where they are, in any frame, on each engine; and what it refuses."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from yoga_live.runtime.core.opencv import cv2
from yoga_live.runtime.core.regions import Region
from yoga_live.runtime.core.types import Floats, Frame
from yoga_live.runtime.errors import DeviceError, ModelError
from yoga_live.runtime.people import KEYPOINTS, OPPOSITE_KEYPOINTS, PeopleFinder
from yoga_live.runtime.people.finder import PEOPLE_MODEL, fit_frame
from yoga_live.runtime.sources.drawn_figure import POSES, Appearance, draw_figure

SIZE_WH = (640, 360)
RED, BLACK = (0, 0, 255), (0, 0, 0)
IN_THE_DARK = Appearance(skin=RED, top=RED, trousers=RED, hair=RED, mat=BLACK, wall=BLACK, floor=BLACK, window_x=None)


@pytest.fixture(scope="module")
def finder() -> PeopleFinder:
    pytest.importorskip("onnxruntime")
    return PeopleFinder("cpu", 1)


def find_truth(pose: str) -> Floats:
    """Where a drawn person is: left, top, right, bottom in pixels of the frame."""
    rows, columns = np.nonzero(draw_figure(POSES[pose], SIZE_WH, IN_THE_DARK).max(axis=2) > 32)
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], np.float32)


def measure_overlap(box: Floats, other: Floats) -> float:
    """Intersection over union."""
    shared = np.clip(np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2]), 0, None).prod()
    return float(shared / ((box[2:] - box[:2]).prod() + (other[2:] - other[:2]).prod() - shared))


@pytest.mark.parametrize("pose", POSES)
def test_a_drawn_person_is_found_where_they_are_drawn(finder: PeopleFinder, pose: str) -> None:
    people = finder.find(draw_figure(POSES[pose], SIZE_WH))
    assert len(people) == 1 and measure_overlap(people.boxes[0], find_truth(pose)) > 0.6
    left, top, right, bottom = people.boxes[0]
    is_sure = people.keypoint_scores[0] > 0.3
    points = people.keypoints[0][is_sure]
    assert is_sure.sum() > 6
    assert (points > [left - 20, top - 20]).all() and (points < [right + 20, bottom + 20]).all()


def test_a_standing_person_has_head_above_hips_above_ankles(finder: PeopleFinder) -> None:
    people = finder.find(draw_figure(POSES["standing"], SIZE_WH))
    heights = dict(zip(KEYPOINTS, people.keypoints[0][:, 1], strict=True))
    _, top, _, bottom = people.boxes[0]
    assert top - 10 < heights["nose"] < heights["left_shoulder"] < heights["left_hip"]
    assert heights["left_hip"] < heights["left_knee"] < heights["left_ankle"] < bottom + 10


def test_an_empty_frame_has_nobody(finder: PeopleFinder) -> None:
    for frame in (np.zeros((240, 320, 3), np.uint8), np.full((1080, 1920, 3), 114, np.uint8)):
        assert len(finder.find(frame)) == 0


@pytest.mark.parametrize("size_wh", [(640, 360), (1920, 1080), (360, 640), (300, 300), (800, 300), (130, 100)])
def test_boxes_are_in_pixels_of_a_frame_of_any_size_and_inside_it(
    finder: PeopleFinder, size_wh: tuple[int, int]
) -> None:
    frame = draw_figure(POSES["goddess"], size_wh)
    dark = draw_figure(POSES["goddess"], size_wh, IN_THE_DARK)
    rows, columns = np.nonzero(dark.max(axis=2) > 32)
    truth = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], np.float32)
    people = finder.find(frame)
    assert len(people) == 1 and measure_overlap(people.boxes[0], truth) > 0.55
    assert (people.boxes >= 0).all() and (people.boxes <= [*size_wh, *size_wh]).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1), (7, 4000), (2160, 3840)])
def test_frames_of_extreme_sizes_are_looked_at(finder: PeopleFinder, shape: tuple[int, int]) -> None:
    assert len(finder.find(np.full((*shape, 3), 60, np.uint8))) == 0


@pytest.mark.parametrize("count", [2, 3])
def test_people_side_by_side_are_all_found_once(finder: PeopleFinder, count: int) -> None:
    width = 240
    frame = np.hstack([draw_figure(POSES["standing"], (width, 360)) for _ in range(count)])
    people = finder.find(frame)
    middles = (people.boxes[:, 0] + people.boxes[:, 2]) / 2
    assert sorted((middles // width).astype(int)) == list(range(count))
    assert (np.diff(people.scores) <= 0).all()


def test_a_larger_input_finds_more_and_smaller_people() -> None:
    pytest.importorskip("onnxruntime")
    frame = np.hstack([draw_figure(POSES["warrior_2"], (200, 360)) for _ in range(6)])
    few, many = (len(PeopleFinder("cpu", 1, side=side).find(frame)) for side in (256, 512))
    assert few < many == 6


def test_at_most_as_many_people_as_wanted_are_returned() -> None:
    pytest.importorskip("onnxruntime")
    frame = np.hstack([draw_figure(POSES["standing"], (240, 360)) for _ in range(3)])
    assert len(PeopleFinder("cpu", 1, most=2).find(frame)) == 2


def test_a_lower_score_lets_more_people_through() -> None:
    pytest.importorskip("onnxruntime")
    frame = draw_figure(POSES["tree"], SIZE_WH)
    counts = [len(PeopleFinder("cpu", 1, min_score=score).find(frame)) for score in (0.001, 0.2, 0.99)]
    assert counts[0] > counts[1] == 1 and counts[2] == 0


def test_a_region_is_looked_at_alone_in_pixels_of_the_whole_frame(finder: PeopleFinder) -> None:
    alone = draw_figure(POSES["chair"], SIZE_WH)
    frame = np.zeros((700, 1400, 3), np.uint8)
    frame[300:660, 100:740] = alone
    frame[300:660, 750:1390] = draw_figure(POSES["goddess"], SIZE_WH)
    assert len(finder.find(frame)) == 2
    [box] = finder.find(frame, Region(100, 300, 640, 360)).boxes
    np.testing.assert_allclose(box, finder.find(alone).boxes[0] + [100, 300, 100, 300], atol=1e-3)


def test_a_mirror_image_has_the_mirrored_person_with_sides_swapped(finder: PeopleFinder) -> None:
    frame = draw_figure(POSES["goddess"], SIZE_WH)
    people, mirrored = finder.find(frame), finder.find(np.ascontiguousarray(frame[:, ::-1]))
    back = mirrored.keypoints[0][list(OPPOSITE_KEYPOINTS)] * [-1, 1] + [SIZE_WH[0], 0]
    distances = np.linalg.norm(back - people.keypoints[0], axis=1)
    assert np.median(distances) < 0.1 * (people.boxes[0, 3] - people.boxes[0, 1])


def test_grey_and_bgra_frames_are_taken(finder: PeopleFinder) -> None:
    frame = draw_figure(POSES["goddess"], SIZE_WH)
    with_alpha = np.dstack([frame, np.full(frame.shape[:2], 255, np.uint8)])
    np.testing.assert_array_equal(finder.find(with_alpha).boxes, finder.find(frame).boxes)
    assert len(finder.find(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY))) == 1


@pytest.mark.parametrize("region", [(0, 0, 10, 10), "", Region(5000, 5000, 10, 10), Region(-5, -5, 20, 20)])
def test_what_is_no_region_of_the_frame_is_refused(finder: PeopleFinder, region: Any) -> None:
    with pytest.raises(ValueError, match=r"region must be a Region|does not lie in the frame"):
        finder.find(draw_figure(POSES["goddess"], SIZE_WH), region)


def test_what_is_no_frame_is_refused(finder: PeopleFinder) -> None:
    with pytest.raises(ValueError, match="a frame must be uint8"):
        finder.find(np.zeros((10, 10, 3)))


def test_openvino_finds_the_same_people(finder: PeopleFinder) -> None:
    pytest.importorskip("openvino")
    other = PeopleFinder("openvino", 1)
    assert (finder.device, other.device) == ("cpu", "openvino")
    for pose in ("goddess", "down_dog"):
        for size_wh in (SIZE_WH, (360, 640)):  # inputs of two shapes
            frame = draw_figure(POSES[pose], size_wh)
            one, two = finder.find(frame), other.find(frame)
            assert len(one) == len(two) == 1 and abs(one.scores[0] - two.scores[0]) < 0.05
            assert measure_overlap(one.boxes[0], two.boxes[0]) > 0.9
            is_sure = one.keypoint_scores[0] > 0.3
            assert np.abs(one.keypoints[0] - two.keypoints[0])[is_sure].mean() < 6


def test_without_its_engine_tensorrt_stands_for_the_cpu_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("onnxruntime")
    with caplog.at_level(logging.WARNING):
        assert PeopleFinder("tensorrt", 1).device == "cpu"
    [line] = caplog.messages
    assert line.startswith("the people finder runs on the CPU: it has no TensorRT engine")
    assert line.endswith("build one: yoga-export engine --people")


def test_a_device_that_is_missing_is_an_error_never_the_cpu() -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    with pytest.raises(DeviceError, match="--device cuda needs"):
        PeopleFinder("cuda")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"side": 250}, "side must be a multiple of 32 up to 1024; got 250"),
        ({"side": 0}, "side must be a whole number"),
        ({"side": 2048}, "got 2048"),
        ({"margin": 0.3}, "margin must be 0 to 0.25; got 0.3"),
        ({"most": 0}, "most must be a whole number from 1 to 1,000; got 0"),
        ({"min_score": 1.5}, "min_score must be 0 to 1; got 1.5"),
        ({"min_score": float("nan")}, "got nan"),
        ({"side": "256"}, "side must be a whole number from 32 to 1,024; got '256'"),
        ({"margin": None}, "margin must be 0 to 0.25; got None"),
        ({"most": 1.5}, "got 1.5"),
        ({"threads": 0}, "threads must be a whole number from 1 to 1,024; got 0"),
        ({"threads": 10**6}, "got 1000000"),
    ],
)
def test_numbers_out_of_bounds_are_refused_with_the_value(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PeopleFinder("cpu", **options)


class BrokenNetwork:
    """Answers with numbers that are not finite, as an overflow would."""

    device = "broken"

    def infer_outputs(self, outputs: Sequence[str], frames: Frame) -> list[Floats]:
        return [np.full((1, 34, 8, 8), np.nan, np.float32) for _ in outputs]


def test_output_that_is_not_finite_is_an_error(finder: PeopleFinder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finder, "_network", BrokenNetwork())
    with pytest.raises(ModelError, match="not finite on broken; try --device cpu"):
        finder.find(np.zeros((32, 32, 3), np.uint8))


@pytest.mark.parametrize(
    ("size_wh", "margin", "shape", "place"),
    [
        ((1920, 1080), 0, (160, 256), (0, 256, 144)),
        ((1080, 1920), 0, (256, 160), (0, 144, 256)),
        ((640, 480), 0, (192, 256), (0, 256, 192)),
        ((100, 100), 0, (256, 256), (0, 256, 256)),
        ((3000, 2), 0, (32, 256), (0, 256, 1)),
        ((1000, 500), 0.14, (160, 256), (28, 200, 100)),
    ],
)
def test_a_picture_and_its_border_fill_the_longer_side_and_the_rest_is_black(
    size_wh: tuple[int, int], margin: float, shape: tuple[int, int], place: tuple[int, int, int]
) -> None:
    frames, (border, width, height) = fit_frame(np.full((*size_wh[::-1], 3), (10, 20, 30), np.uint8), 256, margin)
    assert frames.shape == (1, *shape, 3) and (border, width, height) == place
    inner = frames[0, border : border + height, border : border + width]
    np.testing.assert_array_equal(inner, np.broadcast_to((30, 20, 10), (height, width, 3)))
    inner[:] = 0
    assert not frames.any()


@pytest.mark.parametrize("margin", [0.04, 0.08, 0.25])
@pytest.mark.parametrize("size_wh", [SIZE_WH, (360, 640)])
def test_a_margin_does_not_move_the_person(finder: PeopleFinder, size_wh: tuple[int, int], margin: float) -> None:
    frame = draw_figure(POSES["goddess"], size_wh)
    people, others = finder.find(frame), PeopleFinder("cpu", 1, margin=margin).find(frame)
    assert len(others) == 1 and measure_overlap(people.boxes[0], others.boxes[0]) > 0.85
    swapped = others.keypoints[0][list(OPPOSITE_KEYPOINTS)]  # a drawn person's front and back look alike
    moves = [np.linalg.norm(people.keypoints[0] - points, axis=1) for points in (others.keypoints[0], swapped)]
    assert np.minimum(*moves)[people.keypoint_scores[0] > 0.3].mean() < 15


def test_a_margin_makes_a_person_surer_whom_the_picture_cuts_close() -> None:
    pytest.importorskip("onnxruntime")
    left, top, right, bottom = find_truth("tree").astype(int)
    frame = np.ascontiguousarray(draw_figure(POSES["tree"], SIZE_WH)[top:bottom, left:right])
    tight, wide = (PeopleFinder("cpu", 1, margin=margin, min_score=0).find(frame) for margin in (0, 0.08))
    assert wide.scores[0] > tight.scores[0]
    boxes = wide.boxes[wide.scores > 0.2]
    assert (boxes >= 0).all() and (boxes <= [right - left, bottom - top, right - left, bottom - top]).all()


def test_the_shipped_network_is_small_enough_for_the_wheel() -> None:
    assert PEOPLE_MODEL.stat().st_size < 10e6
