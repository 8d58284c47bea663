"""Check an ONNX file before an engine opens it, and read its metadata, from its bytes alone.

Engines read weights from any other file that a model names: ONNX Runtime 1.20 from any path, 1.32 and OpenVINO from
the model's own folder.  The machine may lack `onnx`, and the head of a cluster may have no engine at all.  An ONNX file
is a protocol buffer; its fields: https://protobuf.dev/programming-guides/encoding and onnx/onnx.proto.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..core.model_metadata import METADATA_KEY, ModelInfo
from ..errors import ModelError
from ..photos.kinds import is_photo
from ..system.files import resolve
from ..system.plain_text import format_command
from ..system.suggestions import explain_absence

Schema = dict[int, Any]

_METADATA_PROPS = 14

_TENSOR_PLACE: Schema = {}  # one field of a tensor says where its numbers are
_DATA_LOCATION = 14
_SPARSE: Schema = dict.fromkeys((1, 2), _TENSOR_PLACE)  # values, indices
_ATTRIBUTE_TENSORS: Schema = {5: _TENSOR_PLACE, 10: _TENSOR_PLACE, 22: _SPARSE, 23: _SPARSE}
_NODE_TENSORS: Schema = {5: _ATTRIBUTE_TENSORS}
_GRAPH_TENSORS: Schema = {1: _NODE_TENSORS, 5: _TENSOR_PLACE, 15: _SPARSE}
_ATTRIBUTE_TENSORS.update({6: _GRAPH_TENSORS, 11: _GRAPH_TENSORS})
_FUNCTION_TENSORS: Schema = {7: _NODE_TENSORS, 11: _ATTRIBUTE_TENSORS}
_TRAINING: Schema = dict.fromkeys((1, 2), _GRAPH_TENSORS)
_MODEL_TENSORS: Schema = {7: _GRAPH_TENSORS, 20: _TRAINING, 25: _FUNCTION_TENSORS}
"""The fields that hold tensors, from the model down."""

WEIGHTS = frozenset((".pt", ".pth", ".ckpt", ".safetensors"))
MOST_NESTED = 100
"""Nesting depth of messages: as deep as protocol buffers' own readers allow."""


def read_info(model: bytes, name: object = "this model") -> ModelInfo:
    """Read a pose model's metadata from an ONNX file's bytes; `name` is for messages.  Raises ModelError."""
    try:
        documents = _find_documents(memoryview(model))
    except ValueError as error:
        raise name_unreadable(name, error) from error
    if not documents:
        raise ModelError(f"{name} is an ONNX file but not a yoga-live pose model; export one with yoga-export onnx")
    return ModelInfo.from_json(documents[0], name)


def check_file(path: Path) -> None:
    """Refuse an ONNX file that is cut off, has metadata twice, or keeps weights in other files.  Raises ModelError.

    An engine would read another file at any path that this one names; files of yoga-export are self-contained.
    """
    if path.is_dir():
        to = path if path.name.strip(".") else Path(resolve(path).name or "model")
        command = format_command("yoga-export", "onnx", path, "--to", f"{to}.onnx")
        raise ModelError(f"{path} is a folder; make a model from a run with: {command}")
    if not path.is_file():
        hint = "give an .onnx or .engine file (yoga-export onnx makes one from a run)"
        raise ModelError(f"the model {path} {explain_absence(path, hint)}")
    if is_photo(path):
        raise ModelError(f"{path} is a photo, not a model; give an .onnx or .engine file")
    if path.suffix.lower() in WEIGHTS:
        raise ModelError(f"{path} holds PyTorch weights, not a pose model; make one from its run with yoga-export onnx")
    try:
        model = np.memmap(path, np.uint8, "r").data  # reads only the parts that are used: sizes, not weights
        if (count := len(_find_documents(model))) > 1:
            raise ValueError(f"it holds the yoga_live metadata {count} times")
        _refuse_external(model, _MODEL_TENSORS)
    except OSError as error:
        raise ModelError(f"cannot read the model {path}: {error.strerror or error}") from error
    except ValueError as error:  # an empty file too
        raise name_unreadable(path, error) from error


def _refuse_external(message: memoryview, schema: Schema, depth: int = 0) -> None:
    """Raise ValueError if any tensor in the message is stored in another file."""
    if depth > MOST_NESTED:
        raise ValueError(f"it is nested deeper than {MOST_NESTED} levels")
    for number, value in _read_fields(message):
        if schema is _TENSOR_PLACE:
            if number == _DATA_LOCATION and _decode_varint(value, 0)[0]:
                raise ValueError("it keeps weights in another file")
        elif number in schema:
            _refuse_external(value, schema[number], depth + 1)


def _find_documents(model: memoryview) -> list[str]:
    """Find all yoga_live metadata of the file.  Raises ValueError, also for metadata that is not UTF-8."""
    entries = [value for number, value in _read_fields(model) if number == _METADATA_PROPS]
    properties = [{key: bytes(text).decode() for key, text in _read_fields(entry)} for entry in entries]
    return [entry.get(2, "") for entry in properties if entry.get(1) == METADATA_KEY]


def name_unreadable(name: object, reason: object) -> ModelError:
    """Make the error for an unreadable file.  name: of the file."""
    return ModelError(f"{name} cannot be read as an ONNX model: {reason}; export it again with yoga-export")


def read_bytes(path: Path) -> bytes:
    """Read a whole model file.  Raises ModelError as `check_file` does."""
    check_file(path)
    return path.read_bytes()


def _read_fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Iterate over the fields of a message: number and bytes of the value (without their length)."""
    position = 0
    while position < len(message):
        start = position
        tag, position = _decode_varint(message, position)
        value = position
        wire_type = tag & 7
        if wire_type == 0:
            _, position = _decode_varint(message, position)
        elif wire_type == 2:
            length, value = _decode_varint(message, position)
            position = value + length
        elif wire_type in (1, 5):
            position += 8 if wire_type == 1 else 4
        else:
            position = len(message) + 1
        if position > len(message) or tag < 8:
            raise ValueError(f"an invalid field at byte {start}")
        yield tag >> 3, message[value:position]


def _decode_varint(data: memoryview, position: int) -> tuple[int, int]:
    """Read a number of seven bits per byte, lowest first.  Returns it and the position after it."""
    number = shift = 0
    while position < len(data) and shift < 70:
        number |= (data[position] & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if data[position - 1] < 0x80:
            return number, position
    raise ValueError("a number that does not end")
