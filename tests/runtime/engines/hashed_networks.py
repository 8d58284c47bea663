"""Networks whose checksums are written down: numbers by arithmetic, so that no library's version changes a bit."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from yoga_live.runtime.core.model_metadata import ModelInfo


def fill(shape: tuple[int, ...], kind: Any = np.float32) -> np.ndarray:
    """Whole numbers from -8 to 8, as eighths where they are floats."""
    values = np.arange(np.prod(shape)).reshape(shape) * 7 % 17 - 8
    return values.astype(kind) if np.issubdtype(kind, np.integer) else (values / 8).astype(kind)


def build(nodes: list[NodeProto], weights: dict[str, np.ndarray], kind: int = TensorProto.FLOAT, **more: Any) -> Any:
    """A model of frames to logits and maps; more: opset_imports, functions."""
    graph = helper.make_graph(
        nodes,
        "pose network",
        [helper.make_tensor_value_info("frames", TensorProto.UINT8, ["batch", 32, 32, 3])],
        [
            helper.make_tensor_value_info("logits", kind, ["batch", 3]),
            helper.make_tensor_value_info("maps", kind, ["batch", 3, 8, 8]),
        ],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    more.setdefault("opset_imports", [helper.make_opsetid("", 18)])
    return helper.make_model(graph, ir_version=10, **more)


def make_residual(kind: Any = np.float32) -> ModelProto:
    """Two convolutions and a way around one of them, as a ResNet's block."""
    number = TensorProto.FLOAT if kind == np.float32 else TensorProto.FLOAT16
    weights = {"first": fill((6, 3, 3, 3), kind), "second": fill((6, 6, 3, 3), kind), "head": fill((3, 6, 1, 1), kind)}
    weights |= {"mean": fill((1, 3, 1, 1), kind), "bias": fill((3,), kind), "axes": np.array([2, 3], np.int64)}
    nodes = [
        helper.make_node("Cast", ["frames"], ["floats"], to=number),
        helper.make_node("Transpose", ["floats"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Sub", ["planes", "mean"], ["centred"]),
        helper.make_node("Conv", ["centred", "first"], ["c1"], "stem", pads=[1] * 4, strides=[4, 4]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", "second"], ["c2"], "block", pads=[1] * 4),
        helper.make_node("Add", ["c2", "r1"], ["sum"]),
        helper.make_node("Relu", ["sum"], ["features"]),
        helper.make_node("Conv", ["features", "head"], ["maps"], "head"),
        helper.make_node("ReduceMean", ["maps", "axes"], ["means"], keepdims=0),
        helper.make_node("Add", ["means", "bias"], ["logits"]),
    ]
    return build(nodes, weights, number)


def make_int8() -> ModelProto:
    """Quantised and dequantised, weights for each channel."""
    weights = {"scale": np.array(0.5, np.float32), "zero": np.array(128, np.uint8), "axes": np.array([2, 3], np.int64)}
    weights |= {"w": fill((3, 3, 4, 4), np.int8), "w_scale": np.abs(fill((3,))) + 1, "w_zero": np.zeros(3, np.int8)}
    nodes = [
        helper.make_node("Cast", ["frames"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["floats"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("QuantizeLinear", ["planes", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["d"]),
        helper.make_node("DequantizeLinear", ["w", "w_scale", "w_zero"], ["dw"], axis=0),
        helper.make_node("Conv", ["d", "dw"], ["maps"], strides=[4, 4], kernel_shape=[4, 4]),
        helper.make_node("ReduceMean", ["maps", "axes"], ["logits"], keepdims=0),
    ]
    return build(nodes, weights)


def annotate(model: ModelProto) -> ModelProto:
    """The same network with all that tools write beside it: metadata, notes, shapes, a producer."""
    helper.set_model_props(model, {"yoga_live": ModelInfo(("tree", "śvānāsana", "none"), 32).to_json(), "k": "v"})
    model.producer_name, model.producer_version, model.doc_string, model.domain = "a tool", "1.2", "note", "org.example"
    model.model_version = 7
    model.graph.doc_string = "note"
    model.graph.metadata_props.add(key="k", value="v")
    graph = model.graph
    for part in (*graph.node, *graph.initializer, *graph.input, *graph.output):
        part.doc_string = "note"
        part.metadata_props.add(key="pkg.torch.onnx.stack_trace", value='File "/home/somebody/train.py", line 3')
    for node in graph.node:
        for attribute in node.attribute:
            attribute.doc_string = "note"
    graph.value_info.append(helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", 6, 8, 8]))
    return model


def make_nested() -> ModelProto:
    """Bodies of branches, a function, tensors in attributes, sparse constants, three sets of operators out of order."""

    def make_body(value: float) -> Any:
        constant = helper.make_tensor("c", TensorProto.FLOAT, [2], [value, 0.25])
        constant.doc_string = "the note of an attribute's tensor counts"
        node = helper.make_node("Constant", [], ["y"], value=constant, doc_string="note")
        out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])
        return helper.make_graph([node], "body", [], [out], [numpy_helper.from_array(fill((2,)), "unused")], "note")

    branch = helper.make_node("If", ["c"], ["y"], then_branch=make_body(1.5), else_branch=make_body(-1.5))
    call = helper.make_node("Twice", ["y"], ["z"], domain="org.example.a", strings=["a", "śv"], number=0)
    function = helper.make_function(
        "org.example.a",
        "Twice",
        ["x"],
        ["t"],
        [helper.make_node("Add", ["x", "x"], ["t"], doc_string="note")],
        [helper.make_opsetid("", 18)],
        attributes=["number"],
        attribute_protos=[helper.make_attribute("strings", ["b"])],
    )
    function.doc_string = "note"
    imports = [helper.make_opsetid(*entry) for entry in (("org.example.long" * 9, 1), ("org.example.a", 2), ("", 18))]
    model = build([branch, call], {"few": fill((4,))}, opset_imports=imports, functions=[function])
    model.graph.input.append(helper.make_tensor_value_info("c", TensorProto.BOOL, []))
    model.graph.initializer.append(helper.make_tensor("typed", TensorProto.FLOAT, [3], [0.5, -0.0, 2.0]))
    model.graph.initializer.append(helper.make_tensor("empty", TensorProto.INT64, [0], []))
    values = helper.make_tensor("sparse", TensorProto.FLOAT, [2], [1.0, 2.0])
    model.graph.sparse_initializer.append(
        helper.make_sparse_tensor(values, helper.make_tensor("places", TensorProto.INT64, [2], [1, 3]), [5])
    )
    model.graph.node[1].attribute.append(AttributeProto(name="ref", ref_attr_name="outer", type=AttributeProto.INT))
    return model


NETWORKS = {
    "residual": make_residual,
    "residual, annotated": lambda: annotate(make_residual()),
    "half": lambda: make_residual(np.float16),
    "half, annotated": lambda: annotate(make_residual(np.float16)),
    "int8": make_int8,
    "int8, annotated": lambda: annotate(make_int8()),
    "nested": make_nested,
    "nested, annotated": lambda: annotate(make_nested()),
}
