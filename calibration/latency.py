"""Measures the time of one frame in several engines."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..runtime.core.types import Frame
from ..runtime.engines.base import Engine
from ..runtime.system.progress import track

TURNS, FRAMES, WARM_UP = 20, 10, 5


def time_engines(
    engines: Sequence[Engine], frames: Frame, turns: int = TURNS, count: int = FRAMES, warm_up: int = WARM_UP
) -> list[npt.NDArray[np.float64]]:
    """Milliseconds of the network for one frame, float (turns * count,) per engine; batch 1.

    frames: uint8 (N, S, S, 3) BGR, used one after the other.  The engines take turns, in another order each round, so
    that noise of the machine affects all equally; the first frames of a turn are not counted, because the threads of
    the previous engine still spin then.
    """
    rng = np.random.default_rng(0)
    times_ms: list[list[float]] = [[] for _ in engines]
    for _ in track(range(turns), "latency", turns, "turns"):
        for number in rng.permutation(len(engines)):
            for step in range(warm_up + count):
                frame = frames[step % len(frames)][None]
                started_s = time.perf_counter()
                engines[number].infer(frame)
                if step >= warm_up:
                    times_ms[number].append((time.perf_counter() - started_s) * 1000)
    return [np.array(times) for times in times_ms]


def count_cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
