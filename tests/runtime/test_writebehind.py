"""Work done behind: in order, bounded, and nothing is lost of what goes wrong."""

from __future__ import annotations

import _thread
import threading
import time

import numpy as np
import pytest

from yoga_live.runtime.errors import OutputError
from yoga_live.runtime.frames import TimedFrame
from yoga_live.runtime.writebehind import WriteBehind


class SlowSink:
    """Notes what it is told, slowly; breaks at a frame, or when it is closed."""

    def __init__(self, seconds: float = 0.0, breaks_at: int | None = None, breaks_closing: bool = False) -> None:
        self.seconds, self.breaks_at, self.breaks_closing = seconds, breaks_at, breaks_closing
        self.told: list[object] = []
        self.threads: set[str] = set()

    def write(self, frame: TimedFrame) -> None:
        time.sleep(self.seconds)
        if frame.pts == self.breaks_at:
            raise OutputError("the disk is full")
        self.told.append(frame.pts)
        self.threads.add(threading.current_thread().name)

    def complete(self) -> None:
        self.told.append("complete")

    def close(self) -> None:
        self.told.append("close")
        if self.breaks_closing:
            raise OutputError("the file can't be made")


def frame(number: int) -> TimedFrame:
    return TimedFrame(np.zeros((4, 4, 3), np.uint8), number / 10, number)


def test_all_is_written_in_order_and_elsewhere_before_it_is_complete_and_closed() -> None:
    sink, before = SlowSink(0.002), threading.active_count()
    behind = WriteBehind(sink)
    for number in range(50):
        behind.write(frame(number))
    behind.complete()
    behind.close()
    assert sink.told == [*range(50), "complete", "close"]
    assert sink.threads == {"write behind"} and threading.active_count() == before


def test_without_frames_there_is_no_thread() -> None:
    sink, before = SlowSink(), threading.active_count()
    behind = WriteBehind(sink)
    assert threading.active_count() == before
    behind.close()
    assert sink.told == ["close"]


def test_no_more_wait_than_there_are_places() -> None:
    sink = SlowSink(0.05)
    behind = WriteBehind(sink, places=3)
    started_s = time.monotonic()
    for number in range(3):
        behind.write(frame(number))
    assert time.monotonic() - started_s < 0.05
    for number in range(3, 10):
        behind.write(frame(number))
        assert number - len(sink.told) <= 3
    behind.close()
    assert len(sink.told) == 11


def test_what_breaks_is_raised_once_by_the_next_call_and_nothing_waits_for_ever() -> None:
    sink = SlowSink(breaks_at=3)
    behind = WriteBehind(sink)
    with pytest.raises(OutputError, match="disk is full"):
        for number in range(1000):
            behind.write(frame(number))
            time.sleep(0.001)
    for number in range(10):
        behind.write(frame(number))  # it is given no more
    behind.close()
    assert sink.told == [0, 1, 2, "close"]


@pytest.mark.parametrize("how", ["complete", "close"])
def test_what_breaks_at_the_last_frame_is_raised_at_the_end(how: str) -> None:
    sink = SlowSink(0.05, breaks_at=1)
    behind = WriteBehind(sink)
    behind.write(frame(0))
    behind.write(frame(1))
    with pytest.raises(OutputError, match="disk is full"):
        getattr(behind, how)()
    assert sink.told == [0, "close"][: 1 + (how == "close")]


def test_of_two_troubles_the_one_that_names_what_is_left_is_told() -> None:
    behind = WriteBehind(SlowSink(breaks_at=0, breaks_closing=True))
    behind.write(frame(0))
    with pytest.raises(OutputError, match="can't be made"):
        behind.close()


def test_an_interrupt_while_it_ends_waits_for_the_frame_in_hand() -> None:
    sink = SlowSink(0.4)
    behind = WriteBehind(sink)
    behind.write(frame(0))
    threading.Timer(0.1, _thread.interrupt_main).start()
    with pytest.raises(KeyboardInterrupt):
        behind.close()
    assert sink.told == [0, "close"]
