"""Checks whether FP16 is sufficient: how near the values come to its largest number, and how rounding changes outputs.

ONNX Runtime has hardly any FP16 kernels for CPUs: it computes in FP32 without the roundings between, so that only the
weights are as on a GPU.  Hence both questions are answered by FP32 graphs made for this purpose.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..runtime.core.types import Floats, Frame
from ..runtime.engines.onnxruntime import import_onnxruntime
from ..runtime.errors import ModelError
from ..runtime.system.progress import track
from .fp16 import LARGEST

LEAST_HEADROOM = 4.0
"""Factor by which values may be larger on other photos before they are infinite."""

COPYING = frozenset(("Cast", "Transpose", "Slice", "Relu", "MaxPool", "Reshape", "Flatten", "Squeeze", "Unsqueeze"))
"""Operators whose outputs are among their inputs: nothing new to measure or round."""

MEANS = {"ReduceMean": "ReduceSum"}
"""A mean first computes a sum, which must not overflow either."""


@dataclass(frozen=True)
class Magnitude:
    """The largest absolute output of a node on some photos."""

    node: str
    largest: float

    @property
    def headroom(self) -> float:
        """Factor by which it could be larger in FP16."""
        return LARGEST / self.largest if self.largest else float("inf")


@dataclass(frozen=True)
class MeasuredNetwork:
    """Magnitudes, largest first, and the logits, float32 (N, C), of the same photos."""

    magnitudes: tuple[Magnitude, ...]
    logits: Floats


def measure_magnitudes(model: onnx.ModelProto, frames: Frame) -> MeasuredNetwork:
    """Run an FP32 model on frames, uint8 (N, S, S, 3) BGR, and find the largest value of every node."""
    probe, nodes = onnx.ModelProto(), {}
    probe.CopyFrom(model)
    for node in model.graph.node:
        if node.op_type not in COPYING:
            name = f"largest_{len(nodes)}"
            nodes[name] = _describe(node, model)
            probe.graph.node.extend(_measure_node(node, name))
            probe.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, []))
    session = import_onnxruntime().InferenceSession(probe.SerializeToString(), providers=["CPUExecutionProvider"])
    largest, logits = np.zeros(len(nodes)), []
    starts = range(0, len(frames), 8)
    for start in track(starts, "largest values", len(starts), "batches"):
        answers = session.run(["logits", *nodes], {"frames": frames[start : start + 8]})
        logits.append(answers[0])
        largest = np.maximum(largest, [float(answer) for answer in answers[1:]])
    order = np.argsort(-largest, kind="stable")
    names = list(nodes.values())
    return MeasuredNetwork(tuple(Magnitude(names[i], float(largest[i])) for i in order), np.concatenate(logits))


def check_headroom(measured: MeasuredNetwork) -> Magnitude:
    """Return the node with the largest value.  Raises ModelError if it is too near to FP16's largest number."""
    if not np.isfinite(measured.logits).all():
        raise ModelError("the FP32 model has logits that are not finite; train it again")
    nearest = measured.magnitudes[0]
    if not nearest.headroom >= LEAST_HEADROOM:
        raise ModelError(
            f"FP16 might overflow: {nearest.node} reaches {nearest.largest:,.0f} on the run's photos, and FP16's "
            f"largest number, {LARGEST:,.0f}, should be at least {LEAST_HEADROOM:.0f} times that; not written. Use FP32"
        )
    return nearest


def round_activations(half: onnx.ModelProto) -> onnx.ModelProto:
    """Make an FP32 graph that rounds as an FP16 network does on a GPU; the given model is not changed.

    Weights are those of FP16, every node's output is rounded to FP16, and sums inside a node are exact to FP32.  A GPU
    may round less often, if it fuses nodes, or more often, if a kernel sums in FP16.
    """
    model = onnx.ModelProto()
    model.CopyFrom(half)
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT16:
            values = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    nodes = [rounded for node in model.graph.node for rounded in _round_node(node)]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    del model.graph.value_info[:]  # it names float16 where float32 is now
    return model


def _measure_node(node: onnx.NodeProto, name: str) -> Iterator[onnx.NodeProto]:
    """Make nodes that reduce a node's output to its largest absolute value, a scalar called `name`."""
    measured = node.output[0]
    if node.op_type in MEANS:
        total = onnx.NodeProto()
        total.CopyFrom(node)
        total.op_type, total.name, measured = MEANS[node.op_type], f"{name}_total", f"{name}_total"
        total.output[0] = measured
        yield total
    yield helper.make_node("Abs", [measured], [f"{name}_of"])
    yield helper.make_node("ReduceMax", [f"{name}_of"], [name], keepdims=0)


def _round_node(node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
    answer = node.output[0]
    if node.op_type == "Cast":  # of the frames, or of the outputs, which are rounded already
        yield helper.make_node("Cast", node.input, node.output, to=TensorProto.FLOAT)
    elif node.op_type in COPYING:
        yield node
    else:
        exact = onnx.NodeProto()
        exact.CopyFrom(node)
        exact.output[0] = f"{answer}_exact"
        yield exact
        yield helper.make_node("Cast", [f"{answer}_exact"], [f"{answer}_half"], to=TensorProto.FLOAT16)
        yield helper.make_node("Cast", [f"{answer}_half"], [answer], to=TensorProto.FLOAT)


def _describe(node: onnx.NodeProto, model: onnx.ModelProto) -> str:
    """Describe a node by its weights, or else by the name of its output."""
    weights = {tensor.name for tensor in model.graph.initializer}
    names = [name for name in node.input if name in weights] if node.op_type == "Conv" else []
    return f"{node.op_type} `{names[0] if names else node.output[0]}`"
