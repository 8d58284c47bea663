"""What a file says of itself: each kind of pose model, an engine with its JSON, and what is neither."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from yoga_live.calibration.onnx_file import write_model
from yoga_live.export.file_info import format_info, read_file_info
from yoga_live.export.fp16 import convert_to_fp16
from yoga_live.runtime.core.model_metadata import ModelInfo
from yoga_live.runtime.engines.network_hash import hash_network
from yoga_live.runtime.engines.tensorrt_sidecar import EngineRecord, Gpu, record_path
from yoga_live.runtime.errors import ModelError

CALIBRATION = {"ece_after": 0.0186, "accuracy": {"share": 0.96, "photos": 582}, "none_rejected": None}
INFO = ModelInfo(
    ("tree", "warrior_2", "none"), 32, "fp16", 0.75, 0.64, training={"run": "first"}, calibration=CALIBRATION
)
PARAMETERS = 8 * 3 * 9 + 2 * 8 * 8 * 9 + 3 * 8 + 3 * 8 + 3 + 3 + 3  # and mean and deviation


@pytest.fixture
def half_file(make_network: Callable[..., onnx.ModelProto], tmp_path: Path) -> Path:
    write_model(convert_to_fp16(make_network()), INFO, tmp_path / "a.onnx")
    return tmp_path / "a.onnx"


def test_a_model_tells_its_labels_calibration_network_and_checksums(half_file: Path) -> None:
    document = read_file_info(half_file)
    assert json.loads(json.dumps(document)) == document
    content = half_file.read_bytes()
    assert document["file"] == {
        "path": str(half_file),
        "size_mb": round(len(content) / 1e6, 2),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    assert document["model"]["labels"] == ["tree", "warrior_2", "none"]
    assert (document["model"]["precision"], document["model"]["temperature"]) == ("fp16", 0.75)
    assert document["calibration"] == CALIBRATION and document["training"] == {"run": "first"}
    network = document["network"]
    assert network["inputs"] == ["frames uint8 (batch, 32, 32, 3)"]
    assert network["outputs"] == ["logits float (batch, 3)", "maps float (batch, 3, 8, 8)"]
    assert (network["opset"], network["ir_version"], network["nodes"]) == (18, 10, 16)
    assert network["parameters"] == PARAMETERS
    assert network["sha256"] == hash_network(half_file.read_bytes())


def test_scales_and_zero_points_are_no_parameters(exact_int8: onnx.ModelProto, tmp_path: Path) -> None:
    write_model(exact_int8, INFO, tmp_path / "a.onnx")
    assert read_file_info(tmp_path / "a.onnx")["network"]["parameters"] == 6 * 3 + 6 + 3 * 6 + 3 + 3


def test_lines_for_people_hold_every_value(half_file: Path) -> None:
    lines = format_info(read_file_info(half_file))
    text = "\n".join(lines)
    for part in (
        "labels                   tree, warrior_2, none",
        "share 0.96, photos 582",
        "temperature              0.75",
    ):
        assert part in text
    assert "  none_rejected            -" in lines and "calibration" in lines
    assert format_info({"calibration": {}}) == ["calibration", "  none"]
    assert format_info({"a": {"b": True, "c": 21_281_809, "d": 9999}})[1:] == [
        f"  {name:<24} {value}" for name, value in (("b", "True"), ("c", "21,281,809"), ("d", "9999"))
    ]


def write_engine(folder: Path, engine_sha256: str | None = None) -> Path:
    path = folder / "a.engine"
    path.write_bytes(np.arange(200, dtype=np.uint8).tobytes())
    checksum = engine_sha256 or hashlib.sha256(path.read_bytes()).hexdigest()
    record = EngineRecord(INFO, Gpu("Orin", "8.7", 8), "10.3.0", "a.onnx", "f" * 64, checksum, {"workspace_mb": 512})
    record_path(path).write_text(record.to_json())
    return path


def test_an_engine_tells_what_lies_beside_it(tmp_path: Path) -> None:
    document = read_file_info(write_engine(tmp_path))
    assert document["model"]["labels"] == ["tree", "warrior_2", "none"] and document["calibration"] == CALIBRATION
    assert document["engine"]["tensorrt"] == "10.3.0" and "model" not in document["engine"]
    assert "  gpu                      name Orin, compute_capability 8.7, multiprocessors 8" in format_info(document)


def test_an_engine_beside_which_nothing_fitting_lies_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is not the record of"):
        read_file_info(write_engine(tmp_path, engine_sha256="0" * 64))
    for content in ("{", "[]", "{}", '{"model": 3}', '"model"'):
        (tmp_path / "a.engine.json").write_text(content)
        with pytest.raises(ModelError, match=r"a\.engine\.json cannot be read"):
            read_file_info(tmp_path / "a.engine")
    (tmp_path / "a.engine.json").unlink()
    with pytest.raises(ModelError, match=r"a\.engine\.json is missing"):
        read_file_info(tmp_path / "a.engine")
    with pytest.raises(ModelError, match="does not exist"):
        read_file_info(tmp_path / "absent.engine")
