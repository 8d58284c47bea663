"""Checksums of a network: what an engine was built from, whatever else its file says of itself."""

from __future__ import annotations

import hashlib

import onnx


def hash_network(model: onnx.ModelProto) -> str:
    """Sha256, hex, of the graph and its weights alone.

    Metadata, producer, notes and recorded shapes are left out, so that a new temperature needs no new engine; names
    of tensors count, because an engine is asked by them.
    """
    bare = onnx.ModelProto(ir_version=model.ir_version)
    bare.opset_import.extend(sorted(model.opset_import, key=lambda entry: entry.domain))
    bare.functions.extend(model.functions)
    bare.graph.CopyFrom(model.graph)
    _strip(bare.graph)
    for function in bare.functions:
        _strip(function)
    return hashlib.sha256(bare.SerializeToString(deterministic=True)).hexdigest()


def _strip(graph: onnx.GraphProto | onnx.FunctionProto) -> None:
    """Clear notes and recorded shapes, in the bodies of loops and branches too."""
    parts = [graph, *graph.node]
    if isinstance(graph, onnx.GraphProto):
        graph.name = ""
        parts += [*graph.input, *graph.output, *graph.initializer]
    for part in parts:
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
    graph.ClearField("value_info")
    for node in graph.node:
        for attribute in node.attribute:
            attribute.ClearField("doc_string")
            for body in (attribute.g, *attribute.graphs):
                if body.ByteSize():
                    _strip(body)
