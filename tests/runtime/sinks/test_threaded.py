"""Work done behind: in order, bounded, and nothing is lost of what goes wrong."""

from __future__ import annotations

import signal
import threading

import numpy as np
import pytest

from yoga_live.runtime.core.frames import TimedFrame
from yoga_live.runtime.errors import OutputError
from yoga_live.runtime.sinks.threaded import ThreadedSink


class NotingSink:
    """Notes what it is told, and where; waits for `goes_on`; breaks at a frame, or when it is closed."""

    def __init__(self, breaks_at: int | None = None, *, breaks_closing: bool = False) -> None:
        self.breaks_at, self.breaks_closing = breaks_at, breaks_closing
        self.told: list[object] = []
        self.threads: set[str] = set()
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.writes = False

    def write(self, frame: TimedFrame) -> None:
        self.writes = True
        self.threads.add(threading.current_thread().name)
        self.goes_on.wait(10)
        self.writes = False
        if frame.pts == self.breaks_at:
            raise OutputError("the disk is full")
        self.told.append(frame.pts)

    def complete(self) -> None:
        self.told.append("complete")

    def break_off(self) -> None:
        self.told.append("break off")

    def close(self) -> None:
        self.told.append("close in the middle" if self.writes else "close")
        if self.breaks_closing:
            raise OutputError("the file cannot be made")


def frame(number: int) -> TimedFrame:
    return TimedFrame(np.zeros((4, 4, 3), np.uint8), number / 10, number)


def list_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "write behind"]


def test_all_is_written_in_order_and_elsewhere_before_it_is_complete_and_closed() -> None:
    behind = ThreadedSink(sink := NotingSink())
    for number in range(50):
        behind.write(frame(number))
    behind.complete()
    behind.close()
    assert sink.told == [*range(50), "complete", "close"]
    assert sink.threads == {"write behind"} and not list_threads()


def test_where_watching_stops_it_is_closed_and_not_complete() -> None:
    behind = ThreadedSink(sink := NotingSink())
    behind.write(frame(0))
    behind.close()
    assert sink.told == [0, "close"]


def test_what_is_not_the_whole_is_told_before_it_is_closed() -> None:
    behind = ThreadedSink(sink := NotingSink())
    behind.write(frame(0))
    behind.break_off()
    behind.close()
    assert sink.told == [0, "break off", "close"]


def test_without_frames_there_is_no_thread() -> None:
    behind = ThreadedSink(sink := NotingSink())
    assert not list_threads()
    behind.close()
    assert sink.told == ["close"] and not sink.threads


def test_no_more_are_handed_over_than_there_are_places() -> None:
    behind = ThreadedSink(sink := NotingSink(), places=3)
    sink.goes_on.clear()
    handed: list[int] = []

    def hand_over() -> None:
        for number in range(5):
            behind.write(frame(number))
            handed.append(number)

    producer = threading.Thread(target=hand_over)
    producer.start()
    producer.join(0.3)
    assert producer.is_alive() and handed == [0, 1, 2] and sink.told == []
    sink.goes_on.set()
    producer.join(10)
    behind.close()
    assert sink.told == [*range(5), "close"]


def test_what_breaks_is_raised_once_by_a_call_that_follows_and_nothing_waits_for_ever() -> None:
    behind = ThreadedSink(sink := NotingSink(breaks_at=3))
    with pytest.raises(OutputError, match="disk is full"):
        for number in range(100):
            behind.write(frame(number))
    for number in range(10):
        behind.write(frame(number))  # it is given no more
    behind.complete()
    behind.close()
    assert sink.told == [0, 1, 2, "break off", "close"]


def test_what_breaks_at_the_last_frame_is_raised_at_the_end() -> None:
    behind = ThreadedSink(sink := NotingSink(breaks_at=1))
    sink.goes_on.clear()
    behind.write(frame(0))
    behind.write(frame(1))
    behind.complete()
    sink.goes_on.set()
    with pytest.raises(OutputError, match="disk is full"):
        behind.close()
    assert sink.told == [0, "break off", "close"]


def test_of_two_troubles_the_one_that_names_what_is_left_is_told() -> None:
    behind = ThreadedSink(NotingSink(breaks_at=0, breaks_closing=True))
    behind.write(frame(0))
    with pytest.raises(OutputError, match="cannot be made"):
        behind.close()


def interrupt_main(after_s: float) -> None:
    """A real signal, which wakes what is waiting."""
    main = threading.main_thread().ident
    assert main is not None
    threading.Timer(after_s, signal.pthread_kill, (main, signal.SIGINT)).start()


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="this system sends no signal to a thread")
@pytest.mark.parametrize("interrupts", [1, 2])
def test_interrupts_while_it_ends_wait_until_all_is_written_and_closed(interrupts: int) -> None:
    behind = ThreadedSink(sink := NotingSink())
    sink.goes_on.clear()
    behind.write(frame(0))
    behind.write(frame(1))
    for number in range(interrupts):
        interrupt_main(0.1 * (number + 1))
    threading.Timer(0.4, sink.goes_on.set).start()
    with pytest.raises(KeyboardInterrupt):
        behind.close()
    assert sink.told == [0, 1, "close"] and not list_threads()


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="this system sends no signal to a thread")
def test_a_full_disk_is_told_also_where_closing_is_interrupted() -> None:
    behind = ThreadedSink(sink := NotingSink(breaks_at=0))
    sink.goes_on.clear()
    behind.write(frame(0))
    interrupt_main(0.1)
    threading.Timer(0.3, sink.goes_on.set).start()
    with pytest.raises(OutputError, match="disk is full"):
        behind.close()
