"""A run as programs have it after the training: its predictions are those of the exported file."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

from PIL import Image

from yoga_live.calibration.command import main as calibrate
from yoga_live.calibration.runs import Run, load_run
from yoga_live.export import export_onnx
from yoga_live.runtime import ModelError, OptionError, PhotoError, PoseClassifier, Prediction, ProgressUpdate, RunError
from yoga_live.train import FitResult, open_run
from yoga_live.train.predict.confidence import make_model_info, read_model_info, write_model_info

TOLERANCE = 1e-4
"""Of a probability: torch and ONNX Runtime round differently."""


@pytest.fixture
def run_copy(trained_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained_run, tmp_path / "run"))


def assert_same(ours: Prediction, theirs: Prediction) -> None:
    assert (ours.pose, ours.confidence) == (theirs.pose, pytest.approx(theirs.confidence, abs=TOLERANCE))
    assert ours.probabilities == pytest.approx(theirs.probabilities, abs=TOLERANCE)


def test_a_run_is_opened_later(trained_run: Path) -> None:
    stored = json.loads((trained_run / "run.json").read_text())
    run = open_run(str(trained_run))
    assert isinstance(run, FitResult) and run.run == trained_run
    assert (run.accuracy, list(run.labels)) == (stored["metrics"]["test"]["accuracy"], stored["labels"])


def test_a_run_that_learned_nothing_says_so_in_python_and_in_a_notebook(run_copy: Path) -> None:
    assert open_run(run_copy).verdict == ""
    stored = json.loads((run_copy / "run.json").read_text())
    stored["metrics"]["test"] |= {"accuracy": 0.2, "photos": 100, "guess": ["tree", 0.25]}
    (run_copy / "run.json").write_text(json.dumps(stored))
    run = open_run(run_copy)
    assert run.verdict.startswith("nothing was learned that shows: always answering tree is right on 25.0%")
    assert "nothing was learned that shows" in run._repr_html_()


def test_what_is_no_finished_run_is_refused(tmp_path: Path, write_run: Callable[..., Run]) -> None:
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "photos.csv").touch()
    with pytest.raises(RunError, match=r"begun is not a finished run.*if it was stopped, repeat .* with --resume"):
        open_run(tmp_path / "begun")
    with pytest.raises(RunError, match=r"nowhere is not a finished run: run\.json is missing"):
        open_run(tmp_path / "nowhere")
    run = write_run("old", [("a", "tree", "test", [0.1, 0.1, 0.8])])
    with pytest.raises(RunError, match=r"'interval' is missing.*; train it again with this version"):
        open_run(run.folder)


def test_predictions_are_those_of_the_exported_file(
    trained_run: Path, drawn_photos: Path, exported_model: Path
) -> None:
    run, exported = open_run(trained_run), PoseClassifier(exported_model, "cpu")
    paths = sorted(drawn_photos.rglob("*.*"))[::3]
    frames = [cv2.imread(str(path)) for path in paths]
    together = run.predict([frame for frame in frames if frame is not None])
    assert len(together) == len(paths) > 16
    for path, frame, of_many in zip(paths, frames, together, strict=True):
        assert frame is not None
        theirs = exported.classify(frame)
        assert_same(run.predict(frame), theirs)
        assert_same(of_many, theirs)
        if path.suffix == ".png":
            assert_same(run.predict(path), theirs)
            assert_same(run.predict(str(path)), theirs)
            assert_same(run.predict(Image.open(path)), theirs)
    assert len({prediction.pose for prediction in together}) > 2


def test_a_run_is_calibrated_as_its_file_is(run_copy: Path, tmp_path: Path, ask, exported_model: Path) -> None:
    run, told, command = open_run(run_copy), list[ProgressUpdate](), tmp_path / "command.onnx"
    info = run.calibrate(on_progress=told.append)
    assert {update.stage for update in told} >= {"validation photos", "test photos"}
    assert ask(calibrate, "confidence", exported_model, "--run", run_copy, "--to", command).code == 0
    found = PoseClassifier(command, "cpu").info
    assert (found.temperature, found.threshold) == (info.temperature, info.threshold)
    assert found.calibration.keys() == info.calibration.keys() and "ece_after" in info.calibration
    assert read_model_info(load_run(run_copy)) == info


def test_what_a_run_is_calibrated_on_is_checked_first(run_copy: Path) -> None:
    with pytest.raises(OptionError, match="on must be auto, left-out or validation; got 'sources'"):
        open_run(run_copy).calibrate(on="sources")
    with pytest.raises(RunError, match=r"has no left_out\.csv"):
        open_run(run_copy).calibrate(on="left-out")


def test_a_calibrated_run_answers_as_the_file_that_is_exported(
    run_copy: Path, drawn_photos: Path, tmp_path: Path
) -> None:
    run, paths, loaded = open_run(run_copy), sorted(drawn_photos.rglob("*.png"))[::2], load_run(run_copy)
    before = run.predict(paths)
    made = replace(make_model_info(loaded), temperature=3.0, threshold=0.9, calibration={"ece_after": 0.1})
    write_model_info(loaded, made)
    export_onnx(run_copy, tmp_path / "run.onnx")
    exported = PoseClassifier(tmp_path / "run.onnx", "cpu")
    assert (exported.info.temperature, exported.info.threshold) == (3.0, 0.9)
    assert exported.info.calibration == {"ece_after": 0.1} and exported.info.training["arch"] == "resnet18"
    after = open_run(run_copy).predict(paths)
    for path, earlier, prediction in zip(paths, before, after, strict=True):
        frame = cv2.imread(str(path))
        assert frame is not None
        assert_same(prediction, exported.classify(frame))
        assert max(prediction.probabilities.values()) < max(earlier.probabilities.values())
    assert {prediction.pose for prediction in after} != {prediction.pose for prediction in before}


def test_a_calibration_of_other_weights_is_not_used(run_copy: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = load_run(run_copy)
    calibrated = replace(make_model_info(run), temperature=2.0, threshold=0.7, calibration={"ece_after": 0.1})
    write_model_info(run, calibrated)
    assert read_model_info(run) == calibrated and not caplog.text
    stored = json.loads((run_copy / "run.json").read_text()) | {"finished_at": "2031-01-01T00:00:00+00:00"}
    (run_copy / "run.json").write_text(json.dumps(stored))
    resumed = load_run(run_copy)
    assert read_model_info(resumed) == make_model_info(resumed) and "calibrate the run again" in caplog.text
    for text in ("{", '{"format": 99}', "[]"):
        (run_copy / "confidence.json").write_text(text)
        with pytest.raises(RunError, match=r"confidence\.json cannot be read.*; delete it"):
            read_model_info(resumed)


def test_a_list_may_be_mixed_empty_or_made_on_the_way(trained_run: Path, drawn_photos: Path) -> None:
    run, path = open_run(trained_run), drawn_photos / "tree" / "00.png"
    frame = cv2.imread(str(path))
    assert frame is not None
    both = run.predict([path, frame])
    assert_same(both[0], both[1])
    assert_same(both[0], run.predict((path,))[0])
    assert run.predict([]) == [] and len(run.predict(path for _ in range(19))) == 19


def test_an_image_that_cannot_be_read_is_named(trained_run: Path, drawn_photos: Path, tmp_path: Path) -> None:
    run = open_run(trained_run)
    with pytest.raises(PhotoError, match=r"gone\.jpg cannot be read"):
        run.predict([drawn_photos / "tree" / "00.png", tmp_path / "gone.jpg"])
    with pytest.raises(PhotoError, match="tree is a folder"):
        run.predict(drawn_photos / "tree")
    with pytest.raises(ValueError, match="got NoneType"):
        run.predict(None)  # pyright: ignore[reportArgumentType, reportCallIssue]
    with pytest.raises(ValueError, match=r"got shape \(2, 8, 8, 3\)"):
        run.predict(np.zeros((2, 8, 8, 3), np.uint8))


def test_a_run_without_weights_says_so(run_copy: Path) -> None:
    run = open_run(run_copy)
    (run_copy / "weights.safetensors").unlink()
    with pytest.raises(ModelError, match=r"weights\.safetensors is missing"):
        run.predict(np.zeros((8, 8, 3), np.uint8))


def test_torch_is_imported_when_a_prediction_is_asked_for(trained_run: Path) -> None:
    code = f"""
import sys
import numpy as np
from yoga_live.train import open_run
run = open_run({str(trained_run)!r})
print("torch" in sys.modules)
sys.modules["torch"] = None
run.predict(np.zeros((8, 8, 3), np.uint8))
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert answer.stdout.split() == ["False"]
    assert "MissingPackageError: the package 'torch' is not installed" in answer.stderr.splitlines()[-1]
