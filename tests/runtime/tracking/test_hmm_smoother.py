"""Smoothing that sees the future, on streams whose truth is known."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yoga_live.runtime.core.types import Segment
from yoga_live.runtime.tracking.hmm_smoother import HmmConfig, HmmSmoother

LABELS = ("chair", "tree", "warrior_2", "none")
Programme = list[tuple[str, float]]
"""What is shown, for how many seconds."""


def show(pose: str, sure: float = 0.9, labels: tuple[str, ...] = LABELS) -> np.ndarray:
    row = np.full(len(labels), (1 - sure) / (len(labels) - 1))
    row[labels.index(pose)] = sure
    return row


def stream(programme: Programme, fps: float = 25, sure: float = 0.9) -> list[tuple[float, np.ndarray]]:
    rows, start_s = [], 0.0
    for pose, seconds in programme:
        rows += [(start_s + n / fps, show(pose, sure)) for n in range(round(seconds * fps))]
        start_s += seconds
    return rows


def smooth(rows: list[tuple[float, np.ndarray]], labels: tuple[str, ...] = LABELS) -> tuple[Segment, ...]:
    hindsight = HmmSmoother(labels, 0.5)
    for time_s, row in rows:
        hindsight.update(time_s, row)
    return hindsight.segments()


CLASS: Programme = [("none", 5), ("tree", 12), ("none", 3), ("warrior_2", 8), ("chair", 6), ("none", 4)]


@pytest.mark.parametrize("fps", [5, 10, 24, 60])
def test_poses_begin_and_end_where_they_do_at_any_rate(fps: float) -> None:
    segments = smooth(stream(CLASS, fps))
    assert [segment.pose for segment in segments] == [pose for pose, _ in CLASS]
    truth_s = np.cumsum([0, *(seconds for _, seconds in CLASS)])
    found_s = [segments[0].start_s, *(segment.end_s for segment in segments)]
    assert np.abs(truth_s - found_s).max() <= max(1 / fps, 0.07) + 1e-9


def test_a_class_of_hours_takes_little_memory_and_nothing_of_it_is_lost() -> None:
    """More memory by the hour is what users of other programs report (ultralytics#636)."""
    programme: Programme = [(pose, 60) for pose in ("tree", "none", "chair")] * 20
    rows = stream(programme, 6)
    tracemalloc.start()
    hindsight = HmmSmoother(LABELS, 0.5)
    for time_s, row in rows:
        hindsight.update(time_s, row)
    kept = tracemalloc.get_traced_memory()[0]
    segments = hindsight.segments()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [segment.pose for segment in segments] == [pose for pose, _ in programme]
    assert kept < 60 * len(rows) and peak < 200 * len(rows)


def test_sixty_frames_a_second_are_not_surer_than_ten() -> None:
    wrong: Programme = [("tree", 6), ("chair", 0.4), ("tree", 6)]
    answers = {}
    for fps in (10, 60):
        hindsight = HmmSmoother(LABELS, 0.5)
        for time_s, row in stream(wrong, fps, sure=0.6):
            hindsight.update(time_s, row)
        middle = int(6.2 * fps)
        answers[fps] = hindsight.smooth()[middle]
    np.testing.assert_allclose(answers[10], answers[60], atol=0.05)


@pytest.mark.parametrize("other", ["none", "chair"])
def test_one_bad_second_breaks_no_hold(other: str) -> None:
    segments = smooth(stream([("none", 4), ("tree", 10), (other, 0.6), ("tree", 10), ("none", 4)], sure=0.8))
    assert [segment.pose for segment in segments] == ["none", "tree", "none"]


def test_a_short_real_rest_between_two_holds_is_kept() -> None:
    segments = smooth(stream([("tree", 10), ("none", 3), ("tree", 10)], sure=0.95))
    assert [segment.pose for segment in segments] == ["tree", "none", "tree"]


def test_half_of_the_frames_dropped_change_nothing() -> None:
    rows = stream(CLASS)
    kept = [row for row, keep in zip(rows, np.random.default_rng(0).random(len(rows)) < 0.5, strict=True) if keep]
    assert [s.pose for s in smooth(kept)] == [pose for pose, _ in CLASS]


def test_a_gap_is_no_evidence() -> None:
    rows = [(time_s, row) for time_s, row in stream([("tree", 20)]) if not 5 < time_s < 15]
    hindsight = HmmSmoother(LABELS, 0.5)
    for time_s, row in rows:
        hindsight.update(time_s, row)
    assert np.isfinite(hindsight.smooth()).all()
    assert [segment.pose for segment in hindsight.segments()] == ["tree"]


def test_a_pose_below_the_threshold_is_none() -> None:
    assert [s.pose for s in smooth(stream([("tree", 8)], sure=0.4))] == ["none"]
    labels = LABELS[:3]
    rows = [(n / 25, show("tree", 0.45, labels)) for n in range(200)]
    assert [s.pose for s in smooth(rows, labels)] == ["none"]
    rows = [(n / 25, show("tree", 0.8, labels)) for n in range(200)]
    assert [s.pose for s in smooth(rows, labels)] == ["tree"]


def test_confidence_is_the_calibrated_mean_not_the_posterior() -> None:
    (segment,) = smooth(stream([("tree", 10)], sure=0.7))
    assert segment.confidence == pytest.approx(0.7)


def test_what_was_common_in_calibration_needs_more_evidence() -> None:
    row = np.array([0.05, 0.5, 0.4, 0.05])
    for priors, pose in ((None, "tree"), (np.array([0.1, 0.7, 0.1, 0.1]), "warrior_2")):
        hindsight = HmmSmoother(LABELS, 0.3, priors)
        for n in range(100):
            hindsight.update(n / 25, row)
        assert [s.pose for s in hindsight.segments()] == [pose]


def test_nothing_and_a_single_frame_are_no_trouble() -> None:
    assert smooth([]) == ()
    (segment,) = smooth([(0.0, show("none"))])
    assert segment.pose == "none" and segment.duration_s == 0


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 3), st.lists(st.floats(0, 1), min_size=4, max_size=4)), min_size=1, max_size=60))
def test_segments_cover_the_video_without_gap_or_overlap(steps: list[tuple[float, list[float]]]) -> None:
    times_s = np.cumsum([step_s for step_s, _ in steps])
    hindsight = HmmSmoother(LABELS, 0.5)
    for time_s, (_, values) in zip(times_s, steps, strict=True):
        row = np.array(values) + 1e-9
        hindsight.update(float(time_s), row / row.sum())
    segments = hindsight.segments()
    assert segments[0].start_s == times_s[0] and segments[-1].end_s == times_s[-1]
    assert all(before.end_s == after.start_s and before.pose != after.pose for before, after in pairwise(segments))
    assert np.allclose(hindsight.smooth().sum(axis=1), 1) and all(0 <= s.confidence <= 1 for s in segments)


