"""The pose over time, and beside a picture that doesn't wait."""

from __future__ import annotations

import threading
import time
from itertools import pairwise

import numpy as np
import pytest

from yoga_live.runtime.classifier import PoseClassifier
from yoga_live.runtime.live import watch
from yoga_live.runtime.session import Session
from yoga_live.runtime.smoothing import SmoothedPose
from yoga_live.runtime.sources import SourceInfo, TimedFrame
from yoga_live.runtime.tracking import BackgroundTracker, PoseTracker

from .conftest import ColourEngine

BLUE = (255, 0, 0)


def frame_at(time_s: float, colour: tuple[int, int, int] = BLUE) -> TimedFrame:
    return TimedFrame(np.full((24, 32, 3), colour, np.uint8), time_s, round(time_s * 90_000))


class SlowEngine(ColourEngine):
    """Takes its time, or breaks after some frames."""

    def __init__(self, seconds: float = 0.0, breaks_after: int | None = None) -> None:
        super().__init__()
        self.seconds, self.left = seconds, breaks_after

    def run(self, frames: np.ndarray) -> np.ndarray:
        time.sleep(self.seconds)
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise RuntimeError("the GPU fell off the bus")
        return super().run(frames)


def test_a_slow_network_never_holds_the_picture_up() -> None:
    tracker = BackgroundTracker(PoseTracker(PoseClassifier.from_engine(SlowEngine(0.3))))
    tracker.update(frame_at(0))
    waits_s = []
    for number in range(1, 30):
        started_s = time.monotonic()
        tracker.update(frame_at(number / 30))
        waits_s.append(time.monotonic() - started_s)
        time.sleep(1 / 30)
    tracker.close()
    assert max(waits_s) < 0.1


def test_the_network_takes_the_newest_frame() -> None:
    engine = SlowEngine(0.1)
    tracker = BackgroundTracker(PoseTracker(PoseClassifier.from_engine(engine)))
    for number in range(20):
        tracker.update(frame_at(number / 50, (number, 0, 0)))
        time.sleep(0.02)
    tracker.close()
    seen = [int(batch[0, 16, 16, 0]) for batch in engine.batches]
    assert seen[0] == 0 and 3 <= len(seen) <= 8 and all(later > earlier + 1 for earlier, later in pairwise(seen[1:]))


def test_a_hold_grows_between_answers() -> None:
    engine = SlowEngine()
    tracker = BackgroundTracker(PoseTracker(PoseClassifier.from_engine(engine)))
    for number in range(60):
        tracked = tracker.update(frame_at(number / 30))
        time.sleep(0.01)
    engine.seconds = 0.5
    tracker.update(frame_at(2.0))
    time.sleep(0.05)
    holds_s = [tracker.update(frame_at(2.0 + number / 30)).hold.hold_s for number in range(1, 8)]
    tracker.close()
    assert tracked.hold.pose == "tree"
    assert np.allclose(np.diff(holds_s), 1 / 30)


def test_what_the_network_raises_reaches_the_loop() -> None:
    tracker = BackgroundTracker(PoseTracker(PoseClassifier.from_engine(SlowEngine(breaks_after=2))))
    with pytest.raises(RuntimeError, match="fell off the bus"):
        for number in range(200):
            tracker.update(frame_at(number / 30))
            time.sleep(0.01)
    tracker.close()


def test_the_thread_ends_with_the_loop() -> None:
    class Camera:
        info = SourceInfo("camera", (32, 24), 30, 1 / 90_000, is_live=True)  # pyright: ignore[reportArgumentType]

        def frames(self):
            yield from (frame_at(number / 30) for number in range(20))

    watched = watch(Camera(), PoseClassifier.from_engine(SlowEngine()), [])  # pyright: ignore[reportArgumentType]
    assert watched.frames == 20
    assert not any(thread.name == "network" for thread in threading.enumerate())


def test_a_timeline_read_beside_the_network_never_holds_a_moment_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    close = Session._close

    def close_slowly(session: Session, end_s: float) -> None:
        close(session, end_s)
        time.sleep(0.02)  # the segment is in the list, and still the running one

    monkeypatch.setattr(Session, "_close", close_slowly)
    tracker = PoseTracker(PoseClassifier.from_engine(ColourEngine()))
    answers = iter(range(20))
    monkeypatch.setattr(
        tracker._smoother, "update", lambda time_s, _: SmoothedPose(("tree", "none")[next(answers) % 2], 0.9, time_s)
    )
    frame = frame_at(0)
    thread = threading.Thread(target=lambda: [tracker.update(frame.move(n / 10, n)) for n in range(20)])
    thread.start()
    while thread.is_alive():
        for earlier, later in pairwise(tracker.segments()):
            assert earlier.end_s <= later.start_s
            assert earlier.pose != later.pose
    assert len(tracker.segments()) == 20
