"""Engines timed side by side, told by fakes that take a known time."""

from __future__ import annotations

import time

import numpy as np

from yoga_live.calibration.latency import count_cores, time_engines
from yoga_live.runtime.core.model_metadata import ModelInfo
from yoga_live.runtime.core.types import Floats, Frame


class Sleeper:
    """An engine that takes as long as it is told, and longer the first two times in a turn."""

    device = "cpu"

    def __init__(self, name: str, seconds: float, turns: list[str]) -> None:
        self.info = ModelInfo(("plank", "tree"), 32)
        self.name, self.seconds, self.turns = name, seconds, turns
        self.batches: list[int] = []

    def infer(self, frames: Frame) -> Floats:
        starts = not self.turns or self.turns[-1] != self.name
        self.turns.append(self.name)
        self.batches.append(len(frames))
        time.sleep(self.seconds + (0.05 if starts else 0))
        return np.zeros((len(frames), 2), np.float32)

    def infer_maps(self, frames: Frame) -> tuple[Floats, Floats]:
        raise NotImplementedError


def test_engines_take_turns_one_frame_at_a_time_and_warm_up_is_not_counted() -> None:
    turns: list[str] = []
    engines = [Sleeper("slow", 0.006, turns), Sleeper("fast", 0.001, turns)]
    slow, fast = time_engines(engines, np.zeros((3, 32, 32, 3), np.uint8), turns=4, count=5, warm_up=2)
    assert len(slow) == len(fast) == 20
    assert np.median(slow) >= 6 and 1 <= np.median(fast) < np.median(slow)
    assert (slow < 50).mean() > 0.8 and (fast < 50).mean() > 0.8  # the slow start of a turn would be 1 in 5
    assert set(engines[0].batches) == {1} and len(turns) == 2 * 4 * 7
    assert {tuple(dict.fromkeys(turns[start : start + 14])) for start in range(0, 56, 14)} == {
        ("slow", "fast"),
        ("fast", "slow"),
    }


def test_the_process_has_a_core() -> None:
    assert count_cores() >= 1
