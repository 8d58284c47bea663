"""`yoga-live --video` with many: the model once, every video for itself, none lost because of another."""

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

import pytest

from yoga_live.runtime import classifier as classifier_module
from yoga_live.runtime.sources.video import VideoSource

from ..conftest import assert_refused

pytest.importorskip("onnxruntime")

BLUE, GREEN, RED = (255, 0, 0), (0, 255, 0), (0, 0, 255)  # tree, warrior_2, none
Live = Callable[..., tuple[int, str, str]]


@pytest.fixture
def classes(write_clip: Callable[..., Path], tmp_path: Path) -> Path:
    """A folder with three classes, two of one name, and a file that is no video."""
    folder = tmp_path / "classes"
    for name, colour in (("mon/a.mp4", BLUE), ("tue/a.mp4", GREEN), ("tue/b.mkv", RED)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_clip(folder / name, [RED] * 10 + [colour] * 30, rate=Fraction(10), sound="aac")
    (folder / "notes.txt").write_text("buy a mat")
    return folder


def poses(path: Path) -> set[str]:
    return {line.split(",")[2] for line in path.read_text().splitlines()[1:]}


def list_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_folder_gives_folders(live: Live, classes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []
    real = classifier_module.open_engine
    monkeypatch.setattr(classifier_module, "open_engine", lambda *a: opened.append(a) or real(*a))
    saved, told, drawn = tmp_path / "saved", tmp_path / "told", tmp_path / "drawn" / "deep"
    code, out, err = live("--video", classes, "--save", saved, "--timeline", told, "--summary", drawn)
    assert code == 0 and "Traceback" not in err and len(opened) == 1
    assert list_below(saved) == ["mon/a.mp4", "tue/a.mp4", "tue/b.mp4"]
    assert list_below(told) == ["mon/a.poses.csv", "tue/a.poses.csv", "tue/b.poses.csv"]
    assert list_below(drawn) == ["mon/a.png", "tue/a.png", "tue/b.png"]
    assert poses(told / "mon/a.poses.csv") == {"none", "tree"}
    assert poses(told / "tue/a.poses.csv") == {"none", "warrior_2"}
    with VideoSource(saved / "tue/b.mp4") as video:
        assert len(list(video.frames())) == 40 and video.info.audio_from
    assert "3 of 3 videos, 120 frames" in out and "Tree: once" in out and f"written: 3 files in {saved}" in out
    assert "100%" in err


def test_files_of_one_name_do_not_collide(live: Live, classes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, *_ = live("--video", classes / "mon/a.mp4", classes / "tue/a.mp4", "--timeline", out)
    assert code == 0 and list_below(out) == ["mon/a.mp4.poses.csv", "tue/a.mp4.poses.csv"]


@pytest.mark.parametrize("kind", ["json", "vtt"])
def test_the_timelines_format_is_chosen(live: Live, classes: Path, tmp_path: Path, kind: str) -> None:
    assert live("--video", classes, "--timeline", tmp_path / "out", "--timeline-format", kind)[0] == 0
    assert f"mon/a.poses.{kind}" in list_below(tmp_path / "out")


def test_one_video_goes_into_a_folder_that_is_there(live: Live, classes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    video = classes / "mon/a.mp4"
    assert live("--video", video, "--save", out, "--timeline", out, "--summary", out)[0] == 0
    assert list_below(out) == ["a.mp4", "a.png", "a.poses.csv"]
    assert_refused(live("--video", video, "--timeline", out / "b.csv", "--timeline-format", "vtt"), "--timeline-format")
    assert_refused(live("--video", video, "--save", video.parent, "--force"), "is the input", "itself")


def test_what_can_t_be_written_ends_the_run_with_its_report(live: Live, classes: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "tue").write_text("a file in the place of a folder")
    code, out, err = live("--video", classes, "--summary", tmp_path / "out")
    assert code == 2 and "out/tue" in err.splitlines()[-1] and "Traceback" not in err
    assert "written: " in out and " of 3 videos" in out


def test_a_broken_video_is_a_line_and_the_others_go_on(
    live: Live, classes: Path, write_clip: Callable[..., Path], tmp_path: Path
) -> None:
    (classes / "aaa.mp4").write_text("no video")
    whole = write_clip(tmp_path / "whole.mp4", [BLUE] * 40, rate=Fraction(10), options={"movflags": "+faststart"})
    content = whole.read_bytes()
    (classes / "cut.mkv").write_bytes(content[: content.index(b"mdat") + 8])
    out = tmp_path / "out"
    code, said, err = live("--video", classes, "--timeline", out, "--save", out)
    assert code == 2 and "Traceback" not in err
    assert err.splitlines()[-1] == ("yoga-live: error: 2 of 5 videos could not be read to the end: aaa.mp4, cut.mkv")
    assert sum("cannot open" in line and "aaa.mp4" in line for line in err.splitlines()) == 1
    assert len([name for name in list_below(out) if name.endswith(".mp4")]) == 3 and "3 of 5 videos" in said


def test_taken_outputs_are_refused_before_any_work(live: Live, classes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "tue").mkdir(parents=True)
    (out / "tue" / "b.poses.csv").write_text("mine")
    (out / "tue" / "a.mp4").write_text("mine too")
    answer = live("--video", classes, "--timeline", out, "--save", out)
    assert_refused(answer, "exists already", "1 more")
    assert list_below(out) == ["tue/a.mp4", "tue/b.poses.csv"]
    assert live("--video", classes, "--timeline", out, "--save", out, "--force")[0] == 0
    assert (out / "tue" / "b.poses.csv").read_text().startswith("start_s")


def test_outputs_below_the_folder_are_no_input_of_the_next_run(live: Live, classes: Path) -> None:
    out = classes / "annotated"
    assert live("--video", classes, "--save", out)[0] == 0
    code, said, _ = live("--video", classes, "--save", out, "--force")
    assert code == 0 and "3 of 3 videos" in said


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--save", "a.mp4"], "is one file, but there are several videos"),
        (["--timeline", "a.csv"], "is one file, but there are several videos"),
        (["--window"], "--window"),
        (["--serve", "0"], "--serve"),
        (["--record", "a.mp4"], "--record"),
        (["--table", "a.csv"], "--table"),
        (["--timeline-format", "vtt"], "--timeline FOLDER"),
        (["--from", "5", "--to", "3"], "--from 0:05 is not before --to 0:03"),
        (["--roi", "1,2"], "--roi"),
    ],
    ids=str,
)
def test_what_can_not_be_is_one_line(live: Live, classes: Path, arguments: list[str], part: str) -> None:
    assert_refused(live("--video", classes, *arguments), part)


def test_inputs_that_are_not_there_are_one_line(live: Live, classes: Path, tmp_path: Path) -> None:
    assert_refused(live("--video", tmp_path / "no.mp4", tmp_path / "nor.mp4"), "the video", "no.mp4 does not exist")
    (tmp_path / "empty").mkdir()
    assert_refused(live("--video", tmp_path / "empty"), "has no videos")
    assert_refused(live("--video", classes, "--save", classes), "is the input itself")


def test_a_part_is_cut_from_each(live: Live, classes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, said, _ = live("--video", classes, "--save", out, "--from", "2", "--to", "0:03.5")
    assert code == 0 and "45 frames" in said
    with VideoSource(out / "mon/a.mp4") as video:
        assert len(list(video.frames())) == 15


def test_events_say_of_which_video_they_are(live: Live, classes: Path) -> None:
    code, out, _ = live("--video", classes, "--events")
    events = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [(event["event"], event["video"], event["pose"]) for event in events] == [
        ("begin", "mon/a.mp4", "tree"), ("end", "mon/a.mp4", "tree"),
        ("begin", "tue/a.mp4", "warrior_2"), ("end", "tue/a.mp4", "warrior_2"),
    ]  # fmt: skip


def test_ctrl_c_keeps_what_is_done_and_says_so(
    model_path: Path, write_clip: Callable[..., Path], tmp_path: Path
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    write_clip(folder / "a.mp4", [BLUE] * 20)
    write_clip(folder / "b.mp4", [BLUE] * 250, size_wh=(640, 480))
    write_clip(folder / "c.mp4", [BLUE] * 20)
    command = ["--video", folder, "--model", model_path, "--save", out, "--timeline", out]
    process = subprocess.Popen(
        [sys.executable, "-m", "yoga_live.runtime", *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    deadline_s = time.monotonic() + 60
    while not any(p.stat().st_size for p in out.glob("b.part.mp4")) and time.monotonic() < deadline_s:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    said, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in err
    assert "1 of 3 videos" in said and "(stopped)" in said and f"incomplete: {out / 'b.part.mp4'}" in said
    assert re.search(r"stopped at \d\.\d of 10\.0 s of b\.mp4; 1 of 3 videos not started$", err.strip()), err
    assert list_below(out) == ["a.mp4", "a.poses.csv", "b.part.mp4", "b.poses.part.csv"]
    with VideoSource(out / "b.part.mp4") as video:
        assert 1 <= len(list(video.frames())) < 250


@pytest.mark.parametrize("given", [["."], ["mon", "tue"]], ids=" ".join)
def test_a_folder_that_cannot_be_read_is_a_line_and_the_others_go_on(
    live: Live, classes: Path, tmp_path: Path, plain_rights: None, given: list[str]
) -> None:
    (classes / "tue").chmod(0)
    code, out, err = live("--video", *(classes / name for name in given), "--timeline", tmp_path / "out")
    (classes / "tue").chmod(0o700)
    assert code == 2 and "1 of 1 video" in out and len(list_below(tmp_path / "out")) == 1
    assert err.count("tue cannot be read: Permission denied") == 2 and "Traceback" not in err
    assert err.splitlines()[-1].startswith("yoga-live: error: the folder ")


def test_a_video_that_is_missing_among_others_is_a_line(live: Live, classes: Path, tmp_path: Path) -> None:
    gone = tmp_path / "no folder" / "no.mp4"
    code, out, err = live(gone, classes / "tue/b.mkv")
    assert code == 2 and f"the video {gone} does not exist" in err and "1 of 2 videos, 40 frames" in out
    assert err.splitlines()[-1].startswith("yoga-live: error: 1 of 2 videos could not be read to the end: ")
    assert (classes / "tue" / "b.annotated.mp4").exists() and not gone.parent.exists()
