"""Reads the metadata of a model file as one document: for a pose model from its metadata and graph, for an engine from
the JSON beside it.
"""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

from ..runtime.core.model_metadata import read_pose_model
from ..runtime.engines.tensorrt_sidecar import is_people_engine, read_people_record, read_record, record_path
from ..runtime.errors import ModelError
from ..runtime.people.decoding import HEADS
from ..runtime.people.second_opinion import SecondOpinion

INDENT, NAMES = 2, 24


def read_file_info(path: Path) -> dict[str, Any]:
    """Read the metadata of a file: sections of names and values, JSON-serialisable.  Raises ModelError."""
    return _read_engine(path) if path.suffix in (".engine", ".plan") else _read_onnx(path)


def format_info(document: dict[str, Any]) -> list[str]:
    """Format as lines: a section's name, then its entries, indented."""
    lines = []
    for section, entries in document.items():
        lines.append(section)
        rows = entries.items() if entries else [("none", "")]
        lines += [f"{' ' * INDENT}{name:<{NAMES}} {_format_value(value)}".rstrip() for name, value in rows]
    return lines


def _read_onnx(path: Path) -> dict[str, Any]:
    from ..calibration.onnx_file import read_model
    from ..runtime.engines.network_hash import hash_network

    model, info = read_model(path)
    graph = model.graph
    inputs, outputs = (dict(map(_read_tensor, values)) for values in (graph.input, graph.output))
    read_pose_model(path, info.to_json(), inputs, outputs)  # its metadata must match its graph
    network = {
        "inputs": [_describe_tensor(value) for value in graph.input],
        "outputs": [_describe_tensor(value) for value in graph.output],
        "parameters": _count_parameters(model),
        "nodes": len(graph.node),
        "opset": next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")),
        "ir_version": model.ir_version,
        "producer": f"{model.producer_name} {model.producer_version}".strip(),
        "sha256": hash_network(path.read_bytes(), path),
    }
    return {"file": _describe_file(path), **_part_model(json.loads(info.to_json())), "network": network}


def _read_engine(path: Path) -> dict[str, Any]:
    if is_people_engine(path):
        return _read_people_engine(path)
    record = read_record(path)  # an engine itself holds no metadata
    content = json.loads(record.to_json())
    sections = _part_model(content.pop("model"))
    file = _describe_file(path)
    _check_sha256(path, record.engine_sha256, file["sha256"])
    return {"file": file, **sections, "engine": content}


def _read_people_engine(path: Path) -> dict[str, Any]:
    record = read_people_record(path)
    file = _describe_file(path)
    _check_sha256(path, record.engine_sha256, file["sha256"])
    content = json.loads(record.to_json())
    network = {"name": content.pop("network"), "outputs": list(HEADS)}
    return {"file": file, "network": network, "engine": content}


def _check_sha256(path: Path, recorded: str, sha256: str) -> None:
    if recorded != sha256:
        beside = record_path(path)
        raise ModelError(f"{beside} is not the record of {path.name}; build it again with yoga-export engine")


def _describe_file(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    return {"path": str(path), "size_mb": round(len(content) / 1e6, 2), "sha256": hashlib.sha256(content).hexdigest()}


def _part_model(model: dict[str, Any]) -> dict[str, Any]:
    """Separate training and calibration from what a user of the model needs."""
    training, calibration = model.pop("training", {}), model.pop("calibration", {})
    sections = {"model": model, "calibration": calibration}
    if document := model.pop("second_opinion", {}):
        opinion = SecondOpinion.from_document(document, tuple(model["labels"]))
        sections["second opinion"] = _describe_opinion(opinion)
    return {**sections, "training": training}


def _describe_opinion(opinion: SecondOpinion) -> dict[str, Any]:
    """What the second opinion is made of, without its thousands of numbers."""
    mixture = opinion.mixture
    weights = {
        name: {label: list(pair) for label, pair in zip(opinion.labels, pairs, strict=True)}
        for name, pairs in (("which pose", mixture.which), ("whether", mixture.whether))
    }
    return {
        "networks": f"{opinion.networks} of {'-'.join(map(str, opinion.widths))}",
        "kinds": len(opinion.kinds),
        "temperature": opinion.temperature,
        "threshold": opinion.threshold,
        "mirrored": bool(opinion.mirrors),
        **{f"weights of {name}": pairs for name, pairs in weights.items()},
        "agreement": mixture.agreement,
        "bias": mixture.bias,
        **opinion.measured,
    }


def _describe_tensor(value: Any) -> str:
    import onnx

    tensor = value.type.tensor_type
    shape = ", ".join(dim.dim_param or str(dim.dim_value) for dim in tensor.shape.dim)
    kinds = {number: name.lower() for name, number in onnx.TensorProto.DataType.items()}
    return f"{value.name} {kinds.get(tensor.elem_type, f'element type {tensor.elem_type}')} ({shape})"


def _read_tensor(value: Any) -> tuple[str, tuple[str, list[Any]]]:
    """Read name, element type as in NumPy, and shape."""
    import numpy as np
    import onnx

    tensor = value.type.tensor_type
    try:
        kind = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)).name
    except (KeyError, TypeError, ValueError):  # none, or one that this onnx does not know
        kind = f"element type {tensor.elem_type}"
    return value.name, (kind, [dim.dim_param or dim.dim_value for dim in tensor.shape.dim])


def _count_parameters(model: Any) -> int:
    """Count learned numbers: all constants but integers of shapes and axes, scales and zero points."""
    import onnx

    quantisers = [node for node in model.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    left_out = {name for node in quantisers for name in node.input[1:]}
    learnt = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.INT8)
    return sum(
        math.prod(tensor.dims)
        for tensor in model.graph.initializer
        if tensor.data_type in learnt and tensor.name not in left_out
    )


def _format_value(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_format_value(entry)}" for name, entry in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(_format_value(entry) for entry in value)
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int) and not isinstance(value, bool) and value >= 10_000:
        return f"{value:,}"
    return "-" if value is None else str(value)
