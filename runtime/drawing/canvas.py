"""What the overlay is drawn on: a BGR picture, or the YUV planes of a decoded one, which then need no conversion.

Darkening and blending are linear, so that they look the same on both.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..core.frames import Colours
from ..core.opencv import cv2
from ..core.regions import Region
from ..core.types import Frame

Bgr = tuple[int, int, int]
Mask = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Palette:
    """What each level of ink looks like.  opacity: float (256,), 0 to 1; colours: float (256, 3), BGR."""

    opacity: npt.NDArray[np.float64]
    colours_bgr: npt.NDArray[np.float64]

    @classmethod
    def of(cls, colour_bgr: Bgr) -> Palette:
        """One colour; the level is its opacity."""
        return cls(np.arange(256) / 255, np.tile(np.array(colour_bgr, np.float64), (256, 1)))

    def to_tables(self, values: npt.NDArray[Any]) -> tuple[Mask, Mask]:
        """Level -> what remains of the ground (255 = all), and what is added; values: float (256,) or (256, 3)."""
        opacity = self.opacity.reshape((256,) + (1,) * (values.ndim - 1))
        keep = np.broadcast_to(255 - np.rint(255 * opacity), values.shape)
        return keep.astype(np.uint8), np.rint(values * (255 - keep) / 255).astype(np.uint8)


class Ink:
    """Levels of a palette, uint8 (h, w); what a canvas makes of it is kept for the next frame."""

    def __init__(self, levels: Mask, palette: Palette) -> None:
        self.levels, self._palette = levels, palette
        self._yuv: dict[Colours, list[tuple[Mask, Mask]]] = {}
        self._stretched: dict[tuple[float, float], Ink] = {}

    def stretch(self, across: float, along: float) -> Ink:
        """The same ink, so many times as wide and as high."""
        if (across, along) not in self._stretched:
            height, width = self.levels.shape
            size_wh = max(1, round(width * across)), max(1, round(height * along))
            levels = np.asarray(cv2.resize(self.levels, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
            self._stretched[across, along] = Ink(levels, self._palette)
        return self._stretched[across, along]

    @cached_property
    def bgr(self) -> tuple[Mask, Mask]:
        """What remains of the ground (255 = all), and what is added to it, uint8 (h, w, 3)."""
        keep, add = self._palette.to_tables(self._palette.colours_bgr)
        levels = cv2.merge([self.levels] * 3)
        return _look_up(levels, keep[None]), _look_up(levels, add[None])

    def yuv(self, colours: Colours) -> list[tuple[Mask, Mask]]:
        """The same for each plane, uint8 (h, w); the chroma's level is the mean of 2 x 2."""
        if colours not in self._yuv:
            height, width = self.levels.shape
            even = cv2.copyMakeBorder(self.levels, 0, height % 2, 0, width % 2, cv2.BORDER_CONSTANT)
            half_wh = (width + 1) // 2, (height + 1) // 2
            half = cv2.resize(even, half_wh, interpolation=cv2.INTER_AREA)
            values = np.array([colours.to_yuv(bgr) for bgr in self._palette.colours_bgr.tolist()], np.float64)
            tables = [self._palette.to_tables(values[:, plane]) for plane in range(3)]
            self._yuv[colours] = [
                (_look_up(levels, keep), _look_up(levels, add))
                for levels, (keep, add) in zip((self.levels, half, half), tables, strict=True)
            ]
        return self._yuv[colours]


HIDDEN_BLOCKS = 6
"""Along the longer side of a hidden area: its own colours, far too few to tell a face."""


class Canvas(Protocol):
    """Strokes; an area may reach beyond the picture."""

    size_wh: tuple[int, int]

    def mirror(self) -> None:
        """Flip left and right what has been drawn so far."""
        ...

    def shade(self, area: Region, light: float) -> None:
        """Leave this share of the light, 0 to 1."""
        ...

    def fill(self, area: Region, colour_bgr: Bgr) -> None:
        """Cover with a colour."""
        ...

    def hide(self, area: Region) -> None:
        """Make unrecognisable: a few blocks, blurred, are left of it."""
        ...

    def blend(self, ink: Ink, at: tuple[int, int]) -> None:
        """Blend ink in; at: x, y of its upper left corner, pixels, not negative."""
        ...


class BgrCanvas:
    """A picture, uint8 (H, W, 3) BGR."""

    def __init__(self, scene: Frame) -> None:
        self._scene = scene
        self.size_wh = scene.shape[1], scene.shape[0]

    def mirror(self) -> None:
        """See Canvas."""
        self._scene[:] = cv2.flip(self._scene, 1)

    def shade(self, area: Region, light: float) -> None:
        """See Canvas."""
        _darken(area.cut(self._scene), light, 0)

    def fill(self, area: Region, colour_bgr: Bgr) -> None:
        """See Canvas."""
        if area.width > 0 and area.height > 0:
            # By its corners: OpenCV crashes where a Ctrl-C meets the other form, (x, y, width, height).
            corner = area.left + area.width - 1, area.top + area.height - 1
            cv2.rectangle(self._scene, (area.left, area.top), corner, colour_bgr, cv2.FILLED)

    def hide(self, area: Region) -> None:
        """See Canvas."""
        _blur(_cut_inside(self._scene, area))

    def blend(self, ink: Ink, at: tuple[int, int]) -> None:
        """See Canvas."""
        _blend(self._scene, *ink.bgr, at)


