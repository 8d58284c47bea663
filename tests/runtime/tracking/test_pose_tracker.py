"""The tracker for a loop of one's own: the live loop's, given plain arrays."""

from __future__ import annotations

import math

import numpy as np
import pytest

from yoga_live.runtime import OptionError, PoseClassifier, PoseTracker, Roi, Segment
from yoga_live.runtime.core.frames import TimedFrame
from yoga_live.runtime.cropping.croppers import ZoomCropper
from yoga_live.runtime.tracking.live_tracker import LiveTracker

BLUE, GREEN, RED = (255, 0, 0), (0, 255, 0), (0, 0, 255)  # tree, warrior_2 and none to the tests' engine


def paint(colour: tuple[int, int, int], size_wh: tuple[int, int] = (64, 48)) -> np.ndarray:
    return np.full((size_wh[1], size_wh[0], 3), colour, np.uint8)


@pytest.mark.parametrize("start_s", [0.0, 1e6])
def test_it_holds_what_the_frames_show_and_gives_the_segments_at_the_end(
    classifier: PoseClassifier, start_s: float
) -> None:
    tracker = PoseTracker(classifier)
    for number in range(60):
        hold = tracker.update(paint(BLUE if number < 30 else RED), start_s + number / 10)
        if number == 29:
            assert (hold.pose, round(hold.hold_s, 1)) == ("tree", 2.8) and hold.confidence > 0.99
    assert hold.pose == "none"
    first, tree, rest = tracker.segments  # one frame alone is no pose yet
    assert isinstance(tree, Segment) and (first.pose, tree.pose, rest.pose) == ("none", "tree", "none")
    assert (first.start_s, tree.start_s) == (start_s, start_s + 0.1)
    assert tree.end_s == rest.start_s == pytest.approx(start_s + 3, abs=0.3)
    assert rest.end_s == start_s + 5.9


def test_it_is_what_the_live_loop_uses(classifier: PoseClassifier) -> None:
    """Zoom included: a noisy picture with a patch that moves."""
    rng = np.random.default_rng(0)
    own, live = PoseTracker(classifier, people="off"), LiveTracker(classifier, ZoomCropper())
    for number in range(40):
        image = paint((90, 90, 90), (160, 120)) + rng.integers(0, 5, (120, 160, 3), np.uint8)
        image[40:80, 60 + number % 5 : 90 + number % 5] = BLUE
        frame = TimedFrame(image, number / 8, number)
        assert own.update(image, number / 8) == live.update(frame).hold
    assert own.segments == live.segments()


def test_a_bad_frame_breaks_no_hold_and_without_a_picture_it_ends(classifier: PoseClassifier) -> None:
    tracker = PoseTracker(classifier)
    for number in range(20):
        hold = tracker.update(paint(GREEN if number == 10 else BLUE), number / 10)
    assert hold.pose == "tree" and hold.hold_s == pytest.approx(1.8)
    lost = tracker.update(None, 5.0)
    assert (lost.pose, lost.confidence, lost.hold_s) == ("none", 0.0, pytest.approx(3.1))
    assert [(segment.pose, segment.end_s) for segment in tracker.segments[1:]] == [("tree", 1.9), ("none", 5.0)]
    assert PoseTracker(classifier).update(None, 0.0).pose == "none"


def test_it_looks_where_it_is_told(classifier: PoseClassifier) -> None:
    image = paint(RED)
    image[:, 32:] = BLUE

    def last_pose(tracker: PoseTracker) -> str:
        return [tracker.update(image, number / 10).pose for number in range(10)][-1]

    assert last_pose(PoseTracker(classifier, roi=Roi(0.5, 0, 0.5, 1))) == "tree"
    assert last_pose(PoseTracker(classifier, zoom=False)) == "none"
    with pytest.raises(OptionError, match="--people everybody is not known; give main, all, off"):
        PoseTracker(classifier, people="everybody")  # pyright: ignore[reportArgumentType]
    with pytest.raises(OptionError, match="--roi 50,0,20,20"):
        PoseTracker(classifier, roi=Roi(50, 0, 20, 20)).update(image, 0.0)


def test_what_is_no_frame_or_no_time_is_refused_and_changes_nothing(classifier: PoseClassifier) -> None:
    tracker = PoseTracker(classifier)
    assert tracker.segments == ()
    tracker.update(paint(BLUE), 1.0)
    for time_s in (0.9, math.nan, math.inf):
        with pytest.raises(ValueError, match="time_s must be finite and never go back"):
            tracker.update(paint(BLUE), time_s)
    with pytest.raises(ValueError, match="uint8, 0 to 255; got float64"):
        tracker.update(paint(BLUE) / 255, 2.0)
    with pytest.raises(ValueError, match="1, 3 or 4 channels"):
        tracker.update(np.zeros((4, 4, 2), np.uint8), 2.0)
    assert tracker.update(paint(BLUE)[:, :, 0], 1.0).pose == "none"  # grey, at the very same time


def test_a_timeline_is_a_tuple_that_a_notebook_can_show(classifier: PoseClassifier) -> None:
    tracker = PoseTracker(classifier)
    for number in range(10):
        tracker.update(paint(BLUE), number / 10)
    assert isinstance(tracker.segments, tuple) and "Tree" in tracker.segments._repr_html_()
