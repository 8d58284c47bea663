"""Frames: a picture and its time.  Frames of a file keep the decoded planes; BGR is made on demand."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

import numpy as np

from .presentation import AS_STORED, Presentation
from .types import Frame

PLAIN_FORMAT = "yuv420p"
BT709, UNSPECIFIED = 1, 2
"""Numbers in H.273's tables; primaries, transfer and matrix agree in these two."""
LIMITED, FULL = 1, 2
"""FFmpeg's numbers of the ranges."""
BLACK_YUV = (16, 128, 128)
"""Y, U and V of black, limited range."""
LUMA_SHARES = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 7: (0.212, 0.087), 9: (0.2627, 0.0593), 10: (0.2627, 0.0593)}
"""Matrix -> fractions of red and blue in the luma, H.273 table 4; any other counts as BT.601."""
REFERENCE_WHITE = {16: 0.58, 18: 0.75}
"""Transfer (PQ, HLG) -> signal of white paper, BT.2408 table 1; full signal would be too bright."""


@dataclass(frozen=True)
class Colours:
    """The colour metadata of a video, in H.273's numbers; its range is limited."""

    primaries: int = BT709
    transfer: int = BT709
    matrix: int = BT709

    def to_yuv(self, colour_bgr: Sequence[float]) -> tuple[int, int, int]:
        """Convert a colour to Y, U and V, limited range."""
        red_share, blue_share = LUMA_SHARES.get(self.matrix, (0.299, 0.114))
        blue, green, red = (value / 255 * REFERENCE_WHITE.get(self.transfer, 1.0) for value in colour_bgr)
        luma = red_share * red + (1 - red_share - blue_share) * green + blue_share * blue
        u, v = (blue - luma) / (2 - 2 * blue_share), (red - luma) / (2 - 2 * red_share)
        return round(16 + 219 * luma), round(128 + 224 * u), round(128 + 224 * v)


@dataclass(frozen=True)
class TimedFrame:
    """A picture and its time, as a source gives it.

    image_bgr: uint8 (H, W, 3) BGR.  time_s: seconds from the start.  pts: the same in the source's time base.

    lasts_s: how long it is shown, if the source says so (needed for the last frame).  lost_s: how long a live source
    has delivered nothing; the frame is then a repeat of its last one, at the current time.  is_damaged: the decoder has
    concealed damage; the frame is shown, but not classified.
    """

    image_bgr: Frame
    time_s: float
    pts: int
    lasts_s: float | None = None
    lost_s: float | None = None
    is_damaged: bool = False

    def move(self, time_s: float, pts: int) -> TimedFrame:
        """The same picture at another time: time_s, seconds, and pts."""
        return replace(self, time_s=time_s, pts=pts)


