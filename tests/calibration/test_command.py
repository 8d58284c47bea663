"""`yoga-calibrate`: what it writes and says, and what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from yoga_live.calibration.command import main
from yoga_live.calibration.onnx_file import read_model, write_model
from yoga_live.runtime.classifier import PoseClassifier
from yoga_live.runtime.core.model_metadata import ModelInfo
from yoga_live.runtime.photos.decoding import decode_photo

COMMANDS = ("confidence", "int8")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_confidence_writes_a_calibrated_model_and_its_diagram(
    ask, exported_model: Path, trained_run: Path, tmp_path: Path
) -> None:
    answer = ask(main, "confidence", exported_model, "--run", trained_run, "--to", tmp_path / "calibrated.onnx")
    assert answer.code == 0, answer.err
    (model, info), (before, plain) = read_model(tmp_path / "calibrated.onnx"), read_model(exported_model)
    assert model.graph == before.graph and info.labels == plain.labels
    assert info.calibration["temperature"] == round(info.temperature, 5)
    assert f"temperature {info.temperature:.3f}" in answer.out and f"threshold {info.threshold:.2f}" in answer.out
    assert "a perfectly calibrated model has" in answer.out and "test accuracy: " in answer.out
    assert names(tmp_path) == ["calibrated.onnx", "calibrated.reliability.png"]
    with Image.open(tmp_path / "calibrated.reliability.png") as picture:
        assert picture.width > 300


def test_int8_writes_a_small_model_with_a_calibration_of_its_own(int8_model: Path) -> None:
    _, info = read_model(int8_model)
    assert info.calibration["agreement_with_fp32"] >= 0.8
    assert info.calibration["temperature"] == round(info.temperature, 5)
    with Image.open(int8_model.with_name("tiny.int8.reliability.png")) as picture:
        assert picture.width > 300


def test_the_small_model_classifies_photos_with_the_labels_of_its_run(int8_model: Path, drawn_photos: Path) -> None:
    classifier = PoseClassifier(int8_model, "cpu")
    poses = [path for path in sorted(drawn_photos.glob("*/*")) if path.parent.name != "none"]
    predictions = [classifier.classify(decode_photo(path)) for path in poses]
    surest = [max(prediction.probabilities, key=prediction.probabilities.__getitem__) for prediction in predictions]
    assert np.mean([label == path.parent.name for label, path in zip(surest, poses, strict=True)]) > 0.7
    assert list(predictions[0].probabilities) == ["down_dog", "tree", "warrior_2", "none"]


@pytest.mark.parametrize("command", COMMANDS)
def test_an_existing_output_is_refused_untouched_without_force(
    ask, command: str, exported_model: Path, trained_run: Path, tmp_path: Path
) -> None:
    for name in ("a.onnx", "b.reliability.png"):
        (tmp_path / name).write_text("mine")
    for name in ("a.onnx", "b.onnx"):
        answer = ask(main, command, exported_model, "--run", trained_run, "--to", tmp_path / name)
        assert "exists already" in answer.refusal() and len(answer.err.splitlines()) == 1
    assert names(tmp_path) == ["a.onnx", "b.reliability.png"]
    assert {(tmp_path / name).read_text() for name in names(tmp_path)} == {"mine"}


def test_force_replaces_an_output(ask, exported_model: Path, trained_run: Path, tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_text("old")
    answer = ask(main, "confidence", exported_model, "--run", trained_run, "--to", tmp_path / "a.onnx", "--force")
    assert answer.code == 0 and read_model(tmp_path / "a.onnx")[1].calibration


@pytest.mark.parametrize("command", COMMANDS)
def test_the_input_is_never_the_output(ask, command: str, trained_run: Path, tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_text("mine")
    (tmp_path / "link.onnx").symlink_to(tmp_path / "a.onnx")
    for name in ("a.onnx", "link.onnx"):
        answer = ask(main, command, tmp_path / "a.onnx", "--run", trained_run, "--to", tmp_path / name, "--force")
        assert "is the input itself" in answer.refusal() and len(answer.err.splitlines()) == 1
    assert (tmp_path / "a.onnx").read_text() == "mine"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_missing_or_unreadable_model_is_refused_on_one_line(
    ask, command: str, trained_run: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.onnx").write_text("not a model")
    (tmp_path / "out").mkdir()
    for name in ("absent.onnx", "bad.onnx"):
        answer = ask(main, command, tmp_path / name, "--run", trained_run, "--to", tmp_path / "out" / "a.onnx")
        assert name in answer.refusal() and len(answer.err.splitlines()) == 1
    assert names(tmp_path / "out") == []


@pytest.mark.parametrize("command", COMMANDS)
def test_a_missing_run_or_output_folder_is_refused_on_one_line(
    ask, command: str, exported_model: Path, trained_run: Path, tmp_path: Path
) -> None:
    answer = ask(main, command, exported_model, "--run", tmp_path / "norun", "--to", tmp_path / "a.onnx")
    assert "not a finished run" in answer.refusal() and len(answer.err.splitlines()) == 1
    answer = ask(main, command, exported_model, "--run", trained_run, "--to", tmp_path / "absent" / "a.onnx")
    assert "mkdir -p" in answer.refusal() and len(answer.err.splitlines()) == 1
    assert "folder" in ask(main, command, exported_model, "--run", trained_run, "--to", ".", "--force").refusal()
    assert names(tmp_path) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_photos_that_are_gone_are_refused_and_nothing_is_written(
    ask, command: str, exported_model: Path, trained_run: Path, tmp_path: Path
) -> None:
    moved = ("--photos", tmp_path / "nowhere")
    answer = ask(main, command, exported_model, "--run", trained_run, "--to", tmp_path / "a.onnx", *moved)
    assert "--photos" in answer.refusal() and names(tmp_path) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_a_run_that_the_model_was_not_exported_from_is_refused(
    ask, command: str, exported_model: Path, trained_run: Path, tmp_path: Path
) -> None:
    labels = ["tree", "down_dog", "warrior_2", "none"]
    for change in ({"labels": labels}, {"config": {"size": 96}}, {"finished_at": "2020-01-01T00:00:00+00:00"}):
        other = tmp_path / "other"
        shutil.copytree(trained_run, other, ignore=shutil.ignore_patterns("*.safetensors"))
        content = json.loads((other / "run.json").read_text())
        (other / "run.json").write_text(json.dumps(content | change))
        line = ask(main, command, exported_model, "--run", other, "--to", tmp_path / "a.onnx").refusal()
        assert "other" in line and "tiny.onnx" in line
        shutil.rmtree(other)
    assert names(tmp_path) == []


def test_an_int8_model_is_refused_as_input_of_int8(ask, int8_model: Path, trained_run: Path, tmp_path: Path) -> None:
    line = ask(main, "int8", int8_model, "--run", trained_run, "--to", tmp_path / "a.onnx").refusal()
    assert "already INT8" in line and names(tmp_path) == []


def test_a_model_of_somebody_else_is_refused(ask, trained_run: Path, tmp_path: Path) -> None:
    x = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    y = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "tiny", [x], [y])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, tmp_path / "other.onnx")
    write_model(model, ModelInfo(("down_dog", "tree", "warrior_2", "none"), 64), tmp_path / "odd.onnx")
    (tmp_path / "out").mkdir()
    for name, reason in (("other.onnx", "not a yoga-live pose model"), ("odd.onnx", "should have the input `frames`")):
        for command in COMMANDS:
            answer = ask(main, command, tmp_path / name, "--run", trained_run, "--to", tmp_path / "out" / "a.onnx")
            assert reason in answer.refusal()
    assert names(tmp_path / "out") == []
