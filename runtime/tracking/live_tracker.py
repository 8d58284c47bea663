"""The pose over time of a live source: smoothed and held, beside a picture that does not wait for the network."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

from ..classifier import PoseClassifier
from ..core.background_thread import BackgroundThread
from ..core.frames import TimedFrame
from ..core.types import NO_POSE, Hold, Segment
from ..cropping.croppers import Cropper
from .live_person import LivePerson
from .observer import Crops, Observation, Observer, Tracked, find_info
from .segments import merge_segments
from .settling import Settling

SLOW = 4
"""From so many frames on that an observation takes, the next one waits for a fresh frame: what waits is up to a frame
old."""
UNSEEN_S = 2.0
"""A hold ends where nothing but damaged pictures has come for so long, as where a camera is lost."""


class LiveTracker:
    """Cropper, classifier, smoother and session in a row.  explain: keep the class maps too."""

    def __init__(self, classifier: PoseClassifier, cropper: Cropper | None = None, *, explain: bool = False) -> None:
        self._observer = Observer(classifier, cropper, explain=explain)
        self._rule = classifier.labels, find_info(classifier, cropper).threshold
        self._main, self._lock = LivePerson(*self._rule), threading.Lock()
        self._group: dict[int, LivePerson] = {}
        self._settling = Settling()

    def update(self, frame: TimedFrame) -> Tracked:
        """Take the next frame; its time never goes back.  One of a lost source says when its last picture was."""
        if frame.lost_s is not None:
            return self._lose(frame.time_s, frame.lost_s)
        if frame.is_damaged:
            return self._pass_over(frame.time_s)
        return self.add(self._observer.observe(frame))

    def add(self, observation: Observation) -> Tracked:
        """Take what the network said of the next frame; its time never goes back."""
        crops = observation.crops or Crops(observation.region)
        with self._lock:
            hold = self._main.update(observation.look())
            holds = self._update_group(observation)
        if crops.group is not None and crops.person:
            hold = holds.get(crops.person.number, hold)
        return Tracked(hold, observation.region, observation.class_maps, crops.person, crops.people, holds)

    def _update_group(self, observation: Observation) -> dict[int, Hold]:
        """Follow each of several people; what somebody holds who is not there any more ends."""
        group = observation.crops.group if observation.crops else None
        if group is None or observation.rows is None:
            return {}
        holds: dict[int, Hold] = {}
        for seen in self._settling.update(observation):
            person = self._group.setdefault(seen.number, LivePerson(*self._rule, seen.number))
            if seen.time_s > person.time_s:
                holds[seen.number] = person.update(seen.look)
        for number in self._group.keys() - holds.keys():
            self._group[number].miss(observation.time_s)
        return holds

    def _pass_over(self, time_s: float) -> Tracked:
        """Nothing is seen in a damaged frame: what is held goes on for a while."""
        lost_s = max(time_s - self._main.time_s, 0.0)
        if not self._main.has_begun or lost_s >= UNSEEN_S:
            return self._lose(time_s, min(lost_s, time_s))
        with self._lock:
            return Tracked(self._main.repeat(time_s), None)

    def _lose(self, time_s: float, lost_s: float) -> Tracked:
        """End what is held at the last picture."""
        with self._lock:
            for person in self._group.values():
                if person.has_begun:
                    person.lose(time_s, time_s - lost_s)
            return Tracked(self._main.lose(time_s, time_s - lost_s), None)

    def segments(self) -> tuple[Segment, ...]:
        """The timeline so far, the running segment included; another thread may be in `update`."""
        with self._lock:
            if self._group:
                return merge_segments(person.segments() for person in self._group.values())
            return self._main.segments()


class BackgroundTracker:
    """A tracker in a thread of its own, on the newest frame: the picture stays fluent however slow the network is."""

    def __init__(self, tracker: LiveTracker) -> None:
        self._tracker = tracker
        self._changed = threading.Condition()
        self._pending: TimedFrame | None = None
        self._lost: TimedFrame | None = None  # waits on its own: the first picture after it must not take its place
        self._given_s, self._interval_s = 0.0, 0.0
        self._known: tuple[float, Tracked] | None = None
        self._error: BaseException | None = None
        self._closed = False
        self._thread = BackgroundThread(self._work, "network")
        self._thread.start()

    def update(self, frame: TimedFrame) -> Tracked:
        """Hand over a frame, get what is known by now, its hold grown up to this frame's time; the first one waits.

        While the source is lost, nothing is held.  Raises what the network raised.
        """
        with self._changed:
            if frame.lost_s is not None:
                self._pending, self._lost = None, frame
                self._known = self._rest_from(frame.time_s - frame.lost_s)
            else:
                self._pending = frame
            self._interval_s, self._given_s = frame.time_s - self._given_s, frame.time_s
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._known is not None or self._error is not None)
            if self._error is not None:
                raise self._error
            assert self._known is not None
            known_s, tracked = self._known
        ahead_s = max(frame.time_s - known_s, 0.0)
        holds = {number: _grow(hold, ahead_s) for number, hold in tracked.holds.items()}
        return replace(tracked, hold=_grow(tracked.hold, ahead_s), holds=holds)

    def _rest_from(self, time_s: float) -> tuple[float, Tracked]:
        """Nothing is held from `time_s` on; a rest that was there already goes on."""
        rested_s = 0.0
        if self._known is not None and self._known[1].hold.is_resting:
            rested_s = max(time_s - self._known[0] + self._known[1].hold.hold_s, 0.0)
        return time_s, Tracked(Hold(NO_POSE, 0.0, rested_s), None)

    def close(self) -> None:
        """Finish the frame that is being observed, and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pending is not None or self._lost is not None or self._closed)
                lost, self._lost = self._lost, None
                if lost is not None:
                    self._tracker.update(lost)
                    continue
                if self._closed or self._pending is None:
                    return
                frame, self._pending = self._pending, None
            began_s = time.monotonic()
            try:
                tracked = self._tracker.update(frame)
            except BaseException as error:  # noqa: BLE001 - handed to the thread that asks
                with self._changed:
                    self._error = error
                    self._changed.notify_all()
                return
            with self._changed:
                if self._lost is None:  # what was seen before a loss is held no more
                    self._known = frame.time_s, tracked
                if time.monotonic() - began_s > SLOW * self._interval_s:
                    self._pending = None
                self._changed.notify_all()


def _grow(hold: Hold, ahead_s: float) -> Hold:
    """What is held `ahead_s` seconds after it was observed; what is only kept does not grow."""
    if not (hold.leads or hold.is_resting):
        return hold
    return replace(hold, hold_s=hold.hold_s + ahead_s, ahead_s=ahead_s)
