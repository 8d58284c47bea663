"""One engine for the live loop and for others: memory is paid once, and the loop comes first."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from ..core.types import Floats, Frame
from .base import Engine

T = TypeVar("T")

GIVES_WAY_S = 1.0
"""For so long a guest lets a loop that is always busy go first; then it takes one turn."""


class SharedEngine:
    """Runs an engine for one thread at a time.  Its owner waits for one run of a guest at most."""

    def __init__(self, engine: Engine) -> None:
        self.info, self.device = engine.info, engine.device
        self._engine = engine
        self._turn = threading.Lock()
        self._next_guest = threading.Lock()  # so that one guest at most is between an owner and its turn
        self._changed = threading.Condition()
        self._wanted = 0  # by how many owners

    def infer(self, frames: Frame) -> Floats:
        """As the engine's."""
        return self._run_first(lambda: self._engine.infer(frames))

    def infer_maps(self, frames: Frame) -> tuple[Floats, Floats]:
        """As the engine's."""
        return self._run_first(lambda: self._engine.infer_maps(frames))

    def make_guest(self) -> GuestEngine:
        """The same engine for those who give way."""
        return GuestEngine(self)

    def run_last(self, task: Callable[[Engine], T]) -> T:
        """Run a guest's task while no owner wants the engine."""
        with self._next_guest:
            with self._changed:
                self._changed.wait_for(lambda: not self._wanted, GIVES_WAY_S)
            with self._turn:
                return task(self._engine)

    def _run_first(self, task: Callable[[], T]) -> T:
        with self._changed:
            self._wanted += 1
        try:
            with self._turn:
                return task()
        finally:
            with self._changed:
                self._wanted -= 1
                self._changed.notify_all()


class GuestEngine:
    """A shared engine as its guests see it."""

    def __init__(self, shared: SharedEngine) -> None:
        self.info, self.device = shared.info, shared.device
        self._shared = shared

    def infer(self, frames: Frame) -> Floats:
        """As the engine's, after whoever comes first."""
        return self._shared.run_last(lambda engine: engine.infer(frames))

    def infer_maps(self, frames: Frame) -> tuple[Floats, Floats]:
        """As the engine's, after whoever comes first."""
        return self._shared.run_last(lambda engine: engine.infer_maps(frames))
