"""`yoga-live`: outputs whole, bad input one line and exit code 2."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from yoga_live.runtime.cli import main
from yoga_live.runtime.sources.live import LiveSource, ReconnectPolicy
from yoga_live.runtime.sources.video import VideoSource

from ..conftest import assert_refused

BLUE, GREEN, RED = (255, 0, 0), (0, 255, 0), (0, 0, 255)  # tree, warrior_2, none
PROGRAMME = [RED] * 20 + [BLUE] * 40 + [RED] * 30 + [GREEN] * 30

pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.usefixtures("bare_machine")


@pytest.fixture(scope="module")
def clip(write_clip: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve seconds: rest, tree, rest, warrior 2; with sound."""
    path = tmp_path_factory.mktemp("clip") / "class.mp4"
    return write_clip(path, PROGRAMME, rate=Fraction(10), sound="aac", options={"movflags": "+faststart"})


def test_video_gives_annotated_video_and_timeline(live: Callable[..., Any], clip: Path, tmp_path: Path) -> None:
    saved, timeline = tmp_path / "annotated.mp4", tmp_path / "class.csv"
    code, out, err = live("--video", clip, "--save", saved, "--timeline", timeline)
    assert code == 0 and "Traceback" not in err
    with timeline.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["pose"] for row in rows] == ["none", "tree", "none", "warrior_2"]
    assert "Tree" in out and "Warrior 2" in out
    assert f"written: {saved}\n         {timeline}\n" in out
    with VideoSource(saved) as video:
        assert len(list(video.frames())) == len(PROGRAMME) and video.info.audio_from
    assert sorted(p.name for p in tmp_path.iterdir()) == ["annotated.mp4", "class.csv"]


def test_explaining_draws_heat_where_a_pose_is_shown(live: Callable[..., Any], clip: Path, tmp_path: Path) -> None:
    frames = {}
    for name, wish in (("plain", []), ("explained", ["--explain"])):
        assert live("--video", clip, "--save", tmp_path / f"{name}.mp4", "--zoom", "off", *wish)[0] == 0
        with VideoSource(tmp_path / f"{name}.mp4") as video:
            frames[name] = np.array([frame.image_bgr for frame in video.frames()], np.int16)
    apart = np.abs(frames["explained"][:, 4:30, 4:-4] - frames["plain"][:, 4:30, 4:-4]).mean(axis=(1, 2, 3))
    assert len(frames["plain"]) == len(frames["explained"])
    assert apart.max() > 30 and apart.min() < 4  # a pose, and rest


def test_benchmark_measures_a_video_and_keeps_nothing(live: Callable[..., Any], clip: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    code, out, err = live("--benchmark", "--video", clip, "--frames", 20)
    assert code == 0 and "Traceback" not in err
    head, *rows = out.splitlines()
    assert head.startswith("colours.onnx (fp32, 32 px) on cpu; 20 frames of 64 x 48 after 10 warm-up frames")
    names = [row[:15].strip() for row in rows[1:-2]]
    stages = ["decode", "convert", "view", "preprocess", "network", "smoothing", "overlay", "encode"]
    assert names == [*stages, "frame to label", "all"]
    assert "frames a second" in rows[-2]
    assert sorted(tmp_path.rglob("*")) == before


def test_benchmark_draws_its_own_clip(live: Callable[..., Any]) -> None:
    code, out, _ = live("--benchmark", "--frames", 2)
    assert code == 0 and "2 frames of 1280 x 720" in out


def test_benchmark_saves_where_it_is_told(live: Callable[..., Any], clip: Path, tmp_path: Path) -> None:
    saved = tmp_path / "annotated.mp4"
    code, out, _ = live("--benchmark", "--video", clip, "--frames", 20, "--save", saved, "--zoom", "auto")
    assert code == 0 and f"written: {saved}" in out and saved.is_file() and "\nview " in out
    assert_refused(live("--benchmark", "--video", clip, "--save", saved), "exists already")
    assert live("--benchmark", "--video", clip, "--frames", 20, "--save", saved, "--force")[0] == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("--camera", 0),
        ("--demo",),
        ("--timeline", "a.csv"),
        ("--summary", "a.png"),
        ("--events",),
        ("--goal", "tree=3"),
        ("--window",),
        ("--mirror",),
        ("--serve", 0),
    ],
    ids=str,
)
def test_benchmark_refuses_what_it_would_ignore(live: Callable[..., Any], arguments: tuple[object, ...]) -> None:
    assert_refused(live("--benchmark", *arguments), "yoga-live benchmark measures", str(arguments[0]))


