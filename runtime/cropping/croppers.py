"""Where in the frame to look: everywhere, where a hand said, or where the zoom finds the person."""

from __future__ import annotations

from typing import Protocol

from ..core.regions import Region, Roi
from ..core.types import Frame
from .motion_zoom import Zoom, ZoomConfig


class Cropper(Protocol):
    """Gives the part of each frame that is classified, None for the whole of it.

    remembers: whether that depends on the frames before.
    """

    remembers: bool

    def choose_crop(self, time_s: float, frame_bgr: Frame) -> Region | None:
        """Take the frame of `time_s`, seconds, never going back; uint8 (H, W, 3) BGR."""
        ...

    def renew(self) -> Cropper:
        """One of the same kind that has seen nothing."""
        ...


class WholeFrame:
    """The whole frame."""

    remembers = False

    def choose_crop(self, time_s: float, frame_bgr: Frame) -> None:
        """Nothing is left out."""

    def renew(self) -> WholeFrame:
        """It keeps nothing."""
        return self


class FixedCropper:
    """The same part of every frame."""

    remembers = False

    def __init__(self, roi: Roi) -> None:
        self._roi = roi

    def choose_crop(self, time_s: float, frame_bgr: Frame) -> Region:
        """Raises OptionError where it does not fit in the frame."""
        return self._roi.to_region((frame_bgr.shape[1], frame_bgr.shape[0]))

    def renew(self) -> FixedCropper:
        """It keeps nothing."""
        return self


class ZoomCropper:
    """A steady crop around the person; the whole frame while nobody is found."""

    remembers = True

    def __init__(self, config: ZoomConfig | None = None) -> None:
        self._config = config
        self._zoom = Zoom(config)

    def choose_crop(self, time_s: float, frame_bgr: Frame) -> Region | None:
        """Follow what moves."""
        region = self._zoom.update(time_s, frame_bgr)
        return None if region.is_whole(frame_bgr) else region

    def renew(self) -> ZoomCropper:
        """The person is yet to be found."""
        return ZoomCropper(self._config)


def choose_cropper(roi: Roi | None, zoom: bool, size_wh: tuple[int, int]) -> Cropper:
    """Where to look in frames of this size.  Raises OptionError for a region that does not fit in."""
    if roi:
        roi.to_region(size_wh)
        return FixedCropper(roi)
    return ZoomCropper() if zoom else WholeFrame()
