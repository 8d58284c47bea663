"""Quantise the cut network: INT8 backbone; the feature pyramid and the heads stay in floating point.

Weights have 7 bits: on x86 processors without VNNI, ONNX Runtime adds products of 8-bit weights in 16 bits, which
overflows and destroys the predictions.  With 7 bits the output is the same on all of them.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from cut import HEADS
from onnx import TensorProto, helper, numpy_helper

from yoga_live.runtime.core.types import Frame
from yoga_live.runtime.system.telemetry import silence_telemetry

RANGES = Path(__file__).with_name("ranges.json")
"""Smallest and largest value of each quantised tensor, over the calibration photos."""
BACKBONE = "center_net_mobile_net_v2fpn_feature_extractor/model_1/model/"
QUANTISED = ("Conv", "Add", "Clip")

Ranges = dict[str, tuple[float, float]]


def list_backbone(model: onnx.ModelProto) -> list[str]:
    """Names of the nodes up to the last block of the backbone."""
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    chosen = {node.name for node in model.graph.node if BACKBONE in node.name}
    # tf2onnx gave the depthwise convolutions names of its own: they are what stands between two nodes of the backbone.
    chosen |= {
        node.name
        for node in model.graph.node
        if node.op_type == "Conv" and any(reader.name in chosen for reader in readers.get(node.output[0], []))
        if node.name.startswith("Conv__")
    }
    return sorted(chosen)


def measure_ranges(model: onnx.ModelProto, batches: Sequence[Frame]) -> Ranges:
    """Measure the range of each tensor that the backbone's nodes read or write.  batches: uint8 (1, H, W, 3) RGB."""
    silence_telemetry()
    import onnxruntime

    backbone = set(list_backbone(model))
    nodes = [node for node in model.graph.node if node.name in backbone and node.op_type in QUANTISED]
    clipped = {node.input[0] for node in nodes if node.op_type == "Clip"}  # ONNX Runtime rounds once, after the clip
    names = {name for node in nodes for name in (*node.input[:1], *node.output)}
    names |= {name for node in nodes if node.op_type == "Add" for name in node.input}
    names = sorted(names - clipped)
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in HEADS)
    session = onnxruntime.InferenceSession(probe.SerializeToString(), providers=["CPUExecutionProvider"])
    ranges = {name: (0.0, 0.0) for name in names}
    for frames in batches:
        for name, output in zip(names, session.run(names, {"frames": frames}), strict=True):
            values, (low, high) = np.asarray(output), ranges[name]
            ranges[name] = min(low, float(values.min())), max(high, float(values.max()))
    return ranges


def quantise(model: onnx.ModelProto, ranges: Mapping[str, tuple[float, float]]) -> onnx.ModelProto:
    """Insert Q/DQ nodes into the backbone: uint8 activations, int8 weights of 7 bits for each channel."""
    silence_telemetry()
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    backbone = set(list_backbone(model))
    overrides = {name: [{"rmin": np.float32(low), "rmax": np.float32(high)}] for name, (low, high) in ranges.items()}
    reader: Any = _BlackFrame()  # not derived from ONNX Runtime's class, which is imported only here
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "float.onnx"), Path(folder, "int8.onnx")
        onnx.save(model, source)
        quantize_static(
            str(source),
            str(target),
            reader,
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=[node.name for node in model.graph.node if node.name not in backbone],
            op_types_to_quantize=list(QUANTISED),
            extra_options={"QuantizeBias": False, "TensorQuantOverrides": overrides},
        )
        quantised = onnx.load(target)
    used = {node.domain for node in quantised.graph.node}
    kept = [entry for entry in quantised.opset_import if entry.domain in used]
    del quantised.opset_import[:]
    quantised.opset_import.extend(kept)
    del quantised.metadata_props[:]
    quantised.metadata_props.extend(model.metadata_props)
    return quantised


def store_float16(model: onnx.ModelProto) -> None:
    """Store float weights in float16, from which the network casts them back: they were published in it.

    Raises ValueError where that would change a weight.
    """
    scales = {name for node in model.graph.node if "Linear" in node.op_type for name in node.input[1:]}
    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or tensor.name in scales or values.size < 16:
            continue
        half = values.astype(np.float16)
        if (half.astype(np.float32) != values).any():
            raise ValueError(f"{tensor.name} does not fit into float16")
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(half, f"{name}_float16"))
        casts.append(helper.make_node("Cast", [tensor.name], [name], name=f"{name}_float32", to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def read_ranges() -> Ranges:
    """Read the committed ranges."""
    return {name: (low, high) for name, (low, high) in json.loads(RANGES.read_text(encoding="utf-8")).items()}


def write_ranges(ranges: Ranges) -> None:
    """Write the ranges beside this file, rounded to float32."""
    rounded = {name: [float(np.float32(value)) for value in pair] for name, pair in sorted(ranges.items())}
    lines = (f"  {json.dumps(name)}: {json.dumps(pair)}" for name, pair in rounded.items())
    RANGES.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


class _BlackFrame:
    """ONNX Runtime's CalibrationDataReader, which it asks for although the ranges are known."""

    def __init__(self) -> None:
        self._frames = iter([np.zeros((1, 64, 64, 3), np.uint8)])

    def get_next(self) -> dict[str, Frame] | None:
        frames = next(self._frames, None)
        return None if frames is None else {"frames": frames}
