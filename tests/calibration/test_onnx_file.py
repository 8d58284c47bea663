"""Pose models as files: metadata in and out, other files refused on one line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import onnx
import pytest

from yoga_live.calibration.onnx_file import read_model, write_model
from yoga_live.runtime.core.model_metadata import METADATA_KEY, ModelInfo
from yoga_live.runtime.errors import ModelError


def make_model() -> onnx.ModelProto:
    """A graph of one node: enough of a file."""
    x = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    y = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "tiny", [x], [y])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)
    model.metadata_props.add(key="author", value="somebody")
    return model


INFO = ModelInfo(("plank", "\u015bv\u0101n\u0101sana", "none"), 224, temperature=1.25, threshold=0.4, training={"a": 1})


def test_metadata_comes_back_as_it_was_written(tmp_path: Path) -> None:
    write_model(make_model(), INFO, tmp_path / "a.onnx")
    model, info = read_model(tmp_path / "a.onnx")
    assert info == INFO
    assert model.graph == make_model().graph


def test_writing_again_replaces_our_metadata_and_keeps_the_rest(tmp_path: Path) -> None:
    write_model(make_model(), INFO, tmp_path / "a.onnx")
    model, info = read_model(tmp_path / "a.onnx")
    write_model(model, replace(info, threshold=0.7), tmp_path / "b.onnx")
    entries = [(entry.key, entry.value) for entry in onnx.load(tmp_path / "b.onnx").metadata_props]
    assert sorted(key for key, _ in entries) == sorted(["author", METADATA_KEY])
    assert ("author", "somebody") in entries
    assert read_model(tmp_path / "b.onnx")[1].threshold == 0.7 and read_model(tmp_path / "a.onnx")[1].threshold == 0.4


def test_whose_files_the_network_was_traced_from_stays_out_of_the_file(tmp_path: Path) -> None:
    model = make_model()
    for part in (model.graph, model.graph.node[0], model.graph.input[0], model.graph.output[0]):
        part.metadata_props.add(key="stack_trace", value='File "/home/somebody/train.py", line 3')
        part.doc_string = "/home/somebody"
    write_model(model, INFO, tmp_path / "a.onnx")
    assert b"/home" not in (tmp_path / "a.onnx").read_bytes()
    assert read_model(tmp_path / "a.onnx")[0].graph == make_model().graph


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(model: onnx.ModelProto, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    write_model(make_model(), INFO, tmp_path / "a.onnx")
    before = (tmp_path / "a.onnx").read_bytes()
    monkeypatch.setattr(onnx, "save", fail)
    with pytest.raises((OSError, ModelError)):
        write_model(make_model(), replace(INFO, threshold=0.9), tmp_path / "a.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]
    assert (tmp_path / "a.onnx").read_bytes() == before


def test_an_onnx_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    onnx.save(make_model(), tmp_path / "other.onnx")
    with pytest.raises(ModelError, match="not a yoga-live pose model"):
        read_model(tmp_path / "other.onnx")


@pytest.mark.parametrize("content", [b"", b"not protobuf", b"<html>404</html>", b"\x08\x0a" * 40])
def test_what_is_no_onnx_file_is_refused_on_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.onnx").write_bytes(content)
    with pytest.raises(ModelError, match=r"bad\.onnx") as caught:
        read_model(tmp_path / "bad.onnx")
    assert "\n" not in str(caught.value)


def test_a_truncated_model_is_refused(tmp_path: Path) -> None:
    write_model(make_model(), INFO, tmp_path / "a.onnx")
    (tmp_path / "cut.onnx").write_bytes((tmp_path / "a.onnx").read_bytes()[:60])
    with pytest.raises(ModelError, match=r"cut\.onnx"):
        read_model(tmp_path / "cut.onnx")


def test_a_missing_model_is_refused_with_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"does not exist; .*yoga-export"):
        read_model(tmp_path / "absent.onnx")
    with pytest.raises(ModelError):
        read_model(tmp_path)
