"""Checksums of a network: the same for the same answers, another for other weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from yoga_live.calibration.onnx_file import read_model, write_model
from yoga_live.export.checksums import hash_network


@pytest.fixture
def model(exported_model: Path) -> onnx.ModelProto:
    return onnx.load(exported_model)


def test_a_new_temperature_or_a_note_changes_nothing(exported_model: Path, tmp_path: Path) -> None:
    model, info = read_model(exported_model)
    expected = hash_network(model)
    write_model(model, replace(info, temperature=3.0, threshold=0.9), tmp_path / "a.onnx")
    other = onnx.load(tmp_path / "a.onnx")
    other.producer_name, other.producer_version, other.doc_string, other.graph.name = "x", "y", "z", "w"
    for node in other.graph.node:
        node.doc_string = "seen"
        node.metadata_props.add(key="k", value="v")
    assert len(other.graph.value_info) > 0
    del other.graph.value_info[:]
    assert hash_network(other) == expected
    assert len(expected) == 64 and int(expected, 16) >= 0


def test_the_model_itself_is_left_as_it_was(model: onnx.ModelProto) -> None:
    before = model.SerializeToString(deterministic=True)
    hash_network(model)
    assert model.SerializeToString(deterministic=True) == before


def test_one_other_weight_gives_another_checksum(model: onnx.ModelProto) -> None:
    before = hash_network(model)
    tensor = model.graph.initializer[0]
    values = numpy_helper.to_array(tensor).copy()
    values.flat[0] = np.nextafter(values.flat[0], np.float32(np.inf))
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    assert hash_network(model) != before


def test_another_attribute_operator_set_or_name_gives_another_checksum(model: onnx.ModelProto) -> None:
    seen = {hash_network(model)}
    model.graph.node[-1].name = "other"
    seen.add(hash_network(model))
    attribute = next(a for node in model.graph.node for a in node.attribute if a.name == "strides")
    attribute.ints[0] += 1
    seen.add(hash_network(model))
    model.opset_import[0].version += 1
    seen.add(hash_network(model))
    assert len(seen) == 4


def test_notes_in_the_body_of_a_branch_change_nothing() -> None:
    def build(note: str) -> onnx.ModelProto:
        y = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
        zero = onnx.helper.make_node("Constant", [], ["y"], value_floats=[0.0], doc_string=note)
        body = onnx.helper.make_graph([zero], note, [], [y])
        node = onnx.helper.make_node("If", ["c"], ["y"], then_branch=body, else_branch=body)
        c = onnx.helper.make_tensor_value_info("c", onnx.TensorProto.BOOL, [])
        graph = onnx.helper.make_graph([node], "tiny", [c], [y])
        return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)])

    assert hash_network(build("a")) == hash_network(build("b"))
