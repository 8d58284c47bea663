"""An ONNX file to an engine: what is built, kept, refused and written."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from yoga_live.calibration.onnx_file import read_model, write_model
from yoga_live.export import engine_check
from yoga_live.export.engine import BATCHES, EngineOptions, default_timing_cache, export_engine
from yoga_live.export.fp16 import convert_to_fp16
from yoga_live.runtime.core.model_metadata import ModelInfo
from yoga_live.runtime.engines.onnxruntime import OnnxEngine
from yoga_live.runtime.engines.tensorrt import TensorRTEngine
from yoga_live.runtime.engines.tensorrt_sidecar import Gpu, read_record, record_path
from yoga_live.runtime.errors import DeviceError, MissingPackageError, ModelError, OutputError
from yoga_live.runtime.system.files import find_cache_folder

OPTIONS = EngineOptions(workspace_mb=64)
LABELS = ("tree", "warrior_2", "none")


@pytest.fixture
def source(make_network: Callable[..., onnx.ModelProto], tmp_path: Path) -> Path:
    """An FP16 pose model."""
    path = tmp_path / "yoga.fp16.onnx"
    write_model(convert_to_fp16(make_network()), ModelInfo(LABELS, 32, "fp16", 1.5, 0.6), path)
    return path


def list_files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_engine_gives_the_files_answers_and_says_what_it_says(gpu: Any, source: Path, noise: np.ndarray) -> None:
    path = source.with_name("yoga.engine")
    built = export_engine(source, path, OPTIONS, gpu.bindings)
    assert built.was_built and not gpu.live and not gpu.streams
    with TensorRTEngine(path, bindings=gpu.bindings) as engine:
        assert engine.info == read_model(source)[1]
        logits, maps = engine.infer_maps(noise)
    expected_logits, expected_maps = OnnxEngine(source, "cpu").infer_maps(noise)
    np.testing.assert_allclose(logits, expected_logits, atol=0.02 * np.abs(expected_logits).max())
    np.testing.assert_allclose(maps, expected_maps, atol=0.02 * np.abs(expected_maps).max())
    assert list_files(source.parent) == ["yoga.engine", "yoga.engine.json", "yoga.fp16.onnx"]


def test_an_fp16_file_and_its_engine_keep_the_features(
    gpu: Any, make_network: Callable[..., onnx.ModelProto], tmp_path: Path, noise: np.ndarray
) -> None:
    full, half, path = tmp_path / "a.onnx", tmp_path / "a.fp16.onnx", tmp_path / "a.engine"
    network = make_network(features=True)
    write_model(network, ModelInfo(LABELS, 32), full)
    write_model(convert_to_fp16(network), ModelInfo(LABELS, 32, "fp16"), half)
    export_engine(half, path, OPTIONS, gpu.bindings)
    expected = OnnxEngine(full, "cpu").infer_features(noise)[1]
    with TensorRTEngine(path, bindings=gpu.bindings) as engine:
        for each in (OnnxEngine(half, "cpu"), engine):
            assert each.feature_size == 8
            features = each.infer_features(noise)[1]
            assert features.dtype == np.float32
            np.testing.assert_allclose(features, expected, atol=0.02 * np.abs(expected).max())


def test_the_record_says_what_was_built_from_what_on_what(gpu: Any, source: Path) -> None:
    from yoga_live.runtime.engines.network_hash import hash_network

    path = source.with_name("yoga.engine")
    built = export_engine(source, path, OPTIONS, gpu.bindings)
    assert read_record(path) == built.record
    content = json.loads(record_path(path).read_text(encoding="utf-8"))
    model = content.pop("model")
    assert model == json.loads(read_model(source)[1].to_json())
    assert content == {
        "format": 1,
        "gpu": {"name": "Fake GPU", "compute_capability": "8.7", "multiprocessors": 16},
        "tensorrt": "10.3.0",
        "source": "yoga.fp16.onnx",
        "network_sha256": hash_network(source.read_bytes()),
        "engine_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "built_with": {"workspace_mb": 64, "batches": [1, 1, 8]},
    }


def test_int8_is_retyped_for_tensorrt(gpu: Any, exact_int8: onnx.ModelProto, tmp_path: Path) -> None:
    source, path = tmp_path / "yoga.int8.onnx", tmp_path / "yoga.engine"
    onnx.save(exact_int8, source)
    export_engine(source, path, OPTIONS, gpu.bindings)
    built = onnx.load_from_string(path.read_bytes().split(b"\n", 1)[1])
    zeros = {tensor.name: tensor.data_type for tensor in built.graph.initializer}
    assert zeros["zero"] == onnx.TensorProto.INT8 and zeros["in_scale"] == onnx.TensorProto.FLOAT16
    frames = engine_check.draw_frames(32)
    with TensorRTEngine(path, bindings=gpu.bindings) as engine:
        expected = OnnxEngine(source, "cpu").infer(frames)
        np.testing.assert_allclose(engine.infer(frames), expected, atol=0.02 * np.abs(expected).max())


def test_fp32_is_built_and_the_command_for_fp16_told(
    gpu: Any, make_network: Callable[..., onnx.ModelProto], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = tmp_path / "yoga.onnx"
    onnx.save(make_network(), source)
    assert export_engine(source, tmp_path / "a.engine", OPTIONS, gpu.bindings).was_built
    assert f"yoga-export fp16 {source} --run RUN --to {tmp_path / 'yoga.fp16.onnx'}" in caplog.text


def test_a_new_temperature_needs_no_new_engine(gpu: Any, source: Path) -> None:
    path = source.with_name("yoga.engine")
    export_engine(source, path, OPTIONS, gpu.bindings)
    plan = path.read_bytes()
    model, info = read_model(source)
    write_model(model, replace(info, temperature=2.5), source)
    built = export_engine(source, path, OPTIONS, gpu.bindings)
    assert not built.was_built and gpu.builds == 1 and path.read_bytes() == plan
    with TensorRTEngine(path, bindings=gpu.bindings) as engine:
        assert engine.info.temperature == 2.5


@pytest.mark.parametrize("change", ["network", "gpu", "tensorrt", "workspace", "engine", "record"])
def test_anything_else_that_changed_builds_it_anew(
    gpu: Any, source: Path, make_network: Callable[..., onnx.ModelProto], change: str
) -> None:
    path = source.with_name("yoga.engine")
    export_engine(source, path, OPTIONS, gpu.bindings)
    if change == "network":
        write_model(convert_to_fp16(make_network(seed=1)), ModelInfo(LABELS, 32, "fp16"), source)
    elif change == "gpu":
        gpu.multiprocessors = 8
    elif change == "tensorrt":
        gpu.trt.__version__ = "10.16.0"
    elif change == "engine":
        path.write_bytes(path.read_bytes()[:-1])
    elif change == "record":
        record_path(path).write_text("{}")
    options = EngineOptions(workspace_mb=65) if change == "workspace" else OPTIONS
    there = path.read_bytes(), record_path(path).read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        export_engine(source, path, options, gpu.bindings)
    assert gpu.builds == 1 and (path.read_bytes(), record_path(path).read_bytes()) == there
    assert export_engine(source, path, options, gpu.bindings, force=True).was_built and gpu.builds == 2
    TensorRTEngine(path, bindings=gpu.bindings).close()


def test_too_little_free_memory_is_refused_before_anything_is_built(gpu: Any, source: Path) -> None:
    gpu.free = 50_000_000
    with pytest.raises(DeviceError, match=r"Fake GPU has 50 MB free, but .* about 64 MB.*smaller --workspace-mb"):
        export_engine(source, source.with_name("a.engine"), OPTIONS, gpu.bindings)
    assert gpu.builds == 0 and list_files(source.parent) == [source.name]


def test_a_node_that_tensorrt_does_not_know_is_named(gpu: Any, source: Path) -> None:
    model, info = read_model(source)
    features = next(node for node in model.graph.node if list(node.output) == ["deep"])
    features.op_type, features.name = "Celu", "block/activation"
    onnx.checker.check_model(model)
    write_model(model, info, source)
    with pytest.raises(ModelError) as caught:
        export_engine(source, source.with_name("a.engine"), OPTIONS, gpu.bindings)
    expected = (
        f"does not support {source}: its node block/activation (Celu): No importer registered for op: Celu; export"
    )
    assert expected in str(caught.value)


def test_a_failed_build_says_why_and_leaves_the_old_engine(gpu: Any, source: Path) -> None:
    path = source.with_name("yoga.engine")
    path.write_bytes(b"old")
    with pytest.raises(ModelError, match=r"cannot build .*no tactic; Error Code 10: could not find any implementation"):
        export_engine(source, path, EngineOptions(workspace_mb=0), gpu.bindings, force=True)
    assert path.read_bytes() == b"old" and list_files(source.parent) == ["yoga.engine", "yoga.fp16.onnx"]


def test_ctrl_c_while_building_leaves_nothing(gpu: Any, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from yoga_live.runtime.system.progress import Progress

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Progress, "advance", interrupt)
    with pytest.raises(KeyboardInterrupt):
        export_engine(source, source.with_name("a.engine"), OPTIONS, gpu.bindings)
    assert list_files(source.parent) == [source.name] and not gpu.live


def test_a_tensorrt_that_can_not_start_is_refused(gpu: Any, source: Path) -> None:
    def fail(logger: Any) -> None:
        logger.log(gpu.trt.ILogger.Severity.ERROR, "CUDA initialization failure with error: 35")
        raise TypeError("pybind11::init(): factory function returned nullptr")

    gpu.trt.Builder = fail
    with pytest.raises(DeviceError, match=r"cannot start on Fake GPU: CUDA initialization failure with error: 35"):
        export_engine(source, source.with_name("a.engine"), OPTIONS, gpu.bindings)


def test_the_profile_goes_from_one_frame_to_eight(gpu: Any, source: Path) -> None:
    path = source.with_name("yoga.engine")
    export_engine(source, path, OPTIONS, gpu.bindings)
    assert BATCHES == (1, 1, 8)
    shapes = path.read_bytes().split(b"\n", 1)[0].decode()
    assert shapes == "plan ((1, 32, 32, 3), (1, 32, 32, 3), (8, 32, 32, 3))"


def test_timings_are_kept_in_the_users_cache_by_gpu_and_version(gpu: Any, source: Path) -> None:
    timings = default_timing_cache(Gpu("Fake GPU", "8.7", 16), "10.3.0")
    assert timings == find_cache_folder("tensorrt") / "Fake-GPU-8.7-16-10.3.0.timing"
    timings.unlink(missing_ok=True)
    for name in ("a.engine", "b.engine"):
        export_engine(source, source.with_name(name), OPTIONS, gpu.bindings)
    assert timings.read_bytes() == b"timed timed " and gpu.timings == b"timed "


def test_a_timing_cache_that_can_not_be_written_costs_no_engine(
    gpu: Any, source: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (source.parent / "file").write_text("no folder")
    options = EngineOptions(64, source.parent / "file" / "a.timing")
    path = source.with_name("yoga.engine")
    assert export_engine(source, path, options, gpu.bindings).was_built and path.stat().st_size
    assert "cannot save the timings for the next build" in caplog.text


@pytest.mark.parametrize("content", [b"damaged", b"another GPU's", b""])
def test_a_timing_cache_that_does_not_fit_is_written_anew(
    gpu: Any, source: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    timings = source.with_name("mine.timing")
    timings.write_bytes(content)
    export_engine(source, source.with_name("a.engine"), EngineOptions(64, timings), gpu.bindings)
    assert timings.read_bytes() == b"timed "
    assert ("mine.timing is for another GPU or TensorRT" in caplog.text) == bool(content)


def test_what_is_no_pose_model_is_refused(gpu: Any, tmp_path: Path) -> None:
    for name, content in (("a.onnx", b"<html>"), ("b.onnx", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ModelError, match=name):
            export_engine(tmp_path / name, tmp_path / "a.engine", OPTIONS, gpu.bindings)
    with pytest.raises(ModelError, match=r"no\.onnx does not exist"):
        export_engine(tmp_path / "no.onnx", tmp_path / "a.engine", OPTIONS, gpu.bindings)


class WrongEngine:
    """Answers as an engine whose kernels are wrong."""

    def __init__(self, source: Path, offset: float) -> None:
        self.engine, self.offset = OnnxEngine(source, "cpu"), offset
        self.info, self.device = self.engine.info, "tensorrt"

    def infer_maps(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        logits, maps = self.engine.infer_maps(frames)
        return logits + np.array([self.offset, 0, 0], np.float32) * np.abs(logits).max(), maps


@pytest.mark.parametrize(
    ("offset", "message"), [(0.3, r"differ from those of .* by 0\.3 "), (np.nan, "not finite"), (np.inf, "not finite")]
)
def test_an_engine_with_other_answers_is_refused(source: Path, offset: float, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        engine_check.check_engine(WrongEngine(source, offset), source)  # type: ignore[arg-type]
    engine_check.check_engine(WrongEngine(source, 0.1), source)  # type: ignore[arg-type]


def test_an_engine_with_other_features_is_refused(make_network: Callable[..., onnx.ModelProto], tmp_path: Path) -> None:
    source = tmp_path / "a.onnx"
    write_model(make_network(features=True), ModelInfo(LABELS, 32), source)

    class OtherFeatures(WrongEngine):
        feature_size, factor = 8, 1.0

        def infer_features(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            logits, features = self.engine.infer_features(frames)
            return logits, features * np.float32(self.factor)

    wrong = OtherFeatures(source, 0.0)
    for factor, message in ((1.5, r"features differ from those of .* by 0\.5 "), (np.nan, "not finite")):
        wrong.factor = factor
        with pytest.raises(ModelError, match=message):
            engine_check.check_engine(wrong, source)  # type: ignore[arg-type]
    wrong.factor = 1.01
    engine_check.check_engine(wrong, source)  # type: ignore[arg-type]


def test_a_wrong_kernel_is_found_before_anything_is_written(gpu: Any, source: Path) -> None:
    gpu.kernel_error = 100.0
    with pytest.raises(ModelError, match=r"differ from those of .*not written"):
        export_engine(source, source.with_name("a.engine"), OPTIONS, gpu.bindings)
    assert list_files(source.parent) == [source.name] and not gpu.live


def test_without_onnx_runtime_the_missing_comparison_is_told(
    source: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = WrongEngine(source, 0.0)

    def fail(*_: object) -> None:
        raise MissingPackageError("no engine is installed")

    monkeypatch.setattr(engine_check, "OnnxEngine", fail)
    engine_check.check_engine(wrong, source)  # type: ignore[arg-type]
    assert "not compared" in caplog.text and "pip install onnxruntime" in caplog.text


def test_the_drawn_figures_fill_more_than_one_batch() -> None:
    frames = engine_check.draw_frames(32)
    assert frames.shape == (12, 32, 32, 3) and frames.dtype == np.uint8
    assert len({frame.tobytes() for frame in frames}) == 12


def test_building_imports_no_torch(gpu: Any) -> None:
    import subprocess
    import sys

    code = "import sys, yoga_live.export.engine; print('torch' in sys.modules, 'onnx' in sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ}
    )
    assert answer.stdout.strip() == "False False"
