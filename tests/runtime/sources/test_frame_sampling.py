"""Stretches: which frames are looked at does not depend on where reading began."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yoga_live.runtime.sources.frame_sampling import CHUNK_S, WARM_UP_S, FrameSampler, find_chunk


def take_all(times_s: list[float], start_s: float = 0.0) -> list[tuple[float, int, bool, bool]]:
    turns = FrameSampler(6.0, start_s)
    taken = [(time_s, turns.take(time_s)) for time_s in times_s]
    return [(time_s, turn.chunk, turn.observes, turn.warms) for time_s, turn in taken if turn.is_wanted]


uneven_steps_s = st.lists(st.sampled_from((0.001, 1 / 30, 0.04, 0.17, 0.5, 3.0, 200.0)), min_size=1, max_size=400)


@settings(max_examples=80, deadline=None)
@given(steps_s=uneven_steps_s, begin_s=st.sampled_from((0.0, 539.0, 595.0, 1190.0)))
def test_a_stretch_is_looked_at_alike_wherever_reading_began(steps_s: list[float], begin_s: float) -> None:
    times_s = [begin_s]
    for step_s in steps_s:
        times_s.append(times_s[-1] + step_s)
    whole = take_all(times_s)
    for chunk in {find_chunk(time_s) for time_s in times_s} - {0}:
        start_s = chunk * CHUNK_S - WARM_UP_S
        part = take_all([time_s for time_s in times_s if time_s >= start_s - 1e-6], start_s)
        assert looks_in(part, chunk) == looks_in(whole, chunk)
        assert warm_ups_for(part, chunk) == warm_ups_for(whole, chunk)


@settings(max_examples=80, deadline=None)
@given(steps_s=uneven_steps_s)
def test_the_same_frames_are_chosen_of_those_that_were_chosen(steps_s: list[float]) -> None:
    times_s = [0.0]
    for step_s in steps_s:
        times_s.append(times_s[-1] + step_s)
    chosen = take_all(times_s)
    assert take_all([time_s for time_s, *_ in chosen]) == chosen


def looks_in(taken: list[tuple[float, int, bool, bool]], chunk: int) -> list[float]:
    return [time_s for time_s, of, observes, _ in taken if observes and of == chunk]


def warm_ups_for(taken: list[tuple[float, int, bool, bool]], chunk: int) -> list[float]:
    return [time_s for time_s, of, _, warms in taken if warms and of == chunk - 1]


@pytest.mark.parametrize("rate", [10, 24, 25, 30, 50])
def test_six_frames_of_a_second_and_a_minute_of_them_twice(rate: int) -> None:
    taken = take_all([number / rate for number in range(rate * 660)])
    # where the rate is no multiple of six, the grid still is six a second on the whole
    assert sum(observes for *_, observes, _ in taken) == pytest.approx(6 * 660, abs=2)
    assert sum(warms for *_, warms in taken) == pytest.approx(6 * WARM_UP_S, abs=2)
    assert all(540 <= time_s < 600 for time_s, *_, warms in taken if warms)


def test_a_moment_on_the_edge_belongs_to_what_it_begins() -> None:
    assert [find_chunk(time_s) for time_s in (0.0, 599.9, 599.9999999, 600.0, 1200.0)] == [0, 0, 1, 1, 2]
