"""A model with a second opinion through every command: calibrated for both together, kept, compared, described."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from yoga_live.calibration.command import main
from yoga_live.calibration.confidence import LEFT_OUT, VALIDATION, calibrate, calibrate_together
from yoga_live.calibration.logits import LeftOutLogits, SplitLogits, write_landmarks
from yoga_live.calibration.onnx_file import read_model, write_model
from yoga_live.calibration.runs import load_run
from yoga_live.export.command import main as export
from yoga_live.runtime.classifier import PoseClassifier
from yoga_live.runtime.core.model_metadata import ModelInfo
from yoga_live.runtime.core.softmax import log_softmax
from yoga_live.runtime.people import SecondOpinion
from yoga_live.runtime.people.landmarks import LANDMARKS, PERSON

from ..opinions import OTHERS, make_opinion

LABELS = ("tree", "warrior_2", "none")
POSES = ("plank", "tree")


def draw_split(count: int, seed: int) -> SplitLogits:
    """A network that is right now and then, and key points that nearly always are."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, 3, count)
    landmarks = np.zeros((count, LANDMARKS), np.float32)
    seen = np.where(rng.random(count) < 0.95, targets, (targets + 1) % 3)
    landmarks[:, PERSON], landmarks[:, OTHERS] = seen == 0, seen == 1
    return SplitLogits(1.5 * np.eye(3)[targets] + rng.normal(0, 1, (count, 3)), targets, landmarks=landmarks)


def test_network_and_key_points_together_have_a_temperature_and_a_threshold_of_their_own() -> None:
    plain = ModelInfo(LABELS, 32, temperature=0.9, threshold=0.55)
    info = replace(plain, second_opinion=make_opinion().to_document())
    validation, test = draw_split(600, 0), draw_split(600, 1)
    fitted, report = calibrate_together(info, validation, test)
    assert report is not None and (fitted.temperature, fitted.threshold) == (0.9, 0.55)
    opinion = SecondOpinion.from_document(fitted.second_opinion, LABELS)
    mixed, mixed_test = (
        replace(part, logits=make_opinion().combine(part.logits, part.landmarks))  # type: ignore[arg-type]
        for part in (validation, test)
    )
    expected, _ = calibrate(plain, mixed, mixed_test)
    assert (opinion.temperature, opinion.threshold) == (expected.temperature, expected.threshold)
    assert opinion.temperature != 1.25 and report.accuracy.value > calibrate(plain, validation, test)[1].accuracy.value
    assert opinion.measured["photos"] == 12 and opinion.measured["calibration"]["accuracy"]["photos"] == 600


def test_both_together_are_fitted_on_left_out_sources_where_key_points_have_answered_them() -> None:
    info = replace(ModelInfo(LABELS, 32), second_opinion=make_opinion().to_document())
    validation, test, far = draw_split(600, 0), draw_split(600, 1), draw_split(600, 2)
    assert far.landmarks is not None
    points = 3 * np.log(np.maximum(make_opinion().classify_landmarks(far.landmarks), 1e-6))
    rows = np.arange(600)
    answers = LeftOutLogits(far.logits, far.targets, rows, np.where(rows % 2, "anna", "bo"), rows >= 0, points)
    fitted, report = calibrate_together(info, validation, test, answers)
    assert report is not None and report.fitted_on == LEFT_OUT and {*report.sources} == {"anna", "bo"}
    logs = make_opinion().mixture.mix(log_softmax(far.logits), points, make_opinion().none)
    expected, _ = calibrate(ModelInfo(LABELS, 32), SplitLogits(logs, far.targets, rows), test)
    assert fitted.second_opinion["temperature"] == expected.temperature
    assert fitted.second_opinion["threshold"] == expected.threshold
    assert fitted.second_opinion["measured"]["calibration"]["fitted_on"] == LEFT_OUT
    without, report = calibrate_together(info, validation, test, replace(answers, points=None))
    assert report is not None and report.fitted_on == VALIDATION
    assert without == calibrate_together(info, validation, test)[0] and without != fitted


def test_without_a_second_opinion_or_landmarks_nothing_changes(caplog: pytest.LogCaptureFixture) -> None:
    split = draw_split(100, 0)
    plain = ModelInfo(LABELS, 32)
    assert calibrate_together(plain, split, split) == (plain, None) and not caplog.text
    info = replace(plain, second_opinion=make_opinion().to_document())
    with caplog.at_level(logging.WARNING):
        assert calibrate_together(info, split, replace(split, landmarks=None)) == (info, None)
    assert "the run has no landmarks.npy" in caplog.text


