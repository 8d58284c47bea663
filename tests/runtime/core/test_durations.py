"""Holds are shown in whole seconds, rounded down, wherever text is."""

from __future__ import annotations

import pytest

from yoga_live.runtime.core.durations import describe_holds
from yoga_live.runtime.system.progress import format_duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0:00"), (0.99, "0:00"), (59.9, "0:59"), (65.0, "1:05"), (3599.999, "59:59"), (3661.2, "1:01:01")],
)
def test_a_time_is_rounded_down_to_whole_seconds(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_a_sum_of_frames_that_misses_a_second_by_rounding_still_counts_it() -> None:
    assert format_duration(sum([0.1] * 10)) == "0:01"  # 0.9999999999999999


def test_the_longest_hold_is_named_where_there_are_several() -> None:
    assert describe_holds(1, 34.9, 34.9) == "once, 34.9 s"
    assert describe_holds(2, 65.5, 40.9) == "2 times, 1:05 in total, longest 40.9 s"
