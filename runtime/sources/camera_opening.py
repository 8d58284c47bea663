"""Opens something in a thread of its own, because opening may hang."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Opening(Generic[T]):
    """Something being opened; waiting for it can be interrupted or abandoned."""

    def __init__(self, connect: Callable[[], T], release: Callable[[T], None]) -> None:
        """release: is called with what is opened after `abandon`."""
        self._connect, self._release = connect, release
        self._found: T | None = None
        self._error: BaseException | None = None
        self._is_abandoned = False
        self._lock, self._done = threading.Lock(), threading.Event()
        threading.Thread(target=self._run, name="open", daemon=True).start()

    def wait(self, longest_s: float) -> T | None:
        """Return what was opened, or None if it takes longer.  Raises what opening it raised."""
        self._done.wait(longest_s)
        if self._error:
            raise self._error
        return self._found

    def abandon(self) -> None:
        """Stop waiting; what is opened later is released."""
        with self._lock:
            self._is_abandoned = True
            if self._found is not None:
                self._release(self._found)

    def _run(self) -> None:
        try:
            found = self._connect()
        except BaseException as error:  # noqa: BLE001 - raised again in `wait`
            self._error = error
        else:
            with self._lock:
                self._found = found
                if self._is_abandoned:
                    self._release(found)
        self._done.set()
