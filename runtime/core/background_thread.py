"""Background threads: one that can be joined reliably, and one that makes items ahead of their use."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")
WAIT_S = 0.1
"""How long either side waits for the other before it checks whether the iterator was closed."""
PATIENCE_S = 10.0
"""How long an interrupt waits for the thread; a later one is raised at once."""


class BackgroundThread:
    """Runs `work` in a daemon thread."""

    def __init__(self, work: Callable[[], None], name: str) -> None:
        self._work = work
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def join(self) -> None:
        """Wait until it has ended; an interrupt in the first `PATIENCE_S` is raised after that, a later one at once.

        Python's own `join` fails after an interrupt: from 3.10 to 3.12 it then returns at once.
        """
        interrupt: KeyboardInterrupt | None = None
        until_s = time.monotonic() + PATIENCE_S
        while not self._ended.is_set():
            try:
                self._ended.wait()
            except KeyboardInterrupt as error:  # noqa: PERF203 - each interrupt is another round
                interrupt = error
                if time.monotonic() > until_s:
                    raise
        self._thread.join()
        if interrupt:
            raise interrupt

    def _run(self) -> None:
        try:
            self._work()
        finally:
            self._ended.set()


class Prefetch(Generic[Item]):
    """Iterate over `items`, which another thread makes, at most `places` ahead.

    Exceptions there are raised here.  Leaving the `with` block ends the thread after its current item.
    """

    def __init__(self, items: Iterable[Item], places: int) -> None:
        self._items = items
        self._queue: queue.Queue[tuple[Item | None, BaseException | None]] = queue.Queue(places)
        self._closed = threading.Event()
        self._thread = BackgroundThread(self._work, "read ahead")

    def __enter__(self) -> Prefetch[Item]:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._thread.join()

    def __iter__(self) -> Iterator[Item]:
        while True:
            try:
                item, error = self._queue.get(timeout=WAIT_S)
            except queue.Empty:
                if self._closed.is_set():  # by another thread: nothing follows
                    return
                continue
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item  # pyright: ignore[reportReturnType]

    def _work(self) -> None:
        try:
            for item in self._items:
                if not self._put((item, None)):
                    return
            self._put((None, StopIteration()))
        except BaseException as error:  # noqa: BLE001 - raised in the iterating thread
            self._put((None, error))

    def _put(self, entry: tuple[Item | None, BaseException | None]) -> bool:
        while not self._closed.is_set():
            try:
                self._queue.put(entry, timeout=WAIT_S)
            except queue.Full:
                continue
            return True
        return False
