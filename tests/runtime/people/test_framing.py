"""The crop around a person: square, with a margin, inside the frame."""

from __future__ import annotations

import math

import numpy as np
import pytest

from yoga_live.runtime.core.regions import Region
from yoga_live.runtime.people.framing import LEAST_PX, frame_person


def test_a_person_in_the_middle_gets_a_square_with_a_margin_around_the_same_centre() -> None:
    assert frame_person((900, 400, 1000, 700), (1920, 1080)) == Region(755, 355, 390, 390)
    assert frame_person((900, 400, 1000, 700), (1920, 1080), margin=0) == Region(800, 400, 300, 300)


def test_near_an_edge_the_square_is_moved_and_keeps_its_size() -> None:
    assert frame_person((0, 0, 100, 200), (640, 480), margin=0.1) == Region(0, 0, 240, 240)
    assert frame_person((540, 280, 640, 480), (640, 480), margin=0.1) == Region(400, 240, 240, 240)


def test_what_does_not_fit_is_cut_on_that_axis_alone() -> None:
    lying = frame_person((100, 300, 500, 400), (640, 360))
    assert (lying.width, lying.height, lying.top) == (520, 360, 0)
    assert frame_person((0, 0, 640, 360), (640, 360)) == Region(0, 0, 640, 360)


def test_a_tiny_person_gets_the_least_side_unless_the_frame_is_smaller() -> None:
    assert frame_person((300, 200, 310, 220), (640, 480)) == Region(273, 178, LEAST_PX, LEAST_PX)
    assert frame_person((3, 3, 9, 20), (40, 30)) == Region(0, 0, 40, 30)


def test_any_box_inside_a_frame_is_framed_whole() -> None:
    rng = np.random.default_rng(5)
    for _ in range(500):
        size_wh = int(rng.integers(1, 700)), int(rng.integers(1, 700))
        corners = np.sort(rng.uniform(0, 1, (2, 2)), axis=0) * size_wh
        box = corners.ravel().astype(np.float32)
        if not (box[2] > box[0] and box[3] > box[1]):
            continue
        region = frame_person(box, size_wh)
        assert region.left >= 0 and region.left + region.width <= size_wh[0]
        assert region.top >= 0 and region.top + region.height <= size_wh[1]
        assert region.left <= box[0] + 1 and region.left + region.width >= box[2] - 1
        assert region.top <= box[1] + 1 and region.top + region.height >= box[3] - 1


@pytest.mark.parametrize("box", [(5, 5, 5, 9), (5, 9, 8, 9), (math.nan, 0, 1, 1), (0, 0, math.inf, 1), (9, 0, 5, 5)])
def test_a_box_that_is_none_is_refused(box: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="box_ltrb must be left, top, right, bottom"):
        frame_person(box, (100, 100))


def test_an_empty_frame_and_a_negative_margin_are_refused() -> None:
    with pytest.raises(ValueError, match=r"got \(0, 9\) and 0.15"):
        frame_person((0, 0, 5, 5), (0, 9))
    with pytest.raises(ValueError, match=r"got \(9, 9\) and -1"):
        frame_person((0, 0, 5, 5), (9, 9), margin=-1)


def test_a_person_fills_no_more_of_the_crop_than_was_asked() -> None:
    box = (900, 500, 1000, 700)
    assert frame_person(box, (1920, 1080), most_share=1.0) == frame_person(box, (1920, 1080))
    region = frame_person(box, (1920, 1080), most_share=0.5)
    assert (region.width, region.height) == (400, 400) and (region.left, region.top) == (750, 400)
    assert frame_person(box, (1920, 1080), most_share=0.1).height == 1080
    for share in (0.0, 1.01, math.nan):
        with pytest.raises(ValueError, match="most_share must be above 0 and at most 1"):
            frame_person(box, (1920, 1080), most_share=share)
