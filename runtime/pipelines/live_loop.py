"""The live loop: source -> tracker (crop, preprocess, engine, smoother, segments) -> overlay -> sinks."""

from __future__ import annotations

import time
from collections.abc import Iterator

from ..core.frames import TimedFrame
from ..tracking.live_tracker import BackgroundTracker, LiveTracker
from ..tracking.observer import Tracked
from .loop import Ending, RunPlan, RunResult, run_loop


class RateMeter:
    """Frames per second over about the last second, for the corner of the picture."""

    def __init__(self) -> None:
        self._fps: float | None = None
        self._last_s: float | None = None

    def tick(self, now_s: float) -> float | None:
        """Count a frame at `now_s`, seconds of any clock.  Returns the rate, None at first."""
        if self._last_s is not None and now_s > self._last_s:
            interval_s = now_s - self._last_s
            share = min(1.0, interval_s)  # time constant one second
            self._fps = (self._fps or 1 / interval_s) * (1 - share) + share / interval_s
        self._last_s = now_s
        return self._fps


class LiveFollower:
    """Classifies every frame of a file; shows a live source without waiting for the network."""

    def __init__(self, plan: RunPlan) -> None:
        self._plan, self._meter, self.frames = plan, RateMeter(), 0
        self._tracker = LiveTracker(plan.classifier, plan.cropper, explain=plan.explains)
        self.segments = self._tracker.segments
        self._beside: BackgroundTracker | None = None

    def __enter__(self) -> LiveFollower:
        if self._plan.source.info.is_live:
            self._beside = BackgroundTracker(self._tracker)
        return self

    def __exit__(self, *_: object) -> None:
        if self._beside:
            self._beside.close()

    def follow(self) -> Iterator[tuple[TimedFrame, Tracked, float | None]]:
        """Yield each shown frame, its hold and the frame rate; for a lost source, its last frame."""
        mark, record = self._plan.mark, self._plan.record
        tracker = self._beside or self._tracker
        for frame in self._plan.source.frames():
            mark("decode")
            is_new = frame.lost_s is None
            if record and is_new:
                record.write(frame)
            tracked = tracker.update(frame)
            fps = self._meter.tick(time.monotonic()) if is_new else None
            mark("smoothing")
            yield frame, tracked, fps

    def count(self, frame: TimedFrame) -> None:
        """Count a new frame."""
        self.frames += frame.lost_s is None

    def settle(self, ending: Ending) -> None:
        """Do nothing: every observed frame was also yielded."""


def run_live(plan: RunPlan) -> RunResult:
    """Follow a live source, or every frame of a file.

    While a live source is lost, its last picture shows that, nothing is held, and sinks and `on_frame` continue.
    """
    return run_loop(plan, LiveFollower(plan))
