"""Two runs side by side: only photos that neither has seen are paired."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from yoga_live.calibration.metrics import Accuracy
from yoga_live.calibration.runs import Run
from yoga_live.runtime.errors import RunError
from yoga_live.train.report.comparison import Comparison, LeftOut, list_differences
from yoga_live.train.report.measure import measure_report

CHAIR, PLANK, TREE = [0.8, 0.1, 0.1], [0.1, 0.7, 0.2], [0.05, 0.05, 0.9]
WriteRun = Callable[..., Run]


def compare(run: Run, other: Run) -> Comparison:
    comparison = measure_report(run, other).comparison
    assert comparison
    return comparison


def test_won_and_lost_are_photos_that_only_one_answers_right(write_run: WriteRun) -> None:
    run = write_run("new", [("a", "tree", "test", TREE), ("b", "tree", "test", TREE), ("c", "chair", "test", PLANK)])
    other = write_run("old", [("c", "chair", "test", CHAIR), ("b", "tree", "test", TREE), ("a", "tree", "test", PLANK)])
    both = compare(run, other)
    assert (both.shared, both.ours, both.theirs) == (3, Accuracy(2, 3), Accuracy(2, 3))
    [won], [lost] = both.won, both.lost
    assert run.photos[won.ours.photo].sha256 == "a" and (won.their_answer, won.their_probability) == ("plank", 0.7)
    assert run.photos[lost.ours.photo].sha256 == "c" and lost.their_answer == "chair"
    assert both.p_value == 1.0
    recalls = {row.pose: (row.ours, row.theirs) for row in both.recalls}
    assert recalls["tree"] == (Accuracy(2, 2), Accuracy(1, 2)) and recalls["plank"][0].total == 0


def test_what_either_run_has_seen_is_left_out(write_run: WriteRun) -> None:
    run = write_run(
        "new",
        [
            ("a", "tree", "test", TREE),
            ("b", "tree", "test", TREE),
            ("c", "tree", "test", TREE),
            ("d", "tree", "train", TREE),
        ],
    )
    other = write_run(
        "old",
        [
            ("a", "tree", "train", TREE),
            ("b", "tree", "validation", TREE),
            ("c", "tree", "test", TREE),
            ("d", "tree", "test", TREE),
        ],
    )
    both = compare(run, other)
    assert both.shared == 1
    assert both.left_out == LeftOut(trained_by_other=2, trained_by_this=1, absent=0, unknown_pose=0, relabelled=0)


def test_a_copy_that_was_learned_from_rules_the_photo_out(write_run: WriteRun) -> None:
    run = write_run("new", [("a", "tree", "test", TREE)])
    other = write_run("old", [("a", "tree", "test", TREE), ("a", "chair", "train", CHAIR)])
    assert compare(run, other).left_out.trained_by_other == 1


def test_copies_of_a_photo_count_once(write_run: WriteRun) -> None:
    rows = [("a", "tree", "test", TREE), ("a", "tree", "test", TREE), ("b", "chair", "test", CHAIR)]
    assert compare(write_run("new", rows), write_run("old", rows)).shared == 2


def test_runs_without_shared_test_photos_are_not_paired(write_run: WriteRun) -> None:
    both = compare(write_run("new", [("a", "tree", "test", TREE)]), write_run("old", [("b", "tree", "test", PLANK)]))
    assert (both.shared, both.p_value, both.left_out.absent) == (0, 1.0, 2)
    assert (both.test, both.mean_recall) == (Accuracy(0, 1), 0.0)


def test_other_labels_are_compared_by_name_and_unknown_ones_left_out(write_run: WriteRun) -> None:
    run = write_run("new", [("a", "tree", "test", TREE), ("b", "chair", "test", CHAIR)])
    other = write_run(
        "old", [("a", "tree", "test", [0.9, 0.1]), ("b", "plank", "test", [0.1, 0.9])], labels=("tree", "plank")
    )
    both = compare(run, other)
    assert (both.ours, both.theirs) == (Accuracy(1, 1), Accuracy(1, 1))
    assert both.left_out.unknown_pose == 1


def test_a_photo_whose_label_was_mended_is_judged_by_the_new_label(write_run: WriteRun) -> None:
    run, other = write_run("new", [("a", "tree", "test", TREE)]), write_run("old", [("a", "chair", "test", CHAIR)])
    both = compare(run, other)
    assert (len(both.won), both.left_out.relabelled) == (1, 1)


def test_settings_that_differ_are_listed(write_run: WriteRun) -> None:
    rows = [("a", "tree", "test", TREE)]
    run = write_run("new", rows, epochs=12, augmentation={"mirror": 0.5, "shift": 0.1})
    other = write_run("old", rows, epochs=1, augmentation={"mirror": 0.0, "shift": 0.1})
    assert compare(run, other).settings == (("epochs", "12", "1"), ("augmentation.mirror", "0.5", "0.0"))


def test_photos_that_moved_are_no_other_photos(write_run: WriteRun, tmp_path: Path) -> None:
    run, other = (write_run(name, [("a", "tree", "test", TREE)]) for name in ("new", "old"))
    assert compare(replace(run, photo_folder=tmp_path / "moved"), other).settings == ()


def test_an_older_run_without_answers_is_an_error(write_run: WriteRun) -> None:
    run, other = (write_run(name, [("a", "tree", "test", TREE)]) for name in ("new", "old"))
    (other.folder / "predictions.csv").unlink()
    with pytest.raises(RunError, match=r"predictions\.csv is missing"):
        measure_report(run, other)


def test_an_older_run_that_did_not_record_it_was_mirrored(write_run: WriteRun) -> None:
    rows = [("a", "tree", "test", [0.1, 0.1, 0.8]), ("b", "chair", "train", [0.8, 0.1, 0.1])]
    runs = [write_run("old", rows), write_run("on", rows, mirror=True), write_run("off", rows, mirror=False)]
    assert list_differences(runs[1], runs[0]) == ()
    assert list_differences(runs[2], runs[0]) == (("mirror", "False", "True"),)