class YuvCanvas:
    """The planes of a picture, uint8 (H, W), and twice (H / 2, W / 2), limited range."""

    def __init__(self, planes: tuple[Frame, Frame, Frame], colours: Colours) -> None:
        self._planes, self._colours = planes, colours
        self.size_wh = planes[0].shape[1], planes[0].shape[0]

    def mirror(self) -> None:
        """See Canvas."""
        for plane in self._planes:
            plane[:] = cv2.flip(plane, 1)

    def shade(self, area: Region, light: float) -> None:
        """See Canvas."""
        for plane, black, part in zip(self._planes, (16, 128, 128), _on_planes(area), strict=True):
            _darken(part.cut(plane), light, black)

    def fill(self, area: Region, colour_bgr: Bgr) -> None:
        """See Canvas."""
        for plane, value, part in zip(self._planes, self._colours.to_yuv(colour_bgr), _on_planes(area), strict=True):
            part.cut(plane)[:] = value

    def hide(self, area: Region) -> None:
        """See Canvas."""
        for plane, part in zip(self._planes, _on_planes(area), strict=True):
            _blur(_cut_inside(plane, part))

    def blend(self, ink: Ink, at: tuple[int, int]) -> None:
        """See Canvas; begins at even pixels, where a sample of the chroma begins."""
        x, y = at[0] // 2, at[1] // 2
        for plane, (keep, add), place in zip(
            self._planes, ink.yuv(self._colours), ((2 * x, 2 * y), (x, y), (x, y)), strict=True
        ):
            _blend(plane, keep, add, place)


class StretchedCanvas:
    """A canvas whose pixels are not square, drawn on as if they were; what is drawn looks right once it is shown."""

    def __init__(self, canvas: Canvas, size_wh: tuple[int, int]) -> None:
        """size_wh: of the picture as it is shown, in square pixels."""
        self._canvas, self.size_wh = canvas, size_wh
        self._across, self._along = canvas.size_wh[0] / size_wh[0], canvas.size_wh[1] / size_wh[1]

    def mirror(self) -> None:
        """See Canvas."""
        self._canvas.mirror()

    def shade(self, area: Region, light: float) -> None:
        """See Canvas."""
        self._canvas.shade(self._find(area), light)

    def fill(self, area: Region, colour_bgr: Bgr) -> None:
        """See Canvas."""
        self._canvas.fill(self._find(area), colour_bgr)

    def hide(self, area: Region) -> None:
        """See Canvas."""
        self._canvas.hide(self._find(area))

    def blend(self, ink: Ink, at: tuple[int, int]) -> None:
        """See Canvas."""
        place = round(at[0] * self._across), round(at[1] * self._along)
        self._canvas.blend(ink.stretch(self._across, self._along), place)

    def _find(self, area: Region) -> Region:
        """An area in stored pixels; what is not empty stays so."""
        left, right = (round(x * self._across) for x in (area.left, area.left + area.width))
        top, bottom = (round(y * self._along) for y in (area.top, area.top + area.height))
        return Region(left, top, max(right - left, min(area.width, 1)), max(bottom - top, min(area.height, 1)))


def _on_planes(area: Region) -> tuple[Region, Region, Region]:
    """An area in pixels of each plane; on the small ones outwards."""
    left, top = area.left // 2, area.top // 2
    right, bottom = (area.left + area.width + 1) // 2, (area.top + area.height + 1) // 2
    small = Region(left, top, right - left, bottom - top)
    return area, small, small


def _look_up(levels: npt.NDArray[Any], table: Mask) -> Mask:
    return np.asarray(cv2.LUT(levels, table), np.uint8)


def _cut_inside(plane: Frame, area: Region) -> Frame:
    """View what of an area is inside; it may begin to the left of a plane or above it."""
    return plane[max(area.top, 0) : max(area.top + area.height, 0), max(area.left, 0) : max(area.left + area.width, 0)]


def _blur(part: Frame) -> None:
    """Leave a few blocks of a picture, in place, and go smoothly from one to the next."""
    if part.size:
        height, width = part.shape[:2]
        scale = min(1.0, HIDDEN_BLOCKS / max(height, width))
        blocks_wh = max(1, round(width * scale)), max(1, round(height * scale))
        blocks = cv2.resize(part, blocks_wh, interpolation=cv2.INTER_AREA)
        part[:] = cv2.resize(blocks, (width, height), interpolation=cv2.INTER_LINEAR)


def _darken(area: npt.NDArray[Any], light: float, black: int) -> None:
    if area.size:
        cv2.convertScaleAbs(area, area, light, black * (1 - light))


def _blend(plane: Frame, keep: Mask, add: Mask, at: tuple[int, int]) -> None:
    """plane * keep / 255 + add, in place."""
    area = plane[at[1] : at[1] + keep.shape[0], at[0] : at[0] + keep.shape[1]]
    if area.size:
        keep, add = keep[: area.shape[0], : area.shape[1]], add[: area.shape[0], : area.shape[1]]
        cv2.multiply(area, keep, area, 1 / 255)
        cv2.add(area, add, area)
