"""Sides and angles of holds: live and of a recording, where somebody turns, and where nothing is known."""

from __future__ import annotations

import numpy as np
import pytest

from yoga_live.runtime.core.types import Floats, Hold, Segment
from yoga_live.runtime.people import KEYPOINTS, OPPOSITE_KEYPOINTS
from yoga_live.runtime.people.sides import HeldSide
from yoga_live.runtime.people.tracks import Person
from yoga_live.runtime.tracking.bodies import BodyHistory, LiveBody, _join_unsure
from yoga_live.runtime.tracking.causal_smoother import SmoothedPose
from yoga_live.runtime.tracking.segments import Session

TREE = {  # front view: the left foot is at the right knee, so that the right leg stands
    "nose": (50, 10), "left_eye": (52, 8), "right_eye": (48, 8), "left_ear": (55, 10), "right_ear": (45, 10),
    "left_shoulder": (60, 30), "right_shoulder": (40, 30), "left_elbow": (70, 50), "right_elbow": (30, 50),
    "left_wrist": (52, 45), "right_wrist": (48, 45), "left_hip": (55, 80), "right_hip": (45, 80),
    "left_knee": (85, 100), "right_knee": (45, 120), "left_ankle": (52, 115), "right_ankle": (45, 160),
}  # fmt: skip


def place_tree(stands: str) -> Floats:
    points = np.array([TREE[name] for name in KEYPOINTS], np.float32)
    return points if stands == "right" else (points * [-1, 1] + [100, 0])[list(OPPOSITE_KEYPOINTS)].astype(np.float32)


def see(time_s: float, stands: str) -> Person:
    box, scores = np.array([30, 0, 90, 165], np.float32), np.full(17, 0.9, np.float32)
    return Person(1, box, place_tree(stands), scores, 0.6, 0.0, time_s)


def run_live(sides: str, per_s: int = 4) -> tuple[list[Hold], tuple[Segment, ...]]:
    """sides: l or r for each half second, with a look each; all of it is a tree."""
    body, session, holds, seen = LiveBody(), Session(), [], None
    for number in range(len(sides) * per_s // 2):
        time_s = number / per_s
        if number % (per_s // 2) == 0:
            seen = see(time_s, "left" if sides[number * 2 // per_s] == "l" else "right")
        held, angles = body.update(time_s, "tree", seen)
        holds.append(session.update(time_s, SmoothedPose("tree", 0.9, 0.0), held, angles))
    return holds, session.segments()


def test_a_live_hold_has_its_side_and_angles() -> None:
    holds, segments = run_live("r" * 10)
    assert holds[-1].side == "right" and holds[-1].hold_s == pytest.approx(4.75)
    assert [(s.pose, s.side) for s in segments] == [("tree", "right")]
    assert segments[0].angles["right_knee"] == 180 and segments[0].angles["left_knee"] < 60


def test_who_turns_live_begins_another_hold_where_it_turned() -> None:
    holds, segments = run_live("l" * 12 + "r" * 14)
    assert [(s.pose, s.side, s.start_s) for s in segments] == [("tree", "left", 0), ("tree", "right", 6)]
    assert holds[-1].hold_s == pytest.approx(6.75)


def test_one_wrong_look_begins_no_hold() -> None:
    _, segments = run_live("l" * 9 + "r" + "l" * 9)
    assert [(s.side, s.start_s) for s in segments] == [("left", 0)]


def test_a_look_counts_once_however_many_frames_follow_it() -> None:
    slow, _ = run_live("lr" * 3, per_s=2)
    fast, _ = run_live("lr" * 3, per_s=60)
    assert slow[-1].side == fast[-1].side


def test_without_people_a_hold_has_no_side_and_no_angles() -> None:
    hold = Session().update(1.0, SmoothedPose("tree", 0.9, 0.0), *LiveBody().update(1.0, "tree", None))
    assert hold.side is None and hold.angles == {}


def remember(sides: str) -> BodyHistory:
    history = BodyHistory()
    for number, side in enumerate(sides):
        for _ in range(2):
            history.add(see(number / 2, "left" if side == "l" else "right"))
    return history


def test_a_recorded_hold_has_one_side_in_spite_of_wrong_looks() -> None:
    (segment,) = remember("rrlrrrrrlr" * 2).divide(Segment(0, 10, "tree", 0.9))
    assert segment.side == "right" and segment.angles["right_knee"] == 180


def test_who_is_seen_better_later_has_not_turned() -> None:
    unsure, left, right = HeldSide(None, 0.6), HeldSide("left", 0.9), HeldSide("right", 0.9)
    assert _join_unsure([(0, 9, unsure), (9, 20, left)]) == [(0, 20, left)]
    assert _join_unsure([(0, 9, right), (9, 12, unsure), (12, 20, left)]) == [(0, 12, right), (12, 20, left)]
    assert _join_unsure([(0, 9, unsure)]) == [(0, 9, unsure)] and _join_unsure([]) == []


def test_a_recorded_hold_on_both_sides_is_two() -> None:
    parts = list(remember("l" * 10 + "r" * 10).divide(Segment(0, 10, "tree", 0.9, 2)))
    assert [(s.start_s, s.end_s, s.side, s.person) for s in parts] == [(0, 5, "left", 2), (5, 10, "right", 2)]
    assert all(s.angles for s in parts)


def test_a_pose_without_sides_and_a_rest_stay_as_they_are() -> None:
    history = remember("l" * 20)
    (plank,) = history.divide(Segment(0, 10, "plank", 0.9))
    assert plank.side is None and plank.angles
    rest = Segment(0, 10, "none", 0.9)
    assert list(history.divide(rest)) == [rest] and not rest.angles


def test_what_nobody_looked_at_stays_as_it_is() -> None:
    (segment,) = remember("l" * 4).divide(Segment(20, 30, "tree", 0.9))
    assert segment.side is None and segment.angles == {}
