"""Models that are broken in every way: each is refused in one line that names the file, never by a traceback."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("onnx")

from yoga_live.calibration.command import main as calibrate
from yoga_live.calibration.runs import RunPhoto, write_run_photos
from yoga_live.export.command import main as export
from yoga_live.runtime.cli.main import main as live
from yoga_live.runtime.engines.tensorrt_sidecar import record_path

from .broken_models import (
    ANSWERS,
    FAULTS_AT_START,
    LABELS,
    ODD,
    RECORDS,
    REFUSED,
    Change,
    break_maps_alone,
    make_model,
    say,
    set_divisor,
)


def paint(colour: Any) -> np.ndarray:
    """A picture of one colour, brighter to the right."""
    return (np.linspace(0.5, 1, 50)[None, :, None] * np.array(colour) * np.ones((40, 1, 1))).astype(np.uint8)


@pytest.fixture
def broken(tmp_path: Path) -> Callable[[Change], Path]:
    def write(change: Change) -> Path:
        model = make_model()
        content = change(model)
        path = tmp_path / "broken.onnx"
        path.write_bytes(content if isinstance(content, bytes) else model.SerializeToString())
        return path

    return write


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "blue.png"
    assert cv2.imwrite(str(path), paint((255, 0, 0)))
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that the model fits: plain colours, four photos of each pose in each split."""
    folder = tmp_path_factory.mktemp("runs") / "colours"
    folder.mkdir()
    rows = []
    for number, (label, colour) in enumerate(zip(LABELS, np.eye(3) * 255, strict=True)):
        for count in range(12):
            place = folder / "photos" / label / f"{count}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(place), paint(colour * (1 - count / 40)))
            digest = hashlib.sha256(place.read_bytes()).hexdigest()
            split = ("train", "validation", "test")[count % 3]
            rows.append(RunPhoto(f"{label}/{count}.png", digest, label, 12 * number + count, split))
    write_run_photos(folder / "photos.csv", rows)
    summary = {
        "labels": LABELS, "arch": "resnet34", "photo_folder": str(folder / "photos"), "config": {"size": 32},
        "metrics": {"test": {"accuracy": 1.0, "photos": 12}, "interrupted": False},
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(summary))
    return folder


def list_commands(model: Path, photo: Path, run: Path) -> Iterator[tuple[Any, ...]]:
    to = model.with_name("to.onnx")
    yield live, "--model", model, "--images", photo
    yield export, "info", model
    yield export, "fp16", model, "--run", run, "--to", to
    yield calibrate, "check", model, "--run", run
    yield calibrate, "confidence", model, "--run", run, "--to", to
    yield calibrate, "int8", model, "--run", run, "--to", to


def test_the_model_is_whole_before_it_is_broken(ask: Any, broken: Any, photo: Path, run: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="confidence draws its diagram with the extra export")
    model = broken(lambda model: None)
    for command in list_commands(model, photo, run):
        answer = ask(*command, *(["--force"] if "--to" in command else []))
        assert answer.code == 0 or "--per-class" in answer.err or "FP16" in answer.err, (command, answer.err)


def test_there_are_many() -> None:
    assert len(REFUSED) + len(ANSWERS) >= 116


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_wrong_in_the_file_is_one_line(ask: Any, broken: Any, photo: Path, run: Path, name: str) -> None:
    if name.startswith("a constant of") and metadata.version("onnxruntime").startswith("1.18."):
        pytest.skip("ONNX Runtime 1.18 leaves a constant out that nothing uses, and never makes room for it")
    model = broken(REFUSED[name])
    for command in list_commands(model, photo, run):
        answer = ask(*command)
        if command[1] == "info" and name in FAULTS_AT_START and answer.code == 0:
            continue  # the graph is well formed; only who runs it sees that it cannot be run
        line = answer.refusal()
        assert "broken.onnx" in line and len(line) < 1000, line
        assert line.isprintable(), line