def test_benchmark_of_nothing_is_one_line(live: Callable[..., Any], clip: Path, tmp_path: Path) -> None:
    assert_refused(live("--benchmark", "--video", tmp_path / "no.mp4"), "no.mp4 does not exist")
    assert_refused(live("--video", clip, "--frames", 5), "--frames only applies to yoga-live benchmark")


@pytest.mark.parametrize("suffix", [".json", ".vtt"])
def test_timeline_alone_needs_no_window(live: Callable[..., Any], clip: Path, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"class{suffix}"
    code, _, _ = live("--video", clip, "--timeline", path)
    assert code == 0
    text = path.read_text(encoding="utf-8")
    assert text.startswith("WEBVTT") if suffix == ".vtt" else [r["pose"] for r in json.loads(text)][1] == "tree"


def test_forced_output_replaces_what_was_there(live: Callable[..., Any], clip: Path, tmp_path: Path) -> None:
    path = tmp_path / "class.csv"
    path.write_text("old")
    assert live("--video", clip, "--timeline", path, "--force")[0] == 0
    assert path.read_text().startswith("start_s")


def test_nothing_seen_is_said(live: Callable[..., Any], write_clip: Callable[..., Path], tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "empty_room.mp4", [RED] * 20, rate=Fraction(10))
    code, out, _ = live("--video", clip, "--timeline", tmp_path / "a.csv")
    assert code == 0 and "no pose was held" in out


def test_missing_video_is_one_line(live: Callable[..., Any], tmp_path: Path) -> None:
    assert_refused(live("--video", tmp_path / "no.mp4", "--save", tmp_path / "a.mp4"), "no.mp4 does not exist")
    assert_refused(live("--video", tmp_path / "no.mp4"), "no.mp4 does not exist")
    assert list(tmp_path.iterdir()) == []


def test_file_that_is_no_video_is_one_line(live: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("buy a mat")
    assert_refused(live("--video", tmp_path / "notes.mp4", "--save", tmp_path / "a.mp4"), "cannot open", "as a video")


@pytest.mark.parametrize(
    ("roi", "reason"),
    [
        ("1,2,3", "not four numbers"),
        ("0,0,0,20", "is empty"),
        ("-3,0,20,20", "starts outside"),
        ("50,0,20,20", "64 x 48"),
        ("0,0,0.1,0.1", "6 x 5 pixels"),
    ],
)
def test_bad_roi_is_one_line(live: Callable[..., Any], clip: Path, tmp_path: Path, roi: str, reason: str) -> None:
    code, out, err = live("--video", clip, "--save", tmp_path / "a.mp4", f"--roi={roi}")
    assert_refused((code, out, err), "--roi", reason)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "where", [("--zoom", "auto"), ("--zoom", "off"), ("--roi", "0,0,0.5,1"), ("--roi", "8,8,40,40")]
)
def test_class_is_seen_in_every_view(live: Callable[..., Any], clip: Path, tmp_path: Path, where: Any) -> None:
    timeline = tmp_path / "class.csv"
    assert live("--video", clip, "--timeline", timeline, *where)[0] == 0
    with timeline.open() as file:
        assert [row["pose"] for row in csv.DictReader(file)] == ["none", "tree", "none", "warrior_2"]


@pytest.mark.parametrize("content", [None, b"", b"<html>404</html>", b"\x08\x0a\x12" * 99])
def test_unreadable_model_is_one_line(
    live: Callable[..., Any], clip: Path, tmp_path: Path, content: bytes | None
) -> None:
    model = tmp_path / "bad.onnx"
    if content is not None:
        model.write_bytes(content)
    assert_refused(live("--video", clip, "--save", tmp_path / "a.mp4", model=model), "bad.onnx")
    assert not (tmp_path / "a.mp4").exists()


@pytest.mark.parametrize(("option", "name"), [("--save", "a.mp4"), ("--timeline", "a.csv")])
def test_taken_output_is_one_line_and_kept(
    live: Callable[..., Any], clip: Path, tmp_path: Path, option: str, name: str
) -> None:
    (tmp_path / name).write_text("mine")
    assert_refused(live("--video", clip, option, tmp_path / name), "exists already", "--force")
    assert (tmp_path / name).read_text() == "mine"


@pytest.mark.parametrize(("option", "name"), [("--save", "a.avi"), ("--timeline", "a.txt"), ("--save", "a")])
def test_wrong_suffix_is_one_line(live: Callable[..., Any], clip: Path, tmp_path: Path, option: str, name: str) -> None:
    assert_refused(live("--video", clip, option, tmp_path / name), name)


def test_missing_folder_of_an_output_is_one_line(live: Callable[..., Any], clip: Path, tmp_path: Path) -> None:
    assert_refused(live("--video", clip, "--save", tmp_path / "no" / "a.mp4"), "mkdir -p")


def test_what_an_interrupted_run_left_is_never_written_over_while_it_is_read(
    live: Callable[..., Any], write_clip: Callable[..., Path], tmp_path: Path
) -> None:
    clip = write_clip(tmp_path / "class.part.mp4", [BLUE] * 5)
    before = clip.read_bytes()
    for force in ([], ["--force"]):
        answer = live("--video", clip, "--save", tmp_path / "class.mp4", *force)
        assert_refused(answer, f"class.mp4 is written under the name {clip} first, which is the input", "another name")
    assert clip.read_bytes() == before and list(tmp_path.iterdir()) == [clip]


def test_video_is_never_written_over_itself(
    live: Callable[..., Any], write_clip: Callable[..., Path], tmp_path: Path
) -> None:
    clip = write_clip(tmp_path / "class.mp4", [BLUE] * 5)
    before = clip.read_bytes()
    assert_refused(live("--video", clip, "--save", clip, "--force"), "is the input", "itself")
    (tmp_path / "link.mp4").symlink_to(clip)
    assert_refused(live("--video", clip, "--save", tmp_path / "link.mp4", "--force"), "is the input", "itself")
    assert clip.read_bytes() == before


@pytest.mark.parametrize("arguments", [["--timeline"], ["--timeline", "--no-window"]])
def test_missing_camera_is_one_line(live: Callable[..., Any], tmp_path: Path, arguments: list[str]) -> None:
    arguments = [*arguments[:1], str(tmp_path / "a.csv"), *arguments[1:]]
    assert_refused(live("--camera", 97, *arguments), "cannot open camera 97")


def test_missing_display_is_one_line(live: Callable[..., Any], clip: Path) -> None:
    assert_refused(live("--video", clip), "no display found", "--save FILE.mp4")
    assert_refused(live("--video", clip, "--window"), "no display found")


def test_unknown_device_is_one_line(live: Callable[..., Any], clip: Path, tmp_path: Path) -> None:
    answer = live("--video", clip, "--timeline", tmp_path / "a.csv", "--device", "npu")
    assert_refused(answer, "'npu'", "auto, cpu, cuda, tensorrt")


def test_damaged_video_is_reported_after_the_outputs_are_written(
    live: Callable[..., Any], write_clip: Callable[..., Path], tmp_path: Path
) -> None:
    noise = np.random.default_rng(0).integers(0, 60, (40, 48, 64, 3), dtype=np.uint8)
    noise[:, :, :, 0] = 255
    whole = write_clip(tmp_path / "whole.mp4", list(noise), rate=Fraction(10), options={"movflags": "+faststart"})
    content = bytearray(whole.read_bytes())
    content[len(content) * 3 // 4 :] = np.random.default_rng(1).bytes(len(content) - len(content) * 3 // 4)
    (tmp_path / "cut.mp4").write_bytes(content)
    saved, timeline = tmp_path / "a.mp4", tmp_path / "a.json"
    code, out, err = live("--video", tmp_path / "cut.mp4", "--save", saved, "--timeline", timeline)
    assert code == 2 and "is damaged after" in err.splitlines()[-1] and "Traceback" not in err
    assert "tree" in {row["pose"] for row in json.loads(timeline.read_text())}
    with VideoSource(saved) as video:
        assert len(list(video.frames())) >= 25
    assert "written" in out


class DyingCapture:
    """A camera that gives two seconds of blue and is unplugged."""

    rate = Fraction(50)

    def __init__(self) -> None:
        self.left = 100
        self.released = False

    def read(self) -> Any:
        time.sleep(0.02)
        self.left -= 1
        return np.full((48, 64, 3), BLUE, np.uint8) if self.left >= 0 else None

    def release(self) -> None:
        self.released = True


def test_camera_unplugged_keeps_video_and_timeline(
    live: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    capture = DyingCapture()
    patience = ReconnectPolicy(first_wait_s=0.05, give_up_s=0.1)
    source = LiveSource(lambda: capture, "camera 0", patience)
    monkeypatch.setattr("yoga_live.runtime.sources.cameras.open_camera", lambda address, config: source)
    saved, timeline = tmp_path / "a.mp4", tmp_path / "a.json"
    code, _, err = live("--camera", 0, "--save", saved, "--timeline", timeline)
    assert code == 2 and "camera 0 stopped and could not be reopened" in err.splitlines()[-1]
    assert "continuing without a window" in err
    assert json.loads(timeline.read_text())[-1]["pose"] == "tree"
    with VideoSource(saved) as video:
        assert len(list(video.frames())) > 10
    assert capture.released


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_what_is_stopped_is_kept_as_a_part_that_plays(model_path: Path, tmp_path: Path, name: str, code: int) -> None:
    saved, timeline = tmp_path / "demo.mp4", tmp_path / "demo.json"
    arguments = ["--demo", "--model", str(model_path), "--save", str(saved), "--timeline", str(timeline)]
    process = subprocess.Popen(
        [sys.executable, "-m", "yoga_live.runtime", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    deadline_s = time.monotonic() + 60
    while not any(p.stat().st_size for p in tmp_path.glob("demo.part.mp4")) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    process.send_signal(getattr(signal, name))
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "Traceback" not in err and "written" not in out and f"incomplete: {tmp_path / 'demo.part.mp4'}" in out
    stop = re.search(r"^yoga-live: stopped at (\d+\.\d) of 36\.6 s$", err, re.MULTILINE)
    assert stop, err
    with VideoSource(tmp_path / "demo.part.mp4") as video:
        frames = list(video.frames())
    assert 5 <= len(frames) < 900 and float(stop[1]) == pytest.approx(len(frames) / 25, abs=0.1)
    segments = json.loads((tmp_path / "demo.part.json").read_text())
    assert segments[-1]["end_s"] == pytest.approx(len(frames) / 25, abs=0.05)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["demo.part.json", "demo.part.mp4"]


def test_events_are_json_lines_and_nothing_else_on_stdout(live: Callable[..., Any], clip: Path) -> None:
    code, out, err = live("--video", clip, "--events", "--goal", "tree=2")
    assert code == 0 and "Tree" in err
    events = [json.loads(line) for line in out.splitlines()]
    assert [(event["event"], event["pose"]) for event in events] == [
        ("begin", "tree"), ("goal", "tree"), ("end", "tree"), ("begin", "warrior_2"), ("end", "warrior_2"),
    ]  # fmt: skip
    assert events[1]["time_s"] == pytest.approx(events[0]["time_s"] + 2)


def test_a_goal_for_an_unknown_pose_is_one_line(live: Callable[..., Any], clip: Path, tmp_path: Path) -> None:
    assert_refused(live("--video", clip, "--save", tmp_path / "a.mp4", "--goal", "crow=9"), "--goal crow=9", "tree")
    assert list(tmp_path.iterdir()) == []


def test_summary_is_a_picture(live: Callable[..., Any], clip: Path, tmp_path: Path) -> None:
    code, out, _ = live("--video", clip, "--summary", tmp_path / "class.png")
    assert code == 0 and f"written: {tmp_path / 'class.png'}" in out and "Tree: once" in out
    assert (tmp_path / "class.png").read_bytes().startswith(b"\x89PNG")


def test_kill_9_leaves_a_playable_video_and_a_timeline(model_path: Path, tmp_path: Path) -> None:
    saved, timeline = tmp_path / "demo.mp4", tmp_path / "demo.csv"
    arguments = ["--demo", "--model", str(model_path), "--save", str(saved), "--timeline", str(timeline)]
    code = (
        "import sys\nfrom yoga_live.runtime.sinks import timeline\nfrom yoga_live.runtime.cli.main import main\n"
        "timeline.EVERY_S = 0.1\nmain(sys.argv[1:])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    parts = tmp_path / "demo.part.mp4", tmp_path / "demo.part.csv"
    deadline_s = time.monotonic() + 60
    while not all(p.exists() and p.stat().st_size > 50 for p in parts) and time.monotonic() < deadline_s:
        time.sleep(0.02)
    process.kill()
    process.wait()
    with VideoSource(parts[0]) as video:
        assert len(list(video.frames())) >= 5
    assert parts[1].read_text().startswith("start_s,end_s,pose,confidence,side\n0.000,")
    assert not saved.exists() and not timeline.exists()


def test_help_answers_at_once_and_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom yoga_live.runtime.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "print(*({'numpy', 'cv2', 'av', 'PIL', 'onnxruntime', 'torch', 'onnx'} & set(sys.modules)), file=sys.stderr)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stderr.strip() == ""
    assert "--demo" in answer.stdout and "--people all follows each of several" in answer.stdout


def test_module_runs_as_the_command() -> None:
    answer = subprocess.run([sys.executable, "-m", "yoga_live.runtime", "--help"], capture_output=True, text=True)
    assert answer.returncode == 0 and answer.stdout.startswith("usage: yoga-live")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--demo", "--serve"],
        ["--demo", "--serve", "::1:80"],
        ["--demo", "--serve", "99999"],
        ["--camera", "0", "--demo"],
        ["--camera-size", "big", "--demo"],
        ["--video"],
        ["--demo", "--speed", "2"],
    ],
)
def test_wrong_options_end_with_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(arguments)
    assert ended.value.code == 2
    assert "Traceback" not in capsys.readouterr().err
