"""The strokes look the same on a BGR picture and on the planes of a decoded one."""

import subprocess
import sys
from collections.abc import Callable

import av
import numpy as np
import pytest

from yoga_live.runtime.core.frames import Colours, DecodedFrame
from yoga_live.runtime.core.opencv import cv2
from yoga_live.runtime.core.regions import Region
from yoga_live.runtime.drawing.canvas import BgrCanvas, Canvas, Ink, Palette, StretchedCanvas, YuvCanvas

GREEN = (150, 205, 120)
SIZE_WH = (96, 64)


def soft_disc(side: int) -> np.ndarray:
    y, x = np.mgrid[:side, :side] - side / 2
    return np.clip(300 - 500 * np.hypot(x, y) / side, 0, 255).astype(np.uint8)


STROKES: dict[str, Callable[[Canvas], None]] = {
    "shade": lambda canvas: canvas.shade(Region(10, 20, 50, 30), 0.32),
    "shade at odd pixels": lambda canvas: canvas.shade(Region(11, 21, 49, 29), 0.32),
    "fill": lambda canvas: canvas.fill(Region(10, 20, 50, 30), GREEN),
    "blend": lambda canvas: canvas.blend(Ink(soft_disc(40), Palette.of(GREEN)), (20, 10)),
    "blend beyond the edge": lambda canvas: canvas.blend(Ink(soft_disc(90), Palette.of((255, 255, 255))), (50, 20)),
    "blend outside": lambda canvas: canvas.blend(Ink(soft_disc(20), Palette.of(GREEN)), (200, 100)),
    "shade outside": lambda canvas: canvas.shade(Region(90, 60, 30, 30), 0.32),
    "hide": lambda canvas: canvas.hide(Region(10, 20, 50, 30)),
    "hide at odd pixels": lambda canvas: canvas.hide(Region(11, 21, 49, 29)),
    "hide beyond the edge": lambda canvas: canvas.hide(Region(-8, 40, 40, 50)),
    "hide outside": lambda canvas: canvas.hide(Region(200, 20, 30, 30)),
    "mirror": lambda canvas: canvas.mirror(),
}


def ramp() -> np.ndarray:
    y, x = np.mgrid[: SIZE_WH[1], : SIZE_WH[0]]
    return np.stack([60 + x, 200 - 2 * y, 80 + x], axis=2).astype(np.uint8)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no interval timer")
def test_a_fill_that_ctrl_c_meets_does_not_crash() -> None:
    storm = """
import signal, sys, time
import numpy as np
from yoga_live.runtime.core.regions import Region
from yoga_live.runtime.drawing.canvas import BgrCanvas

canvas = BgrCanvas(np.zeros((54, 96, 3), np.uint8))
def stop(*_):
    raise KeyboardInterrupt
signal.signal(signal.SIGALRM, stop)
for _ in range(2000):
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0003)
        while True:
            canvas.fill(Region(3, 4, 20, 2), (1, 2, 3))
    except KeyboardInterrupt:
        pass
"""
    process = subprocess.run([sys.executable, "-c", storm], capture_output=True, text=True, timeout=60)
    assert process.returncode == 0, process.stderr


@pytest.mark.parametrize(
    "area", [Region(10, 20, 1, 1), Region(10, 20, 0, 5), Region(90, 60, 30, 30), Region(-5, -5, 9, 9)]
)
def test_a_fill_covers_its_area_and_nothing_else(area: Region) -> None:
    scene = np.zeros((SIZE_WH[1], SIZE_WH[0], 3), np.uint8)
    BgrCanvas(scene).fill(area, GREEN)
    y, x = np.mgrid[: SIZE_WH[1], : SIZE_WH[0]]
    inside = (x >= area.left) & (x < area.left + area.width) & (y >= area.top) & (y < area.top + area.height)
    assert np.array_equal(scene, np.where(inside[..., None], np.array(GREEN, np.uint8), np.uint8(0)))


