"""Recorded videos: observed a few seconds before drawing, so that a pose is shown from its first frame."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace

from ..core.background_thread import Prefetch
from ..core.frames import TimedFrame
from ..core.types import Segment
from ..errors import SourceError
from ..sources.animated_webp import AnimationSource
from ..sources.base import Source
from ..sources.video import VideoSource
from ..tracking.adaptive_sampling import EVERY
from ..tracking.fixed_lag import AHEAD_S, FixedLagSmoother
from ..tracking.observer import Observer, Tracked, find_info
from ..tracking.sampling_observer import OBSERVATIONS_PER_S, SamplingObserver, Step
from .loop import Ending, RunPlan, RunResult, run_loop

log = logging.getLogger(__name__)

HELD_BYTES = 500_000_000
"""Of frames in memory, at most, that wait for their observations: 1080p at 30 FPS is 495 MB; larger ones are decoded
twice."""
DECODED_AHEAD, OBSERVED_AHEAD, IN_HAND = 4, 16, 4
"""Frames that are decoded while others are observed, and observed while others are drawn: observations come in bursts;
and those that one of the threads has in hand."""


class RecordedFollower:
    """Yields frames of a recording after the next moments were observed, a few times a second."""

    def __init__(self, plan: RunPlan, open_again: Callable[[], Source]) -> None:
        self._plan, self._open_again = plan, open_again
        self._smoother = FixedLagSmoother(find_info(plan.classifier, plan.cropper))
        self._reads, self.frames, self._end_s = plan.source, 0, plan.source.info.start_s
        self._closing, self._is_empty = ExitStack(), False
        self._steps: Iterable[Step] = ()

    def __enter__(self) -> RecordedFollower:
        """Start observing the frames to be drawn, or a second reading if these are too large to keep in memory."""
        with ExitStack() as closing:
            source, plan = self._plan.source, self._plan
            watcher = SamplingObserver(Observer(plan.classifier, plan.cropper, explain=plan.draws and plan.explains))
            if not plan.draws or _held_bytes(source) > HELD_BYTES:
                self._reads = closing.enter_context(self._open_again())
                observations = watcher.observe_through(self._reads.frames())
                steps, ahead = (
                    _observe_beside(source.frames(), observations) if plan.draws else observations,
                    OBSERVED_AHEAD // 2,
                )
            else:
                decoded = closing.enter_context(Prefetch(source.frames(), DECODED_AHEAD))
                steps, ahead = watcher.observe_along(decoded), OBSERVED_AHEAD
            self._steps = closing.enter_context(Prefetch(steps, ahead))
            self._closing = closing.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._closing.close()

    def follow(self) -> Iterator[tuple[TimedFrame, Tracked, float | None]]:
        """Yield each frame and its hold."""
        for frame in _wait_for_future(self._steps, self._smoother):
            yield frame, self._smoother.state_at(frame.time_s), None

    def count(self, frame: TimedFrame) -> None:
        """Count a frame."""
        self.frames, self._end_s = self.frames + 1, frame.time_s + (frame.lasts_s or 0.0)

    def settle(self, ending: Ending) -> None:
        """Without sinks, those were observed frames alone: count all that were read."""
        if not self._plan.draws:
            seen = self._reads.info.seen
            self.frames, self._end_s = seen.frames, self._end_s if ending.stopped else seen.end_s
        self._is_empty = not ending.whole and self._end_s <= self._plan.source.info.start_s

    def segments(self) -> tuple[Segment, ...]:
        """Return the timeline up to the end of the last frame; empty if stopped before the first."""
        return () if self._is_empty else self._smoother.segments(self._end_s)

    def find_damage(self) -> str:
        """Find the damage of the file, from the reader that got further."""
        files = [each for each in (self._plan.source, self._reads) if isinstance(each, VideoSource)]
        return max(files, key=lambda file: file.info.seen.frames).damage if files else ""


def run_recorded(plan: RunPlan, open_again: Callable[[], Source]) -> RunResult:
    """Observe a recording, draw what is held on every frame, hand it to the sinks.

    open_again: opens the recording a second time, to look ahead if frames are too large to keep in memory.
    """
    follower = RecordedFollower(plan, open_again)
    watched = run_loop(plan, follower)
    if damage := follower.find_damage():
        log.warning(damage)
    return watched


def _held_bytes(source: Source) -> float:
    """Estimate the memory of waiting frames, 8 bit 4:2:0; an animation's BGR frames have no known number."""
    if isinstance(source, AnimationSource):
        return math.inf
    width, height = source.info.stored_wh or source.info.size_wh
    rate = float(source.info.rate)
    frames = rate * AHEAD_S + EVERY * max(rate / OBSERVATIONS_PER_S, 1) + DECODED_AHEAD + OBSERVED_AHEAD + IN_HAND
    return width * height * 1.5 * frames


def _observe_beside(frames: Iterable[TimedFrame], observations: Iterator[Step]) -> Iterator[Step]:
    """Yield each frame after the observations that it needs; damage there is reported by the drawing."""
    observed_s: float = 0
    for frame in frames:
        while observed_s < frame.time_s + AHEAD_S:
            step = _next_observations(observations)
            yield step
            observed_s = (
                math.inf
                if step.is_last
                else max(observed_s, *(observation.time_s for observation in step.observations), 0)
            )
        yield Step(frame)


def _next_observations(observations: Iterator[Step]) -> Step:
    """Yield the next observations without their frame."""
    try:
        return replace(next(observations), frame=None)
    except (StopIteration, SourceError):
        return Step(is_last=True)


def _wait_for_future(steps: Iterable[Step], smoother: FixedLagSmoother) -> Iterator[TimedFrame]:
    """Yield each frame once enough was observed after it; at the end, or before an error, the rest."""
    waiting: deque[TimedFrame] = deque()
    error: Exception | None = None
    try:
        is_over = False
        for step in steps:
            is_over = is_over or step.is_last
            for observation in step.observations:
                smoother.add(observation)
            if step.frame:
                waiting.append(step.frame)
            while waiting and (is_over or waiting[0].time_s + AHEAD_S <= smoother.observed_s):
                yield waiting.popleft()
    except Exception as raised:  # noqa: BLE001 - raised below, whatever it is
        error = raised
    yield from waiting
    if error:
        raise error
