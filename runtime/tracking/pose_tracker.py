"""The live loop's tracker for a loop of one's own: frames and their times in, the held pose out."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ..classifier import PoseClassifier
from ..core.frames import TimedFrame
from ..core.preprocess import as_bgr
from ..core.regions import Roi
from ..core.types import Hold
from ..people.cropper import PeopleMode, check_group, check_people
from .live_tracker import LiveTracker
from .observer import open_cropper
from .segments import Timeline


class PoseTracker:
    """Follow one person's pose through the frames of your own loop, as `yoga-live` follows a camera.

    Each frame is cropped to the person, classified and smoothed, so that one bad frame breaks no hold::

        tracker = PoseTracker()
        while (read := camera.read())[0]:
            hold = tracker.update(read[1], time.monotonic())
            print(hold.pose, f"{hold.confidence:.0%}", f"{hold.hold_s:.1f} s")
        print(tracker.segments)

    The pace is yours: the smoothing counts seconds, not frames, and is made for 5 to 60 frames a second.  Each call
    runs the network once and returns when that is done.  A recording that lies in a file is better left to
    `annotate_video`, which also knows what comes after a frame.

    One instance is for one video and one thread; `segments` may be read from another.
    """

    def __init__(
        self,
        classifier: PoseClassifier | None = None,
        *,
        zoom: bool = True,
        roi: Roi | None = None,
        people: PeopleMode = "main",
        mats: bool = False,
    ) -> None:
        """Make a tracker that has seen nothing.

        classifier: what names the pose (None: the shipped model on the best device).  zoom: classify a steady crop;
        False: the whole frame, or all of the `roi`.  roi: look at this part alone.  people: "main": the crop follows
        the main person; "all", or a number: each of several people is followed, `holds` has them, and what `update`
        returns is the main person's; "off": nobody is looked for, the crop follows what moves, and a given `roi` is
        classified whole.  mats: tell several people by their places.

        Raises what `PoseClassifier` raises where it is made here; OptionError where `people` is another word or does
        not go with the rest.
        """
        check_people(people)
        check_group(people, mats=mats, zoom=zoom)
        classifier = classifier or PoseClassifier()
        self._tracker = LiveTracker(classifier, open_cropper(classifier, roi, zoom, None, people, mats=mats))
        self._time_s = -math.inf
        self._holds: dict[int, Hold] = {}
        self._seen_s: float | None = None

    def update(self, frame_bgr: npt.NDArray[np.generic] | None, time_s: float) -> Hold:
        """Take the next frame; get what is held at its time.

        frame_bgr: uint8 (H, W, 3) BGR, as OpenCV gives it; grey (H, W) and BGRA (H, W, 4) are taken too.  None: the
        camera gave no picture; what is held ends at the last one.  time_s: seconds of any clock that never goes back.

        Raises ValueError for another dtype or shape, or a time that goes back; OptionError where the `roi` does not fit
        into the frame; ModelError where the network's output is not finite.
        """
        if not math.isfinite(time_s) or time_s < self._time_s:
            raise ValueError(f"time_s must be finite and never go back; got {time_s} after {self._time_s}")
        image = None if frame_bgr is None else as_bgr(frame_bgr)
        self._time_s = time_s
        if image is None:
            lost_s = 0.0 if self._seen_s is None else time_s - self._seen_s
            nothing = np.empty((0, 0, 3), np.uint8)
            return self._take(TimedFrame(nothing, time_s, 0, lost_s=lost_s))
        self._seen_s = time_s
        return self._take(TimedFrame(image, time_s, 0))

    def _take(self, frame: TimedFrame) -> Hold:
        tracked = self._tracker.update(frame)
        self._holds = dict(tracked.holds)
        return tracked.hold

    @property
    def holds(self) -> dict[int, Hold]:
        """What each of several people holds, by number; empty where only the main person is followed."""
        return dict(self._holds)

    @property
    def segments(self) -> Timeline:
        """All segments so far, without gaps, the running one included; those of no pose are called `none`."""
        return Timeline(self._tracker.segments())