class DecodedFrame(TimedFrame):
    """A frame of a file.  picture: PyAV's decoded picture; presentation: how to show it.

    lock: for frames that share a picture, whose converter deadlocks if two threads use it at once: the window reads the
    image in the loop's thread, the live page in those of its viewers.
    """

    picture: Any
    presentation: Presentation
    lock: AbstractContextManager[Any]

    def __init__(
        self,
        picture: Any,
        time_s: float,
        pts: int,
        presentation: Presentation = AS_STORED,
        lasts_s: float | None = None,
        lock: AbstractContextManager[Any] | None = None,
        *,
        is_damaged: bool = False,
    ) -> None:
        self.__dict__.update(picture=picture, time_s=time_s, pts=pts, presentation=presentation, lasts_s=lasts_s)
        self.__dict__.update(lock=lock or Lock(), is_damaged=is_damaged)

    def move(self, time_s: float, pts: int) -> DecodedFrame:
        """Return the same picture at another time."""
        shown, lock = self.presentation, self.lock
        return DecodedFrame(self.picture, time_s, pts, shown, self.lasts_s, lock, is_damaged=self.is_damaged)

    @property
    def image_bgr(self) -> Frame:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The picture as shown, uint8 (H, W, 3), square pixels; converted at each access, not cached."""
        if self.presentation.tilt_degrees:
            return self.to_plain().image_bgr
        stored_wh = self.picture.width, self.picture.height
        width, height = self.presentation.square_wh(stored_wh)
        resized = {} if (width, height) == stored_wh else {"width": width, "height": height}
        with self.lock:
            image = np.asarray(self.picture.to_ndarray(format="bgr24", **resized), np.uint8)
        return self.presentation.turn(image)

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height of the picture as shown: upright, square pixels."""
        return self.presentation.turn_wh(self.presentation.square_wh((self.picture.width, self.picture.height)))

    @property
    def stored_wh(self) -> tuple[int, int]:
        """Width and height of the upright picture in stored pixels, which need not be square."""
        return self.presentation.turn_wh((self.picture.width, self.picture.height))

    def to_plain(self) -> DecodedFrame:
        """Convert for encoders: 8-bit 4:2:0, limited range, upright, even sides (the last row or column twice).

        Its pixels keep their shape.  The colours' matrix stays; a picture in RGB becomes BT.709.  A frame that is so
        already is returned itself.
        """
        picture = self._to_limited_yuv()
        if self.presentation.is_upright and not (picture.width % 2 or picture.height % 2):
            return self if picture is self.picture else self._replace(picture)
        return self._copy(picture)

    def copy_plain(self, more_rows: int = 0) -> DecodedFrame:
        """The same with planes of its own, to be drawn on.  more_rows: black ones below it, an even number."""
        if more_rows:
            return self._copy(self._to_limited_yuv(), more_rows)
        plain = self.to_plain()
        return plain if plain.picture is not self.picture else self._copy(plain.picture)

    def view_planes(self) -> tuple[Frame, Frame, Frame]:
        """View Y, U and V of a plain frame, uint8 (h, w); writing to them changes the picture."""
        width, height = self.picture.width, self.picture.height
        return (
            _view_plane(self.picture.planes[0], width, height),
            _view_plane(self.picture.planes[1], (width + 1) // 2, (height + 1) // 2),
            _view_plane(self.picture.planes[2], (width + 1) // 2, (height + 1) // 2),
        )

    def _to_limited_yuv(self) -> Any:
        picture = self.picture
        is_full = picture.color_range == FULL or picture.format.name.startswith("yuvj")
        if picture.format.name == PLAIN_FORMAT and not is_full:
            return picture
        from_rgb = is_rgb(picture)
        ranges = {} if from_rgb else {"src_color_range": FULL if is_full else LIMITED}
        matrix = {"dst_colorspace": BT709} if from_rgb else {}
        with self.lock:
            return picture.reformat(format=PLAIN_FORMAT, dst_color_range=LIMITED, **ranges, **matrix)

    def _replace(self, picture: Any) -> DecodedFrame:
        """Return the same frame with an upright picture."""
        shown = self.presentation.stand_up()
        return DecodedFrame(picture, self.time_s, self.pts, shown, self.lasts_s, is_damaged=self.is_damaged)

    def _copy(self, picture: Any, more_rows: int = 0) -> DecodedFrame:
        """A plain frame in memory of its own; picture: yuv420p of limited range; more_rows: black ones below it."""
        width, height = self.stored_wh
        picture_type = type(picture)
        copy = self._replace(picture_type(width + width % 2, height + height % 2 + more_rows, PLAIN_FORMAT))
        copy.picture.colorspace, copy.picture.color_range = picture.colorspace, picture.color_range
        stored = DecodedFrame(picture, 0, 0).view_planes()
        for to, plane, black in zip(copy.view_planes(), stored, BLACK_YUV, strict=True):
            upright = self.presentation.turn(plane, black)
            height, width = upright.shape
            to[:height, :width] = upright
            to[height:, :width] = upright[-1:]
            to[:, width:] = to[:, width - 1 : width]
            to[len(to) - more_rows * len(to) // copy.picture.height :] = black
        return copy


def is_rgb(picture: Any) -> bool:
    """Whether a PyAV picture has no luma and chroma planes, as in GIFs and screen recordings."""
    return picture.format.is_rgb or picture.format.name == "pal8"


def _view_plane(plane: Any, width: int, height: int) -> Frame:
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:height, :width]
