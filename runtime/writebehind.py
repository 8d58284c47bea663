"""A sink that works in a thread of its own, beside what makes the next frame."""

from __future__ import annotations

import queue
import threading

from .frames import TimedFrame
from .sinks import Sink

PLACES = 2
"""Frames that wait: encoders have their own queue, more gain nothing."""


class WriteBehind:
    """Hands frames to a sink in another thread; what is raised there is raised by the call that follows."""

    def __init__(self, sink: Sink, places: int = PLACES) -> None:
        """sink: its `write` is called in the thread, `complete` and `close` are not."""
        self._sink = sink
        self._frames: queue.SimpleQueue[TimedFrame | None] = queue.SimpleQueue()
        self._places = threading.Semaphore(places)
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def write(self, frame: TimedFrame) -> None:
        """Wait for a place, and leave the frame there."""
        self._raise_error()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="write behind", daemon=True)
            self._thread.start()
        self._places.acquire()
        self._frames.put(frame)

    def complete(self) -> None:
        """Once all frames are written."""
        self._end()
        self._raise_error()
        self._sink.complete()

    def close(self) -> None:
        """Write what waits, then close the sink, also after an error."""
        try:
            self._end()
        finally:
            self._sink.close()
        self._raise_error()

    def _raise_error(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _end(self) -> None:
        """End the thread; an interrupt is raised when it has ended: nothing is closed while it writes."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._frames.put(None)
        try:
            thread.join()
        except KeyboardInterrupt:
            thread.join()
            raise

    def _work(self) -> None:
        is_broken = False
        while (frame := self._frames.get()) is not None:
            if not is_broken:
                try:
                    self._sink.write(frame)
                except BaseException as error:  # noqa: BLE001 - handed to the thread that asks
                    self._error, is_broken = error, True
            self._places.release()
