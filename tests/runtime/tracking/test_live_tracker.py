"""The pose over time, and beside a picture that doesn't wait."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from yoga_live.runtime.classifier import PoseClassifier
from yoga_live.runtime.core.frames import TimedFrame
from yoga_live.runtime.pipelines.live_loop import run_live
from yoga_live.runtime.pipelines.loop import RunPlan
from yoga_live.runtime.sources.base import SourceInfo
from yoga_live.runtime.tracking.causal_smoother import SmoothedPose, Smoother
from yoga_live.runtime.tracking.live_tracker import BackgroundTracker, LiveTracker
from yoga_live.runtime.tracking.segments import Session

from ..conftest import ColourEngine

BLUE = (255, 0, 0)


def frame_at(time_s: float, colour: tuple[int, int, int] = BLUE) -> TimedFrame:
    return TimedFrame(np.full((24, 32, 3), colour, np.uint8), time_s, round(time_s * 90_000))


class SlowEngine(ColourEngine):
    """Takes its time, or breaks after some frames."""

    def __init__(self, seconds: float = 0.0, breaks_after: int | None = None) -> None:
        super().__init__()
        self.seconds, self.left = seconds, breaks_after

    def infer(self, frames: np.ndarray) -> np.ndarray:
        time.sleep(self.seconds)
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise RuntimeError("the GPU fell off the bus")
        return super().infer(frames)


def test_a_slow_network_never_holds_the_picture_up() -> None:
    tracker = BackgroundTracker(LiveTracker(PoseClassifier.from_engine(SlowEngine(0.3))))
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
    tracker = BackgroundTracker(LiveTracker(PoseClassifier.from_engine(engine)))
    for number in range(20):
        tracker.update(frame_at(number / 50, (number, 0, 0)))
        time.sleep(0.02)
    tracker.close()
    seen = [int(batch[0, 16, 16, 0]) for batch in engine.batches]
    assert seen[0] == 0 and 3 <= len(seen) <= 8 and all(later > earlier + 1 for earlier, later in pairwise(seen[1:]))


def test_a_slow_network_begins_with_a_fresh_frame_not_with_the_one_that_waited() -> None:
    """An answer is then at most one step and one frame old when it is first shown."""

    class TimedEngine(SlowEngine):
        def infer(self, frames: np.ndarray) -> np.ndarray:
            logits = super().infer(frames)
            ended_s.append(time.monotonic())
            return logits

    ended_s: list[float] = []
    handed_s: dict[int, float] = {}
    engine = TimedEngine(0.25)
    tracker = BackgroundTracker(LiveTracker(PoseClassifier.from_engine(engine)))
    for number in range(60):
        tracker.update(frame_at(number / 25, (number, 0, 0)))
        handed_s[number] = time.monotonic()
        time.sleep(0.04)
    tracker.close()
    seen = [int(batch[0, 16, 16, 0]) for batch in engine.batches]
    assert len(seen) >= 5
    assert all(handed_s[number] >= end_s for number, end_s in zip(seen[2:], ended_s[1:], strict=False))


def test_a_hold_grows_between_answers() -> None:
    engine = SlowEngine()
    tracker = BackgroundTracker(LiveTracker(PoseClassifier.from_engine(engine)))
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


def lost_at(time_s: float, last_s: float) -> TimedFrame:
    return replace(frame_at(time_s), lost_s=time_s - last_s)


def test_a_hold_ends_with_the_last_picture_before_a_loss_and_begins_anew_after_it() -> None:
    tracker = LiveTracker(PoseClassifier.from_engine(ColourEngine()))
    for number in range(50):
        held = tracker.update(frame_at(number / 10)).hold
    assert held.pose == "tree" and held.hold_s > 4
    for number in range(14, 40):
        lost = tracker.update(lost_at(number / 2, 4.9)).hold
        assert lost.pose == "none" and lost.confidence == 0 and lost.hold_s == pytest.approx(number / 2 - 4.9)
    holds = [tracker.update(frame_at(20 + number / 10)).hold for number in range(20)]
    assert holds[0].pose == "none" and holds[-1].pose == "tree" and holds[-1].hold_s < 2
    _, tree, gap, again = tracker.segments()
    assert (tree.pose, gap.pose, again.pose) == ("tree", "none", "tree")
    assert tree.end_s == gap.start_s == pytest.approx(4.9) and gap.end_s == again.start_s == pytest.approx(20, abs=0.3)


def test_rest_before_and_after_a_loss_is_one_rest() -> None:
    tracker = LiveTracker(PoseClassifier.from_engine(ColourEngine()))
    frames = [frame_at(number / 10, (0, 0, 255)) for number in range(20)]
    frames += [lost_at(4 + number / 2, 1.9) for number in range(8)]
    frames += [frame_at(8 + number / 10, (0, 0, 255)) for number in range(20)]
    for frame in frames:
        tracker.update(frame)
    assert [(s.start_s, s.end_s, s.pose) for s in tracker.segments()] == [(0, pytest.approx(9.9), "none")]


def test_a_rest_that_goes_on_into_a_loss_keeps_its_clock() -> None:
    tracker = BackgroundTracker(LiveTracker(PoseClassifier.from_engine(ColourEngine())))
    for number in range(40):
        hold = tracker.update(frame_at(number / 20, (0, 0, 255))).hold
        time.sleep(0.005)
    assert hold.pose == "none" and hold.hold_s == pytest.approx(1.95)
    lost_s = [tracker.update(lost_at(4 + number / 2, 1.95)).hold.hold_s for number in range(4)]
    tracker.close()
    assert lost_s == pytest.approx([4, 4.5, 5, 5.5])


@pytest.mark.parametrize("network_s", [0.0, 0.25])
def test_beside_the_picture_too_nothing_is_held_while_it_is_lost(network_s: float) -> None:
    """Also where the network is still at a frame from before the loss when the picture is back already."""
    engine = SlowEngine()
    tracked = LiveTracker(PoseClassifier.from_engine(engine))
    tracker = BackgroundTracker(tracked)
    for number in range(60):
        tracker.update(frame_at(number / 30))
        time.sleep(0.005)
    engine.seconds = network_s
    tracker.update(frame_at(2.0))
    time.sleep(0.05)
    for number in range(5):
        hold = tracker.update(lost_at(4 + number / 2, 2.0)).hold
        assert hold.pose == "none" and hold.hold_s == pytest.approx(2 + number / 2)
        time.sleep(0.01)
    back = [tracker.update(frame_at(7 + number / 100)).hold for number in range(5)]
    assert all(hold.pose == "none" and hold.hold_s >= 5 for hold in back)
    time.sleep(2.5 * network_s + 0.05)
    engine.seconds = 0
    for number in range(60):
        hold = tracker.update(frame_at(7.1 + number / 30)).hold
        time.sleep(0.005)
    tracker.close()
    assert hold.pose == "tree" and hold.hold_s < 2.5
    assert [segment.pose for segment in tracked.segments()[-3:]] == ["tree", "none", "tree"]
    assert tracked.segments()[-3].end_s == 2.0


def test_a_loss_at_the_end_is_in_the_timeline() -> None:
    tracked = LiveTracker(PoseClassifier.from_engine(ColourEngine()))
    tracker = BackgroundTracker(tracked)
    for number in range(60):
        tracker.update(frame_at(number / 30))
        time.sleep(0.005)
    time.sleep(0.05)
    tracker.update(lost_at(5.0, 2.0))
    tracker.close()
    *_, tree, gap = tracked.segments()
    assert (tree.pose, tree.end_s) == ("tree", 2.0) and (gap.pose, gap.start_s, gap.end_s) == ("none", 2.0, 5.0)


def test_what_the_network_raises_reaches_the_loop() -> None:
    tracker = BackgroundTracker(LiveTracker(PoseClassifier.from_engine(SlowEngine(breaks_after=2))))
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

    watched = run_live(RunPlan(Camera(), PoseClassifier.from_engine(SlowEngine()), []))  # pyright: ignore[reportArgumentType]
    assert watched.frames == 20
    assert not any(thread.name == "network" for thread in threading.enumerate())


def test_a_timeline_read_beside_the_network_never_holds_a_moment_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    close = Session._close

    def close_slowly(session: Session, end_s: float) -> None:
        close(session, end_s)
        time.sleep(0.02)  # the segment is in the list, and still the running one

    monkeypatch.setattr(Session, "_close", close_slowly)
    tracker = LiveTracker(PoseClassifier.from_engine(ColourEngine()))
    answers = iter(range(20))
    monkeypatch.setattr(
        Smoother, "update", lambda _, time_s, row: SmoothedPose(("tree", "none")[next(answers) % 2], 0.9, time_s)
    )
    frame = frame_at(0)
    thread = threading.Thread(target=lambda: [tracker.update(frame.move(n / 10, n)) for n in range(20)])
    thread.start()
    while thread.is_alive():
        for earlier, later in pairwise(tracker.segments()):
            assert earlier.end_s <= later.start_s
            assert earlier.pose != later.pose
    assert len(tracker.segments()) == 20


def test_a_hold_that_is_only_kept_is_not_counted_on_beside_the_picture() -> None:
    tracker = BackgroundTracker(LiveTracker(PoseClassifier.from_engine(ColourEngine())))
    holds = []
    for number in range(60):
        time_s = number / 20
        tracker.update(frame_at(time_s, BLUE if time_s < 2 else (0, 0, 255)))
        time.sleep(0.02)
        holds.append(tracker.update(frame_at(time_s + 0.01, BLUE if time_s < 2 else (0, 0, 255))).hold)
        time.sleep(0.02)
    tracker.close()
    kept = [hold for hold in holds if hold.pose == "tree" and not hold.leads]
    assert len(kept) > 5 and len({hold.hold_s for hold in kept}) == 1 and kept[0].hold_s < 2.5
    assert all(hold.seen_s <= hold.hold_s for hold in holds)


def test_damaged_pictures_are_not_classified_and_end_a_hold_after_two_seconds() -> None:
    engine = ColourEngine()
    tracker = LiveTracker(PoseClassifier.from_engine(engine))
    for number in range(60):
        tracker.update(frame_at(number / 20))
    seen = len(engine.batches)
    holds = [tracker.update(replace(frame_at(3 + n / 20, (0, 255, 0)), is_damaged=True)).hold for n in range(80)]
    assert len(engine.batches) == seen
    assert [hold.pose for hold in holds] == ["tree"] * 39 + ["none"] * 41
    for number in range(40):
        tracker.update(frame_at(7 + number / 20))
    assert [segment.pose for segment in tracker.segments()][-3:] == ["tree", "none", "tree"]
    assert [segment.start_s for segment in tracker.segments()][-2:] == [pytest.approx(2.95), pytest.approx(7, abs=0.1)]


def test_a_source_that_begins_damaged_rests() -> None:
    tracker = LiveTracker(PoseClassifier.from_engine(ColourEngine()))
    assert tracker.update(replace(frame_at(0), is_damaged=True)).hold.pose == "none"
    assert tracker.update(replace(frame_at(0.1), is_damaged=True)).hold.pose == "none"
