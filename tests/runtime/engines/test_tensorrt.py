"""A TensorRT engine: the numbers of its ONNX file in any batch, and a refusal with the command that rebuilds it."""

from __future__ import annotations

import gc
import hashlib
import logging
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from yoga_live.runtime.classifier import PoseClassifier
from yoga_live.runtime.core.model_metadata import ModelInfo
from yoga_live.runtime.engines.cuda import CudaDevice
from yoga_live.runtime.engines.factory import open_engine
from yoga_live.runtime.engines.network_hash import hash_network
from yoga_live.runtime.engines.tensorrt import TensorRTEngine
from yoga_live.runtime.engines.tensorrt_bindings import import_bindings
from yoga_live.runtime.engines.tensorrt_sidecar import EngineRecord, Gpu, record_path
from yoga_live.runtime.errors import DeviceError, MissingPackageError, ModelError

from ...opinions import make_opinion

pytest.importorskip("onnxruntime")
LABELS = ("tree", "warrior_2", "none")


def put_engine(gpu: Any, onnx_path: Path, path: Path, largest: int = 8, **changes: Any) -> EngineRecord:
    """Write an ONNX file as an engine of the stand-in GPU, with its record."""
    shapes = [(batch, 32, 32, 3) for batch in (1, 1, largest)]
    plan = b"plan " + repr(shapes).encode() + b"\n" + onnx_path.read_bytes()
    path.write_bytes(plan)
    record = EngineRecord(
        model=ModelInfo(LABELS, 32),
        gpu=Gpu.of(CudaDevice(gpu.cudart)),
        tensorrt=gpu.trt.__version__,
        source=onnx_path.name,
        network_sha256=hash_network(onnx_path.read_bytes()),
        engine_sha256=hashlib.sha256(plan).hexdigest(),
        built_with={"workspace_mb": 256},
    )
    record = replace(record, **changes)
    record_path(path).write_text(record.to_json(), encoding="utf-8")
    return record


@pytest.fixture
def engine_path(gpu: Any, model_path: Path, tmp_path: Path) -> Path:
    """An engine alone: the ONNX file is elsewhere."""
    put_engine(gpu, model_path, tmp_path / "yoga.engine")
    return tmp_path / "yoga.engine"


