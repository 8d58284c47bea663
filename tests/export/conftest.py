"""Networks of a few nodes, made by hand: in floating point, and in INT8 with numbers that FP16 holds exactly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from yoga_live.runtime.core.model_metadata import METADATA_KEY, ModelInfo

LABELS = ("tree", "warrior_2", "none")
SIZE = 32


def build_model(
    nodes: list[onnx.NodeProto], weights: dict[str, np.ndarray], precision: str, *, features: bool = False
) -> onnx.ModelProto:
    """A pose model: uint8 frames in, logits and maps out, and perhaps features."""
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("frames", TensorProto.UINT8, ["batch", SIZE, SIZE, 3])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3]),
            helper.make_tensor_value_info("maps", TensorProto.FLOAT, ["batch", 3, 8, 8]),
            *([helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", 8])] * features),
        ],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    model.metadata_props.add(key=METADATA_KEY, value=ModelInfo(LABELS, SIZE, precision).to_json())
    for node in model.graph.node:
        node.metadata_props.add(key="pkg.torch.onnx.stack_trace", value='File "/home/somebody/train.py", line 3')
    onnx.checker.check_model(model, full_check=True)
    return model


@pytest.fixture(scope="session")
def make_network() -> Callable[..., onnx.ModelProto]:
    """A residual network of four convolutions in FP32; `gain` makes the first one's answers larger."""

    def make(gain: float = 1.0, seed: int = 0, *, features: bool = False) -> onnx.ModelProto:
        rng = np.random.default_rng(seed)
        shapes = {"first": (8, 3, 3, 3), "second": (8, 8, 3, 3), "third": (8, 8, 3, 3), "head": (3, 8, 1, 1)}
        weights = {
            name: rng.normal(0, 1.4 / np.sqrt(np.prod(shape[1:])), shape).astype(np.float32)
            for name, shape in shapes.items()
        }
        weights["first"] *= gain
        weights |= {f"{name}_bias": rng.normal(0, 0.1, 8).astype(np.float32) for name in ("first", "second", "third")}
        weights |= {"mean": np.full((1, 3, 1, 1), 116.3, np.float32), "deviation": np.full((1, 3, 1, 1), 57.4, "f4")}
        weights |= {"bias": rng.normal(0, 0.1, 3).astype(np.float32), "axes": np.array([2, 3])}
        padded: dict[str, Any] = {"pads": [1, 1, 1, 1], "kernel_shape": [3, 3]}
        nodes = [
            helper.make_node("Cast", ["frames"], ["floats"], to=TensorProto.FLOAT),
            helper.make_node("Transpose", ["floats"], ["planes"], perm=[0, 3, 1, 2]),
            helper.make_node("Sub", ["planes", "mean"], ["centred"]),
            helper.make_node("Div", ["centred", "deviation"], ["normal"]),
            helper.make_node("Conv", ["normal", "first", "first_bias"], ["c1"], strides=[4, 4], **padded),
            helper.make_node("Relu", ["c1"], ["r1"]),
            helper.make_node("Conv", ["r1", "second", "second_bias"], ["c2"], **padded),
            helper.make_node("Relu", ["c2"], ["r2"]),
            helper.make_node("Conv", ["r2", "third", "third_bias"], ["c3"], **padded),
            helper.make_node("Add", ["c3", "r1"], ["sum"]),
            helper.make_node("Relu", ["sum"], ["deep"]),
            helper.make_node("Conv", ["deep", "head"], ["maps"]),
            helper.make_node("ReduceMean", ["maps", "axes"], ["means"], keepdims=0),
            helper.make_node("Add", ["means", "bias"], ["logits"]),
            *([helper.make_node("ReduceMean", ["deep", "axes"], ["features"], keepdims=0)] * features),
        ]
        return build_model(nodes, weights, "fp32", features=features)

    return make


@pytest.fixture
def exact_int8() -> onnx.ModelProto:
    """An INT8 network as for x86 whose every number is exact in FP16: powers of two times few bits."""
    rng = np.random.default_rng(0)
    weights = {
        "in_scale": np.array(2.0, np.float32),
        "out_scale": np.array(8.0, np.float32),
        "zero": np.array(128, np.uint8),
        "first": rng.integers(-2, 3, (6, 3, 1, 1), dtype=np.int8),
        "first_scale": 2.0 ** rng.integers(-1, 1, 6).astype(np.float32),
        "first_zero": np.zeros(6, np.int8),
        "first_bias": rng.integers(-20, 20, 6).astype(np.float32),
        "head": rng.integers(-1, 2, (3, 6, 1, 1)).astype(np.float32) / 4,
        "bias": np.array([1.0, 0.5, -2.0], np.float32),
        "middle": np.full((1, 3, 1, 1), 128, np.float32),
        "axes": np.array([2, 3]),
    }
    nodes = [
        helper.make_node("Cast", ["frames"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["floats"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Sub", ["planes", "middle"], ["centred"]),
        helper.make_node("QuantizeLinear", ["centred", "in_scale", "zero"], ["q1"]),
        helper.make_node("DequantizeLinear", ["q1", "in_scale", "zero"], ["d1"]),
        helper.make_node("DequantizeLinear", ["first", "first_scale", "first_zero"], ["w1"], axis=0),
        helper.make_node("Conv", ["d1", "w1", "first_bias"], ["c1"], strides=[4, 4], kernel_shape=[1, 1]),
        helper.make_node("QuantizeLinear", ["c1", "out_scale", "zero"], ["q2"]),
        helper.make_node("DequantizeLinear", ["q2", "out_scale", "zero"], ["d2"]),
        helper.make_node("Relu", ["d2"], ["features"]),
        helper.make_node("Conv", ["features", "head"], ["maps"]),
        helper.make_node("ReduceMean", ["maps", "axes"], ["means"], keepdims=0),
        helper.make_node("Add", ["means", "bias"], ["logits"]),
    ]
    return build_model(nodes, weights, "int8")


@pytest.fixture(scope="session")
def run_plainly() -> Callable[[onnx.ModelProto, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Run a model node by node: ONNX Runtime's optimiser (1.32) spoils Q/DQ nodes whose scales are FP16."""

    def run(model: onnx.ModelProto, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        logits, maps = map(np.asarray, session.run(["logits", "maps"], {"frames": frames}))
        return logits, maps

    return run


@pytest.fixture(scope="session")
def noise() -> np.ndarray:
    """Frames of noise of every brightness, uint8 (12, 32, 32, 3)."""
    rng = np.random.default_rng(5)
    levels = rng.integers(0, 256, (12, 1, 1, 3))
    return (levels + rng.normal(0, 40, (12, SIZE, SIZE, 3))).clip(0, 255).astype(np.uint8)
