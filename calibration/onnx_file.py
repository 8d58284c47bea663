"""Reads and writes pose models as ONNX files, including their metadata."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import onnx
from onnx import numpy_helper

from ..runtime.core.model_metadata import METADATA_KEY, ModelInfo
from ..runtime.engines.onnx_guard import check_file
from ..runtime.engines.onnxruntime_providers import name_reason
from ..runtime.errors import ModelError
from ..runtime.system.files import write_then_rename


def read_model(path: Path) -> tuple[onnx.ModelProto, ModelInfo]:
    """Read a pose model.  Raises ModelError."""
    check_file(path)
    try:
        model = onnx.load(path, load_external_data=False)
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf's and onnx's exceptions have no common public base but Exception
        raise ModelError(f"{path} cannot be read as an ONNX model: {name_reason(error, first=True)}") from error
    document = next((entry.value for entry in model.metadata_props if entry.key == METADATA_KEY), None)
    if document is None:
        raise ModelError(f"{path} is an ONNX file but not a yoga-live pose model; export one with yoga-export onnx")
    return model, ModelInfo.from_json(document, path)


def write_model(model: onnx.ModelProto, info: ModelInfo, path: Path, *, replace: bool = True) -> None:
    """Write a pose model with its metadata, in one step, without notes of the tools that made it."""
    drop_notes(model)
    kept = [entry for entry in model.metadata_props if entry.key != METADATA_KEY]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    model.metadata_props.add(key=METADATA_KEY, value=info.to_json())
    with write_then_rename(path, replace=replace) as temporary:
        onnx.save(model, temporary)


def drop_notes(model: onnx.ModelProto) -> None:
    """Remove notes of tools on nodes and tensors, such as paths of Python files."""
    graph = model.graph
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.initializer, *graph.value_info):
        part.ClearField("doc_string")
        part.ClearField("metadata_props")


def is_rectifier(node: onnx.NodeProto, constants: Mapping[str, onnx.TensorProto]) -> bool:
    """Whether nothing below zero leaves the node: a ReLU, or a ReLU6 as MobileNets have it, a Clip from 0.

    constants: tensors by name.
    """
    if node.op_type != "Clip":
        return node.op_type == "Relu"
    low = constants.get(node.input[1]) if len(node.input) > 1 else None
    return low is not None and float(numpy_helper.to_array(low).reshape(-1)[0]) == 0
