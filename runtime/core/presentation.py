"""How stored pictures are presented: pixel aspect ratio, mirroring and rotation, from the file and from the user.

The rules are those of ffmpeg (`-autorotate`, fftools/ffmpeg_filter.c), so that the network, the overlay and the
annotated copy see what players show.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from ..errors import OptionError
from .opencv import cv2
from .types import Frame

MATRIX = "DISPLAYMATRIX"
"""FFmpeg's name of the display matrix in a frame's side data."""
MOST_STRETCHED = 10
"""A pixel aspect ratio beyond this, either way, is a damaged number."""
NO_ANGLE = -(1 << 31)
"""PyAV's `rotation` of a matrix without an angle."""

Matrix = tuple[int, ...]
"""The matrix of ISO 14496-12, row by row: a b u c d v x y w."""


@dataclass(frozen=True)
class Mounting:
    """How the picture of a camera or video is corrected before anything else sees it.

    rotate: degrees clockwise, 0, 90, 180 or 270.  flip: left and right change places, after it was turned.

    Raises OptionError for other angles.
    """

    rotate: int = 0
    flip: bool = False

    def __post_init__(self) -> None:
        if self.rotate not in (0, 90, 180, 270):
            raise OptionError(f"a picture is rotated by 0, 90, 180 or 270 degrees; got {self.rotate!r}")

    def apply(self, image: Frame) -> Frame:
        """Correct an image, uint8 (H, W, ...).  Returns it contiguous; an untouched one is returned itself."""
        return Presentation().mount(self).turn(image)


@dataclass(frozen=True)
class Presentation:
    """The steps from a stored picture to the one shown, in this order.

    pixel_aspect: width of a stored pixel divided by its height; tilt_degrees: clockwise, in the same frame, with black
    corners; mirrors: whether left and right are swapped; quarter_turns: counter-clockwise, 0 to 3, as in `np.rot90`.
    """

    pixel_aspect: Fraction = Fraction(1)
    tilt_degrees: int = 0
    mirrors: bool = False
    quarter_turns: int = 0

    @property
    def is_upright(self) -> bool:
        """Whether no pixel moves."""
        return not (self.tilt_degrees or self.mirrors or self.quarter_turns)

    def stand_up(self) -> Presentation:
        """Return what remains after the picture was turned upright: only the pixel aspect ratio."""
        aspect = 1 / self.pixel_aspect if self.quarter_turns % 2 else self.pixel_aspect
        return Presentation(aspect)

    def mount(self, mounting: Mounting) -> Presentation:
        """Append the user's correction."""
        mirrors, turns = mounting.flip, mounting.rotate // 90 if mounting.flip else -mounting.rotate // 90
        before = -self.quarter_turns if mirrors else self.quarter_turns  # a mirror reverses a turn
        return replace(self, mirrors=self.mirrors != mirrors, quarter_turns=(turns + before) % 4)

    def square_wh(self, size_wh: tuple[int, int]) -> tuple[int, int]:
        """Width and height of a stored picture with square pixels; no side becomes smaller."""
        if self.pixel_aspect == 1:
            return size_wh
        width, height = size_wh
        if self.pixel_aspect > 1:
            return max(round(width * self.pixel_aspect), 1), height
        return width, max(round(height / self.pixel_aspect), 1)

    def turn_wh(self, size_wh: tuple[int, int]) -> tuple[int, int]:
        """Width and height of the upright picture."""
        return (size_wh[1], size_wh[0]) if self.quarter_turns % 2 else size_wh

    def turn(self, plane: Frame, black: int = 0) -> Frame:
        """Tilt, mirror and turn a picture or one of its planes, uint8 (H, W, ...); contiguous.

        black: value of the corners that a tilt leaves empty.
        """
        if self.is_upright:
            return plane
        if self.tilt_degrees:
            plane = _tilt(plane, self.tilt_degrees, black)
        if self.mirrors:
            plane = np.fliplr(plane)
        return np.ascontiguousarray(np.rot90(plane, self.quarter_turns))


AS_STORED = Presentation()


def read_pixel_aspect(stream: Any) -> Fraction:
    """Read a video stream's sample aspect ratio; 1 if there is none, or an impossible one."""
    aspect = stream.sample_aspect_ratio
    if not aspect or aspect <= 0 or not Fraction(1, MOST_STRETCHED) <= aspect <= MOST_STRETCHED:
        return Fraction(1)
    return Fraction(aspect)


def read_matrix(frame: Any) -> Matrix | None:
    """Read a decoded frame's display matrix; None if it has none."""
    try:
        data = frame.side_data.get(MATRIX)
    except ValueError:  # PyAV does not know all kinds of side data, and then returns none, not even a mirror
        return _make_matrix(frame.rotation)
    return None if data is None else struct.unpack("=9i", bytes(data)[:36])


def judge_matrix(matrix: Matrix, pixel_aspect: Fraction = Fraction(1)) -> Presentation:
    """Interpret a display matrix as ffmpeg does; it is the identity if a row or column is empty."""
    a, b, c, d = matrix[0], matrix[1], matrix[3], matrix[4]
    across, along = math.hypot(a, c), math.hypot(b, d)
    if not (across and along):
        return Presentation(pixel_aspect)
    clockwise = round(math.degrees(math.atan2(b / along, a / across))) % 360
    if clockwise == 90:
        return Presentation(pixel_aspect, mirrors=c > 0, quarter_turns=1 if c > 0 else 3)
    if clockwise == 180:
        return Presentation(pixel_aspect, mirrors=d >= 0, quarter_turns=0 if d >= 0 else 2)
    if clockwise == 270:
        return Presentation(pixel_aspect, mirrors=c < 0, quarter_turns=3 if c < 0 else 1)
    if clockwise > 1:
        return Presentation(pixel_aspect, tilt_degrees=clockwise)
    return Presentation(pixel_aspect, mirrors=d < 0, quarter_turns=2 if d < 0 else 0)


class PresentationReader:
    """Reads the presentation of a stream's frames; for most streams it is always the same."""

    def __init__(self, stream: Any, mounting: Mounting | None = None) -> None:
        self._mounting = mounting or Mounting()
        self._pixel_aspect = read_pixel_aspect(stream)
        self._matrix: Matrix | None = None
        self._known = self._judge(None)

    def read(self, frame: Any) -> Presentation:
        """Read the presentation of a decoded frame, including the user's correction."""
        matrix = read_matrix(frame)
        if matrix != self._matrix:
            self._matrix, self._known = matrix, self._judge(matrix)
        return self._known

    def _judge(self, matrix: Matrix | None) -> Presentation:
        said = judge_matrix(matrix, self._pixel_aspect) if matrix else Presentation(self._pixel_aspect)
        return said.mount(self._mounting)


def _make_matrix(rotation: int) -> Matrix | None:
    """Make the matrix of PyAV's `rotation`, in degrees counter-clockwise."""
    if rotation in (0, NO_ANGLE):
        return None
    cosine, sine = (round(65536 * part(math.radians(-rotation))) for part in (math.cos, math.sin))
    return cosine, sine, 0, -sine, cosine, 0, 0, 0, 1 << 30


def _tilt(plane: Frame, degrees: int, black: int) -> Frame:
    height, width = plane.shape[:2]
    there = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -degrees, 1)
    tilted = cv2.warpAffine(np.ascontiguousarray(plane), there, (width, height), borderValue=(black,) * 3)
    return np.asarray(tilted, np.uint8)
