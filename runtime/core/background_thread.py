"""A thread that is waited for to its end, although the waiting is interrupted: nothing is closed that it still uses."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

PATIENCE_S = 10.0
"""How long an interrupt waits for the thread; from then on it is somebody's wish to end what hangs."""


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
        """Wait until it has ended; an interrupt in the first `PATIENCE_S` is raised then, a later one at once.

        Python's own `join` is of no use after an interrupt: from 3.10 to 3.12 it returns at once from then on.
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
