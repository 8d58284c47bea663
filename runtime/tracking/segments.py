"""A class as it goes by: which pose is held since when, and the segments so far."""

from __future__ import annotations

from dataclasses import dataclass

from ..classifier import NO_POSE
from .causal_smoother import SmoothedPose


@dataclass(frozen=True)
class Segment:
    """One stretch of the timeline.  Seconds from the start; confidence: mean while it led, 0 to 1."""

    start_s: float
    end_s: float
    pose: str
    confidence: float

    @property
    def duration_s(self) -> float:
        return self.end_s - self.start_s


@dataclass(frozen=True)
class Hold:
    """What is shown at this moment: the pose, its confidence, and for how long it has been held.

    leads: False while the pose is only kept, because what follows it has not lasted long enough; hold_s then stands
    still, and goes on from where it would be if the pose leads again.  ahead_s: how much of hold_s is newer than what
    the network has seen.
    """

    pose: str
    confidence: float
    hold_s: float
    leads: bool = True
    ahead_s: float = 0.0

    @property
    def seen_s(self) -> float:
        """For how long it has been seen to be held."""
        return self.hold_s - self.ahead_s

    @property
    def is_resting(self) -> bool:
        return self.pose == NO_POSE


class Session:
    """Turn smoothed poses into holds and segments."""

    def __init__(self) -> None:
        self._segments: list[Segment] = []
        self._current: SmoothedPose | None = None
        self._sum, self._frames = 0.0, 0
        self._end_s = self._led_s = 0.0

    def update(self, time_s: float, smoothed: SmoothedPose) -> Hold:
        """Take the smoothed pose of the frame at `time_s`."""
        if self._current is None or smoothed.pose != self._current.pose:
            self._close(smoothed.since_s)
            self._current, self._sum, self._frames, self._led_s = smoothed, 0.0, 0, time_s
        if smoothed.leads:  # the frames after its end say nothing of how sure it was
            self._sum += smoothed.confidence
            self._frames += 1
        if smoothed.leads or smoothed.pose == NO_POSE:
            self._led_s = time_s
        self._end_s = time_s
        return Hold(smoothed.pose, smoothed.confidence, self._led_s - self._current.since_s, smoothed.leads)

    def segments(self) -> tuple[Segment, ...]:
        """All segments, the running one included, without gaps."""
        if self._current is None:
            return ()
        return (*self._segments, self._segment(self._current, max(self._end_s, self._current.since_s)))

    def _close(self, end_s: float) -> None:
        if self._current is not None and end_s > self._current.since_s:
            self._segments.append(self._segment(self._current, end_s))

    def _segment(self, smoothed: SmoothedPose, end_s: float) -> Segment:
        return Segment(smoothed.since_s, end_s, smoothed.pose, self._sum / max(self._frames, 1))
