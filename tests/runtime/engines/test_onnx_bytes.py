"""An ONNX file read without onnx: the same as onnx reads in it, and one line for what is no ONNX file."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from yoga_live.runtime.classifier import DEFAULT_MODEL
from yoga_live.runtime.core.model_metadata import ModelInfo
from yoga_live.runtime.engines import onnx_bytes
from yoga_live.runtime.engines.onnx_bytes import DROP, hash_network, read_bytes, read_info
from yoga_live.runtime.errors import ModelError

onnx = pytest.importorskip("onnx")


@pytest.mark.parametrize(
    ("schema", "message", "nested"),
    [
        (onnx_bytes._TENSOR, "TensorProto", set()),
        (onnx_bytes._VALUE, "ValueInfoProto", set()),
        (onnx_bytes._ATTRIBUTE, "AttributeProto", {"g", "graphs"}),
        (onnx_bytes._NODE, "NodeProto", {"attribute"}),
        (onnx_bytes._GRAPH, "GraphProto", {"node", "initializer", "input", "output"}),
        (onnx_bytes._FUNCTION, "FunctionProto", {"node", "attribute_proto"}),
    ],
)
def test_numbers_of_the_fields_are_those_of_onnx(schema: dict, message: str, nested: set[str]) -> None:
    names = {field.number: field.name for field in getattr(onnx, message).DESCRIPTOR.fields}
    dropped = {names[number] for number, inner in schema.items() if inner is DROP}
    notes = {"doc_string", "metadata_props", "value_info"} & set(names.values())
    assert dropped == notes | ({"name"} if message == "GraphProto" else set())
    assert {names[number] for number, inner in schema.items() if inner is not DROP} == nested
    model = onnx.ModelProto.DESCRIPTOR.fields_by_name
    kept = ("ir_version", "graph", "opset_import", "functions")
    assert tuple(model[name].number for name in kept) == onnx_bytes._MODEL_KEPT
    assert model["metadata_props"].number == onnx_bytes._METADATA_PROPS


def test_the_checksum_is_of_what_onnx_serialises_without_notes(model_path: Path) -> None:
    """Written out by hand with onnx, as a second opinion."""
    import hashlib

    model = onnx.load(model_path)
    bare = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    bare.graph.CopyFrom(model.graph)
    bare.graph.ClearField("name")
    assert hash_network(read_bytes(model_path)) == hashlib.sha256(bare.SerializeToString()).hexdigest()


def test_metadata_notes_and_the_order_of_fields_change_nothing(model_path: Path) -> None:
    data = model_path.read_bytes()
    expected = hash_network(data)
    model = onnx.load(model_path)
    onnx.helper.set_model_props(model, {"yoga_live": ModelInfo(("a", "b", "c"), 32, temperature=3.0).to_json()})
    model.producer_name, model.doc_string, model.graph.name = "another", "note", "another"
    for part in (*model.graph.node, *model.graph.initializer, *model.graph.input):
        part.doc_string = "note"
        part.metadata_props.add(key="k", value="v")
    model.graph.value_info.append(model.graph.output[0])
    assert hash_network(model.SerializeToString()) == expected
    assert reverse_fields(data) != data and hash_network(reverse_fields(data)) == expected


def reverse_fields(model: bytes) -> bytes:
    """The same model with the last kinds of fields first, in the graph too; each kind stays in its order."""

    def reverse(message: memoryview, inner: int | None) -> bytes:
        fields = []
        for number, whole, value in onnx_bytes._read_fields(message):
            content = reverse(value, None) if number == inner else b""
            head = bytes([number << 3 | 2]) + onnx_bytes._encode_varint(len(content))
            fields.append((number, head + content if number == inner else bytes(whole)))
        return b"".join(whole for _, whole in sorted(fields, key=lambda field: -field[0]))

    return reverse(memoryview(model), 7)


def test_another_weight_name_or_operator_set_changes_it(model_path: Path) -> None:
    seen = {hash_network(read_bytes(model_path))}
    model = onnx.load(model_path)
    model.opset_import[0].version += 1
    seen.add(hash_network(model.SerializeToString()))
    model.graph.node[0].output[0] = model.graph.node[1].input[0] = "renamed"
    seen.add(hash_network(model.SerializeToString()))
    tensor = next(tensor for tensor in model.graph.initializer if tensor.float_data)
    tensor.float_data[0] = np.nextafter(np.float32(tensor.float_data[0]), np.float32(99))
    seen.add(hash_network(model.SerializeToString()))
    assert len(seen) == 4


def test_labels_and_calibration_are_read_without_onnx(write_model: Callable[..., Path], tmp_path: Path) -> None:
    info = ModelInfo(("tree", "śvānāsana", "none"), 32, "fp16", 1.25, 0.4, training={"run": "x" * 300})
    assert read_info(read_bytes(write_model(tmp_path / "a.onnx", info.to_json()))) == info
    assert read_info(read_bytes(DEFAULT_MODEL)).labels[-1] == "none"


def test_onnx_without_our_metadata_is_no_pose_model(write_model: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no pose model of yoga-live"):
        read_info(read_bytes(write_model(tmp_path / "a.onnx", None)))


@pytest.mark.parametrize("content", [b"", b"<html>", b"\x89PNG\r\n\x1a\n", b"\xff" * 40, b"\x00\x00", b"\x0f"])
def test_what_is_no_onnx_file_is_refused_by_name(content: bytes) -> None:
    for read in (hash_network, read_info):
        with pytest.raises(ModelError, match=r"a\.onnx .*ONNX"):
            read(content, Path("a.onnx"))


def test_a_file_cut_anywhere_is_refused_or_another_network(model_path: Path) -> None:
    data = model_path.read_bytes()
    whole = hash_network(data)
    answers = [hash_or_refusal(data[:length]) for length in range(end_of_network(data))]
    assert whole not in answers
    assert sum("can't be read as an ONNX model" in answer for answer in answers) > len(data) / 2


def hash_or_refusal(data: bytes) -> str:
    try:
        return hash_network(data)
    except ModelError as error:
        return str(error)


def end_of_network(data: bytes) -> int:
    """Where the last field ends that counts."""
    position = end = 0
    for number, whole, _ in onnx_bytes._read_fields(memoryview(data)):
        position += len(whole)
        end = position if number in onnx_bytes._MODEL_KEPT else end
    return end


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no\.onnx does not exist"):
        read_bytes(tmp_path / "no.onnx")
