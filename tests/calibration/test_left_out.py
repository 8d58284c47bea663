"""Temperature and threshold fitted on answers to sources of photos that the network had not seen."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from yoga_live.calibration.command import main
from yoga_live.calibration.confidence import LEFT_OUT, VALIDATION, SourceCalibration, calibrate, measure_sources
from yoga_live.calibration.confidence_command import describe_source, print_together
from yoga_live.calibration.logits import (
    LEFT_OUT_FILE,
    LeftOutLogits,
    SplitLogits,
    choose_left_out,
    read_left_out,
    write_left_out,
)
from yoga_live.calibration.metrics import Accuracy
from yoga_live.calibration.onnx_file import read_model
from yoga_live.calibration.runs import Run, load_run
from yoga_live.export.command import main as export
from yoga_live.runtime.core.model_metadata import ModelInfo
from yoga_live.runtime.core.softmax import softmax
from yoga_live.runtime.errors import RunError

LABELS = ("chair", "plank", "tree", "none")


def draw(count: int, seed: int, temperature: float) -> SplitLogits:
    """Logits whose softmax at `temperature` is exactly the chance of each class."""
    rng = np.random.default_rng(seed)
    chances = softmax(logits := rng.normal(0, 2.0, (count, len(LABELS))))
    return SplitLogits(logits * temperature, (chances.cumsum(axis=1) < rng.random((count, 1))).sum(axis=1))


def join(**sources: SplitLogits) -> LeftOutLogits:
    logits, targets = (
        np.concatenate([getattr(own, name) for own in sources.values()]) for name in ("logits", "targets")
    )
    names = np.array([name for name, own in sources.items() for _ in own.targets])
    names[names == "nobody"] = ""
    return LeftOutLogits(logits, targets, np.arange(len(targets)), names, names != "")


@pytest.fixture
def run(colour_run: Path, tmp_path: Path) -> Run:
    """The run by hand, with answers that are too sure: a fifth of them are wrong at 99 %."""
    folder = Path(shutil.copytree(colour_run, tmp_path / "run"))
    photos = load_run(folder).photos
    rows = np.arange(len(photos))
    is_tree = np.array([photo.pose == "tree" for photo in photos]) ^ (rows % 5 == 0)
    logits = np.where(is_tree[:, None], [0.0, 5.0], [5.0, 0.0])
    targets = np.array([photo.pose == "tree" for photo in photos]).astype(int)
    answers = LeftOutLogits(logits, targets, rows, np.where(rows % 2, "anna", "bo"), rows >= 0)
    write_left_out(folder, [photo.path for photo in photos], ("plank", "tree"), answers)
    return load_run(folder)


def test_the_temperature_is_that_of_left_out_sources_and_not_of_the_validation_photos() -> None:
    answers = join(anna=draw(1500, 0, 4.0), bo=draw(1500, 1, 4.0), nobody=draw(3000, 2, 0.2))
    info, test = ModelInfo(LABELS, 64), draw(500, 3, 1.0)
    random, report = calibrate(info, draw(1500, 4, 1.0), test)
    assert random.temperature == pytest.approx(1.0, abs=0.12) and random.calibration["fitted_on"] == VALIDATION
    assert "sources" not in random.calibration and report.sources == {}
    fitted, report = calibrate(info, draw(1500, 4, 1.0), test, answers)
    assert fitted.temperature == pytest.approx(4.0, rel=0.08) and fitted.calibration["fitted_on"] == LEFT_OUT
    assert report.accuracy.total == 500 and report.validation_groups == 3000
    assert ModelInfo.from_json(fitted.to_json()) == fitted
    assert json.loads(fitted.to_json())["calibration"]["sources"]["anna"]["photos"] == 1500


def test_a_source_is_measured_at_the_temperature_of_the_others() -> None:
    found = measure_sources(join(anna=draw(2000, 0, 1.0), bo=draw(1900, 1, 4.0)))
    assert list(found) == ["anna", "bo"]
    assert found["anna"].temperature == pytest.approx(4.0, rel=0.1) and found["bo"].temperature == pytest.approx(
        1, abs=0.1
    )
    assert all(row.ece > 2 * row.ece_perfect_high for row in found.values())
    alike = measure_sources(join(anna=draw(2000, 0, 2.0), bo=draw(1900, 1, 2.0)))
    assert all(row.ece < 2 * row.ece_perfect_high for row in alike.values())


def test_photos_of_a_source_that_the_network_had_seen_are_fitted_on_but_not_measured() -> None:
    answers = join(anna=draw(400, 0, 2.0), bo=draw(400, 1, 2.0))
    seen = replace(answers, left_out=answers.left_out & (np.arange(800) % 4 > 0))
    assert [row.accuracy.total for row in measure_sources(seen).values()] == [300, 300] and seen.judged.all()


def test_what_was_written_is_read_again(run: Run) -> None:
    answers = read_left_out(run)
    assert answers is not None and answers.list_sources() == ["anna", "bo"] and answers.logits.shape == (48, 2)
    assert answers.left_out.all() and (answers.groups == np.arange(48)).all()
    assert answers.points is None
    paths = [photo.path for photo in run.photos]
    write_left_out(run.folder, paths, run.labels, replace(answers, points=-answers.logits))
    again = read_left_out(run)
    assert again is not None and (again.points == -answers.logits).all() and (again.logits == answers.logits).all()
    assert choose_left_out(run, "validation") is None and choose_left_out(run, "left-out") is not None


def test_a_run_without_is_fitted_on_its_validation_photos_unless_others_are_asked_for(colour_run: Path) -> None:
    assert choose_left_out(load_run(colour_run)) is None
    with pytest.raises(RunError, match=r"has no left_out\.csv.*--folds 5 --by-source, or leave out --on"):
        choose_left_out(load_run(colour_run), "left-out")


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ("plank/0.png", "plank/none.png", "does not belong to"),
        ("source", "origin", "does not belong to"),
        (",1,5,0", ",2,5,0", "left_out should be 0 or 1; it is '2'"),
        (",1,5,0", ",1,nan,0", "not finite"),
        (",1,5,0", ",1,five,0", "could not convert"),
        (",1,5,0", ",1,5", "one number for each of 2 columns"),
        ("anna", "bo", "fewer than two sources"),
    ],
)
def test_a_broken_file_is_refused_in_one_line(run: Run, before: str, after: str, reason: str) -> None:
    path = run.folder / LEFT_OUT_FILE
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
    with pytest.raises(RunError, match=reason) as error:
        read_left_out(run)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kept", [0, 1])
def test_a_file_without_rows_is_refused_in_words_of_the_file(run: Run, kept: int) -> None:
    path = run.folder / LEFT_OUT_FILE
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:kept]))
    with pytest.raises(
        RunError, match=r"no row for a photo\); train .* or delete this file to fit on validation photos"
    ):
        read_left_out(run)


def test_the_command_fits_on_left_out_sources_says_so_and_goes_back(
    ask, run: Run, colour_model: Path, tmp_path: Path
) -> None:
    infos = {}
    for on in ("auto", "validation"):
        to = tmp_path / f"{on}.onnx"
        answer = ask(main, "confidence", colour_model, "--run", run.folder, "--to", to, "--on", on)
        assert answer.code == 0, answer.err
        infos[on] = read_model(to)[1]
        assert ("fitted on predictions for left-out sources" in answer.out) == (on == "auto")
        assert ("  anna  24 photos, accuracy " in answer.out) == (on == "auto")
    assert infos["auto"].calibration["fitted_on"] == LEFT_OUT and {*infos["auto"].calibration["sources"]} == {
        "anna",
        "bo",
    }
    assert infos["validation"].calibration["fitted_on"] == VALIDATION
    assert infos["auto"].temperature > 2 * infos["validation"].temperature
    (run.folder / LEFT_OUT_FILE).unlink()
    answer = ask(main, "confidence", colour_model, "--run", run.folder, "--to", tmp_path / "x.onnx", "--on", "left-out")
    assert answer.code == 2 and "has no left_out.csv" in answer.err


@pytest.mark.parametrize(
    ("right", "photos", "ece", "verdict"),
    [
        (30, 40, 0.1, "a perfectly calibrated model has up to 20.0%: within"),
        (30, 40, 0.3, "a perfectly calibrated model has up to 20.0%: ABOVE"),
        (1, 2, 0.1, "too few photos to judge it"),
        (1, 2, 0.3, "a perfectly calibrated model has up to 20.0%: ABOVE"),
    ],
)
def test_a_source_of_few_photos_is_not_said_to_be_calibrated(right: int, photos: int, ece: float, verdict: str) -> None:
    row = SourceCalibration(Accuracy(right, photos), 1.5, ece, 0.1, 0.2)
    assert describe_source(row) == (f"{photos} photos, accuracy {right / photos:.1%}, ECE {ece:.1%} ({verdict})")


@pytest.mark.parametrize(("command", "precision"), [(main, "int8"), (export, "fp16")])
def test_smaller_files_are_fitted_on_left_out_sources_too(
    command: Callable[[list[str]], int], precision: str, ask, run: Run, colour_model: Path, tmp_path: Path
) -> None:
    to = tmp_path / "small.onnx"
    answer = ask(command, precision, colour_model, "--run", run.folder, "--to", to)
    assert answer.code == 0, answer.err
    info = read_model(to)[1]
    assert info.calibration["fitted_on"] == LEFT_OUT and "agreement_with_fp32" in info.calibration
    assert "fitted on predictions for left-out sources" in answer.out


def test_what_key_points_are_fitted_on_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    split = draw(200, 0, 1.0)
    _, random = calibrate(ModelInfo(LABELS, 64), split, split)
    _, honest = calibrate(ModelInfo(LABELS, 64), split, split, join(anna=split, bo=split))
    for alone in (random, honest):
        print_together(random, alone)
        assert ("this is fitted on validation photos" in capsys.readouterr().out) == (alone is honest)
