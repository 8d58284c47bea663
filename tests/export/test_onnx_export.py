"""The ONNX file: torch's answers, the contract of its inputs and outputs, and no file where they differ."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from yoga_live.calibration.onnx_file import read_model
from yoga_live.calibration.runs import load_frames, load_run
from yoga_live.export import onnx_export
from yoga_live.export.onnx_export import PARITY_TOLERANCE, ExportedNetwork, export_run, measure_parity
from yoga_live.runtime.classifier import PoseClassifier
from yoga_live.runtime.core.preprocess import letterbox
from yoga_live.runtime.core.softmax import softmax
from yoga_live.runtime.engines.onnxruntime import OnnxEngine
from yoga_live.runtime.errors import ModelError
from yoga_live.runtime.photos.decoding import decode_photo
from yoga_live.train.fit.network import PoseNetwork, load_network, normalise


@pytest.fixture(scope="module")
def network(trained_run: Path) -> PoseNetwork:
    return load_network(trained_run / "weights.safetensors", 4)


@pytest.fixture(scope="module")
def engine(exported_model: Path) -> OnnxEngine:
    return OnnxEngine(exported_model, "cpu")


@pytest.fixture(scope="module")
def frames(trained_run: Path) -> np.ndarray:
    """The held-out drawings, and noise."""
    run = load_run(trained_run)
    noise = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    return np.concatenate([load_frames(run, "test")[0], load_frames(run, "validation")[0], noise])


class FakeEngine:
    """Answers of torch, altered."""

    def __init__(self, network: PoseNetwork, *offsets: float) -> None:
        """offsets: of logits, maps and features."""
        self.network, self.offsets = ExportedNetwork(network).eval(), (*offsets, 0.0, 0.0, 0.0)[:3]

    def infer_maps(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        logits, maps, _ = self._run(frames)
        return logits, maps

    def infer_features(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        logits, _, features = self._run(frames)
        return logits, features

    def _run(self, frames: np.ndarray) -> tuple[np.ndarray, ...]:
        with torch.inference_mode():
            outputs = self.network(torch.from_numpy(frames))
        return tuple(output.numpy() + offset for output, offset in zip(outputs, self.offsets, strict=True))


def test_onnx_gives_torchs_logits_and_maps(network: PoseNetwork, engine: OnnxEngine, frames: np.ndarray) -> None:
    with torch.inference_mode():
        images = normalise(torch.from_numpy(frames))
        expected_logits = network(images).numpy()
        expected_maps = network.classify_features(network.features(images))[1].numpy()
    logits, maps = engine.infer_maps(frames)
    assert maps.shape == (19, 4, 2, 2)
    np.testing.assert_allclose(logits, expected_logits, atol=PARITY_TOLERANCE * np.abs(expected_logits).max())
    np.testing.assert_allclose(maps, expected_maps, atol=PARITY_TOLERANCE * np.abs(expected_maps).max())
    assert (logits.argmax(axis=1) == expected_logits.argmax(axis=1)).all()
    assert len(set(logits.argmax(axis=1).tolist())) == 4  # else the order of the classes would not be tested


def test_onnx_gives_torchs_features_which_the_head_reads(
    network: PoseNetwork, engine: OnnxEngine, frames: np.ndarray
) -> None:
    with torch.inference_mode():
        expected = network.features(normalise(torch.from_numpy(frames))).mean(dim=(2, 3)).numpy()
    logits, features = engine.infer_features(frames)
    assert features.shape == (19, 512) and engine.feature_size == 512
    np.testing.assert_allclose(features, expected, atol=PARITY_TOLERANCE * np.abs(expected).max())
    head = network.head
    np.testing.assert_allclose(
        features @ head.weight.detach().numpy().T + head.bias.detach().numpy(), logits, rtol=1e-3, atol=1e-3
    )


def test_mean_of_the_maps_plus_bias_is_the_logits(network: PoseNetwork, engine: OnnxEngine, frames: np.ndarray) -> None:
    logits, maps = engine.infer_maps(frames)
    bias = network.head.bias.detach().numpy()
    np.testing.assert_allclose(maps.mean(axis=(2, 3)) + bias, logits, rtol=1e-4, atol=1e-3)


def test_batches_of_1_and_5_and_17_give_the_same_answers(engine: OnnxEngine, frames: np.ndarray) -> None:
    whole = engine.infer(frames)
    for size in (1, 5, 17):
        parts = np.concatenate([engine.infer(frames[start : start + size]) for start in range(0, len(frames), size)])
        np.testing.assert_allclose(parts, whole, rtol=1e-3, atol=1e-3)


def test_a_photo_gets_the_same_answer_from_training_and_from_the_live_classifier(
    network: PoseNetwork, exported_model: Path, drawn_photos: Path
) -> None:
    classifier = PoseClassifier(exported_model, "cpu")
    for path in sorted(drawn_photos.glob("*/0[01]*")):
        photo = decode_photo(path)
        with torch.inference_mode():
            logits = network(normalise(torch.from_numpy(letterbox(photo, 64)[None]))).numpy()[0]
        np.testing.assert_allclose(classifier.probabilities(photo), softmax(logits), atol=1e-3)


def test_labels_size_and_training_travel_in_the_file(exported_model: Path, trained_run: Path) -> None:
    _, info = read_model(exported_model)
    run = load_run(trained_run)
    assert info.labels == run.labels == ("down_dog", "tree", "warrior_2", "none")
    assert (info.size, info.precision, info.temperature) == (64, "fp32", 1.0)
    assert info.training["test_accuracy"] == run.summary["metrics"]["test"]["accuracy"]
    assert info.training["run"] == "tiny" and info.training["arch"] == "resnet18"


def test_versions_are_those_that_old_runtimes_read(exported_model: Path) -> None:
    model = onnx.load(exported_model)
    assert model.ir_version == 10
    assert {entry.domain: entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")} == {"": 18}
    assert {node.domain for node in model.graph.node} == {""} and not model.functions


def test_frames_are_uint8_with_a_dynamic_batch_and_meet_a_cast_first(exported_model: Path) -> None:
    graph = onnx.load(exported_model).graph
    [frames] = graph.input
    shape = [dim.dim_param or dim.dim_value for dim in frames.type.tensor_type.shape.dim]
    assert frames.name == "frames" and frames.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert isinstance(shape[0], str) and shape[0] and shape[1:] == [64, 64, 3]
    assert [node.op_type for node in graph.node if "frames" in node.input] == ["Cast"]
    assert graph.node[0].op_type == "Cast"


def test_outputs_are_logits_maps_and_features_of_that_batch(exported_model: Path) -> None:
    outputs = {
        output.name: [dim.dim_param or dim.dim_value for dim in output.type.tensor_type.shape.dim]
        for output in onnx.load(exported_model).graph.output
    }
    batch = onnx.load(exported_model).graph.input[0].type.tensor_type.shape.dim[0].dim_param
    assert outputs == {"logits": [batch, 4], "maps": [batch, 4, 2, 2], "features": [batch, 512]}


def test_everything_is_in_one_file(exported_model: Path) -> None:
    assert [path.name for path in exported_model.parent.iterdir()] == ["tiny.onnx"]
    model = onnx.load(exported_model, load_external_data=False)
    assert all(tensor.data_location == onnx.TensorProto.DEFAULT for tensor in model.graph.initializer)
    assert exported_model.stat().st_size > 40e6  # ResNet-18 in FP32


def test_parity_counts_photos_and_measures_against_the_largest_value(network: PoseNetwork, frames: np.ndarray) -> None:
    with torch.inference_mode():
        logits, maps, features = ExportedNetwork(network).eval()(torch.from_numpy(frames[:16]))
    parity = measure_parity(network, FakeEngine(network, 0.5, 0.25, 0.125), frames[:16])  # type: ignore[arg-type]
    assert parity.photos == 16 and parity.agreement.right == 16  # one offset for all changes no answer
    assert parity.worst_difference == pytest.approx(0.5 / float(logits.abs().max()), rel=1e-3)
    assert parity.map_difference == pytest.approx(0.25 / float(maps.abs().max()), rel=1e-3)
    assert parity.feature_difference == pytest.approx(0.125 / float(features.abs().max()), rel=1e-3)


def refuse_export(trained_run: Path, tmp_path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        export_run(load_run(trained_run), tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == []
    return str(caught.value)


@pytest.mark.parametrize(
    "offsets", [(50.0,), (0.0, 50.0), (0.0, 0.0, 50.0), (np.nan,), (0.0, np.nan), (0.0, 0.0, np.nan)], ids=str
)
def test_a_file_that_differs_from_torch_never_gets_its_name(
    trained_run: Path, exported_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    offsets: tuple[float, ...],
) -> None:  # fmt: skip
    network = load_network(trained_run / "weights.safetensors", 4)
    monkeypatch.setattr(onnx_export, "build_model", lambda *_: onnx.load(exported_model))
    monkeypatch.setattr(onnx_export, "OnnxEngine", lambda *_: FakeEngine(network, *offsets))
    assert "differs from torch" in refuse_export(trained_run, tmp_path)


def test_a_failed_export_keeps_the_file_that_was_there(
    trained_run: Path, exported_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> OnnxEngine:
        raise KeyboardInterrupt

    (tmp_path / "a.onnx").write_text("old")
    monkeypatch.setattr(onnx_export, "build_model", lambda *_: onnx.load(exported_model))
    monkeypatch.setattr(onnx_export, "OnnxEngine", fail)
    with pytest.raises(KeyboardInterrupt):
        export_run(load_run(trained_run), tmp_path / "a.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"] and (tmp_path / "a.onnx").read_text() == "old"


def test_a_run_whose_weights_are_gone_is_refused(trained_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained_run, run, ignore=shutil.ignore_patterns("*.safetensors"))
    (tmp_path / "out").mkdir()
    assert "weights.safetensors is missing" in refuse_export(run, tmp_path / "out")
