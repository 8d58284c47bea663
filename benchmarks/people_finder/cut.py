"""Cut MoveNet MultiPose at its six heads: what remains is the network alone, decoded by `yoga_live.runtime.people`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HEADS = ("center", "box_scale", "box_offset", "kpt_heatmap", "kpt_regress", "kpt_offset")
SCOPE = "StatefulPartitionedCall/"
METADATA_KEY = "yoga_live_people"


def cut_at_heads(model: onnx.ModelProto, provenance: Mapping[str, str]) -> onnx.ModelProto:
    """Cut the converted graph: uint8 RGB frames (N, H, W, 3) in, six heads (N, C, H/4, W/4) out, before any sigmoid.

    H and W are multiples of 32.  Weights stay stored in float16.  provenance: what the file's metadata says of where
    it comes from.  Raises ValueError if a head is missing or found twice.
    """
    graph = model.graph
    heads = {find_head(graph, name).output[0]: name for name in HEADS}
    constants = {tensor.name: tensor for tensor in graph.initializer}
    factor = numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "doubled")
    double_maps(graph, factor.name)
    drop_zero_offset(graph, constants)
    nodes = list_ancestors(graph, heads)
    used = {name for node in nodes for name in node.input}
    kept = [*(tensor for name, tensor in constants.items() if name in used), factor]
    new_names = heads | {graph.input[0].name: "frames"}
    for node in nodes:
        node.name = node.name.replace(SCOPE, "")
        for names in (node.input, node.output):
            names[:] = [new_names.get(name, name.replace(SCOPE, "")) for name in names]
    for tensor in kept:
        tensor.name = tensor.name.replace(SCOPE, "")
    frames = helper.make_tensor_value_info("frames", TensorProto.UINT8, ["N", "H", "W", 3])
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", None, "h", "w"]) for name in HEADS]
    cut = helper.make_model(
        helper.make_graph(nodes, "movenet_multipose", [frames], outputs, kept),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
        producer_name="yoga-live",
    )
    name_channels(cut)
    helper.set_model_props(cut, {METADATA_KEY: json.dumps(dict(provenance), sort_keys=True)})
    onnx.checker.check_model(cut, full_check=True)
    return cut


def find_head(graph: onnx.GraphProto, name: str) -> onnx.NodeProto:
    """Find the last convolution of a head by its scope.  Raises ValueError unless there is exactly one."""
    scope = f"{SCOPE}{name}_0/conv2d"
    found = [node for node in graph.node if node.op_type == "Conv" and node.name.startswith(scope)]
    if len(found) != 1:
        raise ValueError(f"expected one convolution {scope}*; found {[node.name for node in found]}")
    return found[0]


def double_maps(graph: onnx.GraphProto, factor: str) -> None:
    """Resize the maps by a constant factor of two, instead of to sizes that the graph computes from shapes."""
    for node in graph.node:
        if node.op_type == "Resize":
            node.input[:] = [node.input[0], "", factor]


def drop_zero_offset(graph: onnx.GraphProto, constants: Mapping[str, onnx.TensorProto]) -> None:
    """Bypass the subtraction of zero from the pixels."""
    casts = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "Cast"}
    for node in graph.node:
        taken = constants.get(casts.get(node.input[1], node.input[1])) if node.op_type == "Sub" else None
        if taken is not None and not numpy_helper.to_array(taken).any():
            for other in graph.node:
                other.input[:] = [node.input[0] if name == node.output[0] else name for name in other.input]


def list_ancestors(graph: onnx.GraphProto, outputs: Iterable[str]) -> list[onnx.NodeProto]:
    """Nodes that the tensors depend on, in the graph's order."""
    wanted, chosen = set(outputs), []
    for node in reversed(graph.node):
        if wanted & set(node.output):
            wanted |= set(node.input)
            chosen.append(node)
    return chosen[::-1]


def name_channels(model: onnx.ModelProto) -> None:
    """Write each head's number of channels into its output's shape."""
    for output in model.graph.output:
        output.type.tensor_type.shape.dim[1].Clear()
    inferred = onnx.shape_inference.infer_shapes(model)
    for output, known in zip(model.graph.output, inferred.graph.output, strict=True):
        output.type.tensor_type.shape.dim[1].dim_value = known.type.tensor_type.shape.dim[1].dim_value


def cut_post_processing(model: onnx.ModelProto) -> onnx.ModelProto:
    """Cut out what `cut_at_heads` leaves: six heads (1, C, h, w) in, the published output (1, 6, 56) out."""
    graph = model.graph
    heads = {find_head(graph, name).output[0]: name for name in HEADS}
    producers = {output: node for node in graph.node for output in node.output}
    chosen, waiting = [], [graph.output[0].name]
    while waiting:
        node = producers.get(waiting.pop())
        if node is not None and node.output[0] not in heads and not any(node is other for other in chosen):
            chosen.append(node)
            waiting += node.input
    nodes = [node for node in graph.node if any(node is other for other in chosen)]
    used = {name for node in nodes for name in node.input}
    for node in nodes:
        node.input[:] = [heads.get(name, name) for name in node.input]
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, None, "h", "w"]) for name in HEADS]
    output = helper.make_tensor_value_info(graph.output[0].name, TensorProto.FLOAT, [1, 6, 56])
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    cut = helper.make_model(
        helper.make_graph(nodes, "movenet_multipose_post_processing", inputs, [output], kept),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
        producer_name="yoga-live",
    )
    onnx.checker.check_model(cut, full_check=True)
    return cut
