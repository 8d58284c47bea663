"""The checksum of a network: of its graph and weights alone, and the same for ever."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx

from yoga_live.calibration.onnx_file import read_model, write_model
from yoga_live.runtime.core.model_metadata import ModelInfo
from yoga_live.runtime.engines.network_hash import hash_network
from yoga_live.runtime.engines.onnx_guard import read_bytes
from yoga_live.runtime.errors import MissingPackageError, ModelError

from .hashed_networks import NETWORKS

DIGESTS = {
    "residual": "3e5779e17c3c8adc11788a9685b38679f2b5de1d642dffce4f6bed16a2c29569",
    "half": "8795cdad338596f43d538a09b380b16784e26e624b18dc1f453f8c478c772cf0",
    "int8": "d3a85674bd6afc431d99cbeb76d1f6c60847c2cef90a0f47983a97b34e6f927e",
    "nested": "ba3505ff124fa1e93343eca38c196ef9dd69b2cacd978ccc39f56360f3d2127b",
}
"""Written down once: an engine whose record holds another digest is refused, so these never change."""


@pytest.mark.parametrize("name", NETWORKS)
def test_checksums_in_records_of_engines_that_exist_stay_what_they_are(name: str) -> None:
    assert hash_network(NETWORKS[name]().SerializeToString(), Path("a.onnx")) == DIGESTS[name.partition(",")[0]]


def test_the_checksum_is_of_what_onnx_serialises_without_notes(model_path: Path) -> None:
    """Written out by hand, as a second opinion."""
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


def reverse_fields(content: bytes) -> bytes:
    """The same model with the last kinds of fields first."""
    model, parts = onnx.load_from_string(content), []
    for field, _ in model.ListFields():
        part = onnx.ModelProto()
        part.CopyFrom(model)
        for other, _ in model.ListFields():
            if other.name != field.name:
                part.ClearField(other.name)
        parts.append(part.SerializeToString())
    return b"".join(reversed(parts))


def test_a_field_of_a_model_that_this_onnx_does_not_know_is_no_part_of_its_network(model_path: Path) -> None:
    data = model_path.read_bytes()
    unknown = b"\xf2\x06\x01x"  # field 110: a text
    assert hash_network(data + unknown) == hash_network(data)


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


def test_a_new_temperature_changes_nothing_in_an_exported_model_another_attribute_does(
    exported_model: Path, tmp_path: Path
) -> None:
    model, info = read_model(exported_model)
    expected = hash_network(exported_model.read_bytes())
    write_model(model, replace(info, temperature=3.0, threshold=0.9), tmp_path / "a.onnx")
    assert hash_network((tmp_path / "a.onnx").read_bytes()) == expected
    seen = {expected}
    model.graph.node[-1].name = "other"
    seen.add(hash_network(model.SerializeToString()))
    attribute = next(a for node in model.graph.node for a in node.attribute if a.name == "strides")
    attribute.ints[0] += 1
    seen.add(hash_network(model.SerializeToString()))
    assert len(seen) == 3


@pytest.mark.parametrize("content", [b"", b"<html>", b"\x89PNG\r\n\x1a\n", b"\xff" * 40, b"\x00\x00", b"\x0f"])
def test_what_is_no_onnx_file_is_refused_by_name(content: bytes) -> None:
    with pytest.raises(ModelError, match=r"a\.onnx cannot be read as an ONNX model") as refusal:
        hash_network(content, Path("a.onnx"))
    assert str(refusal.value).isprintable()


def test_a_file_cut_anywhere_is_refused_or_another_network(model_path: Path) -> None:
    data = model_path.read_bytes()
    whole = hash_network(data)
    model = onnx.load_from_string(data)
    model.ClearField("metadata_props")  # the last field of the file, and not of the network
    answers = [hash_or_refusal(data[:length]) for length in range(len(model.SerializeToString()))]
    assert whole not in answers
    assert sum("cannot be read as an ONNX model" in answer for answer in answers) > len(data) / 2


def hash_or_refusal(data: bytes) -> str:
    try:
        return hash_network(data)
    except ModelError as error:
        return str(error)


def test_without_onnx_it_is_named(model_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingPackageError, match=r"was built from yoga\.onnx .* pip install onnx"):
        hash_network(model_path.read_bytes(), "yoga.onnx")
