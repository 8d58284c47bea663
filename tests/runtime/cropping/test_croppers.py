"""Where the loop looks: everywhere, where a hand said, where the zoom finds someone."""

import numpy as np
import pytest

from yoga_live.runtime.core.regions import Region, parse_roi
from yoga_live.runtime.cropping.croppers import FixedCropper, WholeFrame, ZoomCropper
from yoga_live.runtime.errors import OptionError

FRAME = np.zeros((90, 160, 3), np.uint8)


def test_whole_view_leaves_nothing_out() -> None:
    assert WholeFrame().choose_crop(0.0, FRAME) is None


def test_fixed_view_is_the_same_part_of_every_frame() -> None:
    cropper = FixedCropper(parse_roi("0.5,0,0.5,1"))
    assert cropper.choose_crop(0.0, FRAME) == cropper.choose_crop(9.0, FRAME) == Region(80, 0, 80, 90)


def test_fixed_view_refuses_a_frame_that_has_become_too_small() -> None:
    with pytest.raises(OptionError, match="60 x 40"):
        FixedCropper(parse_roi("0,0,100,80")).choose_crop(0.0, FRAME[:40, :60])


def test_zoom_view_is_whole_until_someone_moves() -> None:
    cropper, regions = ZoomCropper(), []
    for number in range(60):
        frame = FRAME.copy()
        frame[50:70, 100 + number % 8 : 110 + number % 8] = 200 if number > 20 else 0
        regions.append(cropper.choose_crop(number / 10, frame))
    assert regions[20] is None
    assert isinstance(regions[-1], Region) and regions[-1].left > 0