@pytest.mark.parametrize("name", ANSWERS)
def test_what_goes_wrong_with_a_picture_names_the_model(
    ask: Any, broken: Any, photo: Path, run: Path, name: str
) -> None:
    model = broken(ANSWERS[name])
    for command in list_commands(model, photo, run):
        answer = ask(*command)
        if command[1] != "info":
            assert "nan" not in answer.out.lower()
            answer.refusal()
            is_ours = name in ("NaN", "infinity", "the smallest divisor")
            assert not is_ours or "broken.onnx gives no usable output" in answer.err, answer.err


@pytest.mark.parametrize("name", ODD)
def test_what_some_engines_take_is_one_line_or_does_no_harm(
    ask: Any, broken: Any, photo: Path, run: Path, name: str
) -> None:
    model = broken(ODD[name])
    for command in list_commands(model, photo, run):
        answer = ask(*command)
        if answer.code != 0:
            answer.refusal()


def test_maps_that_are_not_finite_are_refused_where_they_are_shown(
    ask: Any, broken: Any, write_clip: Callable[..., Path], tmp_path: Path
) -> None:
    clip = write_clip(tmp_path / "clip.mp4", [(255, 0, 0)] * 10)
    arguments = ("--video", clip, "--save", tmp_path / "out.mp4", "--explain")
    assert "gives no usable output" in ask(live, "--model", broken(break_maps_alone), *arguments).refusal()


def test_a_video_and_its_page_are_never_told_what_is_no_number(
    ask: Any, broken: Any, write_clip: Callable[..., Path], tmp_path: Path
) -> None:
    clip = write_clip(tmp_path / "clip.mp4", [(255, 0, 0)] * 10)
    model = broken(set_divisor(float("nan")))
    line = ask(live, "--model", model, "--video", clip, "--timeline", tmp_path / "t.json", "--events").refusal()
    assert "broken.onnx gives no usable output" in line
    assert not [path for path in tmp_path.glob("t*.json") if "NaN" in path.read_text()]


@pytest.mark.parametrize("device", ["cpu", "openvino"])
@pytest.mark.parametrize("name", ["empty", "cut at 50%", "no metadata", "metadata twice", "NaN", "infinity", "no maps",
    "weights in /etc/passwd", "size 200000", "lists in lists"])  # fmt: skip
def test_each_engine_refuses_it(ask: Any, broken: Any, photo: Path, device: str, name: str) -> None:
    if device == "openvino":
        pytest.importorskip("openvino")
    model = broken({**REFUSED, **{f"size {size}": say(size=size) for size in (200_000,)}, **ANSWERS}[name])
    answer = ask(live, "--model", model, "--device", device, "--images", photo)
    answer.refusal()
    assert "broken.onnx" in answer.err


@pytest.mark.parametrize("kind", ["a pipe", "a device", "a folder", "nothing"])
def test_what_is_no_file_is_one_line(ask: Any, photo: Path, run: Path, tmp_path: Path, kind: str) -> None:
    model = tmp_path / "broken.onnx"
    if kind == "a pipe":
        os.mkfifo(model)
    elif kind == "a device":
        model.symlink_to("/dev/zero")
    elif kind == "a folder":
        model.mkdir()
    for command in list_commands(model, photo, run):
        assert "broken.onnx" in ask(*command).refusal()


@pytest.mark.parametrize("name", RECORDS)
def test_a_broken_record_of_an_engine_is_one_line(ask: Any, photo: Path, tmp_path: Path, name: str) -> None:
    engine = tmp_path / "yoga.engine"
    engine.write_bytes(b"a plan")
    record_path(engine).write_text(RECORDS[name])
    assert "yoga.engine.json" in ask(live, "--model", engine, "--images", photo).refusal()
    assert "yoga.engine.json" in ask(export, "info", engine).refusal()


def test_a_record_that_is_a_pipe_is_one_line(ask: Any, photo: Path, tmp_path: Path) -> None:
    engine = tmp_path / "yoga.engine"
    engine.write_bytes(b"a plan")
    os.mkfifo(record_path(engine))
    for command in ((live, "--model", engine, "--images", photo), (export, "info", engine)):
        assert "yoga.engine.json" in ask(*command).refusal()