@pytest.mark.parametrize("matrix", [1, 5, 9])
@pytest.mark.parametrize("name", STROKES)
def test_a_stroke_looks_the_same_on_planes(name: str, matrix: int) -> None:
    colours = Colours(matrix=matrix)
    yuv = av.VideoFrame.from_ndarray(ramp(), format="bgr24").reformat(format="yuv420p", dst_colorspace=matrix)
    frame = DecodedFrame(yuv, 0, 0).copy_plain()
    scene = frame.image_bgr
    STROKES[name](YuvCanvas(frame.view_planes(), colours))
    STROKES[name](BgrCanvas(scene))
    apart = np.abs(frame.image_bgr.astype(int) - scene)
    assert apart.mean() < 1
    assert np.quantile(apart, 0.98) <= 8  # an edge of colour is as coarse as 4:2:0


def test_ink_begins_at_the_even_pixel_and_its_levels_are_opacity() -> None:
    luma = np.zeros((8, 8), np.uint8)
    canvas = YuvCanvas((luma, np.full((4, 4), 128, np.uint8), np.full((4, 4), 128, np.uint8)), Colours())
    canvas.blend(Ink(np.full((2, 2), 255, np.uint8), Palette.of((255, 255, 255))), (3, 3))
    assert (luma[2:4, 2:4] == 235).all() and luma.sum() == 4 * 235


def test_a_palette_has_an_opacity_and_a_colour_for_each_level() -> None:
    scene = np.full((1, 3, 3), 100, np.uint8)
    opacity = np.array([0.0] + [0.5] * 254 + [1.0])
    colours = np.zeros((256, 3))
    colours[255] = (10, 20, 30)
    BgrCanvas(scene).blend(Ink(np.array([[0, 7, 255]], np.uint8), Palette(opacity, colours)), (0, 0))
    assert scene[0, 0].tolist() == [100] * 3 and scene[0, 2].tolist() == [10, 20, 30]
    assert np.abs(scene[0, 1].astype(int) - 50).max() <= 1


def test_of_a_hidden_area_a_few_colours_are_left_and_the_rest_is_untouched() -> None:
    rng = np.random.default_rng(5)
    scene = rng.integers(0, 256, (64, 96, 3), np.uint8)
    before = scene.copy()
    BgrCanvas(scene).hide(Region(20, 10, 48, 48))
    inside = np.zeros((64, 96), bool)
    inside[10:58, 20:68] = True
    assert np.array_equal(scene[~inside], before[~inside])
    hidden = scene[10:58, 20:68].astype(float)
    assert np.abs(np.diff(hidden, axis=1)).max() <= 20  # noise of 0 to 255 has become smooth
    few = cv2.resize(hidden, (6, 6), interpolation=cv2.INTER_AREA)
    again = cv2.resize(few, (48, 48), interpolation=cv2.INTER_LINEAR)
    assert np.abs(again - hidden).mean() < 4  # six blocks tell all that is left


@pytest.mark.parametrize("side", [1, 2, 3, 5, 7])
def test_the_smallest_areas_can_be_hidden(side: int) -> None:
    scene = np.full((9, 9, 3), 70, np.uint8)
    BgrCanvas(scene).hide(Region(1, 1, side, 1))
    planes = np.full((10, 10), 70, np.uint8), np.full((5, 5), 128, np.uint8), np.full((5, 5), 128, np.uint8)
    YuvCanvas(planes, Colours()).hide(Region(1, 1, 1, side))
    assert (scene == 70).all() and (planes[0] == 70).all() and (planes[1] == 128).all()  # a plain area stays plain


def test_a_hidden_area_is_where_it_looks_where_pixels_are_not_square() -> None:
    rng = np.random.default_rng(6)
    scene = rng.integers(0, 256, (40, 40, 3), np.uint8)
    before = scene.copy()
    StretchedCanvas(BgrCanvas(scene), (80, 40)).hide(Region(40, 10, 40, 20))
    changed = (scene != before).any(axis=2)
    assert changed[10:30, 20:40].mean() > 0.9 and not changed[:, :20].any() and not changed[:10].any()
