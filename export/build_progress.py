"""Shows the progress of TensorRT's build on the progress line; Ctrl-C ends the build."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from ..runtime.system.progress import Progress


@dataclass
class _Phase:
    """One phase: its number of steps, how many are done, and the phases inside the next step."""

    steps: int
    parent: str | None
    done: int = 0
    inner: dict[str, _Phase] = field(default_factory=dict)

    def share(self) -> float:
        """Fraction of the phase that is done, 0 to 1."""
        inside = sum(phase.share() for phase in self.inner.values()) / max(len(self.inner), 1)
        return min((self.done + inside) / max(self.steps, 1), 1.0)


class BuildProgress:
    """Converts TensorRT's phases into one fraction that never decreases.

    TensorRT calls it from any of its threads, where exceptions are not allowed: Ctrl-C is returned as "stop".
    """

    def __init__(self, progress: Progress) -> None:
        """progress: with a total of 1."""
        self._progress, self._shown = progress, 0.0
        self._phases: dict[str, _Phase] = {}
        self._lock = threading.Lock()
        self.was_stopped = False

    def start(self, name: str, parent: str | None, steps: int) -> None:
        """Start a phase, possibly inside another."""
        try:
            with self._lock:
                phase = self._phases[name] = _Phase(steps, parent if parent in self._phases else None)
                if phase.parent is not None:
                    self._phases[phase.parent].inner[name] = phase
                self._show(name)
        except KeyboardInterrupt:
            self.was_stopped = True

    def step(self, name: str, index: int) -> bool:
        """Count the step `index` (from 0) of a phase as done.  Returns whether to continue."""
        try:
            with self._lock:
                if name in self._phases:
                    self._phases[name].done = max(self._phases[name].done, index + 1)
                    self._show(name)
        except KeyboardInterrupt:
            self.was_stopped = True
        return not self.was_stopped

    def finish(self, name: str) -> None:
        """End a phase; the enclosing one counts it by its own steps."""
        try:
            with self._lock:
                phase = self._phases.pop(name, None)
                if phase is None:
                    return
                phase.done = phase.steps
                self._show(name, phase)
                if phase.parent in self._phases:
                    self._phases[phase.parent].inner.pop(name, None)
        except KeyboardInterrupt:
            self.was_stopped = True

    def _show(self, name: str, ended: _Phase | None = None) -> None:
        roots = [phase.share() for phase in self._phases.values() if phase.parent is None]
        share = max(roots, default=1.0 if ended is not None else 0.0)
        if share >= self._shown:
            self._progress.advance(share - self._shown, name)
            self._shown = share


def make_monitor(trt: Any, told: BuildProgress) -> Any:
    """Make the trt.IProgressMonitor that reports to `told`."""

    class Monitor(trt.IProgressMonitor):
        """Named as TensorRT calls it."""

        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            told.start(phase_name, parent_phase, num_steps)

        def phase_finish(self, phase_name: str) -> None:
            told.finish(phase_name)

        def step_complete(self, phase_name: str, step: int) -> bool:
            return told.step(phase_name, step)

    return Monitor()
