"""ONNX Runtime: the device asked for or an error, the contract checked when the file is opened."""

import json
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from yoga_live.runtime.core.model_metadata import ModelInfo
from yoga_live.runtime.engines import onnxruntime as engine_module
from yoga_live.runtime.engines.factory import open_network
from yoga_live.runtime.engines.onnxruntime import OnnxEngine, import_onnxruntime
from yoga_live.runtime.engines.onnxruntime_providers import PROVIDERS
from yoga_live.runtime.errors import DeviceError, MissingPackageError, ModelError

pytest.importorskip("onnxruntime")


def test_logits_and_maps_agree_with_the_arithmetic_of_the_graph(model_path: Path) -> None:
    engine = OnnxEngine(model_path, "cpu")
    frames = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    logits, maps = engine.infer_maps(frames)
    np.testing.assert_allclose(logits, frames.mean(axis=(1, 2)) / 16, rtol=1e-5)
    np.testing.assert_allclose(maps.mean(axis=(2, 3)), logits, rtol=1e-5)
    np.testing.assert_array_equal(engine.infer(frames), logits)
    assert logits.dtype == maps.dtype == np.float32 and maps.shape == (3, 3, 1, 1)


def test_features_are_given_where_the_file_has_them(feature_model: Path, model_path: Path) -> None:
    engine = OnnxEngine(feature_model, "cpu")
    frames = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    logits, features = engine.infer_features(frames)
    np.testing.assert_allclose(features, frames.mean(axis=(1, 2)), rtol=1e-5)
    np.testing.assert_array_equal(engine.infer(frames), logits)
    assert features.dtype == np.float32
    assert (engine.feature_size, OnnxEngine(model_path, "cpu").feature_size) == (3, 0)


