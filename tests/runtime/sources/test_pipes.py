"""A named pipe as a video: it waits with a line, and is watched while it is written."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from yoga_live.runtime.pipelines import annotate

Live = Callable[..., tuple[int, str, str]]


@pytest.fixture
def clip(write_clip: Callable[..., Path], tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip.ts", [(255, 0, 0)] * 50 + [(0, 255, 0)] * 50, sound="aac")


@pytest.fixture
def pipe(clip: Path, tmp_path: Path) -> Iterator[Path]:
    """A pipe that somebody writes the clip to, once."""
    path = tmp_path / "camera.ts"
    os.mkfifo(path)

    def write() -> None:
        with suppress(BrokenPipeError):  # whoever reads may have seen enough
            path.write_bytes(clip.read_bytes())

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    yield path
    writer.join(10)
    assert not writer.is_alive()


@pytest.mark.parametrize("outputs", [("--timeline", "t.csv"), ("--timeline", "t.csv", "--save", "out.mp4")])
def test_a_pipe_is_watched_as_its_file_is(
    live: Live, pipe: Path, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outputs: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = live("--video", pipe, *outputs)
    assert code == 0 and f"waiting until another program writes to {pipe}" in err
    told = (tmp_path / "t.csv").read_text()
    assert live("--video", clip, *(name.replace("t.csv", "w.csv").replace("out", "w") for name in outputs))[0] == 0
    assert told == (tmp_path / "w.csv").read_text()


def test_frames_too_large_to_be_kept_are_one_line(
    live: Live, pipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("yoga_live.runtime.pipelines.recorded_loop.HELD_BYTES", 1000)
    code, _, err = live("--video", pipe, "--save", tmp_path / "out.mp4")
    assert code == 2 and "too large to annotate" in err.splitlines()[-1]


def test_a_part_of_a_pipe_is_refused_before_anybody_waits(live: Live, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "camera.ts")
    code, _, err = live("--video", tmp_path / "camera.ts", "--from", "1", "--timeline", tmp_path / "t.csv")
    assert code == 2 and "can only be read from its start" in err


def test_a_pipe_in_a_list_of_videos_holds_nobody_up_before_its_turn(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "camera.ts")
    assert annotate.read_length_s(tmp_path / "camera.ts") == 0.0
    assert not annotate.is_video(tmp_path / "camera.webp")


def test_ctrl_c_ends_the_waiting(model_path: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "camera.ts")
    command = (sys.executable, "-m", "yoga_live.runtime", "--model", model_path, "--video", tmp_path / "camera.ts")
    arguments = list(map(str, (*command, "--timeline", tmp_path / "t.csv")))
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "waiting until another program" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130


@pytest.mark.parametrize("content", [b"", b"junk" * 500])
def test_a_pipe_without_a_video_in_it_is_opened_once(live: Live, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "camera.mp4"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(content,), daemon=True)
    writer.start()
    code, _, err = live("--video", path, "--timeline", tmp_path / "t.csv")
    assert code == 2 and err.splitlines()[-1].startswith(f"yoga-live: error: cannot open {path} as a video: ")
    writer.join(10)
    assert not writer.is_alive() and not (tmp_path / "t.csv").exists()
