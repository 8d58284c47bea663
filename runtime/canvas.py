"""What the overlay is drawn on: a BGR picture, or the YUV planes of a decoded one, which then need no conversion.

Darkening and blending are linear, so that they look the same on both.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from .frames import Colours
from .opencv import cv2
from .preprocess import Frame
from .regions import Region

Bgr = tuple[int, int, int]
Mask = npt.NDArray[np.uint8]


class Ink:
    """Opacity, uint8 (h, w), in one colour; what a canvas makes of it is kept for the next frame."""

    def __init__(self, opacity: Mask, colour_bgr: Bgr) -> None:
        self.opacity, self.colour_bgr = opacity, colour_bgr
        self._yuv: dict[Colours, list[tuple[Mask, Mask]]] = {}

    @cached_property
    def bgr(self) -> tuple[Mask, Mask]:
        """What remains of the ground (255 = all), and what is added to it, uint8 (h, w, 3)."""
        opacity = np.repeat(self.opacity[:, :, None], 3, axis=2)
        return 255 - opacity, _scale(opacity, self.colour_bgr)

    def yuv(self, colours: Colours) -> list[tuple[Mask, Mask]]:
        """The same for each plane; the chroma's opacity is the mean of 2 x 2."""
        if colours not in self._yuv:
            height, width = self.opacity.shape
            even = cv2.copyMakeBorder(self.opacity, 0, height % 2, 0, width % 2, cv2.BORDER_CONSTANT)
            half_wh = (width + 1) // 2, (height + 1) // 2
            half = np.asarray(cv2.resize(even, half_wh, interpolation=cv2.INTER_AREA), np.uint8)
            planes = zip((self.opacity, half, half), colours.to_yuv(self.colour_bgr), strict=True)
            self._yuv[colours] = [(255 - opacity, _scale(opacity, value)) for opacity, value in planes]
        return self._yuv[colours]


class Canvas(Protocol):
    """Three strokes; an area may reach beyond the picture."""

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
        area.cut(self._scene)[:] = colour_bgr

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

    def blend(self, ink: Ink, at: tuple[int, int]) -> None:
        """See Canvas; begins at even pixels, where a sample of the chroma begins."""
        x, y = at[0] // 2, at[1] // 2
        for plane, (keep, add), place in zip(
            self._planes, ink.yuv(self._colours), ((2 * x, 2 * y), (x, y), (x, y)), strict=True
        ):
            _blend(plane, keep, add, place)


def _on_planes(area: Region) -> tuple[Region, Region, Region]:
    """An area in pixels of each plane; on the small ones outwards."""
    left, top = area.left // 2, area.top // 2
    right, bottom = (area.left + area.width + 1) // 2, (area.top + area.height + 1) // 2
    small = Region(left, top, right - left, bottom - top)
    return area, small, small


def _scale(opacity: Mask, value: int | Bgr) -> Mask:
    return ((opacity.astype(np.uint16) * np.array(value, np.uint16) + 127) // 255).astype(np.uint8)


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
