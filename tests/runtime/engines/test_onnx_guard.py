"""An ONNX file before any engine opens it: read as onnx reads it, and one line for what is no such file."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from yoga_live.runtime.classifier import DEFAULT_MODEL
from yoga_live.runtime.core.model_metadata import ModelInfo
from yoga_live.runtime.engines import onnx_guard
from yoga_live.runtime.engines.onnx_guard import check_file, read_bytes, read_info
from yoga_live.runtime.errors import ModelError

onnx = pytest.importorskip("onnx")


def list_tensor_fields(message: Any, seen: tuple[str, ...] = ()) -> Iterator[tuple[str, int]]:
    """Every message that a model can hold tensors in, and the numbers of the fields that lead to them."""
    for field in message.fields:
        inner = field.message_type
        if inner is not None and (inner.full_name in seen or leads_to_tensor(inner)):
            yield message.name, field.number
            if inner.full_name not in (*seen, message.full_name) and inner.name != "TensorProto":
                yield from list_tensor_fields(inner, (*seen, message.full_name))


def leads_to_tensor(message: Any, seen: tuple[str, ...] = ()) -> bool:
    inners = [field.message_type for field in message.fields if field.message_type is not None]
    return message.name == "TensorProto" or any(
        leads_to_tensor(inner, (*seen, message.full_name)) for inner in inners if inner.full_name not in seen
    )


def test_every_field_where_onnx_may_keep_a_tensor_is_looked_into() -> None:
    schemas = {
        "ModelProto": onnx_guard._MODEL_TENSORS,
        "GraphProto": onnx_guard._GRAPH_TENSORS,
        "NodeProto": onnx_guard._NODE_TENSORS,
        "AttributeProto": onnx_guard._ATTRIBUTE_TENSORS,
        "FunctionProto": onnx_guard._FUNCTION_TENSORS,
        "TrainingInfoProto": onnx_guard._TRAINING,
        "SparseTensorProto": onnx_guard._SPARSE,
    }
    expected = {(name, number) for name, schema in schemas.items() for number in schema}
    assert set(list_tensor_fields(onnx.ModelProto.DESCRIPTOR)) == expected
    model = onnx.ModelProto.DESCRIPTOR.fields_by_name
    assert model["metadata_props"].number == onnx_guard._METADATA_PROPS
    tensor = onnx.TensorProto.DESCRIPTOR.fields_by_name
    assert tensor["data_location"].number == onnx_guard._DATA_LOCATION


@pytest.mark.parametrize("place", ["initializer", "attribute", "body", "sparse", "function"])
def test_weights_beside_the_file_are_refused_wherever_a_model_names_them(
    model_path: Path, tmp_path: Path, place: str
) -> None:
    """Today's ONNX Runtime and OpenVINO read them from the model's folder, older ones from any."""
    outside = onnx.TensorProto(name="w", data_type=onnx.TensorProto.FLOAT, dims=[1])
    outside.data_location = onnx.TensorProto.EXTERNAL
    outside.external_data.add(key="location", value="weights.bin")
    node = onnx.helper.make_node("Constant", [], ["w"], value=outside)
    model = onnx.load(model_path)
    if place == "initializer":
        model.graph.initializer.append(outside)
    elif place == "attribute":
        model.graph.node.append(node)
    elif place == "body":
        body = onnx.helper.make_graph([node], "body", [], [])
        model.graph.node.append(onnx.helper.make_node("If", ["c"], [], then_branch=body, else_branch=body))
    elif place == "sparse":
        model.graph.sparse_initializer.add().values.CopyFrom(outside)
    else:
        model.functions.add().node.append(node)
    path = tmp_path / "a.onnx"
    path.write_bytes(model.SerializeToString())
    (tmp_path / "weights.bin").write_bytes(np.array([16], np.float32).tobytes())
    with pytest.raises(ModelError, match=r"a\.onnx .* it keeps weights in another file"):
        check_file(path)


def test_labels_and_calibration_are_read_without_onnx(write_model: Callable[..., Path], tmp_path: Path) -> None:
    info = ModelInfo(("tree", "śvānāsana", "none"), 32, "fp16", 1.25, 0.4, training={"run": "x" * 300})
    assert read_info(read_bytes(write_model(tmp_path / "a.onnx", info.to_json()))) == info
    assert read_info(read_bytes(DEFAULT_MODEL)).labels[-1] == "none"


def test_onnx_without_our_metadata_is_no_pose_model(write_model: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not a yoga-live pose model"):
        read_info(read_bytes(write_model(tmp_path / "a.onnx", None)))


@pytest.mark.parametrize("content", [b"", b"<html>", b"\x89PNG\r\n\x1a\n", b"\xff" * 40, b"\x00\x00", b"\x0f"])
def test_what_is_no_onnx_file_is_refused_by_name(content: bytes) -> None:
    with pytest.raises(ModelError, match=r"a\.onnx .*ONNX"):
        read_info(content, Path("a.onnx"))


def test_a_model_without_permission_is_not_called_damaged(plain_rights: None, tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(b"x")
    path.chmod(0)
    with pytest.raises(ModelError, match=r"^cannot read the model .*a\.onnx: Permission denied$"):
        read_bytes(path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no\.onnx does not exist"):
        read_bytes(tmp_path / "no.onnx")
