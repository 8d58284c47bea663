"""Work that is done ahead in a thread of its own, beside what is done with it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

from .background_thread import SideThread

Item = TypeVar("Item")
WAIT_S = 0.1
"""How long either side waits for the other before it looks whether it is still wanted."""


class ReadAhead(Generic[Item]):
    """Iterate over `items`, which are made in another thread, at most `places` of them ahead.

    What is raised there is raised here.  `with` ends the thread, after the item that it is at.
    """

    def __init__(self, items: Iterable[Item], places: int) -> None:
        self._items = items
        self._queue: queue.Queue[tuple[Item | None, BaseException | None]] = queue.Queue(places)
        self._closed = threading.Event()
        self._thread = SideThread(self._work, "read ahead")

    def __enter__(self) -> ReadAhead[Item]:
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
                if self._closed.is_set():  # by another thread: nothing comes any more
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
        except BaseException as error:  # noqa: BLE001 - handed to the thread that asks
            self._put((None, error))

    def _put(self, entry: tuple[Item | None, BaseException | None]) -> bool:
        while not self._closed.is_set():
            try:
                self._queue.put(entry, timeout=WAIT_S)
            except queue.Full:
                continue
            return True
        return False
