"""Tells copies of one picture from two photos of one room, which a perceptual hash of 64 bits cannot.

Small grey pictures are laid over each other (shift and stretch along both axes, brightness and contrast, mirrored if
need be), and the largest local difference that remains decides: an arm that moved leaves a blob, a smaller or cropped
copy, or one that was compressed again, leaves noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt

from ...runtime.core.opencv import cv2
from ...runtime.core.types import Frame

SIDE = 64
"""Side of the small grey pictures: at 32 the arm of a person three metres away is one pixel wide."""
DIFFERENCE_LIMIT = 26.0
"""Largest local difference of copies, in grey levels at a contrast (standard deviation) of CONTRAST.

`benchmarks/same_picture.py`: chosen on drawn rooms and hand signs, tested on photos of people in rooms."""
CONTRAST = 50.0
LEAST_CONTRAST = 2.0  # grey levels; below it a picture shows nothing that could be compared
MOST_STRETCH, MOST_SHIFT = 1.25, 0.2  # shift: in half sides.  A crop by 5 % of each side stretches by 1.11
DARK, BRIGHT = 6.0, 249.0  # grey levels; beyond them a copy may be clipped, which says nothing about its contrast
BLUR = 0.7  # pixels
RIDGE = 1e-3 * np.eye(4)
LEVELS = ((16, 3), (32, 2), (64, 2))  # sides, steps: from coarse to fine (Lucas and Kanade 1981)

Floats = npt.NDArray[np.float32]


def make_thumbnail(frame_bgr: Frame) -> Frame:
    """Shrink a photo, uint8 (H, W, 3) BGR, to uint8 (SIDE, SIDE), grey; its proportions are not kept."""
    small = cv2.resize(frame_bgr, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.uint8)


@dataclass(frozen=True)
class _Level:
    """A picture at one size, and what solves for small changes of it.  solve: float (6, P)."""

    picture: Floats
    margin: int
    solve: Floats


class Template:
    """A thumbnail, uint8 (SIDE, SIDE), that others are laid over."""

    def __init__(self, thumbnail: Frame) -> None:
        self.levels = [_prepare(thumbnail, side) for side, _ in LEVELS]
        self.contrast = float(self.levels[-1].picture.std())

    def measure_difference(self, thumbnail: Frame) -> float:
        """Largest local difference that is left after alignment, in grey levels; infinite if nothing fits."""
        if self.contrast < LEAST_CONTRAST:
            return float("inf")
        others = [_shrink(thumbnail, side) for side, _ in LEVELS]
        finest = self.levels[-1].picture
        found = _compare(finest, others[-1], IN_PLACE)
        if found <= DIFFERENCE_LIMIT:  # most copies are not cropped
            return found
        place = IN_PLACE
        for level, other, (side, steps) in zip(self.levels, others, LEVELS, strict=True):
            if side == SIDE and _compare(self.levels[-2].picture, others[-2], place) > 2 * DIFFERENCE_LIMIT:
                return float("inf")  # most that are not copies
            inside = slice(level.margin, -level.margin)
            for _ in range(steps):
                warped = _warp(other, place)[inside, inside]
                _, gain, *change = (level.solve @ warped.reshape(-1)).tolist()
                place = place.move(change, max(gain, 0.2) * side / 2)
                if place.is_far:
                    return float("inf")
        return min(found, _compare(finest, others[-1], place))


@dataclass(frozen=True)
class _Place:
    """Where a picture is laid over another: x, y; the picture is 2 wide and high, its centre is 0."""

    scale: tuple[float, float] = (1.0, 1.0)
    shift: tuple[float, float] = (0.0, 0.0)

    def move(self, change: list[float], unit: float) -> _Place:
        """Take small changes back: shift x, y, stretch x, y, at most a tenth each.  unit: what stands for 1."""
        moves = [min(max(each / unit, -0.1), 0.1) for each in change]
        # The inverse of the change comes first (Baker and Matthews 2004).
        scale_x, scale_y = self.scale[0] / (1 + moves[2]), self.scale[1] / (1 + moves[3])
        shift = self.shift[0] - scale_x * moves[0], self.shift[1] - scale_y * moves[1]
        return _Place((scale_x, scale_y), shift)

    @property
    def is_far(self) -> bool:
        """Whether no copy lies so far off."""
        stretch = max(*self.scale, 1 / min(self.scale))
        return stretch > MOST_STRETCH or max(map(abs, self.shift)) > MOST_SHIFT


IN_PLACE = _Place()


def _shrink(thumbnail: Frame, side: int) -> Floats:
    picture = thumbnail.astype(np.float32)
    if side < len(picture):
        picture = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), BLUR), np.float32)


def _prepare(thumbnail: Frame, side: int) -> _Level:
    picture, margin = _shrink(thumbnail, side), max(1, side // 16)
    inside = slice(margin, -margin)
    basis = make_basis(picture)[inside, inside].reshape(-1, 6)
    solve = np.linalg.solve(basis.T @ basis + 1e-3 * np.eye(6), basis.T)
    return _Level(picture, margin, solve.astype(np.float32))


def make_basis(picture: Floats) -> npt.NDArray[np.float64]:
    """What small changes do to a picture, float (S, S, 6): brightness, contrast, shift and stretch in x and y."""
    side = len(picture)
    down, right = np.gradient(picture.astype(np.float64))
    y, x = _list_coordinates(side)
    return np.stack([np.ones_like(right), picture - picture.mean(), right, down, x * right, y * down], -1)


@cache
def _list_coordinates(side: int) -> npt.NDArray[np.float64]:
    """y and x of every pixel, -1 to 1, float (2, S, S)."""
    return np.mgrid[0:side, 0:side] / (side / 2) - (side - 1) / side


def _warp(picture: Floats, place: _Place) -> Floats:
    if place is IN_PLACE:
        return picture
    side = len(picture)
    centre = (side - 1) / 2
    x, y = (centre - scale * centre + shift * side / 2 for scale, shift in zip(place.scale, place.shift, strict=True))
    matrix = np.array([[place.scale[0], 0, x], [0, place.scale[1], y]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(picture, matrix, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.float32)


@lru_cache(maxsize=16)  # most ask for IN_PLACE
def _find_inside(side: int, place: _Place) -> npt.NDArray[np.bool_]:
    """Where both pictures are, without their rims, bool (S, S)."""
    centre = (side - 1) / 2
    inside = []
    for scale, shift in zip(place.scale, place.shift, strict=True):
        places = scale * (np.arange(side) - centre) + centre + shift * side / 2
        inside.append((places >= 1) & (places <= side - 2))
        inside[-1][[0, -1]] = False
    return inside[1][:, None] & inside[0][None]


def _compare(one: Floats, other: Floats, place: _Place) -> float:
    """Compare where both show something, after the other's brightness and contrast are taken to the first's."""
    side = len(one)
    warped = _warp(other, place)
    inside = _find_inside(side, place)
    clear = inside & (one > DARK) & (one < BRIGHT) & (warped > DARK) & (warped < BRIGHT)
    if np.count_nonzero(clear) < side * side / 4:
        clear = inside
    mine, theirs = one[clear], warped[clear]
    mean, others_mean = mine.mean(), theirs.mean()
    mine, theirs = mine - mean, theirs - others_mean
    spread = float(mine @ mine)
    gain = float(mine @ theirs) / max(spread, 1e-6)
    if gain < 0.3:
        return float("inf")
    # A curve, not a line: a copy that was made brighter or darker is clipped in one colour after the other.
    own, others = one - mean, warped - others_mean
    some = inside[::2, ::2]  # pixels enough for four numbers
    basis = _raise_powers(own[::2, ::2][some])
    curve = np.linalg.solve(np.einsum("in,jn->ij", basis, basis) + RIDGE, basis @ others[::2, ::2][some])
    expected = np.einsum("i,iyx->yx", curve, _raise_powers(own))
    rest = np.where(inside, (others - expected) / gain, 0).astype(np.float32)
    contrast = max(float(np.sqrt(spread / len(mine))), LEAST_CONTRAST)
    return float(np.abs(cv2.blur(rest, (3, 3))).max()) * CONTRAST / contrast


def _raise_powers(values: Floats) -> Floats:
    powers = np.empty((4, *values.shape), np.float32)
    powers[0] = 1
    np.divide(values, np.float32(CONTRAST), out=powers[1])
    np.multiply(powers[1], powers[1], out=powers[2])
    np.multiply(powers[2], powers[1], out=powers[3])
    return powers
