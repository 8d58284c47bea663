"""A region by hand: read strictly, and never outside of the picture."""

import numpy as np
import pytest

from yoga_live.runtime.core.regions import WHOLE, Box, Region, parse_roi
from yoga_live.runtime.errors import OptionError


@pytest.mark.parametrize(
    ("text", "size_wh", "region"),
    [
        ("100,50,640,480", (1280, 720), Region(100, 50, 640, 480)),
        ("0.5,0,0.5,1", (1280, 720), Region(640, 0, 640, 720)),
        ("0,0,1,1", (641, 359), Region(0, 0, 641, 359)),
        (" 0.25, 0.25, .5, .5 ", (64, 64), Region(16, 16, 32, 32)),
        ("0.3,0.3,0.7,0.7", (333, 777), Region(100, 233, 233, 544)),
    ],
)
def test_pixels_and_shares_are_understood(text: str, size_wh: tuple[int, int], region: Region) -> None:
    assert parse_roi(text).to_region(size_wh) == region


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "1;2;3;4", "0,0,1,x"])
def test_what_is_not_four_numbers_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(OptionError, match="not four numbers; give X,Y,W,H"):
        parse_roi(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("-1,0,50,50", "starts outside"),
        ("nan,0,50,50", "starts outside"),
        ("inf,0,50,50", "starts outside"),
        ("0,0,0,50", "is empty"),
        ("0,0,50,-3", "is empty"),
        ("0,0,nan,50", "is empty"),
        ("0,0,inf,50", "is empty"),
        ("1e308,0,1e308,10", "starts outside"),
        ("0,0,1e308,10", "is empty or larger than any picture"),
    ],
)
def test_impossible_numbers_are_refused(text: str, reason: str) -> None:
    with pytest.raises(OptionError, match=reason):
        parse_roi(text)


@pytest.mark.parametrize("text", ["600,0,100,100", "0,300,100,100", "0.6,0,0.5,1", "700,700,20,20"])
def test_region_outside_of_the_picture_is_refused_with_its_size(text: str) -> None:
    with pytest.raises(OptionError, match="640 x 360"):
        parse_roi(text).to_region((640, 360))


def test_region_of_a_few_pixels_is_refused() -> None:
    with pytest.raises(OptionError, match="2 x 2 pixels here"):
        parse_roi("0,0,2,2").to_region((640, 360))


def test_cut_is_the_part_itself() -> None:
    frame = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)
    region = Region(2, 1, 4, 3)
    np.testing.assert_array_equal(region.cut(frame), frame[1:4, 2:6])
    assert not region.is_whole(frame) and Region(0, 0, 8, 6).is_whole(frame)


@pytest.mark.parametrize("size_wh", [(1, 1), (7, 3), (1920, 1080)])
@pytest.mark.parametrize("box", [WHOLE, Box(0.999, 0.999, 1, 1), Box(0.2, 0.3, 0.2, 0.3), Box(0, 0, 0.001, 1)])
def test_box_becomes_pixels_that_exist(size_wh: tuple[int, int], box: Box) -> None:
    region = box.to_region(size_wh)
    assert region.left >= 0 and region.left + region.width <= size_wh[0] and region.width >= 1
    assert region.top >= 0 and region.top + region.height <= size_wh[1] and region.height >= 1
