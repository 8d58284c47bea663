"""The numbers of benchmarks/timelines.py on timelines whose scores are known."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

from clip_answers import ClipAnswers, Stretch, pack_person, read_truth, unpack_person
from timeline_scores import MEASURES, Run, add_up, compare, match_runs, measure_edit, score_timeline

from yoga_live.runtime.people.tracks import Person

TRUTH = [Stretch(0, 4, "none"), Stretch(6, 16, "tree"), Stretch(18, 22, "none"), Stretch(22, 32, "chair")]
"""Two seconds before and after the tree are not labelled."""


def say(*changes: tuple[float, str]) -> Callable[[float], str]:
    """A timeline, by when each answer begins."""
    return lambda time_s: next((pose for start_s, pose in reversed(changes) if time_s >= start_s), "none")


def make_person() -> Person:
    """Somebody, every number another."""
    points = np.arange(34.0).reshape(17, 2)
    return Person(3, np.array([1.0, 2, 30, 40]), points, np.linspace(0, 1, 17), 0.7, 1.25, 2.5, has_moved=True)


def test_an_edge_anywhere_in_an_unlabelled_gap_is_right() -> None:
    for start_s, end_s in ((4.1, 17.9), (6.0, 16.0), (5.0, 17.0)):
        score = score_timeline(say((start_s, "tree"), (end_s, "none"), (22, "chair")), TRUTH)
        assert [score.f1(number) for number in range(3)] == [1, 1, 1] and score.edit == 1 and score.accuracy == 1
        assert score.edges_s == pytest.approx([0, 0, 0, 0]) and (score.counts_right, score.counts) == (2, 2)
        assert score.false_alarms == 0 and score.none_s == pytest.approx(8)


def test_a_hold_in_two_pieces_is_found_once_and_counted_wrong() -> None:
    score = score_timeline(say((6, "tree"), (12, "none"), (13, "tree"), (16, "none"), (22, "chair")), TRUTH)
    assert (score.found[0], score.extra[0], score.missed[0]) == (2, 1, 0)  # of the tree, six seconds of ten
    assert (score.found[2], score.extra[2], score.missed[2]) == (1, 2, 1)
    assert score.edit == pytest.approx(1 - 1 / 3) and (score.counts_right, score.counts) == (1, 2)
    assert score.f1(1) == pytest.approx(4 / 5) and score.switches == 1


def test_a_late_edge_is_measured_in_labelled_seconds() -> None:
    score = score_timeline(say((7.5, "tree"), (18.5, "none"), (24, "chair")), TRUTH)
    assert sorted(score.edges_s) == pytest.approx([0, 0.5, 1.5, 2])
    assert score.right == score.asked - 3 - 1 - 4


def test_what_lies_mostly_on_none_is_a_false_alarm() -> None:
    score = score_timeline(say((1, "chair"), (3, "none"), (6, "tree"), (19, "none"), (22, "chair")), TRUTH)
    assert score.false_alarms == 1 and score.extra[0] == 1 and score.switches == 1
    assert score.cells()[7] == f"{3600 / 8:.0f}"


def test_the_edit_score_knows_order_and_empty_lists() -> None:
    assert measure_edit([], []) == 1 and measure_edit(["tree"], []) == 0
    assert measure_edit(["tree", "chair"], ["chair", "tree"]) == 0
    assert measure_edit(["tree", "chair", "plank"], ["tree", "plank"]) == pytest.approx(2 / 3)


def test_a_run_of_another_pose_finds_no_hold() -> None:
    hold = Run("tree", 0, 10)
    assert match_runs([hold], [Run("chair", 0, 10)], 0.25) == []
    assert match_runs([hold], [Run("tree", 0, 5)], 0.5) == [(hold, Run("tree", 0, 5))]
    assert match_runs([hold], [Run("tree", 0, 5)], 0.75) == []


def test_sums_pool_segments_and_average_edit_scores() -> None:
    good = score_timeline(say((6, "tree"), (16, "none"), (22, "chair")), TRUTH)
    silent = score_timeline(say(), TRUTH)
    both = add_up([good, silent])
    assert both.f1(1) == pytest.approx(2 * 2 / (2 * 2 + 2)) and both.edit == pytest.approx(0.5)
    assert both.asked == 2 * good.asked and good.edits == [1.0]


def test_equal_timelines_have_no_difference_and_a_better_one_has() -> None:
    good, silent = (score_timeline(answer, TRUTH) for answer in (say((6, "tree"), (16, "none"), (22, "chair")), say()))
    measure = MEASURES["F1@50"]
    assert compare([silent, good], [silent, good], measure) == (0, 0, 0)
    assert compare([silent] * 4, [good] * 4, measure) == pytest.approx((100, 100, 100))


def test_answers_give_the_person_back_that_was_kept() -> None:
    person = make_person()
    rows = np.array([pack_person(None), pack_person(person)])
    times_s, looked_s = np.array([0.0, 0.5]), np.array([0.0, 0.25])
    kept = ClipAnswers(times_s, np.eye(2), np.array([[0, 0, 8, 8]] * 2), rows, looked_s, np.array([8, 8]))
    nobody, somebody = kept.observations()
    assert nobody.crops and nobody.crops.person is None and unpack_person(rows[0]) is None
    assert somebody.crops and (same := somebody.crops.person) and somebody.crops.looked_s == 0.25
    assert (same.number, same.score, same.since_s, same.seen_s, same.has_moved) == (3, 0.7, 1.25, 2.5, True)
    assert np.array_equal(same.keypoints, person.keypoints) and np.array_equal(same.box, person.box)


def test_transitions_of_the_truth_are_not_scored(tmp_path: Path) -> None:
    path = tmp_path / "truth.csv"
    path.write_text("video,start_s,end_s,pose\na.mp4,0,2,none\na.mp4,2,5,transition\na.mp4,5,9.5,tree\n")
    assert read_truth(path) == {"a.mp4": [Stretch(0, 2, "none"), Stretch(5, 9.5, "tree")]}