def test_features_of_another_shape_are_refused(feature_model: Path, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(feature_model)
    node = next(node for node in model.graph.node if node.output[0] == "features")
    output = next(output for output in model.graph.output if output.name == "features")
    next(attribute for attribute in node.attribute if attribute.name == "keepdims").i = 1
    output.type.tensor_type.shape.dim.add(dim_value=1)
    output.type.tensor_type.shape.dim.add(dim_value=1)
    onnx.save(model, tmp_path / "a.onnx")
    with pytest.raises(ModelError, match=r"perhaps `features` \(N, D\)"):
        OnnxEngine(tmp_path / "a.onnx", "cpu")


def test_engine_says_what_the_file_says_and_where_it_runs(model_path: Path) -> None:
    engine = OnnxEngine(model_path, "cpu")
    assert engine.info == ModelInfo(("tree", "warrior_2", "none"), 32)
    assert engine.device == "cpu"


@pytest.mark.parametrize("device", ["cpu", "openvino"])
def test_a_network_gives_the_outputs_that_are_named_in_their_order(model_path: Path, device: str) -> None:
    if device == "openvino":
        pytest.importorskip("openvino")
    network = open_network(model_path, device, 1)
    frames = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    maps, logits = network.infer_outputs(["maps", "logits"], frames)
    np.testing.assert_allclose(logits, frames.mean(axis=(1, 2)) / 16, rtol=1e-5)
    assert maps.shape == (2, 3, 1, 1) and network.device == device
    assert [output.shape for output in network.infer_outputs(["logits"], frames[:1])] == [(1, 3)]


def test_unknown_device_is_refused_with_the_choices(model_path: Path) -> None:
    with pytest.raises(DeviceError, match="unknown device 'npu'; choose one of auto, cpu, cuda, tensorrt, openvino"):
        OnnxEngine(model_path, "npu")


@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_missing_gpu_is_an_error_never_the_cpu(model_path: Path, device: str) -> None:
    if PROVIDERS[device] in import_onnxruntime().get_available_providers():
        pytest.skip(f"this ONNX Runtime only has {PROVIDERS[device]}")
    with pytest.raises(DeviceError, match=f"--device {device} needs {PROVIDERS[device]}"):
        OnnxEngine(model_path, device)


def test_provider_that_silently_became_the_cpu_is_an_error(model_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """onnxruntime#23372: CUDA is listed, its libraries are missing, and the session starts on the CPU."""

    monkeypatch.setattr(engine_module, "import_onnxruntime", pretend_to_know_cuda)
    with pytest.raises(DeviceError, match=r"started with .* instead of CUDAExecutionProvider"):
        OnnxEngine(model_path, "cuda")


def test_auto_says_so_when_it_takes_the_cpu(
    model_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(engine_module, "import_onnxruntime", pretend_to_know_cuda)
    assert OnnxEngine(model_path, "auto").device == "cpu"
    assert "no GPU is usable" in caplog.text


def start_only_on_the_cpu(path: str, options: Any, providers: list[Any], **_: object) -> Any:
    """What a driver without a device does: a C++ error of several lines, no session."""
    import onnxruntime

    if providers[0][0] != "CPUExecutionProvider":
        raise RuntimeError(
            "/onnxruntime_src/cuda_call.cc:154 CudaCall(...)\nCUDA failure 100: no CUDA-capable device\n"
        )
    return onnxruntime.InferenceSession(path, options, providers=providers)


@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_gpu_that_does_not_start_is_one_line_that_does_not_blame_the_model(
    model_path: Path, monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    monkeypatch.setattr(engine_module, "import_onnxruntime", lambda: pretend_to_know_cuda(start_only_on_the_cpu))
    with pytest.raises(DeviceError, match=r"ExecutionProvider failed to start with .*no CUDA-capable device") as caught:
        OnnxEngine(model_path, device)
    assert "\n" not in str(caught.value) and "onnxruntime_src" not in str(caught.value)


def test_auto_takes_the_cpu_when_the_gpu_does_not_start(
    model_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(engine_module, "import_onnxruntime", lambda: pretend_to_know_cuda(start_only_on_the_cpu))
    assert OnnxEngine(model_path, "auto").device == "cpu"
    assert "no GPU is usable" in caplog.text


def start_quietly_on_the_cpu(path: str, options: Any, providers: list[Any], **_: object) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def pretend_to_know_cuda(start: Callable[..., Any] = start_quietly_on_the_cpu) -> SimpleNamespace:
    """An ONNX Runtime that lists the GPU's providers and has no GPU."""
    import onnxruntime

    return SimpleNamespace(
        __file__="",
        get_available_providers=lambda: list(PROVIDERS.values()),
        SessionOptions=onnxruntime.SessionOptions,
        InferenceSession=start,
    )


def test_both_wheels_at_once_are_refused_with_the_command_that_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    def list_distributions(name: str) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(metadata={"Name": name})

    monkeypatch.setattr(metadata, "distributions", list_distributions)
    with pytest.raises(MissingPackageError, match="pip uninstall -y onnxruntime onnxruntime-gpu"):
        import_onnxruntime()


def test_no_engine_installed_names_the_command_that_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(MissingPackageError, match=r"pip install onnxruntime"):
        import_onnxruntime()


def test_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no\.onnx does not exist"):
        OnnxEngine(tmp_path / "no.onnx")


@pytest.mark.parametrize("content", [b"", b"<html>", b"\x08\x0a" * 400])
def test_file_that_is_no_onnx_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        OnnxEngine(path, "cpu")
    assert "bad.onnx" in str(caught.value) and "\n" not in str(caught.value)


def test_what_breaks_within_onnx_runtime_is_one_line(model_path: Path) -> None:
    engine = OnnxEngine(model_path, "cpu")
    for run in (engine.infer, engine.infer_maps):
        with pytest.raises(DeviceError, match="the network failed on cpu: ") as caught:
            run(np.zeros((1, 33, 32, 3), np.uint8))
        assert "\n" not in str(caught.value)


def test_truncated_model_is_refused(model_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "half.onnx"
    path.write_bytes(model_path.read_bytes()[:200])
    with pytest.raises(ModelError, match=r"half\.onnx"):
        OnnxEngine(path, "cpu")


def test_onnx_without_our_metadata_is_no_pose_model(write_model: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not a yoga-live pose model"):
        OnnxEngine(write_model(tmp_path / "m.onnx", None), "cpu")


@pytest.mark.parametrize(
    ("info", "message"),
    [
        (ModelInfo(("tree", "none"), 32), "has 3 logits but 2 labels"),
        (ModelInfo(("tree", "chair", "none"), 64), r"should have the input `frames` \(N, 64, 64, 3\)"),
    ],
)
def test_metadata_that_contradicts_the_graph_is_refused(
    write_model: Callable[..., Path], tmp_path: Path, info: ModelInfo, message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        OnnxEngine(write_model(tmp_path / "m.onnx", info.to_json()), "cpu")


def test_model_that_takes_floats_is_refused_when_opened(write_model: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="uint8"):
        OnnxEngine(write_model(tmp_path / "m.onnx", element="FLOAT"), "cpu")


def test_newer_format_asks_for_an_update(write_model: Callable[..., Path], tmp_path: Path) -> None:
    document = json.dumps({"format": 99, "labels": ["a", "b", "c"], "size": 32})
    with pytest.raises(ModelError, match="format is 99"):
        OnnxEngine(write_model(tmp_path / "m.onnx", document), "cpu")


@pytest.mark.parametrize("threads", [1, 2, None])
def test_the_number_of_threads_changes_no_answer(exported_model: Path, threads: int | None) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), np.uint8)
    expected = OnnxEngine(exported_model, "cpu").infer(frames)
    assert np.array_equal(OnnxEngine(exported_model, "cpu", threads).infer(frames), expected)
