"""One engine shared by the live loop and others: its memory is used once, and the loop has priority."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from ..core.types import Floats, Frame
from .base import Engine, find_feature_size, infer_features

T = TypeVar("T")

GIVES_WAY_S = 1.0
"""Seconds that a guest waits for a loop that is always busy; then it takes one turn."""


class SharedEngine:
    """Runs an engine for one thread at a time.  Its owner waits for at most one call of a guest."""

    def __init__(self, engine: Engine) -> None:
        self.info, self.device = engine.info, engine.device
        self.feature_size = find_feature_size(engine)
        self._engine = engine
        self._turn = threading.Lock()
        self._next_guest = threading.Lock()  # so that at most one guest is ahead of an owner
        self._changed = threading.Condition()
        self._wanted = 0  # number of owners waiting

    def infer(self, frames: Frame) -> Floats:
        """As the engine's."""
        return self._run_first(lambda: self._engine.infer(frames))

    def infer_maps(self, frames: Frame) -> tuple[Floats, Floats]:
        """As the engine's."""
        return self._run_first(lambda: self._engine.infer_maps(frames))

    def infer_features(self, frames: Frame) -> tuple[Floats, Floats]:
        """As the engine's."""
        return self._run_first(lambda: infer_features(self._engine, frames))

    def make_guest(self) -> GuestEngine:
        """Make a handle on the same engine with lower priority."""
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
    """A shared engine as seen by its guests, which have lower priority."""

    def __init__(self, shared: SharedEngine) -> None:
        self.info, self.device, self.feature_size = shared.info, shared.device, shared.feature_size
        self._shared = shared

    def infer(self, frames: Frame) -> Floats:
        """As the engine's, after callers with priority."""
        return self._shared.run_last(lambda engine: engine.infer(frames))

    def infer_maps(self, frames: Frame) -> tuple[Floats, Floats]:
        """As the engine's, after callers with priority."""
        return self._shared.run_last(lambda engine: engine.infer_maps(frames))

    def infer_features(self, frames: Frame) -> tuple[Floats, Floats]:
        """As the engine's, after callers with priority."""
        return self._shared.run_last(lambda engine: infer_features(engine, frames))
