"""Plays a recording in real time."""

from __future__ import annotations

import math
import time


class Pace:
    """Computes how long to wait until each frame of a recording is due."""

    def __init__(self) -> None:
        self._zero_s = -math.inf

    def wait_s(self, time_s: float) -> float:
        """Seconds until the frame of `time_s` is due; 0 if it is late."""
        now_s = time.monotonic()
        self._zero_s = max(self._zero_s, now_s - time_s)  # if late, continue from here instead of catching up
        return max(self._zero_s + time_s - now_s, 0.0)
