"""How the finder's network is made: cut without a change of its answers, rounded so that no processor overflows."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from yoga_live.runtime.people.decoding import HEADS, decode_heads  # noqa: E402
from yoga_live.runtime.people.finder import PEOPLE_MODEL, fit_frame  # noqa: E402
from yoga_live.runtime.sources.drawn_figure import POSES, draw_figure  # noqa: E402

ROOT = Path(__file__).parents[3]
sys.path.append(str(ROOT / "benchmarks" / "people_finder"))

from cut import METADATA_KEY, SCOPE, cut_at_heads, cut_post_processing  # noqa: E402
from movenet import SHA256, check_files  # noqa: E402
from quantise import BACKBONE, list_backbone, measure_ranges, quantise, store_float16  # noqa: E402
from tfjs import complete_attributes  # noqa: E402

CONVERTED = ROOT.parent / "shared" / "weights" / "movenet_multipose.onnx"
CHANNELS = {"center": 1, "box_scale": 2, "box_offset": 2, "kpt_heatmap": 17, "kpt_regress": 34, "kpt_offset": 34}


def build_network(seed: int = 0) -> Any:
    """A small network of the converted one's form: pixels minus zero, a backbone, sizes from shapes, heads, a sum."""
    rng = np.random.default_rng(seed)
    constants: list[Any] = []

    def constant(name: str, values: Any, dtype: Any = np.float32) -> str:
        constants.append(numpy_helper.from_array(np.array(values, dtype), name))
        return name

    def weights(name: str, *shape: int) -> str:
        return constant(name, rng.normal(0, 0.5, shape).astype(np.float16))

    def convolve(name: str, source: str, target: str, channels: tuple[int, int], **attributes: Any) -> Any:
        inputs = [source, weights(f"{name}_w", *channels[::-1], 3, 3), weights(f"{name}_b", channels[1])]
        return helper.make_node("Conv", inputs, [target], name, auto_pad="SAME_UPPER", **attributes)

    scope = f"{SCOPE}{BACKBONE}"
    nodes = [
        helper.make_node("Cast", ["input"], ["pixels"], "cast", to=TensorProto.FLOAT),
        helper.make_node("Sub", ["pixels", constant("zero", [[[[0, 0, 0]]]])], ["same"], "sub"),
        helper.make_node("Mul", ["same", constant("step", 1 / 128)], ["scaled"], "mul"),
        helper.make_node("Sub", ["scaled", constant("one", 1.0)], ["normal"], "sub_1"),
        helper.make_node("Transpose", ["normal"], ["planes"], f"{scope}transpose", perm=[0, 3, 1, 2]),
        convolve(f"{scope}conv", "planes", "a", (3, 16), strides=[4, 4]),
        helper.make_node("Clip", ["a", constant("low", 0.0), constant("six", 6.0)], ["b"], f"{scope}relu6"),
        convolve(f"{scope}deep", "b", "c", (16, 16), strides=[2, 2]),
        helper.make_node("Shape", ["c"], ["shape"], "shape"),
        helper.make_node("Mul", ["shape", constant("doubling", [1, 1, 2, 2], np.int64)], ["sizes"], "sizes"),
        helper.make_node("Resize", ["c", "", "", "sizes"], ["d"], "resize", mode="linear"),
        helper.make_node("Add", ["b", "d"], ["features"], "add"),
        *(
            convolve(f"{SCOPE}{name}_0/conv2d_{i}", "features", f"{SCOPE}{name}", (16, count))
            for i, (name, count) in enumerate(CHANNELS.items())
        ),
        helper.make_node("ReduceMean", [f"{SCOPE}center"], ["output_0"], "after", axes=[1], keepdims=0),
    ]
    frames = helper.make_tensor_value_info("input", TensorProto.INT32, [1, "H", "W", 3])
    output = helper.make_tensor_value_info("output_0", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "small", [frames], [output], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def run(model: Any, names: list[str], **inputs: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(names, inputs)


def draw_input(size: tuple[int, int] = (64, 96)) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (1, *size, 3), dtype=np.uint8)


def test_the_cut_network_has_the_heads_answers_and_no_size_of_its_own() -> None:
    whole = build_network()
    whole.graph.output.extend(onnx.ValueInfoProto(name=f"{SCOPE}{name}") for name in HEADS)
    cut = cut_at_heads(build_network(), {"model": "a small one"})
    kinds = [node.op_type for node in cut.graph.node]
    assert "Shape" not in kinds and "ReduceMean" not in kinds and kinds.count("Sub") == 1
    for size in ((64, 96), (32, 32)):
        frames = draw_input(size)
        expected = run(whole, [f"{SCOPE}{name}" for name in HEADS], input=frames.astype(np.int32))
        for one, other in zip(run(cut, list(HEADS), frames=frames), expected, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-4)
    [head] = run(cut, ["kpt_offset"], frames=np.concatenate([draw_input(), draw_input()]))
    assert head.shape == (2, 34, 16, 24)
    assert json.loads(cut.metadata_props[0].value) == {"model": "a small one"}


def test_a_head_that_is_missing_is_named() -> None:
    model = build_network()
    node = next(node for node in model.graph.node if "box_scale" in node.name)
    node.name = "renamed"
    with pytest.raises(ValueError, match="expected one convolution StatefulPartitionedCall/box_scale_0"):
        cut_at_heads(model, {})


def test_the_post_processing_is_what_the_cut_leaves() -> None:
    post = cut_post_processing(build_network())
    assert [node.op_type for node in post.graph.node] == ["ReduceMean"]
    assert [entry.name for entry in post.graph.input] == list(HEADS)


# ONNX Runtime 1.18's own tools use what onnx 1.17 warns of.
@pytest.mark.filterwarnings("ignore:.*mapping.TENSOR_TYPE_TO_NP_TYPE:DeprecationWarning")
def test_rounding_keeps_the_answers_and_weights_to_seven_bits() -> None:
    network = cut_at_heads(build_network(), {})
    assert len(list_backbone(network)) == 4
    ranges = measure_ranges(network, [draw_input()])
    rounded = quantise(network, ranges)
    store_float16(rounded)
    onnx.checker.check_model(rounded, full_check=True)
    assert find_largest_weight(rounded) == 64
    exact, close = (run(model, list(HEADS), frames=draw_input()) for model in (network, rounded))
    for one, other in zip(exact, close, strict=True):
        assert 0 < np.abs(one - other).mean() < 0.05 * np.abs(one).mean()


def test_a_weight_that_float16_would_change_is_refused() -> None:
    network = cut_at_heads(build_network(), {})
    weights = next(tensor for tensor in network.graph.initializer if tensor.name.endswith("conv_w"))
    weights.CopyFrom(numpy_helper.from_array(np.full((16, 3, 3, 3), 0.1, np.float32), weights.name))
    with pytest.raises(ValueError, match="conv_w does not fit into float16"):
        store_float16(network)


def find_largest_weight(model: Any) -> int:
    """The largest magnitude of all INT8 weights."""
    arrays = [numpy_helper.to_array(tensor) for tensor in model.graph.initializer]
    return max(int(np.abs(array.astype(int)).max()) for array in arrays if array.dtype == np.int8)


def test_the_shipped_network_does_not_overflow_on_processors_without_vnni() -> None:
    """With 8-bit weights, on an emulated Haswell, a person's score fell from 0.82 to 0.02."""
    assert find_largest_weight(onnx.load(PEOPLE_MODEL)) == 64


def test_the_notice_names_the_shipped_file_and_its_sources() -> None:
    notice = (PEOPLE_MODEL.parent / "NOTICE").read_text(encoding="utf-8")
    assert hashlib.sha256(PEOPLE_MODEL.read_bytes()).hexdigest() in notice
    for name, digest in SHA256.items():
        assert name in notice and digest in notice
    [entry] = onnx.load(PEOPLE_MODEL).metadata_props
    assert entry.key == METADATA_KEY and "Apache-2.0" in entry.value
    assert "Apache License" in (PEOPLE_MODEL.parent / "LICENSE").read_text(encoding="utf-8")


def test_a_file_of_another_content_is_refused(tmp_path: Path) -> None:
    from yoga_live.runtime.errors import ModelError

    for name in SHA256:
        (tmp_path / name).write_bytes(b"another")
    with pytest.raises(ModelError, match=r"movenet-multipose\.json has the sha256 .* instead of 3c76"):
        check_files(tmp_path)


def test_attributes_that_tfjs_leaves_out_are_put_in() -> None:
    nodes = [
        {"op": "_FusedConv2D", "attr": {"num_args": {"i": "2"}}},
        {"op": "TopKV2"},
        {"op": "Relu", "attr": {}},
    ]
    complete_attributes({"modelTopology": {"node": nodes}})
    assert nodes[0]["attr"]["TArgs"] == {"list": {"type": ["DT_FLOAT", "DT_FLOAT"]}}
    assert nodes[1]["attr"] == {"index_type": {"type": "DT_INT32"}} and nodes[2]["attr"] == {}


@pytest.mark.skipif(not CONVERTED.is_file(), reason=f"needs the converted network {CONVERTED}")
@pytest.mark.parametrize("size_wh", [(640, 360), (360, 640), (400, 400)])
def test_the_cut_network_and_our_decoder_answer_as_the_published_graph(size_wh: tuple[int, int]) -> None:
    model = onnx.load(CONVERTED)
    frames = fit_frame(draw_figure(POSES["goddess"], size_wh))[0]
    [[rows]] = run(model, ["output_0"], input=frames.astype(np.int32))
    outputs = run(cut_at_heads(model, {}), list(HEADS), frames=frames)
    people = decode_heads({name: output[0] for name, output in zip(HEADS, outputs, strict=True)}, 6)
    height, width = frames.shape[1:3]
    np.testing.assert_allclose(people.scores, rows[:, 55], atol=1e-5)
    expected = rows[0, :51].reshape(17, 3)
    np.testing.assert_allclose(people.keypoints[0], expected[:, [1, 0]] * [width, height], atol=0.01)
    np.testing.assert_allclose(people.keypoint_scores[0], expected[:, 2], atol=1e-5)
