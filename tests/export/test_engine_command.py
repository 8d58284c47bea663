"""`yoga-export engine` and `yoga-live --model FILE.engine`: what they say, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest

from yoga_live.calibration.onnx_file import read_model, write_model
from yoga_live.export.command import main
from yoga_live.export.fp16 import convert_to_fp16
from yoga_live.runtime.cli.main import main as watch
from yoga_live.runtime.core.model_metadata import ModelInfo
from yoga_live.runtime.engines.tensorrt_sidecar import read_record


@pytest.fixture
def source(
    gpu: Any, make_network: Callable[..., onnx.ModelProto], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """An FP16 pose model, and TensorRT installed."""
    for module in ("tensorrt_bindings", "tensorrt"):
        monkeypatch.setattr(f"yoga_live.runtime.engines.{module}.import_bindings", lambda: gpu.bindings)
    path = tmp_path / "yoga.fp16.onnx"
    write_model(convert_to_fp16(make_network()), ModelInfo(("tree", "warrior_2", "none"), 32, "fp16"), path)
    return path


def test_a_file_becomes_an_engine_that_yoga_live_runs(
    ask, gpu: Any, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = source.with_name("yoga.engine")
    answer = ask(main, "engine", source, "--to", path, "--workspace-mb", 64)
    assert answer.code == 0, answer.err
    assert "built for Fake GPU (compute capability 8.7, 16 multiprocessors) by TensorRT 10.3.0" in answer.out
    assert f"next: yoga-live 0 --model {path}" in answer.out
    assert "the engine agrees with ONNX Runtime on 12 of 12 drawn figures" in answer.err
    assert "building [########################] 100%" in answer.err
    said = ask(main, "info", path)
    assert said.code == 0 and "Fake GPU" in said.out and "yoga.fp16.onnx" in said.out, said.err
    timeline = path.with_name("demo.csv")
    monkeypatch.setattr("yoga_live.runtime.sources.demo.PROGRAMME", ())  # the first rest alone
    answer = ask(watch, "--demo", "--model", path, "--timeline", timeline, "--no-window")
    assert answer.code == 0, answer.err
    assert "engine on tensorrt" in answer.err and timeline.exists()


def test_the_same_network_again_is_kept_and_said(ask, gpu: Any, source: Path) -> None:
    path = source.with_name("yoga.engine")
    for options in ([], [], ["--force"]):
        answer = ask(main, "engine", source, "--to", path, *options)
        assert answer.code == 0, answer.err
    assert gpu.builds == 1 and f"kept: {path} has the same network" in answer.out
    assert f"remove it first: rm {path} {path}.json" in answer.out
    for file in (path, path.with_name("yoga.engine.json")):
        file.unlink()
    assert ask(main, "engine", source, "--to", path).code == 0 and gpu.builds == 2


def test_a_new_calibration_is_taken_over_without_force_and_another_network_is_not(ask, gpu: Any, source: Path) -> None:
    path = source.with_name("yoga.engine")
    assert ask(main, "engine", source, "--to", path).code == 0
    model, info = read_model(source)
    write_model(model, replace(info, temperature=0.5, threshold=0.7), source)
    answer = ask(main, "engine", source, "--to", path)
    assert answer.code == 0 and "its labels and calibration are now those of" in answer.out, answer.err
    assert gpu.builds == 1 and read_record(path).model.threshold == 0.7
    line = ask(main, "engine", source, "--to", path, "--workspace-mb", 64).refusal()
    assert "yoga.engine exists already" in line and gpu.builds == 1


def test_an_existing_engine_or_record_is_refused_without_force(ask, gpu: Any, source: Path) -> None:
    for name in ("yoga.engine", "yoga.engine.json"):
        source.with_name(name).write_text("mine")
        answer = ask(main, "engine", source, "--to", source.with_name("yoga.engine"))
        assert f"{name} exists already" in answer.refusal() and len(answer.err.splitlines()) == 1
        assert answer.out == ""
        assert source.with_name(name).read_text() == "mine" and gpu.builds == 0
        source.with_name(name).unlink()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--to", "a.onnx"], "must end in .engine"),
        (["--to", "a.engine", "--workspace-mb", "0"], "--workspace-mb: '0' is not a number of MiB, 1 to 1,000,000"),
        (["--to", "nowhere/a.engine"], "mkdir -p nowhere"),
        (["--to", "a.engine", "--timing-cache", "nowhere/a.timing"], "mkdir -p nowhere"),
    ],
)
def test_options_that_can_not_be_honoured_are_refused_first(
    ask, source: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], message: str
) -> None:
    monkeypatch.chdir(source.parent)
    answer = ask(main, "engine", source, *options)
    assert message in answer.refusal() and len(answer.err.splitlines()) == 1
    assert [path.name for path in source.parent.iterdir()] == [source.name]


def test_without_tensorrt_the_packages_are_named(ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tensorrt", None)
    answer = ask(main, "engine", tmp_path / "a.onnx", "--to", tmp_path / "a.engine")
    assert "TensorRT cannot be imported" in answer.refusal() and len(answer.err.splitlines()) == 1
