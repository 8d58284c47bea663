"""Frames: a picture and its time.  A file's keep the planes that they were decoded to; BGR is made when asked for."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

import numpy as np

from .preprocess import Frame

PLAIN_FORMAT = "yuv420p"
BT709, UNSPECIFIED = 1, 2
"""Numbers of H.273's tables of colours; those of primaries, transfer and matrix agree in these two."""
LIMITED, FULL = 1, 2
"""FFmpeg's numbers of the ranges."""
LUMA_SHARES = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 7: (0.212, 0.087), 9: (0.2627, 0.0593), 10: (0.2627, 0.0593)}
"""Matrix -> red's and blue's share of the luma, H.273 table 4; every other one is taken for BT.601's."""
REFERENCE_WHITE = {16: 0.58, 18: 0.75}
"""Transfer (PQ, HLG) -> the signal of white paper, BT.2408 table 1: full signal would glare."""


@dataclass(frozen=True)
class Colours:
    """What a video says of its colours, in H.273's numbers; its range is limited."""

    primaries: int = BT709
    transfer: int = BT709
    matrix: int = BT709

    def to_yuv(self, colour_bgr: Sequence[float]) -> tuple[int, int, int]:
        """Y, U and V of a colour, limited range."""
        red_share, blue_share = LUMA_SHARES.get(self.matrix, (0.299, 0.114))
        blue, green, red = (value / 255 * REFERENCE_WHITE.get(self.transfer, 1.0) for value in colour_bgr)
        luma = red_share * red + (1 - red_share - blue_share) * green + blue_share * blue
        u, v = (blue - luma) / (2 - 2 * blue_share), (red - luma) / (2 - 2 * red_share)
        return round(16 + 219 * luma), round(128 + 224 * u), round(128 + 224 * v)


@dataclass(frozen=True)
class TimedFrame:
    """image_bgr: uint8 (H, W, 3); time_s: seconds from the start; pts: the same in the source's time base.

    lasts_s: how long it is shown, where the source says so; only the last frame has no next one to tell.  lost_s: a
    live source has given no picture for so long; this is its last one again, at the time of now.
    """

    image_bgr: Frame
    time_s: float
    pts: int
    lasts_s: float | None = None
    lost_s: float | None = None

    def move(self, time_s: float, pts: int) -> TimedFrame:
        """The same picture at another time."""
        return replace(self, time_s=time_s, pts=pts)


class DecodedFrame(TimedFrame):
    """A frame of a file.  picture: PyAV's, as it was decoded; degrees: its rotation flag, counter-clockwise.

    lock: for frames that share a picture.  It keeps its converter, and two threads in it at once never come back: the
    window asks for the image in the loop's thread, the live page in those of its viewers.
    """

    picture: Any
    quarter_turns: int
    lock: AbstractContextManager[Any]

    def __init__(
        self,
        picture: Any,
        time_s: float,
        pts: int,
        degrees: float = 0,
        lasts_s: float | None = None,
        lock: AbstractContextManager[Any] | None = None,
    ) -> None:
        turns, lock = round(degrees / 90) % 4, lock or Lock()
        self.__dict__.update(picture=picture, time_s=time_s, pts=pts, quarter_turns=turns, lasts_s=lasts_s, lock=lock)

    def move(self, time_s: float, pts: int) -> DecodedFrame:
        """The same picture at another time."""
        return DecodedFrame(self.picture, time_s, pts, 90 * self.quarter_turns, self.lasts_s, self.lock)

    @property
    def image_bgr(self) -> Frame:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The picture upright, uint8 (H, W, 3); converted whenever it is asked for, and not kept."""
        with self.lock:
            image = np.asarray(self.picture.to_ndarray(format="bgr24"), np.uint8)
        return np.ascontiguousarray(np.rot90(image, self.quarter_turns)) if self.quarter_turns else image

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height of the upright picture."""
        size_wh = self.picture.width, self.picture.height
        return size_wh[::-1] if self.quarter_turns % 2 else size_wh

    def to_plain(self) -> DecodedFrame:
        """As encoders take it: 8 bit 4:2:0 of limited range, upright, even sides (the last row or column twice).

        The colours' matrix stays; a picture in RGB becomes BT.709.  A frame that is so already is returned itself.
        """
        picture = self._to_limited_yuv()
        if not self.quarter_turns and not (picture.width % 2 or picture.height % 2):
            return self if picture is self.picture else DecodedFrame(picture, self.time_s, self.pts, 0, self.lasts_s)
        return self._copy(picture)

    def copy_plain(self) -> DecodedFrame:
        """The same with planes of its own, to be drawn on."""
        plain = self.to_plain()
        return plain if plain.picture is not self.picture else self._copy(plain.picture)

    def view_planes(self) -> tuple[Frame, Frame, Frame]:
        """Y, U and V of a plain frame, uint8 (h, w): what is written there is in the picture."""
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

    def _copy(self, picture: Any) -> DecodedFrame:
        """A plain frame in memory of its own; picture: yuv420p of limited range."""
        width, height = self.size_wh
        picture_type = type(picture)
        plain = picture_type(width + width % 2, height + height % 2, PLAIN_FORMAT)
        copy = DecodedFrame(plain, self.time_s, self.pts, 0, self.lasts_s)
        copy.picture.colorspace, copy.picture.color_range = picture.colorspace, picture.color_range
        for to, plane in zip(copy.view_planes(), DecodedFrame(picture, 0, 0).view_planes(), strict=True):
            upright = np.rot90(plane, self.quarter_turns)
            height, width = upright.shape
            to[:height, :width] = upright
            to[height:, :width] = upright[-1:]
            to[:, width:] = to[:, width - 1 : width]
        return copy


def is_rgb(picture: Any) -> bool:
    """Whether a picture of PyAV's has no planes of luma and chroma; GIFs and screen recordings don't."""
    return picture.format.is_rgb or picture.format.name == "pal8"


def _view_plane(plane: Any, width: int, height: int) -> Frame:
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:height, :width]
