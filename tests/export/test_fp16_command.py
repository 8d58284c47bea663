"""`yoga-export fp16`: what it writes and says, and what it refuses."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from yoga_live.calibration.fidelity import Fidelity
from yoga_live.calibration.metrics import Accuracy
from yoga_live.calibration.onnx_file import read_model, write_model
from yoga_live.calibration.runs import load_frames, load_run
from yoga_live.export import fp16
from yoga_live.export.command import main
from yoga_live.export.fp16_command import check_fidelity
from yoga_live.runtime.engines.onnxruntime import OnnxEngine
from yoga_live.runtime.errors import ModelError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def scale_weights(source: Path, to: Path, factor: float) -> Path:
    """Write a model whose first convolution and its bias are larger."""
    model, info = read_model(source)
    [conv, *_] = [node for node in model.graph.node if node.op_type == "Conv"]
    for tensor in model.graph.initializer:
        if tensor.name in conv.input[1:]:
            values = numpy_helper.to_array(tensor) * np.float32(factor)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    write_model(model, info, to)
    return to


def test_the_file_answers_as_fp32_does_with_a_confidence_of_its_own(
    ask, exported_model: Path, trained_run: Path, tmp_path: Path
) -> None:
    before = exported_model.read_bytes()
    answer = ask(main, "fp16", exported_model, "--run", trained_run, "--to", tmp_path / "a.onnx")
    assert answer.code == 0, answer.err
    assert "largest value on 16 photos: " in answer.out and " times that; " in answer.out
    for how in ("FP16 with a GPU's rounding: ", "the file with ONNX Runtime on the CPU: "):
        assert how + "agrees with FP32 on 100.0% (8 of 8" in answer.out
    assert "ECE" in answer.out and "written: " in answer.out
    assert f"yoga-export engine {tmp_path / 'a.onnx'} --to {tmp_path / 'a.engine'}" in answer.out
    assert names(tmp_path) == ["a.onnx", "a.reliability.png"] and exported_model.read_bytes() == before
    (full, _), (half, info) = read_model(exported_model), read_model(tmp_path / "a.onnx")
    assert half.graph.initializer[0].data_type == onnx.TensorProto.FLOAT16
    assert info.precision == "fp16" and info.training == read_model(exported_model)[1].training
    assert info.calibration["temperature"] == pytest.approx(info.temperature, abs=1e-5)
    assert info.calibration["agreement_with_fp32"] == 1 and info.calibration["headroom"] > 4
    assert (half.ir_version, half.opset_import) == (full.ir_version, full.opset_import)
    assert (tmp_path / "a.onnx").stat().st_size < 0.52 * exported_model.stat().st_size
    assert b"stack_trace" not in (tmp_path / "a.onnx").read_bytes()
    frames, _, _ = load_frames(load_run(trained_run), "test")
    logits = [OnnxEngine(path, "cpu").infer(frames) for path in (exported_model, tmp_path / "a.onnx")]
    np.testing.assert_allclose(logits[1], logits[0], atol=0.005 * np.abs(logits[0]).max())


def test_a_network_that_overflows_is_refused_and_nothing_is_written(
    ask, exported_model: Path, trained_run: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    for factor, reason in ((3e4, "FP16 might overflow: "), (1e7, "beyond FP16's 65504")):
        model = scale_weights(exported_model, tmp_path / "large.onnx", factor)
        line = ask(main, "fp16", model, "--run", trained_run, "--to", tmp_path / "out" / "a.onnx").refusal()
        assert reason in line and "`" in line and "FP32" in line
    assert names(tmp_path / "out") == []


def test_fp16_that_answers_otherwise_is_not_written(
    ask, exported_model: Path, trained_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def convert_badly(model: onnx.ModelProto) -> onnx.ModelProto:
        half = convert(model)
        for tensor in half.graph.initializer:  # turn the head upside down
            if list(tensor.dims)[1:2] == [512] and tensor.dims[0] == 4:
                tensor.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(tensor), tensor.name))
        return half

    convert = fp16.convert_to_fp16
    monkeypatch.setattr(fp16, "convert_to_fp16", convert_badly)
    line = ask(main, "fp16", exported_model, "--run", trained_run, "--to", tmp_path / "a.onnx").refusal()
    assert "too coarse" in line and "not written" in line and names(tmp_path) == []


def test_fidelity_is_refused_by_the_worst_logit_or_by_the_answers() -> None:
    reference = np.array([[10.0, -20.0]])
    check_fidelity(Fidelity(Accuracy(582, 582), 0, 0.2, 0), reference)
    check_fidelity(Fidelity(Accuracy(580, 582), 0, 0.01, 0), reference)
    for right, worst in ((582, 0.21), (570, 0.01), (582, float("nan")), (582, float("inf"))):
        with pytest.raises(ModelError, match="not written"):
            check_fidelity(Fidelity(Accuracy(right, 582), 0, worst, 0), reference)


def test_other_precisions_and_other_runs_are_refused(
    ask, exported_model: Path, int8_model: Path, trained_run: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    to = ("--to", tmp_path / "out" / "a.onnx")
    assert "already INT8" in ask(main, "fp16", int8_model, "--run", trained_run, *to).refusal()
    shutil.copytree(trained_run, tmp_path / "other", ignore=shutil.ignore_patterns("*.safetensors"))
    text = (tmp_path / "other" / "run.json").read_text()
    (tmp_path / "other" / "run.json").write_text(text.replace('"finished_at": "20', '"finished_at": "19'))
    assert "was finished at" in ask(main, "fp16", exported_model, "--run", tmp_path / "other", *to).refusal()
    assert "not a finished run" in ask(main, "fp16", exported_model, "--run", tmp_path / "none", *to).refusal()
    moved = ("--photos", tmp_path / "nowhere")
    assert "--photos" in ask(main, "fp16", exported_model, "--run", trained_run, *moved, *to).refusal()
    assert names(tmp_path / "out") == []


def test_outputs_are_refused_before_any_work(ask, exported_model: Path, tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_text("mine")
    answer = ask(main, "fp16", exported_model, "--run", tmp_path / "none", "--to", tmp_path / "a.onnx")
    assert "exists already" in answer.refusal() and (tmp_path / "a.onnx").read_text() == "mine"
    answer = ask(main, "fp16", exported_model, "--run", tmp_path / "none", "--to", tmp_path / "absent" / "a.onnx")
    assert "mkdir -p" in answer.refusal()
    shutil.copy(exported_model, tmp_path / "b.onnx")
    answer = ask(main, "fp16", tmp_path / "b.onnx", "--run", "none", "--to", tmp_path / "b.onnx", "--force")
    assert "is the input itself" in answer.refusal()


@pytest.mark.parametrize("arguments", [["fp16"], ["fp16", "a.onnx"], ["fp16", "a.onnx", "--to", "b.onnx"], ["info"]])
def test_incomplete_commands_are_refused(ask, arguments: list[str]) -> None:
    ask(main, *arguments).refusal()
