"""A thread that is waited for to its end, whatever interrupts the waiting: nothing is closed that it still uses."""

from __future__ import annotations

import threading
from collections.abc import Callable


class SideThread:
    """Runs `work` beside the others; a daemon."""

    def __init__(self, work: Callable[[], None], name: str) -> None:
        self._work = work
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self) -> None:
        """Wait until it has ended; an interrupt meanwhile is raised then.

        Python's own `join` is of no use after an interrupt: from 3.10 to 3.12 it returns at once from then on.
        """
        interrupt: KeyboardInterrupt | None = None
        while not self._ended.is_set():
            try:
                self._ended.wait()
            except KeyboardInterrupt as error:  # noqa: PERF203 - each interrupt is another round
                interrupt = error
        self._thread.join()
        if interrupt:
            raise interrupt

    def _run(self) -> None:
        try:
            self._work()
        finally:
            self._ended.set()
