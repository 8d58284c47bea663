"""What the report counts, against cases worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from yoga_live.calibration.metrics import Accuracy
from yoga_live.calibration.runs import Run
from yoga_live.train.report.measure import CELL_PHOTOS, VIEW_PHOTOS, measure_report

CHAIR, PLANK, TREE = [0.8, 0.1, 0.1], [0.1, 0.7, 0.2], [0.05, 0.05, 0.9]
ROWS = [
    ("a", "chair", "test", CHAIR),
    ("b", "chair", "test", PLANK),
    ("c", "plank", "test", PLANK),
    ("d", "tree", "test", TREE),
    ("e", "tree", "test", PLANK),
    ("f", "tree", "validation", TREE),
    ("g", "chair", "validation", TREE),
    ("h", "plank", "train", PLANK),
    ("i", "tree", "train", TREE),
]
WriteRun = Callable[..., Run]


def test_headline_counts_the_test_photos_alone(write_run: WriteRun) -> None:
    report = measure_report(write_run("run", ROWS))
    assert (report.test.right, report.test.total) == (3, 5)
    assert report.mean_recall == pytest.approx((1 / 2 + 1 + 1 / 2) / 3)
    assert report.frozen == Accuracy(2, 3)


def test_each_pose_has_its_precision_recall_and_confusions(write_run: WriteRun) -> None:
    chair, plank, tree = measure_report(write_run("run", ROWS)).poses
    assert (chair.pose, chair.photos, chair.precision, chair.recall) == (
        "chair", (0, 1, 2), Accuracy(1, 1), Accuracy(1, 2),
    )  # fmt: skip
    assert (plank.precision, plank.recall, plank.confusions) == (Accuracy(1, 3), Accuracy(1, 1), ())
    assert (tree.photos, tree.recall, tree.confusions) == ((1, 1, 2), Accuracy(1, 2), (("plank", 1),))


def test_a_cell_knows_its_photos_and_its_share_of_the_row(write_run: WriteRun) -> None:
    run = write_run("run", ROWS)
    test = measure_report(run).views[0]
    cell = test.matrix[0][1]
    assert (test.key, cell.count, cell.share) == ("test", 1, 0.5)
    assert [run.photos[row.photo].sha256 for row in cell.answers] == ["b"]
    assert test.matrix[1][0].count == 0 and sum(cell.count for cells in test.matrix for cell in cells) == 5


def test_a_full_cell_keeps_the_greatest_losses(write_run: WriteRun) -> None:
    rows = [(f"{n}", "tree", "test", [0.0, 1 - n / 100, n / 100]) for n in range(40)]
    cell = measure_report(write_run("run", rows)).views[0].matrix[2][1]
    assert cell.count == 40 and len(cell.answers) == CELL_PHOTOS[0] == 24
    assert [row.truth_probability for row in cell.answers] == pytest.approx([n / 100 for n in range(24)])


def test_losses_are_the_logarithm_of_the_label_s_probability_greatest_first(write_run: WriteRun) -> None:
    run = write_run("run", ROWS)
    test, validation = measure_report(run, top=2).views
    assert [(run.photos[row.photo].sha256, row.loss) for row in test.losses] == [
        ("b", pytest.approx(-math.log(0.1))),
        ("e", pytest.approx(-math.log(0.2))),
    ]
    assert [run.photos[row.photo].sha256 for row in validation.losses] == ["g", "f"]


def test_a_probability_of_nought_is_a_finite_loss(write_run: WriteRun) -> None:
    report = measure_report(write_run("run", [("a", "tree", "test", [1.0, 0.0, 0.0])]))
    assert report.views[0].losses[0].loss == pytest.approx(-math.log(1e-12))


def test_without_folds_only_held_out_photos_are_accused(write_run: WriteRun) -> None:
    run = write_run("run", [*ROWS, ("wrong", "chair", "train", TREE)])
    suspects = measure_report(run).suspects
    assert not suspects.out_of_fold and suspects.judged == 7
    assert "wrong" not in {run.photos[row.photo].sha256 for row in suspects.rows}
    [accused] = [row for row in suspects.rows if run.photos[row.photo].sha256 == "g"]
    assert run.labels[accused.answer] == "tree"


def test_with_folds_training_photos_are_accused_and_have_losses_of_their_own(write_run: WriteRun) -> None:
    folds = [row[3] for row in ROWS]
    run = write_run("run", [*ROWS, ("wrong", "chair", "train", CHAIR)], folds=[*folds, TREE])
    report = measure_report(run)
    assert report.suspects.out_of_fold and report.suspects.judged == 10
    assert "wrong" in {run.photos[row.photo].sha256 for row in report.suspects.rows}
    everyone = report.views[2]
    assert (everyone.key, everyone.accuracy.total) == ("folds", 10)
    assert [run.photos[row.photo].sha256 for row in everyone.losses] == ["wrong", "h", "i"]
    assert report.test.right == 3  # the headline stays the kept model's


def test_a_pose_without_test_photos_does_not_spoil_the_mean(write_run: WriteRun) -> None:
    report = measure_report(write_run("run", [("a", "tree", "test", TREE), ("b", "chair", "train", CHAIR)]))
    assert report.mean_recall == 1.0 and math.isnan(report.poses[0].recall.value)


def test_the_page_lists_which_photos_it_needs(write_run: WriteRun) -> None:
    report = measure_report(write_run("run", ROWS), top=1)
    assert list(report.list_mapped()) == [(1, 1), (6, 2)]  # photos b and g, with their answers
    assert set(report.list_pictured()) == set(range(7))  # all that were held out


def test_near_duplicates_take_one_place_among_the_losses(write_run: WriteRun) -> None:
    run = write_run("run", [("a", "tree", "test", CHAIR), ("b", "tree", "test", PLANK), ("c", "tree", "test", TREE)])
    photos = (run.photos[0], replace(run.photos[1], group=0), run.photos[2])
    report = measure_report(replace(run, photos=photos))
    assert [row.photo for row in report.views[0].losses] == [0, 2]
    assert report.test.total == 3  # they count all the same


def test_many_poses_share_the_room_for_pictures(write_run: WriteRun) -> None:
    labels = tuple(f"pose_{n:02d}" for n in range(82))
    rows = [(f"{n}-{m}", labels[n], "test", np.eye(82)[n].tolist()) for n in range(82) for m in range(20)]
    report = measure_report(write_run("run", rows, labels=labels))
    view = report.views[0]
    assert view.cell_photos == 8 and view.matrix[0][0].count == 20
    assert len(set(report.list_pictured())) <= VIEW_PHOTOS
