"""Measures everything that `yoga-train report` shows of a run; no pictures and no HTML here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...calibration.metrics import (
    Accuracy,
    count_confusions,
    list_confusions,
    measure_accuracy,
    measure_ece,
    measure_recalls,
    simulate_perfect_ece,
)
from ...calibration.runs import SPLITS, Run
from ...runtime.core.none_class import UNTESTED_NONE, describe_lookalike, describe_missing_none, find_none_lookalikes
from ...runtime.core.types import NO_POSE
from ..clean.label_errors import LabelErrorCount, find_label_errors
from ..photos.split_plan import SameRoom
from ..run_files.left_out import describe_left_out
from ..run_files.log import Epoch, read_log
from ..run_files.predictions import PREDICTIONS, load_predictions, read_predictions
from ..run_files.second_opinion import describe_second_opinion
from ..run_files.verdict import Verdict, judge_run
from .answers import PhotoPrediction, RunPredictions, join_answers
from .comparison import Comparison, compare_runs

CELL_PHOTOS = (24, 16, 12, 8, 6, 4, 3, 2, 1)
"""Pictures behind one cell of a confusion matrix: the most that VIEW_PHOTOS allows."""
VIEW_PHOTOS = 800  # pictures behind a whole matrix; about 4 KB each
SUSPECTS = 60  # likely label errors with a picture
DUELS = 60  # photos won, and photos lost, with a picture
PAIRS = 10  # most confused pairs
ALL = "folds"  # the view of all photos, each predicted by a network that was not trained on it


@dataclass(frozen=True)
class PoseRow:
    """One pose on the test photos.  photos: number in training, validation and test."""

    pose: str
    photos: tuple[int, ...]
    precision: Accuracy
    recall: Accuracy
    confusions: tuple[tuple[str, int], ...]  # wrong predictions for it, commonest first


@dataclass(frozen=True)
class Cell:
    """One cell of a confusion matrix.  share: its fraction of the row; answers: some photos, highest loss first."""

    count: int
    share: float
    answers: tuple[PhotoPrediction, ...]


@dataclass(frozen=True)
class PhotoView:
    """One set of photos (`test`, `validation` or `folds`): its confusion matrix and its highest losses.

    Of each duplicate group one photo is listed.  The losses of `folds` are of its training photos; the others are
    listed under `test` and `validation`.  cell_photos: the most photos shown for a cell.
    """

    key: str
    accuracy: Accuracy
    cell_photos: int
    matrix: tuple[tuple[Cell, ...], ...]
    losses: tuple[PhotoPrediction, ...]


@dataclass(frozen=True)
class Suspects:
    """Likely label errors by confident learning.

    total: how many, and how many of them are expected to be wrong.  rows: the likeliest ones with the pose suggested.
    """

    total: LabelErrorCount
    out_of_fold: bool
    rows: tuple[PhotoPrediction, ...]

    @property
    def count(self) -> int:
        """How many labels are likely wrong, or doubted by a network that is not trusted with that."""
        return self.total.suspects

    @property
    def judged(self) -> int:
        """How many labels were checked."""
        return self.total.photos


@dataclass(frozen=True)
class CalibrationSummary:
    """Calibration error on test before any temperature, and that of a perfect model on as many photos."""

    ece: float
    perfect_mean: float
    perfect_high: float


@dataclass(frozen=True)
class Report:
    """What the page shows.  frozen: the head alone, on the same test photos; None if the run does not record it.

    same_room: a sentence, where test photos are of a room that is in training too; else empty.
    cautions: more sentences, on what the numbers do not show: no class `none`, no better than guessing.
    second_opinion: lines: network alone, key points alone and both together, or why there is none.
    left_out: lines: accuracy on sources of photos that a network had not seen, beside the random split's.
    """

    run: Run
    test: Accuracy
    mean_recall: float
    frozen: Accuracy | None
    calibration: CalibrationSummary
    poses: tuple[PoseRow, ...]
    pairs: tuple[tuple[str, str, int], ...]
    views: tuple[PhotoView, ...]
    suspects: Suspects
    epochs: tuple[Epoch, ...]
    comparison: Comparison | None
    same_room: str = ""
    cautions: tuple[str, ...] = ()
    second_opinion: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def list_mapped(self) -> Iterator[tuple[int, int]]:
        """Photos and predictions that the page shows with a class map."""
        for view in self.views:
            yield from ((row.photo, row.answer) for row in view.losses)

    def list_pictured(self) -> Iterator[int]:
        """Photos that the page shows, some of them several times."""
        yield from (row.photo for row in self.suspects.rows)
        for duels in (self.comparison.won, self.comparison.lost) if self.comparison else ():
            yield from (duel.ours.photo for duel in duels[:DUELS])
        for view in self.views:
            yield from (row.photo for cells in view.matrix for cell in cells for row in cell.answers)


def measure_report(run: Run, against: Run | None = None, top: int = 24) -> Report:
    """Measure a run on its held-out photos, and compare it with another run if one is given.

    top: number of highest losses.  Raises RunError.
    """
    kept = join_answers(run, read_predictions(run.folder / PREDICTIONS, run))
    predictions = load_predictions(run)
    unseen = join_answers(run, predictions.probabilities) if predictions.out_of_fold else None
    test = kept.numbers_of("test")
    answers, targets = kept.answers[test], kept.targets[test]
    matrix = count_confusions(answers, targets, len(run.labels))
    views = [view_photos(kept, split, kept.numbers_of(split), top) for split in ("test", "validation")]
    if unseen:
        views.append(view_photos(unseen, ALL, np.flatnonzero(~unseen.drawn), top))
    test_accuracy = measure_accuracy(answers, targets)
    return Report(
        run,
        test_accuracy,
        float(np.nanmean(measure_recalls(answers, targets, len(run.labels)))),
        _read_frozen(run),
        _summarise_calibration(kept.probabilities[test], answers == targets),
        describe_poses(kept, matrix),
        tuple(list_confusions(matrix, run.labels, PAIRS)),
        tuple(views),
        find_suspects(unseen or kept, out_of_fold=unseen is not None),
        read_log(run.folder / "log.csv"),
        compare_runs(run, kept, against) if against else None,
        describe_same_room(run),
        list_cautions(
            run, judge_run(test_accuracy, targets, run.labels, run.summary.get("config", {}).get("weights", "none"))
        ),
        tuple(describe_second_opinion(run.summary)),
        tuple(describe_left_out(run.summary)),
    )


def list_cautions(run: Run, verdict: Verdict) -> tuple[str, ...]:
    """List what a reader of the numbers must know."""
    missing = describe_missing_none(
        run.labels, f"put photos of these into {run.photo_folder / NO_POSE} and train again"
    )
    names = [describe_lookalike(label, has_none=NO_POSE in run.labels) for label in find_none_lookalikes(run.labels)]
    held_out = {photo.pose for photo in run.photos if photo.split == "test"}
    untested = UNTESTED_NONE if NO_POSE in run.labels and NO_POSE not in held_out else ""
    return tuple(filter(None, (verdict.describe(), missing, untested, *names)))


def describe_same_room(run: Run) -> str:
    """Say for how many test photos the room is in training too, as `fit` found; empty if for none, or not recorded."""
    found = run.summary.get("same_room")
    if not isinstance(found, dict):
        return ""
    count, total, poses = found.get("test_photos"), found.get("of"), found.get("poses")
    if not isinstance(count, int) or not isinstance(total, int) or not isinstance(poses, list):
        return ""
    return SameRoom(count, total, tuple(pose for pose in run.labels if pose in poses)).describe()


def describe_poses(kept: RunPredictions, matrix: npt.NDArray[np.int64]) -> tuple[PoseRow, ...]:
    """Precision and recall of each pose from the confusion matrix, int (C, C), of the test photos."""
    rows: list[PoseRow] = []
    for number, pose in enumerate(kept.labels):
        counts = tuple(int((kept.targets[kept.numbers_of(split)] == number).sum()) for split in SPLITS)
        right = int(matrix[number, number])
        wrong = matrix[number].copy()
        wrong[number] = 0
        confusions = tuple((kept.labels[i], int(wrong[i])) for i in np.argsort(-wrong, kind="stable")[:2] if wrong[i])
        answered, there = int(matrix[:, number].sum()), int(matrix[number].sum())
        rows.append(PoseRow(pose, counts, Accuracy(right, answered), Accuracy(right, there), confusions))
    return tuple(rows)


def view_photos(answers: RunPredictions, key: str, photos: npt.NDArray[np.int64], top: int) -> PhotoView:
    """Sort some photos into a confusion matrix and by loss."""
    classes = len(answers.labels)
    ranked = answers.sort_by_loss(photos)
    members: list[list[list[PhotoPrediction]]] = [[[] for _ in range(classes)] for _ in range(classes)]
    for row in ranked:
        members[row.truth][row.answer].append(row)
    most = _choose_cell_photos([len(cell) for cells in members for cell in cells])
    matrix = tuple(
        tuple(Cell(len(cell), len(cell) / max(sum(map(len, cells)), 1), tuple(cell[:most])) for cell in cells)
        for cells in members
    )
    right = sum(row.is_right for row in ranked)
    losses: dict[int, PhotoPrediction] = {}
    for row in ranked:
        if key != ALL or answers.splits[row.photo] == "train":
            losses.setdefault(int(answers.groups[row.photo]), row)
    return PhotoView(key, Accuracy(right, len(ranked)), most, matrix, tuple(losses.values())[:top])


def _choose_cell_photos(counts: list[int]) -> int:
    """Choose how many photos of a cell are shown, so that a page of eighty poses is not eighty times as large."""
    fitting = (most for most in CELL_PHOTOS if sum(min(count, most) for count in counts) <= VIEW_PHOTOS)
    return next(fitting, CELL_PHOTOS[-1])


def find_suspects(answers: RunPredictions, *, out_of_fold: bool) -> Suspects:
    """Find likely label errors among the photos that the network was not trained on, as `clean` does.

    These are all photos if out_of_fold, else the held-out ones; drawings of `none` are neither.
    """
    unseen = ~answers.drawn if out_of_fold else answers.splits != SPLITS[0]
    errors = find_label_errors(answers.probabilities, answers.targets, unseen)
    total = errors.count_among(unseen)
    likeliest = [photo for photo in errors.order.tolist() if unseen[photo]][: min(total.suspects, SUSPECTS)]
    rows = tuple(answers.describe(photo, int(errors.suggestion[photo])) for photo in likeliest)
    return Suspects(total, out_of_fold, rows)


def _summarise_calibration(probabilities: npt.NDArray[np.floating], right: npt.NDArray[np.bool_]) -> CalibrationSummary:
    confidences = probabilities.max(axis=1)
    return CalibrationSummary(measure_ece(confidences, right), *simulate_perfect_ece(confidences))


def _read_frozen(run: Run) -> Accuracy | None:
    row = run.summary.get("metrics", {}).get("frozen")
    return Accuracy(round(row["accuracy"] * row["photos"]), row["photos"]) if row else None