@pytest.fixture(scope="module")
def informed_run(colour_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of two colours, whose people show which is which: planks by their score, trees by the others."""
    folder = tmp_path_factory.mktemp("informed") / "run"
    shutil.copytree(colour_run, folder)
    run = load_run(folder)
    landmarks = np.zeros((len(run.photos), LANDMARKS), np.float32)
    for row, photo in zip(landmarks, run.photos, strict=True):
        row[PERSON if photo.pose == "plank" else OTHERS] = 1
    write_landmarks(folder, landmarks)
    return folder


@pytest.fixture(scope="module")
def informed_model(colour_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("informed_model") / "colours.onnx"
    model, info = read_model(colour_model)
    write_model(model, replace(info, second_opinion=make_opinion(POSES).to_document()), path)
    return path


def read_opinion(path: Path) -> SecondOpinion:
    return SecondOpinion.from_document(read_model(path)[1].second_opinion, POSES)


@pytest.mark.parametrize("command", ["confidence", "int8", "fp16"])
def test_every_copy_of_a_model_keeps_its_second_opinion_calibrated(
    ask: Callable[..., Any], informed_run: Path, informed_model: Path, colour_model: Path, tmp_path: Path, command: str
) -> None:
    room = export if command == "fp16" else main
    to, alone = tmp_path / "with.onnx", tmp_path / "without.onnx"
    answer = ask(room, command, informed_model, "--run", informed_run, "--to", to)
    assert answer.code == 0, answer.err
    assert "with the second opinion, the key points of people:" in answer.out
    opinion, before = read_opinion(to), read_opinion(informed_model)
    assert opinion.numbers == before.numbers and opinion.mixture == before.mixture
    assert opinion.threshold != before.threshold and opinion.measured["calibration"]["accuracy"]["photos"] == 12
    assert ask(room, command, colour_model, "--run", informed_run, "--to", alone).code == 0
    ours, theirs = read_model(to)[1], read_model(alone)[1]
    assert (ours.temperature, ours.threshold) == (theirs.temperature, theirs.threshold)
    classifier = PoseClassifier(to, "cpu")
    assert classifier.second_opinion == opinion and classifier.info_with_people.threshold == opinion.threshold


def test_check_tells_the_accuracy_with_key_points(
    ask: Callable[..., Any], informed_run: Path, informed_model: Path, colour_model: Path, tmp_path: Path
) -> None:
    table = tmp_path / "table.json"
    answer = ask(main, "check", informed_model, colour_model, "--run", informed_run, "--to", table)
    assert answer.code == 0, answer.err
    lines = [line for line in answer.out.splitlines() if "with its second opinion" in line]
    assert len(lines) == 1 and "100.0% (12 of 12" in lines[0]
    assert [row["accuracy_with_people"] for row in json.loads(table.read_text())] == [1.0, None]


def test_info_describes_it_without_its_numbers(ask: Callable[..., Any], informed_model: Path) -> None:
    answer = ask(export, "info", informed_model)
    assert answer.code == 0 and "second opinion\n" in answer.out
    assert "networks                 1 of 53-2" in answer.out and "weights of which pose" in answer.out
    assert max(map(len, answer.out.splitlines())) < 400
    section = json.loads(ask(export, "info", informed_model, "--json").out)["second opinion"]
    assert section["weights of which pose"] == {"plank": [0.5, 0.5], "tree": [0.5, 0.5]} and "numbers" not in section


def test_a_model_with_a_broken_second_opinion_is_refused(
    ask: Callable[..., Any], informed_run: Path, colour_model: Path, tmp_path: Path
) -> None:
    model, info = read_model(colour_model)
    write_model(model, replace(info, second_opinion={"networks": 1}), tmp_path / "bad.onnx")
    for command in (("confidence", "--to", tmp_path / "a.onnx"), ("check",)):
        name, *rest = command
        line = ask(main, name, tmp_path / "bad.onnx", "--run", informed_run, *rest).refusal()
        assert "second opinion of the model cannot be read" in line
    assert "second opinion" in ask(export, "info", tmp_path / "bad.onnx").refusal()
