"""A class of two drawn people, which several files take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from yoga_live.runtime.core.types import Frame
from yoga_live.runtime.sources.drawn_figure import POSES, Appearance, draw_figure

RATE, PART_WH = 8, (480, 360)
BLUE, GREEN, RED = (255, 60, 60), (60, 255, 60), (60, 60, 255)  # of rooms: tree, warrior_2, none


def draw_two(seconds: int) -> Iterator[Frame]:
    """On the left a tree, on the right a warrior 2 after a rest."""
    rooms = {colour: Appearance(wall=colour, floor=colour, mat=colour, window_x=None) for colour in (BLUE, GREEN, RED)}
    tree = draw_figure(POSES["tree"], PART_WH, rooms[BLUE])
    rest, warrior = (draw_figure(POSES["warrior_2"], PART_WH, rooms[colour]) for colour in (RED, GREEN))
    for count in range(seconds * RATE):
        yield np.hstack([tree, warrior if count >= seconds * RATE // 2 else rest])


@pytest.fixture(scope="session")
def two_people(write_clip: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven seconds of two people side by side, whom the finder finds."""
    path = tmp_path_factory.mktemp("two people") / "two.mp4"
    size_wh = PART_WH[0] * 2, PART_WH[1]
    return write_clip(path, list(draw_two(7)), rate=Fraction(RATE), size_wh=size_wh)
