"""Names of people beside them: readable on small pictures, and within the picture."""

from __future__ import annotations

import numpy as np
import pytest

from yoga_live.runtime.core.regions import Region
from yoga_live.runtime.core.types import Hold
from yoga_live.runtime.drawing.canvas import BgrCanvas
from yoga_live.runtime.drawing.notes import find_name_px, find_note_px
from yoga_live.runtime.drawing.people_marks import PersonMark, draw_people
from yoga_live.runtime.drawing.text import find_height


@pytest.mark.parametrize(
    ("size_wh", "name_px"), [((640, 360), 14), ((426, 240), 14), ((320, 180), 14), ((160, 90), 8), ((1920, 1080), 35)]
)
def test_names_are_readable_on_small_pictures(size_wh: tuple[int, int], name_px: int) -> None:
    assert find_name_px(size_wh) == name_px >= find_note_px(size_wh)
    light = np.full((size_wh[1], size_wh[0], 3), 255, np.uint8)
    taken: list[Region] = []
    box = Region(size_wh[0] // 3, size_wh[1] // 2, size_wh[0] // 4, size_wh[1] // 3)
    draw_people(BgrCanvas(light), [PersonMark(1, box, Hold("tree", 0.9, 3.0))], {}, size_wh, taken)
    assert [label.height for label in taken] == [find_height(name_px)]
    assert (light[taken[0].top, box.left : box.left + 4] < 200).all()  # the ground under its words


def test_names_give_way_to_all_others() -> None:
    size_wh, taken = (426, 240), list[Region]()
    holds = [Hold(pose, 0.9, 12.0, side="left") for pose in ("tree", "warrior_2") * 2]
    marks = [PersonMark(n + 1, Region(20 + 100 * n, 60, 60, 150), hold) for n, hold in enumerate(holds)]
    draw_people(BgrCanvas(np.zeros((240, 426, 3), np.uint8)), marks, {}, size_wh, taken)
    covered = np.zeros((240, 426), int)
    for label in taken:
        covered[label.top : label.top + label.height, label.left : label.left + label.width] += 1
    assert len(taken) == 4 and covered.max() == 1


def test_a_long_name_is_shortened_to_the_picture() -> None:
    size_wh = 120, 160
    taken: list[Region] = []
    mark = PersonMark(2, Region(60, 60, 40, 80), Hold("revolved_half_moon_balance", 0.9, 63.0, side="left"))
    draw_people(BgrCanvas(np.zeros((160, 120, 3), np.uint8)), [mark], {}, size_wh, taken)
    assert taken[0].left >= 0 and taken[0].left + taken[0].width <= size_wh[0]