def draw_frames(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize("counts", [[1], [8], [9], [1, 3, 1], [17, 1, 16], [0, 2]])
def test_logits_and_maps_are_right_in_batches_of_any_size(gpu: Any, engine_path: Path, counts: list[int]) -> None:
    with TensorRTEngine(engine_path, bindings=gpu.bindings) as engine:
        for count in counts:
            frames = draw_frames(count)
            expected = frames.mean(axis=(1, 2)) / 16
            logits, maps = engine.infer_maps(frames)
            np.testing.assert_allclose(logits, expected, rtol=1e-5)
            np.testing.assert_allclose(maps[:, :, 0, 0], expected, rtol=1e-5)
            assert logits.dtype == maps.dtype == np.float32 and maps.shape == (count, 3, 1, 1)
            np.testing.assert_array_equal(engine.infer(frames), logits)


def test_more_frames_than_the_profile_holds_are_split(gpu: Any, model_path: Path, tmp_path: Path) -> None:
    put_engine(gpu, model_path, tmp_path / "a.engine", largest=3)
    with TensorRTEngine(tmp_path / "a.engine", bindings=gpu.bindings) as engine:
        gpu.log.clear()
        engine.infer(draw_frames(7))
    batches = [entry for entry in gpu.log if entry.startswith(("shape", "execute"))]
    assert batches == ["shape 3", "execute", "execute", "shape 1", "execute"]


def test_a_frame_costs_one_wait_and_only_the_copies_that_are_needed(gpu: Any, engine_path: Path) -> None:
    with TensorRTEngine(engine_path, bindings=gpu.bindings) as engine:
        engine.infer(draw_frames(1))
        gpu.log.clear()
        engine.infer(draw_frames(1))
        assert gpu.log == ["copy to gpu 3072", "execute", "copy from gpu 12", "wait"]
        gpu.log.clear()
        engine.infer_maps(draw_frames(1))
        assert gpu.log == ["copy to gpu 3072", "execute", "copy from gpu 12", "copy from gpu 12", "wait"]


def test_features_are_given_by_an_engine_that_has_them(gpu: Any, feature_model: Path, tmp_path: Path) -> None:
    put_engine(gpu, feature_model, tmp_path / "a.engine")
    with TensorRTEngine(tmp_path / "a.engine", bindings=gpu.bindings) as engine:
        assert engine.feature_size == 3
        frames = draw_frames(9)
        logits, features = engine.infer_features(frames)
        np.testing.assert_allclose(features, frames.mean(axis=(1, 2)), rtol=1e-5)
        np.testing.assert_array_equal(engine.infer(frames), logits)
        gpu.log.clear()
        engine.infer(draw_frames(1))
        assert gpu.log == ["copy to gpu 3072", "execute", "copy from gpu 12", "wait"]  # no features, as before


def test_the_record_of_an_engine_holds_the_second_opinion_too(gpu: Any, model_path: Path, tmp_path: Path) -> None:
    info = ModelInfo(LABELS, 32, second_opinion=make_opinion().to_document())
    put_engine(gpu, model_path, tmp_path / "a.engine", model=info)
    with TensorRTEngine(tmp_path / "a.engine", bindings=gpu.bindings) as engine:
        assert engine.info == info
        assert PoseClassifier.from_engine(engine).second_opinion == make_opinion()


def test_an_engine_without_features_says_so(gpu: Any, engine_path: Path) -> None:
    with TensorRTEngine(engine_path, bindings=gpu.bindings) as engine:
        assert engine.feature_size == 0
        with pytest.raises(ModelError, match="gives no features"):
            PoseClassifier.from_engine(engine).features(draw_frames(1)[0])


def test_results_are_the_callers_own(gpu: Any, engine_path: Path) -> None:
    with TensorRTEngine(engine_path, bindings=gpu.bindings) as engine:
        first = engine.infer(draw_frames(2))
        kept = first.copy()
        engine.infer(draw_frames(3))
    np.testing.assert_array_equal(first, kept)


def test_frames_from_a_slice_or_flipped_are_copied_as_they_look(gpu: Any, engine_path: Path) -> None:
    frames = draw_frames(6)[::2, :, ::-1, ::-1]
    with TensorRTEngine(engine_path, bindings=gpu.bindings) as engine:
        np.testing.assert_allclose(engine.infer(frames), frames.mean(axis=(1, 2)) / 16, rtol=1e-5)


@pytest.mark.parametrize(
    "frames", [np.zeros((1, 32, 32, 3), np.float32), np.zeros((1, 3, 32, 32), np.uint8), np.zeros((32, 32, 3), "u1")]
)
def test_frames_of_another_kind_are_an_error_never_bytes_on_the_gpu(
    gpu: Any, engine_path: Path, frames: np.ndarray
) -> None:
    with TensorRTEngine(engine_path, bindings=gpu.bindings) as engine:
        gpu.log.clear()
        with pytest.raises(ValueError, match=r"uint8 \(N, 32, 32, 3\)"):
            engine.infer(frames)
    assert not [entry for entry in gpu.log if entry.startswith("copy")]


def test_everything_is_given_back_when_closed_or_forgotten(gpu: Any, engine_path: Path) -> None:
    with TensorRTEngine(engine_path, bindings=gpu.bindings) as engine:
        assert len(gpu.live) == 6 and len(gpu.streams) == 1  # three tensors, on the GPU and pinned
    assert not gpu.live and not gpu.streams
    engine.close()
    with pytest.raises(ValueError, match="closed"):
        engine.infer(draw_frames(1))
    engine = TensorRTEngine(engine_path, bindings=gpu.bindings)
    assert gpu.live
    del engine
    gc.collect()
    assert not gpu.live and not gpu.streams


def test_a_gpu_without_room_is_refused_and_keeps_nothing(gpu: Any, engine_path: Path) -> None:
    gpu.free = 90  # outputs fit, frames don't: 24,576 bytes
    with pytest.raises(DeviceError, match=r"cudaErrorMemoryAllocation.*close other programs"):
        TensorRTEngine(engine_path, bindings=gpu.bindings)
    assert not gpu.live and not gpu.streams


def test_the_engine_says_what_its_record_says(gpu: Any, model_path: Path, tmp_path: Path) -> None:
    info = ModelInfo(LABELS, 32, "fp16", temperature=1.5, threshold=0.7)
    put_engine(gpu, model_path, tmp_path / "a.engine", model=info)
    with TensorRTEngine(tmp_path / "a.engine", bindings=gpu.bindings) as engine:
        assert engine.info == info and engine.device == "tensorrt"
        blue = np.zeros((40, 60, 3), np.uint8)
        blue[:, :, 0] = 255
        assert PoseClassifier.from_engine(engine).classify(blue).pose == "tree"


@pytest.mark.parametrize("device", ["cpu", "openvino", "npu"])
def test_another_device_by_name_is_refused(gpu: Any, engine_path: Path, device: str) -> None:
    with pytest.raises(DeviceError, match=f"--device {device}; leave --device out, or give the .onnx"):
        TensorRTEngine(engine_path, device, gpu.bindings)


def refuse(gpu: Any, path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        TensorRTEngine(path, bindings=gpu.bindings)
    assert not gpu.live and "\n" not in str(caught.value)
    return str(caught.value)


def test_another_gpu_is_refused_with_the_command(gpu: Any, engine_path: Path) -> None:
    gpu.multiprocessors = 8  # an Orin Nano calls itself as an Orin NX does
    message = refuse(gpu, engine_path)
    assert "built for Fake GPU (compute capability 8.7, 16 multiprocessors), and this is Fake GPU" in message
    assert f"yoga-export engine colours.onnx --to {engine_path} --force --workspace-mb 256" in message


def test_another_tensorrt_is_refused_with_the_command(gpu: Any, engine_path: Path) -> None:
    gpu.trt.__version__ = "11.4.0.106"
    message = refuse(gpu, engine_path)
    assert "built by TensorRT 10.3.0, and this is 11.4.0.106; build it again: yoga-export engine" in message


def test_other_bytes_are_refused_before_tensorrt_sees_them(gpu: Any, engine_path: Path) -> None:
    engine_path.write_bytes(engine_path.read_bytes() + b"x")
    gpu.trt.Runtime = None
    assert "its checksum differs from the recorded one" in refuse(gpu, engine_path)


def test_an_engine_without_a_readable_record_is_refused(gpu: Any, engine_path: Path) -> None:
    for content in ("", "[]", "{}", '{"format": 9}', record_path(engine_path).read_text().replace('"gpu"', '"cpu"')):
        record_path(engine_path).write_text(content)
        assert "yoga.engine.json cannot be read" in refuse(gpu, engine_path)
    record_path(engine_path).unlink()
    message = refuse(gpu, engine_path)
    assert "yoga.engine.json is missing" in message and f"engine FILE.onnx --to {engine_path} --force" in message


def test_a_missing_engine_is_named_with_the_command(gpu: Any, tmp_path: Path) -> None:
    message = refuse(gpu, tmp_path / "no.engine")
    assert "does not exist" in message and message.endswith(f"engine FILE.onnx --to {tmp_path / 'no.engine'}")


def test_another_network_beside_the_engine_is_refused(
    gpu: Any, engine_path: Path, model_path: Path, write_model: Callable[..., Path]
) -> None:
    source = write_model(engine_path.with_name("colours.onnx"), classes=2)
    message = refuse(gpu, engine_path)
    assert f"another network than {source} now holds" in message
    assert f"yoga-export engine {source} --to {engine_path} --force" in message


def test_another_calibration_beside_the_engine_is_told_with_the_command(
    gpu: Any, engine_path: Path, write_model: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    source = engine_path.with_name("colours.onnx")
    for info in (ModelInfo(LABELS, 32), ModelInfo(LABELS, 32, temperature=2.0)):
        caplog.clear()
        write_model(source, info.to_json())
        TensorRTEngine(engine_path, bindings=gpu.bindings).close()
        is_told = f"yoga-export engine {source} --to {engine_path} --force" in caplog.text
        assert is_told == (info.temperature == 2.0)


def test_what_tensorrt_can_not_load_is_refused_with_its_reason(
    gpu: Any, engine_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plan = b"nonsense"
    engine_path.write_bytes(plan)
    record = EngineRecord.from_json(record_path(engine_path).read_text())
    new = replace(record, engine_sha256=hashlib.sha256(plan).hexdigest())
    record_path(engine_path).write_text(new.to_json())
    assert "cannot load yoga.engine: Error Code 1: magic tag does not match" in refuse(gpu, engine_path)
    assert [entry.levelno for entry in caplog.records] == [logging.ERROR]


@pytest.mark.parametrize(("labels", "size"), [(("tree", "none"), 32), (LABELS, 64)])
def test_an_engine_of_other_labels_or_size_is_refused(
    gpu: Any, model_path: Path, tmp_path: Path, labels: tuple[str, ...], size: int
) -> None:
    put_engine(gpu, model_path, tmp_path / "a.engine", model=ModelInfo(labels, size))
    assert f"a.engine should have the input `frames` (N, {size}, {size}, 3), uint8" in refuse(
        gpu, tmp_path / "a.engine"
    )


def test_the_suffix_chooses_this_engine(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"the engine .*no\.engine does not exist"):
        open_engine(tmp_path / "no.engine")
    with pytest.raises(DeviceError, match="not with --device cpu"):
        PoseClassifier(tmp_path / "no.engine", "cpu")


def test_missing_packages_are_named_with_what_brings_them(
    engine_path: Path, monkeypatch: pytest.MonkeyPatch, gpu: Any
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tensorrt", None)
    with pytest.raises(MissingPackageError, match=r"JetPack .*--system-site-packages.* pip install tensorrt"):
        TensorRTEngine(engine_path)
    monkeypatch.setitem(__import__("sys").modules, "tensorrt", gpu.trt)
    monkeypatch.setitem(__import__("sys").modules, "cuda.bindings", None)
    with pytest.raises(MissingPackageError, match="pip install cuda-bindings"):
        TensorRTEngine(engine_path)


@pytest.mark.parametrize(
    ("version", "is_old"), [("8.6.2", True), ("10.2.0.19", True), ("10.3.0", False), ("11.4.0", False)]
)
def test_a_tensorrt_that_is_too_old_is_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, is_old: bool
) -> None:
    """As JetPack 6.0 brings it: the package imports, and has another version."""
    (tmp_path / "tensorrt.py").write_text(f"__version__ = {version!r}\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("tensorrt", "cuda", "cuda.bindings"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "cuda", None)  # not installed, which is looked at after the version
    with pytest.raises(MissingPackageError) as caught:
        import_bindings()
    sys.modules.pop("tensorrt", None)
    words = f"TensorRT {version} is too old: 10.3 or newer is needed; on a Jetson update to JetPack 6.1"
    assert (words in str(caught.value)) == is_old and ("CUDA's Python bindings" in str(caught.value)) != is_old
