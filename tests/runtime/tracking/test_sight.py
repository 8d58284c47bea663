"""A cut to a close-up neither ends a hold nor lengthens it, live or recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from yoga_live.runtime.classifier import PoseClassifier
from yoga_live.runtime.core.frames import TimedFrame
from yoga_live.runtime.core.model_metadata import ModelInfo
from yoga_live.runtime.core.types import Floats, Frame, Hold, Segment
from yoga_live.runtime.people import PeopleFinder
from yoga_live.runtime.people.cropper import PersonCropper
from yoga_live.runtime.people.tracks import Person
from yoga_live.runtime.people.watcher import PeopleWatcher
from yoga_live.runtime.sources.drawn_figure import POSES, Appearance, draw_figure
from yoga_live.runtime.tracking.fixed_lag import FixedLagSmoother
from yoga_live.runtime.tracking.live_tracker import LiveTracker
from yoga_live.runtime.tracking.observer import Crops, Observation, Observer

from ..conftest import ColourEngine

LABELS = ("none", "plank", "tree")
INFO = ModelInfo(LABELS, 32, threshold=0.5)
ROWS = {"none": np.array([0.9, 0.05, 0.05]), "plank": np.array([0.05, 0.9, 0.05]), "tree": np.array([0.05, 0.05, 0.9])}
STEP_S = 0.25
WHOLE, LEGS, FACE = np.full(17, 0.7), np.full(17, 0.02), np.full(17, 0.02)
LEGS[11:] = FACE[:7] = 0.7
FEET_CUT_OFF = np.full(17, 0.7)
FEET_CUT_OFF[15:] = 0.01
NOBODY = np.zeros((0, len(LABELS)))
Part = tuple[float, str, Floats | None]
"""Until when (seconds) what is answered, and the scores of the key points; None: nobody is found."""


def observe(parts: Sequence[Part], *, several: bool = False, looks_for_people: bool = True) -> list[Observation]:
    """Looks at one person, four a second."""
    observations, seen_s = list[Observation](), 0.0
    for time_s in np.arange(0, parts[-1][0], STEP_S).tolist():
        _, pose, scores = next(part for part in parts if time_s < part[0])
        seen_s = seen_s if scores is None else time_s
        shown = WHOLE if scores is None else scores
        person = Person(1, np.array([0, 0, 9, 9]), np.zeros((17, 2)), shown, 0.6, 0.0, seen_s)
        looked_s = time_s if looks_for_people else None
        crops = Crops(None, person, (person,), ((1, None),) if several else None, looked_s=looked_s)
        rows = ROWS[pose][None] if several else None
        observations.append(Observation(time_s, None, ROWS[pose], crops=crops, rows=rows))
    return observations


def record(observations: Sequence[Observation]) -> tuple[list[Hold], tuple[Segment, ...]]:
    """What a recording shows at each look, and its timeline."""
    smoother = FixedLagSmoother(INFO)
    for observation in observations:
        smoother.add(observation)
    holds = [smoother.state_at(each.time_s).hold for each in observations]
    return holds, smoother.segments(observations[-1].time_s + STEP_S)


def follow(observations: Sequence[Observation]) -> tuple[list[Hold], tuple[Segment, ...]]:
    """What a camera shows at each look, and its timeline."""
    engine = ColourEngine()
    engine.info = INFO
    tracker = LiveTracker(PoseClassifier.from_engine(engine))
    return [tracker.add(each).hold for each in observations], tracker.segments()


Watch = Callable[[Sequence[Observation]], tuple[list[Hold], tuple[Segment, ...]]]
both = pytest.mark.parametrize("watch", [record, follow])
alone_or_not = pytest.mark.parametrize("several", [False, True])


def list_poses(segments: Sequence[Segment]) -> list[tuple[str, float, float]]:
    return [(each.pose, each.start_s, each.end_s) for each in segments if each.pose != "none"]


def near(time_s: float) -> object:
    return pytest.approx(time_s, abs=0.3)


@both
@alone_or_not
@pytest.mark.parametrize("shown", [LEGS, FACE, None])
def test_a_close_up_of_three_seconds_is_a_part_of_the_hold(watch: Watch, several: bool, shown: Floats | None) -> None:
    parts = [(4.0, "tree", WHOLE), (7.0, "none", shown), (10.0, "tree", WHOLE)]
    holds, segments = watch(observe(parts, several=several))
    assert list_poses(segments) == [("tree", near(0), near(10))]
    waiting = holds[16:28]
    assert {hold.pose for hold in waiting} == {"tree"} and len({hold.hold_s for hold in waiting}) == 1
    assert not any(hold.leads for hold in waiting) and waiting[0].hold_s == near(3.75)
    assert holds[-1].leads and holds[-1].hold_s == near(9.75)


@both
@alone_or_not
def test_after_five_seconds_the_hold_ends_at_the_last_sight(watch: Watch, several: bool) -> None:
    holds, segments = watch(observe([(4.0, "tree", WHOLE), (12.0, "none", LEGS)], several=several))
    assert list_poses(segments) == [("tree", near(0), pytest.approx(3.75, abs=0.13))]
    assert segments[-1].pose == "none" and segments[-1].end_s == near(12)
    assert holds[-1].pose == "none" and max(hold.hold_s for hold in holds if hold.pose == "tree") == near(3.75)


@both
@alone_or_not
def test_a_video_that_ends_in_a_close_up_has_held_the_pose_until_then(watch: Watch, several: bool) -> None:
    _, segments = watch(observe([(4.0, "tree", WHOLE), (7.0, "none", LEGS)], several=several))
    assert list_poses(segments) == [("tree", near(0), pytest.approx(3.75, abs=0.01))]
    assert segments[-1].pose == "none" and segments[-1].start_s == segments[-2].end_s and segments[-1].end_s == near(7)


@both
def test_a_hold_that_the_network_sees_in_part_for_long_goes_on(watch: Watch) -> None:
    holds, segments = watch(observe([(4.0, "tree", WHOLE), (14.0, "tree", FACE), (16.0, "none", WHOLE)]))
    assert list_poses(segments) == [("tree", near(0), near(14))]
    assert holds[16].hold_s == holds[30].hold_s == near(3.75) and holds[50].hold_s == near(12.5)


@both
def test_another_pose_after_the_close_up_begins_there(watch: Watch) -> None:
    _, segments = watch(observe([(4.0, "tree", WHOLE), (6.0, "none", LEGS), (10.0, "plank", WHOLE)]))
    [tree, plank] = list_poses(segments)
    assert tree[0] == "tree" and plank[0] == "plank" and 3.7 <= tree[2] <= plank[1] <= 6.2 and plank[2] == near(10)


@both
def test_a_pose_cut_by_the_edge_of_the_frame_is_not_lost(watch: Watch) -> None:
    _, segments = watch(observe([(3.0, "none", WHOLE), (9.0, "plank", FACE), (12.0, "none", WHOLE)]))
    assert list_poses(segments) == [("plank", near(3), near(9))]
    _, segments = watch(observe([(6.0, "tree", FEET_CUT_OFF), (9.0, "none", FEET_CUT_OFF)]))
    assert list_poses(segments) == [("tree", near(0), near(6))]


@both
@pytest.mark.parametrize(("back_s", "ends_s"), [(6.0, 9.0), (7.5, 10.5), (9.5, 3.75)])
def test_of_several_people_who_is_away_for_less_than_five_seconds_has_held_the_pose(
    watch: Watch, back_s: float, ends_s: float
) -> None:
    observations = observe([(4.0, "tree", WHOLE), (back_s, "none", None), (back_s + 3, "tree", WHOLE)], several=True)
    away = [
        Observation(each.time_s, None, ROWS["none"], crops=Crops(None, group=(), looked_s=each.time_s), rows=NOBODY)
        if 4 <= each.time_s < back_s
        else each
        for each in observations
    ]
    _, segments = watch(away)
    first = list_poses(segments)[0]
    assert first == ("tree", near(0), pytest.approx(ends_s, abs=0.26))


@both
def test_where_people_are_not_looked_for_a_close_up_ends_the_hold(watch: Watch) -> None:
    parts = [(4.0, "tree", WHOLE), (7.0, "none", LEGS), (10.0, "tree", WHOLE)]
    _, segments = watch(observe(parts, looks_for_people=False))
    assert [pose for pose, *_ in list_poses(segments)] == ["tree", "tree"]


def cut_out(picture: Frame, top: float, bottom: float) -> Frame:
    """A part of a picture's height, as large as the picture, as a camera nearby would show it."""
    import cv2

    height, width = picture.shape[:2]
    part = picture[round(top * height) : round(bottom * height)]
    wide = round(part.shape[0] * width / height)
    left = (width - wide) // 2
    return np.asarray(cv2.resize(part[:, left : left + wide], (width, height)), np.uint8)


def test_the_finder_tells_a_whole_person_from_a_close_up() -> None:
    pytest.importorskip("onnxruntime")
    engine = ColourEngine()
    cropper = PersonCropper(PeopleWatcher(PeopleFinder("cpu", 1)))
    observer = Observer(PoseClassifier.from_engine(engine), cropper)
    whole = draw_figure(POSES["standing"], (960, 540), Appearance(window_x=None))
    pictures = [whole, cut_out(whole, 0.62, 0.98), cut_out(whole, 0.1, 0.4), whole]
    seen = [observer.observe(TimedFrame(picture, 2.0 * n, n)).look().is_whole for n, picture in enumerate(pictures)]
    assert seen == [True, False, False, True]
