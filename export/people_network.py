"""Prepares the shipped people finder for TensorRT: FP16, without the INT8 that TensorRT does not take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import onnx
from onnx import helper, numpy_helper

from .fp16 import convert_to_fp16


def prepare_people_network(model: onnx.ModelProto) -> onnx.ModelProto:
    """Convert the shipped network to FP16; the given model is not changed.

    Its INT8 has zero points that TensorRT refuses.  Weights become floats.  Where a tensor was quantised, its range is
    kept by a Clip: what falls outside was cut off there, which stands for the network's own activations.
    """
    prepared = onnx.ModelProto()
    prepared.CopyFrom(model)
    graph = prepared.graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    quantised = {node.output[0]: node for node in graph.node if node.op_type == "QuantizeLinear"}
    nodes = list(_replace_nodes(graph.node, constants, quantised))
    used = {name for node in nodes for name in node.input}
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(
        numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in constants.items() if name in used
    )
    del graph.value_info[:]
    return convert_to_fp16(prepared)


def _replace_nodes(
    nodes: Iterable[onnx.NodeProto], constants: dict[str, np.ndarray], quantised: dict[str, onnx.NodeProto]
) -> Iterator[onnx.NodeProto]:
    """The nodes without quantisation; what is constant is added to `constants`."""
    for node in nodes:
        name = node.output[0]
        if node.op_type == "Cast" and node.input[0] in constants:
            constants[name] = constants[node.input[0]].astype(np.float32)
        elif node.op_type == "DequantizeLinear" and node.input[0] in constants:
            constants[name] = _dequantise(constants[node.input[0]], node, constants)
        elif node.op_type == "DequantizeLinear":
            quantise = quantised[node.input[0]]
            levels = np.iinfo(constants[quantise.input[2]].dtype)
            for bound, level in (("low", levels.min), ("high", levels.max)):
                edge = np.array(level, constants[quantise.input[2]].dtype)
                constants[f"{name}_{bound}"] = _dequantise(edge, node, constants)
            yield helper.make_node("Clip", [quantise.input[0], f"{name}_low", f"{name}_high"], [name], name=name)
        elif node.op_type != "QuantizeLinear":
            yield node


def _dequantise(values: np.ndarray, node: onnx.NodeProto, constants: dict[str, np.ndarray]) -> np.ndarray:
    scale, zero = constants[node.input[1]].astype(np.float32), constants[node.input[2]].astype(np.float32)
    if scale.ndim:
        axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 1)
        shape = [-1 if index == axis else 1 for index in range(values.ndim)]
        scale, zero = scale.reshape(shape), zero.reshape(shape)
    return ((values.astype(np.float32) - zero) * scale).astype(np.float32)
