"""The time of a recording, beside the clock."""

from __future__ import annotations

import math
import time


class Pace:
    """A recording shown in its own time: how long until each frame is due."""

    def __init__(self) -> None:
        self._zero_s = -math.inf

    def wait_s(self, time_s: float) -> float:
        """Seconds from now until the frame of `time_s` is due; 0 where that has been."""
        now_s = time.monotonic()
        self._zero_s = max(self._zero_s, now_s - time_s)  # behind: go on from here instead of hurrying after
        return max(self._zero_s + time_s - now_s, 0.0)
