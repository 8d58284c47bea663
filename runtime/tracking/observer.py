"""One frame, observed: the part that is cropped, classified, and what the network saw where."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..classifier import PoseClassifier
from ..core.frames import TimedFrame
from ..core.preprocess import letterbox
from ..core.regions import Region
from ..core.types import ClassMaps, Floats, Frame, Hold
from ..cropping.croppers import Cropper, WholeFrame


@dataclass(frozen=True)
class Tracked:
    """What is known at a moment: what is held, and the part of the frame that was observed (None: all of it).

    class_maps: what the newest observation found where, if that was asked for.
    """

    hold: Hold
    region: Region | None
    class_maps: ClassMaps | None = None


@dataclass(frozen=True)
class Observation:
    """What one frame answered.

    region: the part that was classified; probabilities: calibrated, float (C,); class_maps: if it was asked for.
    """

    time_s: float
    region: Region | None
    probabilities: Floats
    class_maps: ClassMaps | None = None


def observe_nothing(classes: int) -> Floats:
    """The probabilities of an observation that saw nothing, float32 (C,): none at all, where others add up to one."""
    return np.zeros(classes, np.float32)


@dataclass(frozen=True)
class PreparedFrame:
    """A frame as the network will see it.  region: the part that is left of it; letterboxed: uint8 (S, S, 3) BGR."""

    time_s: float
    region: Region | None
    letterboxed: Frame


class Observer:
    """Cropper and classifier in a row.  explains: whether its observations say where."""

    def __init__(self, classifier: PoseClassifier, cropper: Cropper | None = None, *, explain: bool = False) -> None:
        self._classifier, self._cropper, self.explains = classifier, cropper or WholeFrame(), explain
        self._next: Cropper | None = None

    @property
    def classes(self) -> int:
        """How many labels there are."""
        return len(self._classifier.labels)

    def observe(self, frame: TimedFrame, *, warms: bool = False) -> Observation:
        """Classify a frame; its time never goes back.  warms: show it to the next cropper too."""
        image_bgr, region = self._crop_frame(frame, warms=warms)
        if self.explains:
            return Observation(frame.time_s, region, *self._classifier.examine(image_bgr, region))
        return Observation(frame.time_s, region, self._classifier.probabilities(image_bgr, region))

    def prepare(self, frame: TimedFrame, *, warms: bool = False) -> PreparedFrame:
        """Keep of a frame what the network needs, for `observe_prepared`; arguments as `observe` has them."""
        image_bgr, region = self._crop_frame(frame, warms=warms)
        part = region.cut(image_bgr) if region else image_bgr
        return PreparedFrame(frame.time_s, region, letterbox(part, self._classifier.info.size))

    def observe_prepared(self, prepared: PreparedFrame) -> Observation:
        """Classify what was kept."""
        rows = self._classifier.probabilities_letterboxed(prepared.letterboxed[None])
        return Observation(prepared.time_s, prepared.region, rows[0])

    def warm_up(self, frame: TimedFrame) -> None:
        """Show a frame to the next cropper alone; nothing is classified."""
        if self._cropper.remembers:
            self._show_next(frame.time_s, frame.image_bgr)

    def forget(self) -> None:
        """Make the next cropper out of nothing."""
        self._next = None

    def turn(self) -> None:
        """Go on with the next cropper."""
        self._cropper, self._next = self._next or self._cropper.renew(), None

    def _crop_frame(self, frame: TimedFrame, *, warms: bool) -> tuple[Frame, Region | None]:
        image_bgr = frame.image_bgr  # made when it is asked for: once
        if warms:
            self._show_next(frame.time_s, image_bgr)
        return image_bgr, self._cropper.choose_crop(frame.time_s, image_bgr)

    def _show_next(self, time_s: float, image_bgr: Frame) -> None:
        if self._cropper.remembers:
            self._next = self._next or self._cropper.renew()
            self._next.choose_crop(time_s, image_bgr)
