"""TensorRT's nested phases as one bar that never falls, and Ctrl-C as the answer "stop"."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest

from yoga_live.export.build_progress import BuildProgress, make_monitor
from yoga_live.runtime.system.progress import Progress


class Shares(Progress):
    """Keeps how far the bar was after each call."""

    def __init__(self) -> None:
        super().__init__("building", 1.0, stream=io.StringIO())
        self.shares: list[float] = [0.0]
        self.notes: list[str] = []

    def advance(self, amount: float = 1, note: str = "") -> None:
        self.shares.append(self.shares[-1] + amount)
        self.notes.append(note)


def test_a_phase_inside_a_step_moves_the_bar_within_that_step() -> None:
    bar = Shares()
    told = BuildProgress(bar)
    told.start("build", None, 4)
    assert told.step("build", 0) and bar.shares[-1] == pytest.approx(0.25)
    told.start("timing", "build", 10)
    for step in range(10):
        assert told.step("timing", step)
        assert bar.shares[-1] == pytest.approx(0.25 + (step + 1) / 40)
    told.finish("timing")
    assert bar.shares[-1] == pytest.approx(0.5) and bar.notes[-1] == "timing"
    told.step("build", 1)
    assert bar.shares[-1] == pytest.approx(0.5)
    told.finish("build")
    assert bar.shares[-1] == pytest.approx(1.0)


def test_the_bar_never_falls_and_ends_at_one_whatever_is_told() -> None:
    bar = Shares()
    told = BuildProgress(bar)
    told.start("first", None, 0)  # a phase without steps
    told.step("unknown", 3)
    told.start("inner", "unknown", 2)
    told.step("inner", 0)
    told.start("inner", "first", 2)  # told twice
    told.step("inner", 7)  # more steps than were told
    told.finish("inner")
    told.finish("inner")
    told.finish("first")
    told.start("second", None, 2)  # another phase on the outside
    told.step("second", 1)
    told.finish("second")
    assert bar.shares == sorted(bar.shares) and bar.shares[-1] == pytest.approx(1.0)


@pytest.mark.parametrize("where", ["start", "step", "finish"])
def test_ctrl_c_becomes_the_answer_stop_never_an_exception(where: str) -> None:
    bar = Shares()
    told = BuildProgress(bar)
    told.start("build", None, 2)
    assert told.step("build", 0)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    bar.advance = interrupt  # type: ignore[method-assign]
    if where == "start":
        told.start("timing", "build", 3)
    elif where == "step":
        assert not told.step("build", 1)
    else:
        told.finish("build")
    assert told.was_stopped
    assert not told.step("build", 1)


def test_the_monitor_tells_what_tensorrt_calls() -> None:
    bar = Shares()
    told = BuildProgress(bar)
    monitor = make_monitor(SimpleNamespace(IProgressMonitor=type("IProgressMonitor", (), {})), told)
    monitor.phase_start("build", None, 2)
    assert monitor.step_complete("build", 0) is True
    told.was_stopped = True
    assert monitor.step_complete("build", 1) is False
    monitor.phase_finish("build")
    assert bar.shares[-1] == pytest.approx(1.0)
