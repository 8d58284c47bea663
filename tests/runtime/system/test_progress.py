"""The progress line: a bar on a terminal, a few plain lines in a log."""

import io
import sys
import types
from asyncio import CancelledError

import pytest

from yoga_live.runtime.errors import Stopped
from yoga_live.runtime.system.progress import (
    VIDEO_SECONDS,
    Progress,
    ProgressUpdate,
    announce_torch,
    format_duration,
    is_progress_shown,
    send_progress,
    track,
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0:00"),
        (0, "0:00"),
        (7.4, "0:07"),
        (59.6, "0:59"),
        (600, "10:00"),
        (3599.7, "59:59"),
        (7325, "2:02:05"),
        (29.999_999_9, "0:30"),
    ],
)
def test_durations_read_as_clocks(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_log_gets_whole_lines_without_control_characters() -> None:
    stream = io.StringIO()
    with Progress("fit", 10, "images", stream) as progress:
        for _ in range(10):
            progress.advance(note="loss 0.5")
    text = stream.getvalue()
    assert "\r" not in text and "\x1b" not in text and text.endswith("\n")
    assert "100%" in text and "loss 0.5" in text and len(text.splitlines()) == 1


def test_terminal_gets_one_line_that_is_redrawn_and_ended() -> None:
    stream = Terminal()
    with Progress("fit", 4, "", stream) as progress:
        progress.advance(2)
        progress.advance(2)
    assert stream.getvalue().count("\n") == 1 and stream.getvalue().startswith("\r")
    assert "[########################] 100%" in stream.getvalue()


@pytest.mark.parametrize("note", ["a very long name of a video in a folder of a folder.mp4: warrior_2" * 2, "瑜" * 70])
def test_a_long_line_is_cut_to_the_terminal(monkeypatch: pytest.MonkeyPatch, note: str) -> None:
    for columns in (80, 40):
        monkeypatch.setenv("COLUMNS", str(columns))
        stream = Terminal()
        with Progress("annotating", 4, VIDEO_SECONDS, stream) as progress:
            progress.advance(2, note)
        line = stream.getvalue().rpartition("\x1b[K")[2].rstrip("\n")
        wide = sum(letter == "瑜" for letter in line)
        assert columns - 3 <= len(line) + wide <= columns - 1


def test_unknown_length_counts_without_a_bar() -> None:
    stream = io.StringIO()
    with Progress("watching", None, "s", stream) as progress:
        progress.advance(3)
    assert "watching 3" in stream.getvalue() and "%" not in stream.getvalue()


def test_more_work_than_announced_stays_at_100_percent() -> None:
    stream = io.StringIO()
    with Progress("watching", 2.0, "", stream) as progress:
        progress.advance(5)
    assert "100%" in stream.getvalue() and "0:00 < 0:00" in stream.getvalue()


def test_line_is_finished_when_the_work_breaks() -> None:
    stream = Terminal()
    with pytest.raises(RuntimeError), Progress("fit", 4, "", stream) as progress:
        progress.advance(1)
        raise RuntimeError
    assert stream.getvalue().endswith("\n") and " 25%" in stream.getvalue()


@pytest.mark.parametrize("make_stream", [Terminal, io.StringIO])
@pytest.mark.parametrize("stop", [KeyboardInterrupt, Stopped(15), CancelledError])
def test_nothing_is_drawn_after_ctrl_c(make_stream: type[io.StringIO], stop: type[BaseException]) -> None:
    stream = make_stream()
    with pytest.raises((KeyboardInterrupt, CancelledError)), Progress("fit", 4, "", stream) as progress:
        progress.advance(1)
        before = stream.getvalue()
        raise stop
    assert stream.getvalue()[len(before) :].strip() == ""


def test_track_gives_every_item(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track(iter("abc"), "read", 3)) == ["a", "b", "c"]
    assert "100%" in capsys.readouterr().err


def test_pytorch_is_announced_on_a_terminal_before_it_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    line = "yoga-train: loading PyTorch\n"
    for stream, is_imported, said in ((Terminal(), False, line), (Terminal(), True, ""), (io.StringIO(), False, "")):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stderr", stream)
            patch.setitem(sys.modules, "torch", types.ModuleType("torch") if is_imported else None)  # type: ignore[arg-type]
            announce_torch("yoga-train")
        assert stream.getvalue() == said


def test_a_program_of_its_own_gets_the_progress_and_stderr_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[ProgressUpdate] = []
    with send_progress(seen.append), Progress("fit", 4, "photos") as progress:
        assert not is_progress_shown()
        progress.advance(1)
        progress.advance(2, "loss 0.5")
        progress.say("a line")
    assert seen[-2:] == [
        ProgressUpdate("fit", 3, 4, "photos", "a line"),
        ProgressUpdate("fit", 3, 4, "photos", "loss 0.5"),
    ]
    assert seen[-1].fraction == 0.75 and ProgressUpdate("fit", 9, 4).fraction == 1
    assert ProgressUpdate("fit", 9).fraction is None
    with send_progress(None):
        assert list(track("abc", "read")) == ["a", "b", "c"]
    assert capsys.readouterr().err == "" and is_progress_shown()
    list(track("abc", "read", 3))
    assert "100%" in capsys.readouterr().err


def test_a_receiver_that_raises_ends_the_work_and_is_not_asked_again() -> None:
    asked: list[ProgressUpdate] = []

    def stop(update: ProgressUpdate) -> None:
        asked.append(update)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), send_progress(stop), Progress("fit", 4) as progress:
        progress.say("a line")
    assert len(asked) == 1 and is_progress_shown()
