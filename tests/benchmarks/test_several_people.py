"""The picture on which benchmarks/several_people.py measures what eight people cost."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from yoga_live.runtime.core.frames import TimedFrame
from yoga_live.runtime.sinks.video import VideoSink
from yoga_live.runtime.sources.base import SourceInfo

pytest.importorskip("onnxruntime")
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from several_people import COST_RATE, EIGHTH_WH, LATER_S, compose_eight


def write_steps(path: Path, levels: list[int]) -> Path:
    """A clip that has each of these grey levels for a second."""
    info, number = SourceInfo("steps", (160, 90), Fraction(24), Fraction(1, 24), None), 0
    sink = VideoSink(path, info)
    for level in levels:
        for _ in range(24):
            sink.write(TimedFrame(np.full((90, 160, 3), level, np.uint8), number / 24, number))
            number += 1
    sink.complete()
    sink.close()
    return path


def test_eight_parts_show_the_clips_in_turns_later_and_again(tmp_path: Path) -> None:
    short = write_steps(tmp_path / "short.mp4", [40, 80])
    long = write_steps(tmp_path / "long.mp4", [20 * number for number in range(1, 11)])
    frames = list(compose_eight([short, long], 3))
    assert len(frames) == 3 * COST_RATE and {frame.image_bgr.shape for frame in frames} == {(1080, 1920, 3)}
    width, height = EIGHTH_WH
    middles = [(number % 4 * width + width // 2, number // 4 * height + height // 2) for number in range(8)]
    for second in range(3):
        image = frames[24 * second + 12].image_bgr
        seen = [int(image[y, x, 0]) for x, y in middles]
        later = [round(LATER_S) * (number // 2) + second for number in range(8)]
        expected = [[40, 80][at % 2] if number % 2 == 0 else 20 * (at % 10 + 1) for number, at in enumerate(later)]
        assert seen == pytest.approx(expected, abs=4)
