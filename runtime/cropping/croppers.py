"""Croppers: the whole frame, a part given by the user, or a crop around the person."""

from __future__ import annotations

from typing import Protocol

from ..core.regions import Region, Roi
from ..core.types import Frame
from .motion_zoom import Zoom, ZoomConfig


class Cropper(Protocol):
    """Chooses the part of each frame to classify, None for the whole frame.

    remembers: whether the choice depends on earlier frames.
    """

    remembers: bool

    def choose_crop(self, time_s: float, frame_bgr: Frame) -> Region | None:
        """Choose the crop of the frame at `time_s` (seconds, never decreasing); uint8 (H, W, 3) BGR."""
        ...

    def renew(self) -> Cropper:
        """Make a cropper of the same kind in its initial state."""
        ...


class WholeFrame:
    """The whole frame."""

    remembers = False

    def choose_crop(self, time_s: float, frame_bgr: Frame) -> None:
        """Return None: the whole frame."""

    def renew(self) -> WholeFrame:
        """Return itself, as it has no state."""
        return self


class FixedCropper:
    """The same part of every frame."""

    remembers = False

    def __init__(self, roi: Roi) -> None:
        self._roi = roi

    def choose_crop(self, time_s: float, frame_bgr: Frame) -> Region:
        """Return the region.  Raises OptionError if it does not fit in the frame."""
        return self._roi.to_region((frame_bgr.shape[1], frame_bgr.shape[0]))

    def renew(self) -> FixedCropper:
        """Return itself, as it has no state."""
        return self


class ZoomCropper:
    """A steady crop around the person; the whole frame while no one is found."""

    remembers = True

    def __init__(self, config: ZoomConfig | None = None) -> None:
        self._config = config
        self._zoom = Zoom(config)

    def choose_crop(self, time_s: float, frame_bgr: Frame) -> Region | None:
        """Follow movement."""
        region = self._zoom.update(time_s, frame_bgr)
        return None if region.is_whole(frame_bgr) else region

    def renew(self) -> ZoomCropper:
        """Make a cropper that has not found the person yet."""
        return ZoomCropper(self._config)