def test_two_hours_of_frames_underflow_nowhere() -> None:
    rng = np.random.default_rng(0)
    hindsight = HmmSmoother(LABELS, 0.5, config=HmmConfig(evidence_rate=30))
    for n in range(20_000):
        hindsight.update(n / 25, rng.dirichlet(np.full(4, 0.05)))
    assert np.isfinite(hindsight.smooth()).all()


def test_a_look_that_saw_nothing_ends_a_hold_after_two_seconds_and_not_before() -> None:
    for damaged_s, poses in ((1.0, ["tree"]), (3.0, ["tree", "none", "tree"])):
        rows = stream([("tree", 5), ("none", damaged_s), ("tree", 5)], fps=6)
        blank = [(time_s, np.zeros(4) if 5 <= time_s < 5 + damaged_s else row) for time_s, row in rows]
        segments = smooth(blank)
        assert [segment.pose for segment in segments] == poses
        for segment in segments:
            assert segment.confidence == (0.0 if segment.pose == "none" else pytest.approx(0.9))


def test_of_what_nobody_saw_nothing_is_said() -> None:
    for labels in (LABELS, LABELS[:3]):
        segments = smooth([(n / 6, np.zeros(len(labels))) for n in range(30)], labels)
        assert [(segment.pose, segment.confidence) for segment in segments] == [("none", 0.0)]
