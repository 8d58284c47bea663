"""Each example does what its docstring says, on a video or a picture that is drawn here.

The notebook has tests of its own, in test_tutorial.py.
"""

from __future__ import annotations

import json
import re
import runpy
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
av = pytest.importorskip("av")
cv2 = pytest.importorskip("cv2")

from yoga_live.runtime import PoseClassifier  # noqa: E402
from yoga_live.runtime.core.types import Segment  # noqa: E402
from yoga_live.runtime.sinks.timeline import write_timeline  # noqa: E402
from yoga_live.runtime.sources.drawn_figure import POSES, draw_figure  # noqa: E402

EXAMPLES = Path(__file__).parent.parent / "examples"
FRAMES = 12
Run = Callable[..., str]


@pytest.fixture
def run_example(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a script with these arguments, as `python examples/NAME` does.  Returns what it prints."""

    def run(name: str, *arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    return run


@pytest.fixture(scope="module")
def class_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """class.mp4: two seconds of the drawn figure as a tree."""
    path = tmp_path_factory.mktemp("classes") / "class.mp4"
    image = draw_figure(POSES["tree"], (320, 240))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=6)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for _ in range(FRAMES):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24")))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_an_example_is_short_says_how_to_run_it_and_is_run_here(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert 15 <= len(text.splitlines()) <= 40
    assert f"python examples/{path.name}" in text.split('"""')[1]
    assert f'run_example("{path.name}"' in Path(__file__).read_text(encoding="utf-8")


def test_webcam_draws_the_pose_on_each_frame_until_q(
    class_video: Path, run_example: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The video is the camera; a machine of tests has no window."""
    shown: list[np.ndarray] = []
    monkeypatch.setattr(cv2, "imshow", lambda _, frame: shown.append(frame))
    monkeypatch.setattr(cv2, "waitKey", lambda _: ord("q") if len(shown) == FRAMES - 2 else -1)
    monkeypatch.setattr(cv2, "destroyAllWindows", lambda: None)
    run_example("webcam.py", class_video)
    assert len(shown) == FRAMES - 2
    assert all((frame[:100] == 255).all(axis=2).sum() > 200 for frame in shown)  # white letters


def test_examples_build_on_the_public_api_alone() -> None:
    for path in EXAMPLES.glob("*.py"):
        imported = re.findall(r"^(?:from|import) (yoga_live\S*)", path.read_text(encoding="utf-8"), re.MULTILINE)
        drawn = {"yoga_live.runtime.sources.drawn_figure"} if path.name == "draw_photos.py" else set[str]()
        assert set(imported) <= {"yoga_live.runtime", *drawn}, path.name  # the notebook and the pages draw it, too


def test_draw_photos_makes_a_folder_for_each_pose_and_new_ones_and_writes_over_nothing(
    run_example: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_example("draw_photos.py", "pictures") == "drawn into pictures: tree, warrior_2, none, new\n"
    counts = {pose: len([*Path("pictures", pose).glob("*.jpg")]) for pose in ("tree", "warrior_2", "none")}
    assert set(counts.values()) == {40} and len([*Path("pictures/new").glob("*/*.jpg")]) == 12
    assert PoseClassifier().classify(cv2.imread("pictures/tree/00.jpg")).pose == "tree"
    with pytest.raises(SystemExit, match="a new folder"):
        run_example("draw_photos.py", "pictures")


def test_webcam_says_that_a_camera_cannot_be_opened(tmp_path: Path, run_example: Run) -> None:
    with pytest.raises(SystemExit, match="cannot be opened"):
        run_example("webcam.py", tmp_path / "missing.mp4")


def test_folder_annotates_each_video_and_goes_on_after_a_broken_one(
    class_video: Path, run_example: Run, tmp_path: Path
) -> None:
    (tmp_path / "classes").mkdir()
    (tmp_path / "classes" / "broken.mp4").write_bytes(b"no video")
    (tmp_path / "classes" / "monday.mp4").write_bytes(class_video.read_bytes())
    (tmp_path / "classes" / "notes.txt").touch()
    said = run_example("folder.py", tmp_path / "classes", tmp_path / "annotated").splitlines()
    assert [line.partition(":")[0] for line in said] == ["broken.mp4", "monday.mp4"]
    assert said[1].startswith("monday.mp4: tree ")
    assert {path.name for path in (tmp_path / "annotated").glob("[!.]*")} == {"monday.mp4", "monday.poses.csv"}


def test_own_smoother_prints_when_the_pose_changes(class_video: Path, run_example: Run) -> None:
    assert run_example("own_smoother.py", class_video).split() == ["0.00", "s", "tree"]


def test_own_smoother_keeps_the_pose_through_one_bad_frame() -> None:
    smoother = runpy.run_path(str(EXAMPLES / "own_smoother.py"))["MedianSmoother"](1.0)
    tree, plank = {"tree": 0.9, "plank": 0.1}, {"tree": 0.1, "plank": 0.9}
    said = [smoother.update(number / 5, row) for number, row in enumerate([tree] * 5 + [plank] + [tree] * 5)]
    assert said == ["tree"] * 11
    assert [smoother.update(3 + number / 5, plank) for number in range(5)] == ["plank"] * 5  # a second later


def test_osc_sink_sends_a_message_for_each_frame(class_video: Path, run_example: Run) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(10)
        said = run_example("osc_sink.py", class_video, "127.0.0.1", listener.getsockname()[1])
        messages = [listener.recv(1024) for _ in range(FRAMES)]
    assert said == f"{FRAMES} messages were sent\n"
    head = b"/yoga/pose\0\0,sff\0\0\0\0"
    assert all(message.startswith(head) and len(message) % 4 == 0 for message in messages)
    assert messages[-1].startswith(head + b"tree\0\0\0\0")
    confidence, hold_s = struct.unpack(">ff", messages[-1][-8:])
    assert 0.5 < confidence <= 1 and 1 < hold_s < 2


def test_osc_sink_says_what_it_needs(tmp_path: Path, run_example: Run) -> None:
    with pytest.raises(SystemExit, match="give CAMERA HOST PORT"):
        run_example("osc_sink.py")
    with pytest.raises(SystemExit, match="cannot be opened"):
        run_example("osc_sink.py", tmp_path / "missing.mp4", "127.0.0.1", 9000)


def test_timelines_in_duckdb_adds_up_the_holds_of_all_videos(run_example: Run, tmp_path: Path) -> None:
    pytest.importorskip("duckdb", reason="duckdb is not installed; only an example uses it")
    (tmp_path / "june").mkdir()
    rest, tree = Segment(0, 5, "none", 0.9), Segment(5, 25, "tree", 0.95)
    write_timeline(tmp_path / "monday.poses.csv", (rest, tree, Segment(30, 40.5, "plank", 0.8)))
    write_timeline(tmp_path / "june" / "tuesday.poses.csv", (tree,))
    write_timeline(tmp_path / "june" / "empty.poses.csv", ())
    rows = [line.split() for line in run_example("timelines_in_duckdb.py", tmp_path).splitlines()[1:]]
    assert rows == [["tree", "2", "2", "40.0", "s", "20.0", "s"], ["plank", "1", "1", "10.5", "s", "10.5", "s"]]


@pytest.mark.parametrize("size_wh", [(640, 480), (1000, 750), (160, 200)])
def test_plain_onnxruntime_predicts_as_the_package_does(
    size_wh: tuple[int, int], run_example: Run, tmp_path: Path
) -> None:
    image = draw_figure(POSES["tree"], size_wh)
    assert cv2.imwrite(str(tmp_path / "photo.png"), image)
    pose, probabilities = run_example("plain_onnxruntime.py", tmp_path / "photo.png").splitlines()
    classifier = PoseClassifier()
    classifier.second_opinion = None  # key points take the people finder, too
    expected = classifier.classify(image)
    assert pose == expected.pose
    assert json.loads(probabilities) == pytest.approx(expected.probabilities, abs=1e-3)
