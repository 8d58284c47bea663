"""OpenVINO: the answers of ONNX Runtime from the same file, and errors on one line."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from yoga_live.runtime.classifier import DEFAULT_MODEL, PoseClassifier
from yoga_live.runtime.core.model_metadata import ModelInfo
from yoga_live.runtime.engines.openvino import OpenVINOEngine
from yoga_live.runtime.errors import DeviceError, MissingPackageError, ModelError
from yoga_live.runtime.sources.drawn_figure import POSES, draw_figure

from ...opinions import make_opinion


def test_missing_package_is_one_line_with_the_command(model_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingPackageError, match=r"run: pip install openvino; or use --device cpu") as caught:
        OpenVINOEngine(model_path)
    assert "\n" not in str(caught.value)


@pytest.fixture(autouse=True)
def needs_openvino(request: pytest.FixtureRequest) -> None:
    """Where it is not installed, only its absence is tested."""
    if "missing_package" not in request.node.name:
        pytest.importorskip("openvino")


def random_frames(count: int, size: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


@pytest.mark.parametrize("count", [1, 3, 8])
def test_logits_and_maps_agree_with_the_arithmetic_of_the_graph(model_path: Path, count: int) -> None:
    engine, frames = OpenVINOEngine(model_path), random_frames(count, 32)
    logits, maps = engine.infer_maps(frames)
    np.testing.assert_allclose(logits, frames.mean(axis=(1, 2)) / 16, rtol=1e-5)
    np.testing.assert_allclose(maps.mean(axis=(2, 3)), logits, rtol=1e-5)
    np.testing.assert_array_equal(engine.infer(frames), logits)
    assert logits.dtype == maps.dtype == np.float32 and maps.shape == (count, 3, 1, 1)


def test_features_are_given_where_the_file_has_them(feature_model: Path, model_path: Path) -> None:
    engine, frames = OpenVINOEngine(feature_model), random_frames(3, 32)
    logits, features = engine.infer_features(frames)
    np.testing.assert_allclose(features, frames.mean(axis=(1, 2)), rtol=1e-5)
    np.testing.assert_array_equal(engine.infer(frames), logits)
    assert (engine.feature_size, OpenVINOEngine(model_path).feature_size) == (3, 0)


def test_engine_says_what_the_file_says_and_where_it_runs(model_path: Path) -> None:
    engine = OpenVINOEngine(model_path)
    assert engine.info == ModelInfo(("tree", "warrior_2", "none"), 32)
    assert engine.device == "openvino"


def test_the_second_opinion_of_a_file_is_read(write_model: Callable[..., Path], tmp_path: Path) -> None:
    info = ModelInfo(("tree", "warrior_2", "none"), 32, second_opinion=make_opinion().to_document())
    engine = OpenVINOEngine(write_model(tmp_path / "a.onnx", info.to_json()))
    assert engine.info == info and PoseClassifier.from_engine(engine).second_opinion == make_opinion()


def test_earlier_answers_stay_when_new_frames_come(model_path: Path) -> None:
    engine = OpenVINOEngine(model_path)
    first = engine.infer(random_frames(1, 32))
    before = first.copy()
    engine.infer(np.zeros((1, 32, 32, 3), np.uint8))
    np.testing.assert_array_equal(first, before)


def test_frames_in_any_memory_layout_give_the_same(model_path: Path) -> None:
    engine, frames = OpenVINOEngine(model_path), random_frames(4, 32)
    expected = engine.infer(frames)
    np.testing.assert_array_equal(engine.infer(frames[::-1])[::-1], expected)
    np.testing.assert_array_equal(engine.infer(np.asfortranarray(frames)), expected)


def test_fp32_file_is_computed_in_fp32(exported_model: Path) -> None:
    """On CPUs with BF16 OpenVINO would choose that by itself: three digits instead of seven."""
    pytest.importorskip("onnxruntime")
    from yoga_live.runtime.engines.onnxruntime import OnnxEngine

    frames = random_frames(2, 64)
    expected, expected_maps = OnnxEngine(exported_model, "cpu").infer_maps(frames)
    logits, maps = OpenVINOEngine(exported_model).infer_maps(frames)
    np.testing.assert_allclose(logits, expected, atol=1e-5 * np.abs(expected).max())
    np.testing.assert_allclose(maps, expected_maps, atol=1e-5 * np.abs(expected_maps).max())


def test_shipped_model_answers_as_in_onnx_runtime() -> None:
    pytest.importorskip("onnxruntime")
    ours, other = PoseClassifier(device="cpu"), PoseClassifier(device="openvino")
    for pose in ("tree", "warrior_2", "down_dog", "standing"):
        frame_bgr = draw_figure(POSES[pose], (640, 360))
        expected, answer = ours.classify(frame_bgr), other.classify(frame_bgr)
        assert answer.pose == expected.pose
        assert answer.confidence == pytest.approx(expected.confidence, abs=0.15)  # INT8 is rounded elsewhere


def test_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no\.onnx does not exist"):
        OpenVINOEngine(tmp_path / "no.onnx")


@pytest.mark.parametrize("content", [b"", b"<html>", b"\x08\x0a" * 400])
def test_file_that_is_no_onnx_is_refused_in_one_line(
    tmp_path: Path, content: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        OpenVINOEngine(path)
    assert "bad.onnx" in str(caught.value) and "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_what_breaks_within_openvino_is_one_line(model_path: Path) -> None:
    with pytest.raises(DeviceError, match="the network failed on openvino: ") as caught:
        OpenVINOEngine(model_path).infer(np.zeros((1, 33, 32, 3), np.uint8))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kept", [200, 20_000_000])
def test_truncated_model_is_refused_in_one_line(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "half.onnx"
    path.write_bytes(DEFAULT_MODEL.read_bytes()[:kept])
    with pytest.raises(ModelError, match=r"half\.onnx cannot be (loaded|read)") as caught:
        OpenVINOEngine(path)
    assert "\n" not in str(caught.value)


def test_onnx_without_our_metadata_is_no_pose_model(write_model: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not a yoga-live pose model"):
        OpenVINOEngine(write_model(tmp_path / "m.onnx", None))


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
        OpenVINOEngine(write_model(tmp_path / "m.onnx", info.to_json()))


def test_model_that_takes_floats_is_refused_when_opened(write_model: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="its inputs are `frames` float32"):
        OpenVINOEngine(write_model(tmp_path / "m.onnx", element="FLOAT"))


@pytest.mark.skipif(sys.platform == "win32", reason="raises a signal of POSIX")
def test_ctrl_c_after_a_model_was_used_is_no_segmentation_fault() -> None:
    code = """
import gc, signal
import numpy as np
from yoga_live.runtime.classifier import PoseClassifier
classifier = PoseClassifier(device="openvino")
classifier.classify(np.zeros((240, 320, 3), np.uint8))
del classifier
gc.collect()
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("stopped")
"""
    answer = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", code],
        check=False, capture_output=True, text=True, preexec_fn=hear_ctrl_c,
    )  # fmt: skip
    assert (answer.returncode, answer.stdout) == (0, "stopped\n"), answer.stderr


def hear_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts `pytest &` deaf to it
