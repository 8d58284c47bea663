"""A sink that works in a thread of its own, beside what makes the next frame."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from functools import partial

from ..core.background_thread import BackgroundThread
from ..core.frames import TimedFrame
from .base import Sink

PLACES = 2
"""Frames that are handed over and not yet written: encoders have a queue of their own, more gain nothing."""


class ThreadedSink:
    """Hands frames to a sink in another thread, which closes it too; what is raised there is raised by the call that
    follows.  An interrupt waits until the sink is closed: what it has is not lost half-way."""

    def __init__(self, sink: Sink, places: int = PLACES) -> None:
        """sink: all of it is called in the thread, once there are frames."""
        self._sink = sink
        self._frames: queue.SimpleQueue[TimedFrame | None] = queue.SimpleQueue()
        self._places = threading.Semaphore(places)
        self._thread: BackgroundThread | None = None
        self._error: BaseException | None = None
        self._is_complete = self._is_broken_off = False

    def write(self, frame: TimedFrame) -> None:
        """Wait for a place, and leave the frame there."""
        self._raise_error()
        if self._thread is None:
            self._thread = BackgroundThread(self._work, "write behind")
            self._thread.start()
        self._places.acquire()
        self._frames.put(frame)

    def complete(self) -> None:
        """The last frame has been handed over."""
        self._raise_error()
        self._is_complete = True

    def break_off(self) -> None:
        """What was handed over is not the whole."""
        self._is_broken_off = True

    def close(self) -> None:
        """Write what waits, then complete and close the sink; it is closed also after an error."""
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
        self._try(self._sink.close)  # what it has to say of what is left comes before what broke

    def _try(self, task: Callable[[], None]) -> bool:
        try:
            task()
        except BaseException as error:  # noqa: BLE001 - handed to the thread that asks
            self._error = error
            return False
        return True
