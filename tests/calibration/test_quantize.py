"""INT8: what the file holds, and that it still answers as FP32 does."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from yoga_live.calibration.activation_ranges import METHODS
from yoga_live.calibration.int8_options import Treatment
from yoga_live.calibration.onnx_file import read_model, write_model
from yoga_live.calibration.quantize import CalibrationSample, draft_quantisation, draw_sample
from yoga_live.calibration.runs import Run, RunPhoto, load_frames, load_run
from yoga_live.runtime.core.model_metadata import ModelInfo
from yoga_live.runtime.engines.onnxruntime import OnnxEngine
from yoga_live.runtime.errors import ModelError


class Graph:
    """Look-ups in one ONNX graph."""

    def __init__(self, path: Path) -> None:
        self.model = onnx.load(path)
        self.nodes = list(self.model.graph.node)
        self.constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in self.model.graph.initializer}
        self.producers = {output: node for node in self.nodes for output in node.output}

    def of_type(self, *kinds: str) -> list[onnx.NodeProto]:
        return [node for node in self.nodes if node.op_type in kinds]

    def feeders(self, node: onnx.NodeProto) -> list[str]:
        """Kinds of the nodes that make the first two inputs."""
        return [self.producers[name].op_type if name in self.producers else "constant" for name in node.input[:2]]


@pytest.fixture(scope="module")
def graph(int8_model: Path) -> Graph:
    return Graph(int8_model)


def test_activations_are_uint8_symmetric_or_after_a_relu_unsigned(graph: Graph) -> None:
    quantizers = graph.of_type("QuantizeLinear")
    assert len(quantizers) > 25  # one after each ReLU and each addition's convolution at least
    found = Counter()
    for node in quantizers:
        zero_point = graph.constants[node.input[2]]
        assert zero_point.dtype == np.uint8 and zero_point.shape == ()
        source = graph.producers[node.input[0]].op_type
        assert zero_point == (0 if source in ("Relu", "MaxPool") else 128), node.name
        found[source] += 1
    assert found["Relu"] == 17 and found["MaxPool"] == 1 and found["Conv"] == 11  # 8 blocks and 3 shortcuts


def test_nothing_is_rounded_between_a_convolution_or_sum_and_its_relu(graph: Graph) -> None:
    relus = graph.of_type("Relu")
    assert Counter(graph.producers[relu.input[0]].op_type for relu in relus) == {"Conv": 9, "Add": 8}  # ResNet-18


def test_a_relu6_is_rounded_once_as_a_relu_is(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from yoga_live.export.onnx_export import build_model
    from yoga_live.train.fit.network import PoseNetwork

    torch.manual_seed(0)
    write_model(
        build_model(PoseNetwork(3, arch="mobilenet_v2").eval(), 32), ModelInfo(("a", "b", "c"), 32), tmp_path / "m.onnx"
    )
    frames = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    draft = draft_quantisation(tmp_path / "m.onnx", CalibrationSample(frames, {"a": 8}))
    write_model(draft.choose_ranges(METHODS["minmax"]), draft.info, tmp_path / "q.onnx")
    graph = Graph(tmp_path / "q.onnx")
    clips = graph.of_type("Clip")
    assert len(clips) == 35 and {graph.producers[clip.input[0]].op_type for clip in clips} == {"Conv"}
    cut = {clip.output[0] for clip in clips}
    for node in graph.of_type("QuantizeLinear"):
        assert graph.constants[node.input[2]] == (0 if node.input[0] in cut else 128), node.name
    assert (
        read_model(tmp_path / "q.onnx")[1].precision == "int8"
        and OnnxEngine(tmp_path / "q.onnx", "cpu").infer(frames).any()
    )


def test_no_constant_is_left_over(graph: Graph) -> None:
    assert set(graph.constants) <= {name for node in graph.nodes for name in node.input}


@pytest.mark.parametrize(
    ("treatment", "quantised"),
    [
        (Treatment(), {"first_convolution", "second_convolution"}),
        (Treatment(head=True), {"first_convolution", "second_convolution", "head_convolution"}),
        (Treatment(first=False), {"second_convolution"}),
    ],
)
def test_a_treatment_says_what_is_quantised(
    colour_model: Path, colour_run: Path, tmp_path: Path, treatment: Treatment, quantised: set[str]
) -> None:
    draft = draft_quantisation(colour_model, draw_sample(load_run(colour_run)), treatment)
    write_model(draft.choose_ranges(METHODS["minmax"]), draft.info, tmp_path / "a.onnx")
    graph = Graph(tmp_path / "a.onnx")
    found = {node.name for node in graph.of_type("Conv") if graph.feeders(node) == ["DequantizeLinear"] * 2}
    rounded = {node.input[0] for node in graph.of_type("QuantizeLinear")}
    assert {"positive", "features"} <= rounded  # the sum is rounded after its ReLU, whatever the treatment
    assert found == quantised


def test_the_largest_activation_is_the_largest_code(colour_model: Path, colour_run: Path, tmp_path: Path) -> None:
    sample = draw_sample(load_run(colour_run))
    draft = draft_quantisation(colour_model, sample)
    model = draft.choose_ranges(METHODS["minmax"])
    codes = {node.input[0]: node.output[0] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    model.graph.output.append(onnx.ValueInfoProto(name=codes["scaled"]))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    seen: Any = session.run([codes["scaled"]], {"frames": sample.frames})[0]
    assert seen.dtype == np.uint8 and np.abs(seen.astype(int) - 128).max() == 127


def test_weights_are_int8_per_channel_with_zero_point_0(graph: Graph) -> None:
    convolutions = graph.of_type("Conv")
    quantised = [node for node in convolutions if graph.feeders(node) == ["DequantizeLinear"] * 2]
    assert len(quantised) >= 20  # ResNet-18: 16 in blocks, the first, 3 shortcuts; the head's may stand in float
    for node in quantised:
        dequantizer = graph.producers[node.input[1]]
        weight, scale, zero_point = (graph.constants[name] for name in dequantizer.input)
        assert weight.dtype == np.int8 and zero_point.dtype == np.int8 and not zero_point.any()
        assert scale.shape == (weight.shape[0],) and len(np.unique(scale)) > 1


def test_no_bias_is_quantised(graph: Graph) -> None:
    for node in graph.of_type("DequantizeLinear"):
        if node.input[0] in graph.constants:
            assert graph.constants[node.input[0]].dtype != np.int32, node.name
    for node in graph.of_type("Conv"):
        if len(node.input) > 2:
            assert graph.constants[node.input[2]].dtype == np.float32


def test_the_head_stays_in_floating_point(graph: Graph, trained_run: Path) -> None:
    head = graph.producers["maps"]
    assert head.op_type == "Conv" and graph.feeders(head)[1] != "DequantizeLinear"
    assert all(graph.constants[name].dtype == np.float32 for name in head.input if name in graph.constants)
    wanted, seen = ["logits"], set()
    while wanted:
        name = wanted.pop()
        node = graph.producers.get(name)
        if node is not None and name != "maps":
            seen.add(node.op_type)
            wanted += node.input
    assert not seen & {"QuantizeLinear", "DequantizeLinear"}, seen
    features = graph.producers["features"]
    assert (
        features.op_type == "ReduceMean" and features.input[0] == head.input[0]
    )  # what the head reads, as it reads it


def test_only_the_default_domain_is_used_and_the_versions_stay_old_enough(graph: Graph) -> None:
    assert {node.domain for node in graph.nodes} == {""}
    assert {entry.domain: entry.version for entry in graph.model.opset_import if entry.domain in ("", "ai.onnx")} == {
        "": 18
    }
    assert graph.model.ir_version <= 10
    onnx.checker.check_model(graph.model)


def test_frames_are_still_cast_first(graph: Graph) -> None:
    users = [node for node in graph.nodes if "frames" in node.input]
    assert [node.op_type for node in users] == ["Cast"]


def test_int8_agrees_with_fp32_on_the_drawings(int8_model: Path, exported_model: Path, trained_run: Path) -> None:
    small, full = OnnxEngine(int8_model, "cpu"), OnnxEngine(exported_model, "cpu")
    run = load_run(trained_run)
    frames = np.concatenate([load_frames(run, split)[0] for split in ("validation", "test")])
    (logits, maps), (expected, expected_maps) = small.infer_maps(frames), full.infer_maps(frames)
    assert len(set(expected.argmax(axis=1).tolist())) == 4  # else agreement would say nothing
    assert (logits.argmax(axis=1) == expected.argmax(axis=1)).mean() >= 0.9
    assert np.corrcoef(logits.ravel(), expected.ravel())[0, 1] > 0.98
    assert np.corrcoef(maps.ravel(), expected_maps.ravel())[0, 1] > 0.95
    features, expected_features = (engine.infer_features(frames)[1] for engine in (small, full))
    assert features.shape == (len(frames), 512)
    assert np.corrcoef(features.ravel(), expected_features.ravel())[0, 1] > 0.95


def test_int8_maps_still_average_to_the_logits_and_batches_of_1_and_5_agree(
    int8_model: Path, graph: Graph, trained_run: Path
) -> None:
    engine = OnnxEngine(int8_model, "cpu")
    frames = load_frames(load_run(trained_run), "test")[0][:5]
    logits, maps = engine.infer_maps(frames)
    bias = (logits - maps.mean(axis=(2, 3)))[0]
    np.testing.assert_allclose(maps.mean(axis=(2, 3)) + bias, logits, rtol=1e-4, atol=1e-4)
    alone = np.concatenate([engine.infer(frames[i : i + 1]) for i in range(5)])
    np.testing.assert_allclose(alone, logits, rtol=1e-4, atol=1e-4)


def test_the_file_is_a_quarter_of_the_size(int8_model: Path, exported_model: Path) -> None:
    assert int8_model.stat().st_size < 0.27 * exported_model.stat().st_size


def test_labels_and_size_are_kept_and_the_precision_is_named(int8_model: Path, exported_model: Path) -> None:
    (_, small), (_, full) = read_model(int8_model), read_model(exported_model)
    assert (small.labels, small.size, small.training) == (full.labels, full.size, full.training)
    assert small.precision == "int8" and full.precision == "fp32"


def test_an_int8_model_is_not_quantised_again(int8_model: Path, trained_run: Path) -> None:
    with pytest.raises(ModelError, match="already INT8"):
        draft_quantisation(int8_model, draw_sample(load_run(trained_run), 2))


def with_photos(run: Run, photos: list[RunPhoto]) -> Run:
    return replace(run, photos=tuple(photos))


def test_sample_takes_training_photos_of_each_class_alike(trained_run: Path) -> None:
    run = load_run(trained_run)
    sample = draw_sample(run, 5)
    assert sample.counts == dict.fromkeys(run.labels, 5) and sample.frames.shape == (20, 64, 64, 3)
    train = {frame.tobytes() for frame in load_frames(run, "train")[0]}
    assert all(frame.tobytes() in train for frame in sample.frames)
    assert len({frame.tobytes() for frame in sample.frames}) == 20


def test_sample_takes_what_there_is(trained_run: Path) -> None:
    run = load_run(trained_run)
    few = [photo for photo in run.photos if photo.split == "train" and photo.pose != "tree"]
    few += [photo for photo in run.photos if photo.split == "train" and photo.pose == "tree"][:2]
    assert draw_sample(with_photos(run, few), 6).counts == dict.fromkeys(run.labels, 6) | {"tree": 2}


def test_sample_prefers_independent_photos_to_copies(trained_run: Path) -> None:
    run = load_run(trained_run)
    train = [photo for photo in run.photos if photo.split == "train"]
    copies = [replace(photo, group=1000) if photo.path.split("/")[1] < "10" else photo for photo in train]
    groups = Counter(photo.group for photo in copies)
    sample = draw_sample(with_photos(run, copies), 3)
    drawn = {frame.tobytes() for frame in sample.frames}
    copied = [photo for photo in copies if photo.group == 1000]
    frames = load_frames(with_photos(run, copied), "train")[0]
    assert groups[1000] > 20
    assert sum(frame.tobytes() in drawn for frame in frames) <= 4  # one a class at most


def test_quantising_is_repeatable(exported_model: Path, trained_run: Path, int8_model: Path) -> None:
    draft = draft_quantisation(exported_model, draw_sample(load_run(trained_run)))
    method = METHODS[read_model(int8_model)[1].calibration["method"]]
    assert draft.choose_ranges(method).graph == onnx.load(int8_model).graph
