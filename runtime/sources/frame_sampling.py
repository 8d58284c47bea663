"""Frame subsampling: which frames of a recording are observed, a few a second, in chunks of minutes.

At each chunk, on a fixed grid of a video's time, all that is remembered begins anew.  So memory stays bounded, and
what is seen of a chunk does not depend on where reading began, if it began early enough to warm up: parts of a video
that are watched on several machines say what one machine says of the whole.
"""

from __future__ import annotations

from dataclasses import dataclass

CHUNK_S = 600.0
"""How long a chunk is, seconds: chunk n is from n * CHUNK_S on, whatever part of the video is read."""
WARM_UP_S = 60.0
"""How long before its chunk a cropper begins to observe: twelve times what the zoom keeps of a place that is left."""
SAME_S = 1e-6
"""Moments nearer than this are one: times are kept as fractions, seconds as floats."""


@dataclass(frozen=True)
class FrameRole:
    """What a frame is for: an observation in its own chunk, an observation by which the next chunk's cropper warms up,
    both, none."""

    chunk: int
    observes: bool
    warms: bool

    @property
    def is_wanted(self) -> bool:
        """Whether it is for anything."""
        return self.observes or self.warms


class FrameSampler:
    """Says of each frame what it is for.  The same frames are chosen of all frames, and of those that it chose."""

    def __init__(self, per_s: float, start_s: float = 0.0) -> None:
        """per_s: frames that are wanted of a second; start_s: where reading begins, seconds."""
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
    """The number of the chunk that a moment lies in."""
    return int((time_s + SAME_S) // CHUNK_S)
