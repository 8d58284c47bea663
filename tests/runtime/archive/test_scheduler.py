"""The schedule: few recordings open at once, pieces in any order, tasks that outlive their workers."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np
import pytest

from yoga_live.runtime.archive.inputs import Recorded
from yoga_live.runtime.archive.scheduler import (
    TRIES,
    Failed,
    ObserveShard,
    OpenTask,
    Outcome,
    Schedule,
    SmoothTask,
    Task,
)
from yoga_live.runtime.archive.shards import Shard, ShardResult, VideoResult

PIECES = [Shard(0, 600), Shard(600, 1200), Shard(1200, None)]
TOLD = VideoResult((), 10)


def make_videos(count: int) -> list[Recorded]:
    return [Recorded(Path(f"{number}.mp4"), PurePosixPath(f"{number}.mp4")) for number in range(count)]


def make_looks(start_s: float) -> ShardResult:
    return ShardResult(np.array([start_s]), np.zeros((1, 3), np.float32), start_s)


def take_next(schedule: Schedule) -> Task:
    task = schedule.next()
    assert task is not None
    return task


def test_short_recordings_are_one_task_each() -> None:
    schedule = Schedule(make_videos(2))
    first, second = take_next(schedule), take_next(schedule)
    assert isinstance(first, OpenTask) and isinstance(second, OpenTask) and schedule.next() is None
    assert schedule.take(second, TOLD) == Outcome(second.video, TOLD)
    assert schedule.take(first, TOLD) == Outcome(first.video, TOLD)


def test_pieces_are_joined_in_order_whichever_comes_first() -> None:
    schedule = Schedule(make_videos(1))
    assert schedule.take(take_next(schedule), PIECES) is None
    tasks = [take_next(schedule) for _ in PIECES]
    assert schedule.next() is None
    for task in reversed(tasks):
        assert isinstance(task, ObserveShard)
        assert schedule.take(task, make_looks(task.shard.start_s)) is None
    smooth = take_next(schedule)
    assert isinstance(smooth, SmoothTask) and [observations.end_s for observations in smooth.observations] == [
        0,
        600,
        1200,
    ]
    assert schedule.take(smooth, TOLD) == Outcome(smooth.video, TOLD) and schedule.next() is None


def test_pieces_of_what_is_open_go_first_and_the_list_is_not_read_ahead() -> None:
    read: list[Recorded] = []

    def give():
        for video in make_videos(10_000):
            read.append(video)
            yield video

    schedule = Schedule(give())
    schedule.take(take_next(schedule), PIECES)
    assert all(isinstance(take_next(schedule), ObserveShard) for _ in PIECES)
    assert len(read) == 1
    assert isinstance(take_next(schedule), OpenTask) and len(read) == 2


def test_a_task_whose_worker_died_is_done_again_first() -> None:
    schedule = Schedule(make_videos(3))
    schedule.take(take_next(schedule), PIECES)
    lost, other = take_next(schedule), take_next(schedule)
    assert schedule.lose(lost, "gone") is None
    assert schedule.next() is lost and schedule.next() is not other


def test_a_recording_that_kills_workers_is_given_up_and_its_other_pieces_with_it() -> None:
    schedule = Schedule(make_videos(2))
    schedule.take(take_next(schedule), PIECES)
    deadly, late = take_next(schedule), take_next(schedule)
    for _ in range(TRIES - 1):
        assert schedule.lose(deadly, "out of memory") is None
        assert schedule.next() is deadly
    outcome = schedule.lose(deadly, "out of memory")
    assert outcome is not None and isinstance(outcome.result, Failed)
    assert f"{TRIES} workers died" in outcome.result.reason and "out of memory" in outcome.result.reason
    assert schedule.take(late, make_looks(600)) is None  # was on its way still
    assert schedule.lose(late, "gone") is None
    following = take_next(schedule)
    assert isinstance(following, OpenTask) and following.video != deadly.video


def test_what_is_no_video_is_an_outcome_and_the_next_goes_on() -> None:
    schedule = Schedule(make_videos(2))
    task = take_next(schedule)
    assert schedule.take(task, Failed("no video")) == Outcome(task.video, Failed("no video"))
    assert isinstance(schedule.next(), OpenTask)


@pytest.mark.parametrize("number", [0, 2])
def test_a_piece_that_fails_fails_its_recording(number: int) -> None:
    schedule = Schedule(make_videos(1))
    schedule.take(take_next(schedule), PIECES)
    tasks = [take_next(schedule) for _ in PIECES]
    outcome = schedule.take(tasks[number], Failed("gone"))
    assert outcome == Outcome(tasks[0].video, Failed("gone")) and schedule.next() is None
