"""Parts of the frame: given by the user (`--roi`), or found by the zoom."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import OptionError
from ..system.option_types import quote

SMALLEST_PX, MOST_PX = 16, 1e6
ROI_FORM = "X,Y,W,H in pixels (100,50,640,480) or in fractions of the frame (0.5,0,0.5,0.5)"


@dataclass(frozen=True)
class Region:
    """A rectangle that lies within a frame.  left, top, width, height: whole pixels."""

    left: int
    top: int
    width: int
    height: int

    def cut(self, frame_bgr: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        """Return the pixels inside, not copied.  frame_bgr: (H, W, ...)."""
        return frame_bgr[self.top : self.top + self.height, self.left : self.left + self.width]

    def is_whole(self, frame_bgr: npt.NDArray[np.generic]) -> bool:
        """Whether it is the whole frame.  frame_bgr: (H, W, ...)."""
        return (self.height, self.width) == frame_bgr.shape[:2]


@dataclass(frozen=True)
class Box:
    """A rectangle in fractions of the frame, 0 to 1, edges from the left and the top."""

    left: float
    top: float
    right: float
    bottom: float

    def to_region(self, size_wh: tuple[int, int]) -> Region:
        """Round outwards to whole pixels, inside the frame and at least one."""
        width, height = size_wh
        left, top = min(int(self.left * width), width - 1), min(int(self.top * height), height - 1)
        right, bottom = min(_ceil(self.right * width), width), min(_ceil(self.bottom * height), height)
        return Region(left, top, max(1, right - left), max(1, bottom - top))


WHOLE = Box(0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True)
class Roi:
    """The part of each frame to classify, as `--roi` gives it.

    left, top, width, height: pixels of the frame; where all four are at most 1, fractions of its width and height.

    Raises OptionError where they are no finite numbers from 0 on.
    """

    left: float
    top: float
    width: float
    height: float

    def __post_init__(self) -> None:
        if not all(math.isfinite(number) and number >= 0 for number in (self.left, self.top, self.width, self.height)):
            raise OptionError(f"a part of the picture is four finite numbers from 0 on; got {self}")

    def to_region(self, size_wh: tuple[int, int]) -> Region:
        """Pixels in a frame of this size.  size_wh: width and height.  Raises OptionError where they don't fit in."""
        is_share = max(self.left, self.top, self.width, self.height) <= 1
        unit_w, unit_h = size_wh if is_share else (1, 1)
        left, top = round(self.left * unit_w), round(self.top * unit_h)
        right, bottom = round((self.left + self.width) * unit_w), round((self.top + self.height) * unit_h)
        if right > size_wh[0] or bottom > size_wh[1]:
            raise OptionError(
                f"--roi {self} extends beyond the picture, which is {size_wh[0]} x {size_wh[1]}; make it smaller"
            )
        if min(right - left, bottom - top) < SMALLEST_PX:
            raise OptionError(
                f"--roi {self} is {right - left} x {bottom - top} pixels here; "
                f"give at least {SMALLEST_PX} x {SMALLEST_PX}"
            )
        return Region(left, top, right - left, bottom - top)

    def __str__(self) -> str:
        return ",".join(f"{number:g}" for number in (self.left, self.top, self.width, self.height))


def parse_roi(text: str) -> Roi:
    """Read X,Y,W,H.  Raises OptionError."""
    try:
        left, top, width, height = (float(part) for part in text.split(","))
    except ValueError:
        raise OptionError(f"--roi {quote(text)} is not four numbers; give {ROI_FORM}") from None
    if not (0 <= left < MOST_PX and 0 <= top < MOST_PX):
        raise OptionError(f"--roi {quote(text)} starts outside the picture; give {ROI_FORM}")
    if not (0 < width < MOST_PX and 0 < height < MOST_PX):
        raise OptionError(f"--roi {quote(text)} is empty or larger than any picture; give {ROI_FORM}")
    return Roi(left, top, width, height)


def _ceil(number: float) -> int:
    return -int(-number // 1)
