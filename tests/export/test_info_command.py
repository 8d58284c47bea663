"""`yoga-export info`: for people, for programs, without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import onnx
import pytest

from yoga_live.calibration.onnx_file import write_model
from yoga_live.export.command import main
from yoga_live.runtime.core.model_metadata import ModelInfo

INFO = ModelInfo(("tree", "śvānāsana", "none"), 32, training={"run": "first"})


@pytest.fixture
def model_file(make_network, tmp_path: Path) -> Path:
    write_model(make_network(), INFO, tmp_path / "a.onnx")
    return tmp_path / "a.onnx"


def test_people_are_told_what_is_missing_too(ask, model_file: Path) -> None:
    answer = ask(main, "info", model_file)
    assert answer.code == 0 and answer.err == ""
    assert "tree, śvānāsana, none" in answer.out and "opset                    18" in answer.out
    assert f"not calibrated; run: yoga-calibrate confidence {model_file}" in answer.out
    write_model(onnx.load(model_file), replace(INFO, calibration={"ece_after": 0.02}), model_file)
    answer = ask(main, "info", model_file)
    assert "not calibrated" not in answer.out and "ece_after                0.02" in answer.out


def test_programs_get_json_alone(ask, model_file: Path) -> None:
    answer = ask(main, "info", model_file, "--json")
    document = json.loads(answer.out)
    assert document["model"]["labels"][1] == "śvānāsana" and len(document["network"]["sha256"]) == 64


def test_torch_is_not_needed(model_file: Path) -> None:
    code = "import sys; sys.modules['torch'] = sys.modules['onnxscript'] = None; import yoga_live.export.command as c; "
    answer = subprocess.run(
        [sys.executable, "-c", code + "sys.exit(c.main(sys.argv[1:]))", "info", str(model_file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0 and "sha256" in answer.stdout, answer.stderr


def test_what_is_no_pose_model_is_refused_on_one_line(ask, make_network, tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_text("not a model")
    other = make_network()
    del other.metadata_props[:]
    onnx.save(other, tmp_path / "other.onnx")
    reasons = {
        "absent.onnx": "does not exist",
        "bad.onnx": "cannot be read",
        "other.onnx": "not a yoga-live pose model",
    }
    for name, reason in reasons.items():
        for options in ([], ["--json"]):
            answer = ask(main, "info", tmp_path / name, *options)
            assert reason in answer.refusal() and answer.out == "" and len(answer.err.splitlines()) == 1
    assert "absent.engine" in ask(main, "info", tmp_path / "absent.engine").refusal()
    ask(main, "info", tmp_path).refusal()
