"""Rebuilding the shipped model: every step once, a second call does nothing, a failure ends it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from yoga_live.calibration.onnx_file import read_model
from yoga_live.train.fit.trainer import Trainer

sys.path.append(str(Path(__file__).parents[3] / "benchmarks" / "shipped_model"))

from model import list_steps, main  # pyright: ignore[reportMissingImports]

SMALL = (
    "--size",
    "64",
    "--epochs",
    "0",
    "--epochs-frozen",
    "3",
    "--device",
    "cpu",
    "--train-only",
    "00*",
    "--arch",
    "resnet18",
)


def test_photos_become_the_model_and_a_second_call_does_nothing(
    drawn_photos: Path, start_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work = tmp_path / "work"
    shutil.copytree(drawn_photos, work / "photos")  # gathered already
    arguments = [str(tmp_path / "sources"), "--weights", str(start_weights), "--work", str(work), *SMALL]
    assert main(arguments) == 0, capsys.readouterr().err
    assert {"default.fp32.onnx", "default.onnx", "photos", "run"} <= {path.name for path in work.iterdir()}
    assert read_model(work / "default.onnx")[1].precision == "int8"
    times = [path.stat().st_mtime_ns for path in sorted(work.rglob("*")) if path.is_file()]
    assert main(arguments) == 0
    assert [path.stat().st_mtime_ns for path in sorted(work.rglob("*")) if path.is_file()] == times


def test_a_training_that_was_stopped_goes_on_before_anything_is_exported(
    drawn_photos: Path, start_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, begun = tmp_path / "work", []
    shutil.copytree(drawn_photos, work / "photos")

    def stop(_: Trainer, epoch: int, *__: object) -> float:
        begun.append(epoch)
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "_train_epoch", stop)
    arguments = [str(tmp_path / "sources"), "--weights", str(start_weights), "--work", str(work), *SMALL]
    for times in (1, 2):
        assert main([*arguments, "--epochs", "1"]) == 130
        assert begun == [1] * times and {path.name for path in work.iterdir()} == {"photos", "run"}


def test_missing_sources_end_it_on_one_line_before_anything_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work = tmp_path / "work"
    assert main([str(tmp_path / "nowhere"), "--weights", "none", "--work", str(work)]) == 2
    assert "is missing" in capsys.readouterr().err and not list(work.iterdir())


def test_a_work_folder_that_is_a_file_is_refused_on_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "work").write_text("mine")
    assert main([str(tmp_path), "--weights", "none", "--work", str(tmp_path / "work")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1 and (tmp_path / "work").read_text() == "mine"


def test_a_run_that_was_begun_is_resumed_with_its_own_configuration(
    trained_run: Path, drawn_photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(trained_run, tmp_path / "run")  # trained with other options
    shutil.copytree(drawn_photos, tmp_path / "photos")
    steps = dict(list_steps(tmp_path, tmp_path, "none", list(SMALL)))
    assert steps[tmp_path / "run" / "run.json"]() == 2
    assert "resume" in capsys.readouterr().err


def test_with_strangers_the_second_opinion_is_learned_last_from_the_int8_model(tmp_path: Path) -> None:
    outputs = [path.name for path, _ in list_steps(tmp_path, tmp_path, "none", [], tmp_path / "strangers")]
    assert outputs[-2:] == ["default.int8.onnx", "default.onnx"] and len(outputs) == len({*outputs}) == 5
    output, learn = list_steps(tmp_path, tmp_path, "none", [], tmp_path / "strangers")[-1]
    assert learn() == 2 and not output.exists()  # there is no INT8 model yet
