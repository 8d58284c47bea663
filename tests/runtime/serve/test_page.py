"""`yoga-live --serve`: where it is, what it shows of a run, how it ends."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from yoga_live.runtime.photos.decoding import decode_photo
from yoga_live.runtime.sources.video import VideoSource

from ..conftest import assert_refused

BLUE, RED = (255, 0, 0), (0, 0, 255)  # tree, none

pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.usefixtures("bare_machine")


class Serving:
    """The command with `--serve` in a process of its own."""

    def __init__(self, model_path: Path, *arguments: object) -> None:
        command = [sys.executable, "-m", "yoga_live.runtime", "--model", model_path, *arguments]
        self.process = subprocess.Popen(
            [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stderr
        self.said: list[str] = []
        self.wait_for("live page")
        self.address = self.said[-1].split()[-1]

    def wait_for(self, words: str) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.said.append(line)
            if words in line:
                return
        raise AssertionError("".join(self.said))

    def read_state(self) -> dict[str, Any]:
        """What a viewer is told first, once there is a picture."""
        address = f"http://127.0.0.1:{self.address.split(':')[2]}"  # a machine may have no network
        with urllib.request.urlopen(f"{address}events", timeout=30) as stream:
            states = (json.loads(line[6:]) for line in stream if line.startswith(b'data: {"state"'))
            return next(state for state in states if state["state"] != "waiting")

    def stop(self) -> tuple[int, str, str]:
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out, "".join(self.said) + err


def test_a_served_video_is_shown_in_its_own_time_and_stays_until_it_is_stopped(
    model_path: Path, write_clip: Callable[..., Path], tmp_path: Path
) -> None:
    clip = write_clip(tmp_path / "short.mp4", [RED] * 6 + [BLUE] * 14, rate=Fraction(10))
    timeline = tmp_path / "short.csv"
    started_s = time.monotonic()
    serving = Serving(model_path, "--video", clip, "--serve", 0, "--timeline", timeline)
    assert serving.address.startswith("http://127.0.0.1:") and "for this machine only" in serving.said[-1]
    serving.wait_for("the page stays")
    assert time.monotonic() - started_s > 1.8 and timeline.exists()
    state = serving.read_state()
    assert (state["state"], state["pose"], state["source"]) == ("ended", "tree", "short.mp4")
    code, out, err = serving.stop()
    assert code == 0 and "Tree: once" in out and "Traceback" not in err


@pytest.mark.parametrize("wish", [(), ("--overlay", "corner"), ("--overlay", "below")])
def test_the_picture_has_no_words_on_it_unless_they_are_asked_for(
    model_path: Path, write_clip: Callable[..., Path], tmp_path: Path, wish: tuple[str, ...]
) -> None:
    clip = write_clip(tmp_path / "short.mp4", [BLUE] * 10, rate=Fraction(10), size_wh=(320, 180))
    saved = tmp_path / "a.mp4"
    serving = Serving(model_path, "--video", clip, "--serve", 0, "--save", saved, "--zoom", "off", *wish)
    serving.wait_for("the page stays")
    with urllib.request.urlopen(f"{serving.address}picture", timeout=30) as answer:
        shown = decode_photo(answer.read())
    assert serving.stop()[0] == 0
    assert shown.shape[0] > 180 if "below" in wish else shown.shape == (180, 320, 3)
    with VideoSource(saved) as video:
        file = list(video.frames())[-1].image_bgr
    is_card = {name: bool(image[:30, :90, 2].max() > 150) for name, image in (("page", shown), ("file", file))}
    assert is_card == {"page": "corner" in wish, "file": "below" not in wish}


def test_ctrl_c_ends_a_served_run_at_once(model_path: Path) -> None:
    serving = Serving(model_path, "--demo", "--serve", "127.0.0.1:0")
    assert serving.read_state()["state"] == "watching"
    started_s = time.monotonic()
    code, out, err = serving.stop()
    assert code == 0 and "the page stays" not in err and "Traceback" not in err and re.search(r"\d frames? in ", out)
    assert time.monotonic() - started_s < 10


def test_serving_needs_no_display_and_beyond_this_machine_has_a_token(model_path: Path) -> None:
    serving = Serving(model_path, "--demo", "--serve", "0.0.0.0:0")
    assert "anyone on your network who has this address" in serving.said[-1]
    token = serving.address.rstrip("/").rpartition("/")[2]
    port = serving.address.split(":")[2].partition("/")[0]
    with pytest.raises(urllib.error.HTTPError, match="403") as refused:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10)
    refused.value.close()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{token}/", timeout=10) as page:
        assert b"<title>yoga-live</title>" in page.read()
    assert serving.read_state()["source"] == "demo"
    assert serving.stop()[0] == 0


def test_a_taken_port_is_one_line(live: Callable[..., Any], tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        answer = live("--demo", "--serve", port, "--save", tmp_path / "a.mp4")
    assert_refused(answer, f"cannot listen on --serve 127.0.0.1:{port}", "0 for a free one")
    assert list(tmp_path.iterdir()) == []
