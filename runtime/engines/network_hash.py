"""The checksum of a network, without its metadata: identifies what an engine was built from.

The one place in `runtime` that imports `onnx`, which the extras `tensorrt`, `jetson` and `export` install.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..errors import MissingPackageError
from .onnx_guard import name_unreadable

if TYPE_CHECKING:
    from onnx import AttributeProto, FunctionProto, GraphProto, ModelProto


def hash_network(content: bytes, name: object = "this model") -> str:
    """Sha256, hex, of the graph and weights alone of an ONNX file's bytes; `name` is for messages.

    Metadata, producer, notes and recorded shapes are left out, so that a new temperature needs no new engine; names
    of tensors count, because an engine is called by them.  Raises ModelError.
    """
    model = _parse(content, name)
    if not model.HasField("graph"):
        raise name_unreadable(name, "it holds no graph")
    network = type(model)(opset_import=sorted(model.opset_import, key=lambda entry: _encode(model, entry)))
    if model.HasField("ir_version"):
        network.ir_version = model.ir_version
    network.graph.CopyFrom(model.graph)
    network.functions.extend(model.functions)
    _strip_graph(network.graph)
    for function in network.functions:
        _strip_function(function)
    return hashlib.sha256(network.SerializeToString(deterministic=True)).hexdigest()


def _parse(content: bytes, name: object) -> ModelProto:
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise MissingPackageError(
            f"checking whether an engine was built from {name} needs the package onnx ({error}); run: pip install onnx"
        ) from error
    try:
        return onnx.load_from_string(content)
    except DecodeError as error:
        raise name_unreadable(name, error) from error


def _encode(model: ModelProto, entry: Any) -> bytes:
    """Serialise one imported operator set; their order in the file has no meaning."""
    return type(model)(opset_import=[entry]).SerializeToString()


def _strip_graph(graph: GraphProto) -> None:
    _clear([graph], "name", "doc_string", "value_info", "metadata_props")
    _clear([*graph.initializer, *graph.input, *graph.output], "doc_string", "metadata_props")
    _clear(graph.node, "doc_string", "metadata_props")
    for node in graph.node:
        _strip_attributes(node.attribute)


def _strip_function(function: FunctionProto) -> None:
    _clear([function], "doc_string", "value_info", "metadata_props")
    _clear(function.node, "doc_string", "metadata_props")
    for node in function.node:
        _strip_attributes(node.attribute)
    _strip_attributes(function.attribute_proto)


def _strip_attributes(attributes: Iterable[AttributeProto]) -> None:
    """Their notes, and those in the bodies of loops and branches."""
    for attribute in attributes:
        attribute.ClearField("doc_string")
        for body in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
            _strip_graph(body)


def _clear(messages: Iterable[Any], *fields: str) -> None:
    for message in messages:
        for field in fields:
            message.ClearField(field)
