"""Frame subsampling: which frames of a recording are observed, a few per second, in chunks of minutes.

At each chunk, on a fixed grid of the video's time, all state is reset.  So memory is bounded, and the result for a
chunk does not depend on where reading began, if that was early enough to warm up: parts of a video that are annotated
on several machines give the same result as the whole on one machine.  Where each of several people is followed, nothing
is reset, since their numbers hold to the end; such a video is annotated whole.
"""

from __future__ import annotations

from dataclasses import dataclass

CHUNK_S = 600.0
"""Length of a chunk in seconds: chunk n starts at n * CHUNK_S, whatever part of the video is read."""
WARM_UP_S = 60.0
"""Seconds before its chunk that a cropper starts to observe: twelve times the memory of the zoom."""
SAME_S = 1e-6
"""Times closer than this are equal: times are kept as fractions, seconds as floats."""


@dataclass(frozen=True)
class FrameRole:
    """What a frame is used for: an observation in its own chunk, warming up the next chunk's cropper, both, or
    neither."""

    chunk: int
    observes: bool
    warms: bool

    @property
    def is_wanted(self) -> bool:
        """Whether it is used at all."""
        return self.observes or self.warms


class FrameSampler:
    """Decides what each frame is used for.  Applied to its own selection, it selects the same frames again."""

    def __init__(self, per_s: float, start_s: float = 0.0) -> None:
        """per_s: frames to observe per second; start_s: where reading starts, seconds."""
        self._interval_s, self._chunk, self._warmed = 1 / per_s, find_chunk(start_s), -1
        self._observation_due_s, self._warm_due_s = start_s, 0.0

    def take(self, time_s: float) -> FrameRole:
        """Take the next frame by its time, seconds, never going back."""
        chunk = find_chunk(time_s)
        if chunk != self._chunk:
            self._chunk, self._observation_due_s = chunk, chunk * CHUNK_S
        observes = time_s >= self._observation_due_s - SAME_S
        if observes:
            self._observation_due_s = max(self._observation_due_s + self._interval_s, time_s)
        return FrameRole(chunk, observes, self._is_warm_up(time_s, chunk + 1))

    def _is_warm_up(self, time_s: float, chunk: int) -> bool:
        begin_s = chunk * CHUNK_S - WARM_UP_S
        if time_s < begin_s - SAME_S:
            return False
        if self._warmed != chunk:
            self._warmed, self._warm_due_s = chunk, begin_s
        if time_s < self._warm_due_s - SAME_S:
            return False
        self._warm_due_s = max(self._warm_due_s + self._interval_s, time_s)
        return True


def find_chunk(time_s: float) -> int:
    """Return the number of the chunk that holds a time."""
    return int((time_s + SAME_S) // CHUNK_S)
