"""`yoga-export engine --people`, and the people finder that runs in what it built."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from yoga_live.export import people_engine
from yoga_live.export.command import main
from yoga_live.export.people_network import prepare_people_network
from yoga_live.runtime.cli.main import main as watch
from yoga_live.runtime.engines.tensorrt_network import TensorRTNetwork
from yoga_live.runtime.errors import ModelError
from yoga_live.runtime.people import PeopleFinder
from yoga_live.runtime.people.decoding import HEADS
from yoga_live.runtime.people.finder import PEOPLE_MODEL, find_engine_path
from yoga_live.runtime.sources.drawn_figure import POSES, draw_figure


@pytest.fixture
def installed(gpu: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A GPU with TensorRT, and a cache folder of one's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for module in ("tensorrt_bindings", "tensorrt", "tensorrt_network"):
        monkeypatch.setattr(f"yoga_live.runtime.engines.{module}.import_bindings", lambda: gpu.bindings)
    return gpu


@pytest.fixture(scope="module")
def built() -> dict[str, bytes]:
    """What the first build wrote; building takes seconds."""
    return {}


@pytest.fixture
def path(installed: Any, ask: Callable[..., Any], built: dict[str, bytes]) -> Path:
    """The engine, built."""
    path = find_engine_path()
    if not built:
        answer = ask(main, "engine", "--people", "--workspace-mb", 64)
        assert answer.code == 0, answer.err
        assert "built for Fake GPU" in answer.out and f"written: {path}" in answer.out
        assert "the engine finds 12 drawn figures where ONNX Runtime finds them" in answer.err
        built |= {file.name: file.read_bytes() for file in path.parent.glob("people*")}
        assert sorted(built) == ["people.engine", "people.engine.json"]
        assert not installed.live and not installed.streams
    path.parent.mkdir(parents=True, exist_ok=True)
    for name, content in built.items():
        path.with_name(name).write_bytes(content)
    return path


def test_the_prepared_network_is_fp16_without_quantisation_and_the_shipped_file_stays() -> None:
    shipped = onnx.load(PEOPLE_MODEL)
    before = shipped.SerializeToString()
    prepared = prepare_people_network(shipped)
    onnx.checker.check_model(prepared, full_check=True)
    assert shipped.SerializeToString() == before
    assert not {node.op_type for node in prepared.graph.node} & {"QuantizeLinear", "DequantizeLinear"}
    floats = {tensor.data_type for tensor in prepared.graph.initializer} - {onnx.TensorProto.INT64}
    assert onnx.TensorProto.INT8 not in floats and onnx.TensorProto.FLOAT16 in floats
    assert [output.name for output in prepared.graph.output] == list(HEADS)


def test_the_finder_in_the_engine_finds_whom_it_finds_on_the_cpu(
    path: Path, installed: Any, ask: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.clear()
    finder, expected = PeopleFinder("tensorrt", 1), PeopleFinder("cpu", 1)
    assert finder.device == "tensorrt" and not caplog.messages
    for pose, size_wh in (("goddess", (640, 360)), ("tree", (360, 640)), ("goddess", (640, 360))):
        frame_bgr = draw_figure(POSES[pose], size_wh)
        one, two = finder.find(frame_bgr), expected.find(frame_bgr)
        assert len(one) == len(two) == 1
        assert np.abs(one.boxes - two.boxes).max() < 3  # pixels of the frame, 2.5 to one of the input
    far = np.pad(draw_figure(POSES["tree"], (320, 180)), ((180, 180), (320, 320), (0, 0)), mode="edge")
    one, two = finder.resize(640).find(far), expected.resize(640).find(far)
    assert len(one) == len(two) == 1 and np.abs(one.boxes - two.boxes).max() < 3
    with pytest.raises(ValueError, match="up to 640 in a TensorRT engine; got 1024"):
        finder.resize(1024)
    finder._network.close()  # type: ignore[attr-defined]
    assert not installed.live and not installed.streams


def test_a_second_build_keeps_it_and_another_file_is_not_overwritten(
    path: Path, installed: Any, ask: Callable[..., Any]
) -> None:
    answer = ask(main, "engine", "--people", "--workspace-mb", 64)
    assert answer.code == 0 and f"kept: {path}" in answer.out and f"written: {path}" not in answer.out
    builds = installed.builds
    path.write_bytes(b"mine")
    line = ask(main, "engine", "--people", "--workspace-mb", 64).refusal()
    assert "people.engine is there already, and not for this GPU, TensorRT" in line and "--force replaces it" in line
    assert "another name" not in line  # there is no other that is looked for
    assert path.read_bytes() == b"mine" and installed.builds == builds


def test_an_engine_that_is_off_is_not_written(installed: Any, ask: Callable[..., Any]) -> None:
    installed.kernel_error = -9.0  # of the first head: nobody is found
    line = ask(main, "engine", "--people").refusal()
    assert "differs from the shipped file" in line and "not written" in line
    assert not list(find_engine_path().parent.glob("people*")) and not installed.live


def test_boxes_elsewhere_are_refused() -> None:
    pytest.importorskip("onnxruntime")
    from yoga_live.runtime.engines.onnxruntime import OnnxNetwork

    class Shifted(OnnxNetwork):
        """Key points and boxes a cell further to the right."""

        def infer_outputs(self, outputs: Any, frames: Any) -> list[Any]:
            return [np.roll(output, 1, axis=3) for output in super().infer_outputs(outputs, frames)]

    with pytest.raises(ModelError, match=r"it finds a box 4\.0 and key points 4\.0 pixels away"):
        people_engine.check_people_network(Shifted(PEOPLE_MODEL, "cpu", 1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--people", "a.onnx"], "leave out a.onnx"),
        (["--people", "--to", "a.engine"], "leave out --to"),
        ([], "give a pose model, .onnx, or --people"),
        (["a.onnx"], "give --to FILE.engine, or --people"),
    ],
)
def test_what_does_not_go_together_is_refused(ask: Callable[..., Any], options: list[str], message: str) -> None:
    answer = ask(main, "engine", *options)
    assert message in answer.refusal() and len(answer.err.splitlines()) == 1


def spoil(path: Path, installed: Any, what: str) -> None:
    record = path.with_name(f"{path.name}.json")
    if what == "missing":
        path.unlink()
    elif what == "damaged":
        path.write_bytes(path.read_bytes()[:-9])
    elif what == "version":
        installed.trt.__version__ = "11.4.0"
    elif what == "gpu":
        installed.name = b"Other GPU\0"
    elif what == "source":
        content = json.loads(record.read_text())
        record.write_text(json.dumps({**content, "source_sha256": "0" * 64}))
    elif what == "record":
        record.write_text("{}")
    elif what == "no record":
        record.unlink()


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("missing", "it has no TensorRT engine"),
        ("damaged", "its checksum differs"),
        ("version", "it was built by TensorRT 10.3.0, and this is 11.4.0"),
        ("gpu", "it was built for Fake GPU"),
        ("source", "it was built from another version of the people finder"),
        ("record", "cannot be read"),
        ("no record", "cannot be read"),
    ],
)
def test_an_engine_that_cannot_be_used_leaves_the_finder_on_the_cpu_with_one_line(
    path: Path, installed: Any, caplog: pytest.LogCaptureFixture, what: str, reason: str
) -> None:
    spoil(path, installed, what)
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        assert PeopleFinder("tensorrt", 1).device == "cpu"
    [line] = caplog.messages
    assert line.startswith("the people finder runs on the CPU: ") and reason in line
    assert "yoga-export engine --people" in line and "\n" not in line


def test_info_says_what_it_is_and_as_a_pose_model_it_is_refused(path: Path, ask: Callable[..., Any]) -> None:
    said = ask(main, "info", path)
    assert said.code == 0 and "people finder" in said.out and "Fake GPU" in said.out and "10.3.0" in said.out, said.err
    assert "not calibrated" not in said.out
    document = json.loads(ask(main, "info", path, "--json").out)
    assert document["network"]["outputs"] == list(HEADS)
    line = ask(watch, "--demo", "--model", path, "--no-window", "--timeline", path.with_name("a.csv")).refusal()
    assert "is an engine of the people finder, not of a pose model" in line
    path.write_bytes(b"other")
    assert "is not the record of people.engine" in ask(main, "info", path).refusal()


def test_frames_that_the_engine_does_not_take_are_refused(path: Path, installed: Any) -> None:
    network = TensorRTNetwork(path.read_bytes(), installed.bindings, "a.engine")
    for shape in ((2, 64, 64, 3), (1, 672, 64, 3), (64, 64, 3)):
        with pytest.raises(ValueError, match=r"a\.engine takes uint8"):
            network.infer_outputs(HEADS, np.zeros(shape, np.uint8))
    network.close()
    with pytest.raises(ValueError, match="closed"):
        network.infer_outputs(HEADS, np.zeros((1, 64, 64, 3), np.uint8))
