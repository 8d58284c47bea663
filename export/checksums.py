"""Checksums of a network: what an engine was built from, whatever else its file says of itself."""

from __future__ import annotations

import onnx

from ..runtime.engines import onnx_bytes


def hash_network(model: onnx.ModelProto) -> str:
    """Sha256, hex, of the graph and its weights alone: as `runtime/engines/onnx_bytes.py` says it."""
    return onnx_bytes.hash_network(model.SerializeToString(deterministic=True))
