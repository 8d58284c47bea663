"""Holds and segments: right times, no gaps."""

from itertools import pairwise

import pytest

from yoga_live.runtime.core.types import Hold
from yoga_live.runtime.tracking.causal_smoother import SmoothedPose
from yoga_live.runtime.tracking.segments import Session


def run(*steps: tuple[float, str, float, float]) -> tuple[Session, list[Hold]]:
    """Feed (time_s, pose, confidence, since_s)."""
    session = Session()
    return session, [session.update(t, SmoothedPose(pose, conf, since)) for t, pose, conf, since in steps]


def test_nothing_seen_gives_no_segments() -> None:
    assert Session().segments() == ()


def test_segments_start_when_the_evidence_began_and_leave_no_gap() -> None:
    session, _ = run(
        (0.0, "none", 0.9, 0.0),
        (1.0, "none", 0.9, 0.0),
        (1.5, "tree", 0.8, 1.1),
        (3.0, "tree", 0.6, 1.1),
        (4.5, "chair", 0.7, 3.2),
        (5.0, "chair", 0.9, 3.2),
    )
    segments = session.segments()
    assert [(s.start_s, s.end_s, s.pose) for s in segments] == [
        (0, 1.1, "none"),
        (1.1, 3.2, "tree"),
        (3.2, 5.0, "chair"),
    ]
    assert all(before.end_s == after.start_s for before, after in pairwise(segments))
    assert [s.confidence for s in segments] == pytest.approx([0.9, 0.7, 0.8])
    assert segments[1].duration_s == pytest.approx(2.1)


def test_hold_time_counts_from_the_first_evidence() -> None:
    _, holds = run((0.0, "none", 0.9, 0.0), (2.0, "tree", 0.8, 1.5), (7.5, "tree", 0.8, 1.5))
    assert [hold.hold_s for hold in holds] == pytest.approx([0, 0.5, 6.0])
    assert [hold.is_resting for hold in holds] == [True, False, False]


def test_a_pose_that_is_only_kept_is_as_sure_as_when_it_led_last() -> None:
    """Its own probability falls to nothing meanwhile: "Tree 2%" would be shown of a person who stands still."""
    session = Session()
    steps = [(1.0, 0.9, True), (2.0, 0.8, True), (2.5, 0.3, False), (3.0, 0.02, False), (3.5, 0.7, True)]
    holds = [session.update(time_s, SmoothedPose("tree", sure, 0.5, leads)) for time_s, sure, leads in steps]
    assert [hold.confidence for hold in holds] == [0.9, 0.8, 0.8, 0.8, 0.7]
    assert session.segments()[0].confidence == pytest.approx(0.8)
    rest = session.update(4.0, SmoothedPose("none", 0.6, 3.8))
    assert (rest.pose, rest.confidence) == ("none", 0.6)


def test_pose_whose_evidence_is_as_old_as_the_rest_leaves_no_empty_segment() -> None:
    session, _ = run((0.0, "none", 0.9, 0.0), (0.4, "tree", 0.8, 0.0), (2.0, "tree", 0.8, 0.0))
    assert [(s.start_s, s.end_s, s.pose) for s in session.segments()] == [(0, 2.0, "tree")]


def test_running_segment_is_included_and_asking_twice_changes_nothing() -> None:
    session, _ = run((0.0, "tree", 0.8, 0.0), (1.0, "tree", 0.8, 0.0))
    assert session.segments() == session.segments()
    session.update(2.0, SmoothedPose("tree", 0.8, 0.0))
    assert session.segments()[-1].end_s == 2.0 and len(session.segments()) == 1


def test_session_that_starts_late_starts_there() -> None:
    session, _ = run((12.5, "none", 0.9, 12.5), (13.0, "none", 0.9, 12.5))
    assert session.segments()[0].start_s == 12.5


def test_same_pose_held_twice_is_two_segments() -> None:
    session, _ = run((0, "tree", 0.9, 0), (3, "none", 0.9, 2), (6, "tree", 0.9, 5), (8, "tree", 0.9, 5))
    assert [s.pose for s in session.segments()] == ["tree", "none", "tree"]


def test_confidence_leaves_out_the_frames_after_the_pose_was_left() -> None:
    session = Session()
    for time_s, confidence, leads in ((0.0, 0.9, True), (1.0, 0.7, True), (1.5, 0.1, False), (2.0, 0.0, False)):
        session.update(time_s, SmoothedPose("tree", confidence, 0.0, leads))
    session.update(2.2, SmoothedPose("none", 0.9, 1.2))
    assert session.segments()[0].confidence == pytest.approx(0.8)


def test_a_hold_stands_still_while_its_pose_is_only_kept_and_goes_on_when_it_leads_again() -> None:
    session = Session()
    steps = [(0.0, True), (29.0, True), (29.2, False), (30.1, False), (30.3, True), (31.0, False)]
    holds = [session.update(time_s, SmoothedPose("tree", 0.9, 0.0, leads)) for time_s, leads in steps]
    assert [(hold.hold_s, hold.leads) for hold in holds] == [
        (0.0, True), (29.0, True), (29.0, False), (29.0, False), (30.3, True), (30.3, False),
    ]  # fmt: skip
    rest = session.update(33.0, SmoothedPose("none", 0.0, 31.0, False))
    assert rest.hold_s == 2.0
