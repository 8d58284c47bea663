"""`yoga-calibrate check`: files side by side, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from yoga_live.calibration.command import main
from yoga_live.calibration.onnx_file import read_model, write_model


def test_files_are_compared_with_the_first(
    ask, int8_model: Path, exported_model: Path, trained_run: Path, tmp_path: Path
) -> None:
    table = tmp_path / "table.json"
    answer = ask(main, "check", exported_model, int8_model, "--run", trained_run, "--device", "cpu", "--to", table)
    assert answer.code == 0, answer.err
    lines = answer.out.splitlines()
    assert "test photos" in lines[0] and "CPU core" in lines[0] and "batch 1" in lines[1]
    full, small = json.loads(table.read_text())
    assert any(line.startswith("tiny.onnx") and "fp32" in line for line in lines)
    assert any(line.startswith("tiny.int8.onnx") and "int8" in line for line in lines)
    assert full["agreement"] == 1 and full["worst_logit_difference"] == 0
    assert small["agreement"] == pytest.approx(read_model(int8_model)[1].calibration["agreement_with_fp32"], abs=1e-4)
    assert small["worst_logit_difference"] > 0 and small["megabytes"] < 0.27 * full["megabytes"]
    assert small["temperature"] == pytest.approx(read_model(int8_model)[1].temperature, abs=1e-5)


def test_two_poses_without_none_are_compared_too(ask, colour_model: Path, colour_run: Path) -> None:
    answer = ask(main, "check", colour_model, "--run", colour_run)
    assert answer.code == 0, answer.err
    assert "12 test photos" in answer.out and "colours.onnx" in answer.out


def test_a_table_that_exists_is_kept_without_force(ask, colour_model: Path, colour_run: Path, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("mine")
    arguments = ("check", colour_model, "--run", colour_run, "--to", table)
    assert "exists already" in ask(main, *arguments).refusal() and table.read_text() == "mine"
    assert ask(main, *arguments, "--force").code == 0 and "colours.onnx" in table.read_text()
    assert ".csv or .json" in ask(main, *arguments[:-1], tmp_path / "table.txt").refusal()


def test_a_model_of_another_run_is_refused(
    ask, colour_model: Path, colour_run: Path, exported_model: Path, tmp_path: Path
) -> None:
    assert "tiny.onnx predicts" in ask(main, "check", colour_model, exported_model, "--run", colour_run).refusal()
    model, info = read_model(colour_model)
    write_model(model, replace(info, training={"finished_at": "2020"}), tmp_path / "old.onnx")
    line = ask(main, "check", tmp_path / "old.onnx", "--run", colour_run).refusal()
    assert "old.onnx comes from a run that was finished at 2020" in line


@pytest.mark.parametrize("name", ["absent.onnx", "bad.onnx"])
def test_a_missing_or_unreadable_file_is_refused(ask, colour_run: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "bad.onnx").write_text("not a model")
    assert name in ask(main, "check", tmp_path / name, "--run", colour_run).refusal()


def test_an_unknown_device_is_refused(ask, colour_model: Path, colour_run: Path) -> None:
    line = ask(main, "check", colour_model, "--run", colour_run, "--device", "abacus").refusal()
    assert "abacus" in line
