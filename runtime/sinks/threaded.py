"""A sink that works in a thread of its own, parallel to the loop that makes the next frame."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from functools import partial

from ..core.background_thread import BackgroundThread
from ..core.frames import TimedFrame
from .base import Sink

PLACES = 2
"""Frames handed over and not yet written; more would gain nothing, because encoders have their own queue."""


class ThreadedSink:
    """Passes frames to a sink in another thread, which also closes it.  Errors there are raised by the next call here.

    An interrupt waits until the sink is closed, so that its output is not lost.
    """

    def __init__(self, sink: Sink, places: int = PLACES) -> None:
        """sink: is only called in the thread, once there are frames."""
        self._sink = sink
        self._frames: queue.SimpleQueue[TimedFrame | None] = queue.SimpleQueue()
        self._places = threading.Semaphore(places)
        self._thread: BackgroundThread | None = None
        self._error: BaseException | None = None
        self._is_complete = self._is_broken_off = False

    def write(self, frame: TimedFrame) -> None:
        """Wait for a free place in the queue, and put the frame there."""
        self._raise_error()
        if self._thread is None:
            self._thread = BackgroundThread(self._work, "write behind")
            self._thread.start()
        self._places.acquire()
        self._frames.put(frame)

    def complete(self) -> None:
        """Note that the last frame has been handed over."""
        self._raise_error()
        self._is_complete = True

    def break_off(self) -> None:
        """Note that the output is incomplete."""
        self._is_broken_off = True

    def close(self) -> None:
        """Write the waiting frames, then complete and close the sink, also after an error."""
        self._frames.put(None)
        try:
            if self._thread:
                self._thread.join()
            else:
                self._work()
        finally:
            self._raise_error()

    def _raise_error(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def _work(self) -> None:
        is_broken = False
        while (frame := self._frames.get()) is not None:
            is_broken = is_broken or not self._try(partial(self._sink.write, frame))
            self._places.release()
        if self._is_broken_off or is_broken:
            self._try(self._sink.break_off)
        elif self._is_complete:
            self._try(self._sink.complete)
        self._try(self._sink.close)  # its error, which says what is left, replaces the first one

    def _try(self, task: Callable[[], None]) -> bool:
        try:
            task()
        except BaseException as error:  # noqa: BLE001 - raised in the calling thread
            self._error = error
            return False
        return True
