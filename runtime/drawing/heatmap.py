"""Where the network saw the pose: its class map as soft heat over the picture (CAM, Zhou et al. 2016)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ..core.opencv import cv2
from ..core.preprocess import fit_inside
from ..core.regions import Box, Region
from ..core.types import ClassMaps, Floats
from .canvas import Ink, Palette

HEAT = np.array([[60, 190, 250], [40, 120, 245], [40, 40, 215]], np.float64)
"""BGR from weak to strong: amber, orange, red; told apart in print and by most eyes."""
HEAT_SHARE = 0.5  # of the picture at the strongest place; the body under it must stay visible
FADE = 1.5  # power by which heat fades: weak evidence would veil the whole picture
EDGE = 14  # of the square's pixels over which heat fades towards the edge of a crop
LEAST_LEVEL = 10  # of 255: less heat than this changes no pixel
SQUARE = 224  # side of the square that a map is smoothly enlarged to


@lru_cache(maxsize=2)  # a look is drawn on several frames
def make_heat(class_maps: ClassMaps, pose: str, size_wh: tuple[int, int]) -> tuple[Ink, tuple[int, int]] | None:
    """The heat of a pose and where it lies, x and y, in a frame of this size; None where nothing speaks for it.

    The mean over the classes is taken out: softmax does not see it, and it hides what sets a pose apart.
    """
    class_map = class_maps.maps[class_maps.labels.index(pose)] - class_maps.maps.mean(axis=0)
    region = class_maps.region or Region(0, 0, *size_wh)
    left, top, width, height = fit_inside((region.width, region.height), SQUARE)
    picture = enlarge_map(class_map, SQUARE)[top : top + height, left : left + width]
    peak = float(picture.max())
    if peak <= 0:
        return None
    strength = np.clip(picture / peak, 0, 1)
    if class_maps.region:  # a crop's edge is no edge of the evidence
        strength = strength * _ramp(height)[:, None] * _ramp(width)
    levels = np.rint(strength * 255).astype(np.uint8)
    if not (levels > LEAST_LEVEL).any():
        return None
    seen = _bound(levels > LEAST_LEVEL, (region.width, region.height))
    large = np.asarray(cv2.resize(levels, (region.width, region.height), interpolation=cv2.INTER_LINEAR), np.uint8)
    ink = Ink(np.ascontiguousarray(seen.cut(large), np.uint8), _make_palette())
    return ink, (region.left + seen.left, region.top + seen.top)


def _ramp(length: int) -> Floats:
    """From 0 at both ends to 1, float (length,)."""
    middle = np.arange(length, dtype=np.float32) + 0.5
    return np.minimum(np.minimum(middle, length - middle) / np.float32(EDGE), np.float32(1))


def enlarge_map(class_map: npt.NDArray[np.floating], side: int) -> Floats:
    """A map, float (h, w), as large as the square of `side` pixels that it is of.

    A ResNet's strided, padded convolutions centre their output i on input 2 i: cell i sees around pixel 32 i of 224,
    not around the middle of its seventh, half a cell further to the right and down.
    """
    height, width = class_map.shape
    to_cells = np.array([[width / side, 0, 0], [0, height / side, 0]])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    square = cv2.warpAffine(
        class_map.astype(np.float32), to_cells, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(square, np.float32)


def _bound(seen: npt.NDArray[np.bool_], size_wh: tuple[int, int]) -> Region:
    """The rectangle around what is set, one cell wider, in a picture of another size; bool (h, w), something is set."""
    height, width = seen.shape
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    left, top = max(int(columns[0]) - 1, 0) / width, max(int(rows[0]) - 1, 0) / height
    right, bottom = min(int(columns[-1]) + 2, width) / width, min(int(rows[-1]) + 2, height) / height
    return Box(left, top, right, bottom).to_region(size_wh)


@lru_cache(maxsize=1)
def _make_palette() -> Palette:
    strength = np.linspace(0, 1, 256)
    steps = np.linspace(0, 1, len(HEAT))
    colours = np.stack([np.interp(strength, steps, HEAT[:, channel]) for channel in range(3)], axis=1)
    return Palette(HEAT_SHARE * strength**FADE, colours)
