"""An error that nobody foresaw is one line, exit code 70 and a file; --debug prints the traceback of any error."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from yoga_live.runtime.cli import main
from yoga_live.runtime.errors import OptionError, Stopped
from yoga_live.runtime.system.addresses import hide_in_text
from yoga_live.runtime.system.cli_runner import CommandParser, run_command
from yoga_live.runtime.system.crashes import CRASH, KEPT, report_crashes

MAINS = {"runtime": "cli.main", "train": "cli.main"}
"""The rooms whose command is a package."""
SECRET = "rtsp://me:ge heim@192.0.2.1/live?token=geheim"


@pytest.fixture
def crashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that details go to."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "yoga-live" / "crashes"


def fail_with(error: BaseException) -> Callable[..., int]:
    """A command whose body raises."""

    @report_crashes("yoga-live")
    def main(argv: list[str] | None = None) -> int:
        parser = CommandParser("yoga-live")
        parser.add_argument("--camera")

        def run(_: argparse.Namespace) -> None:
            raise error

        return run_command("yoga-live", run, parser.parse_args(argv))

    return main


def test_a_bug_is_one_line_and_a_file_that_holds_what_mends_it(
    crashes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fail_with(ValueError("no such\nthing"))([]) == CRASH == 70
    said = capsys.readouterr().err
    [path] = crashes.iterdir()
    assert said == (
        f"yoga-live: error: unexpected ValueError: no such; the traceback is in {path}; to report it, attach that file "
        "to an issue\n"
    )
    kept = path.read_text(encoding="utf-8")
    assert "ValueError: no such\nthing" in kept and "test_crashes.py" in kept and "\ncommand: yoga-live\n" in kept
    assert re.search(r"^  yoga-live \d", kept, re.MULTILINE) and re.search(r"^  av \d", kept, re.MULTILINE)
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_no_secret_of_an_address_is_told_or_kept(crashes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    error = RuntimeError(f"cannot read {SECRET}, nor http://other:geheim@192.0.2.2/x")
    assert fail_with(error)(["--camera", SECRET]) == CRASH
    said = capsys.readouterr().err
    [path] = crashes.iterdir()
    for text in (said, path.read_text(encoding="utf-8")):
        assert "heim" not in text and "192.0.2.1/live" in text and "192.0.2.2/x" in text


@pytest.mark.parametrize("argument", ["--camera=rtsp://a:b@h/x", "a:b@h/x", "rtsp://a:b@h/x?c=d"])
def test_an_address_is_hidden_however_it_is_given(argument: str) -> None:
    told = hide_in_text(f"[Errno 5] {argument!r}: failed", [argument])
    assert "h/x" in told and "failed" in told and not re.search("a:b|c=d", told)


def test_a_message_is_printed_harmlessly_and_not_at_length(crashes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fail_with(ValueError("\x1b[2J\udcff" + "x" * 10_000))([]) == CRASH
    said = capsys.readouterr().err
    assert "\\x1b[2J\\udcff" in said and len(said.splitlines()) == 1 and len(said) < 1000
    assert "\x1b" not in said


def test_details_that_can_t_be_kept_are_no_further_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert fail_with(ValueError("bug"))([]) == CRASH
    said = capsys.readouterr().err
    assert "ValueError: bug; the traceback could not be saved (" in said and "--debug" in said and said.count("\n") == 1


def test_only_the_newest_files_are_kept(crashes: Path) -> None:
    for number in range(KEPT + 3):
        fail_with(ValueError(f"bug {number}"))([])
    kept = [path.read_text(encoding="utf-8") for path in sorted(crashes.iterdir())]
    assert len(kept) == KEPT and "bug 2\n" not in kept[0] and f"bug {KEPT + 2}" in kept[-1]


@pytest.mark.parametrize(("error", "code"), [(ValueError("bug"), CRASH), (OptionError("say it once"), 2)])
def test_debug_prints_the_traceback_of_any_error_beside_its_line(
    crashes: Path, capsys: pytest.CaptureFixture[str], error: Exception, code: int
) -> None:
    assert fail_with(error)([]) == code
    assert "Traceback" not in capsys.readouterr().err
    assert fail_with(error)(["--debug"]) == code
    said = capsys.readouterr().err
    assert "Traceback (most recent call last):" in said and said.splitlines()[-1].startswith("yoga-live: error: ")


@pytest.mark.parametrize("kind", [OptionError, ValueError])
def test_debug_tells_no_secret_and_steers_no_terminal(
    kind: type[Exception], crashes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    error = kind(f"{SECRET} and a:geheim@h.mp4 are no \x1b[31mfile")
    fail_with(error)(["--debug", "--camera", SECRET])
    said = capsys.readouterr().err
    assert "Traceback" in said and 'test_crashes.py", line' in said and "192.0.2.1/live" in said
    assert "heim" not in said and "\x1b" not in said and "\\x1b[31m" in said


@pytest.mark.parametrize("room", ["runtime", "train", "export", "calibration"])
def test_each_command_foresees_what_its_own_options_raise(
    room: str, crashes: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = importlib.import_module(f"yoga_live.{room}.{MAINS.get(room, 'command')}")

    def fail(_: object) -> None:
        raise ZeroDivisionError("in the options")

    monkeypatch.setattr(command, "parse_args", fail)
    assert command.main([]) == CRASH
    assert re.match(r"yoga-\w+: error: unexpected ZeroDivisionError: in the options; ", capsys.readouterr().err)
    assert len(list(crashes.iterdir())) == 1


def test_a_package_that_can_t_be_loaded_is_named(tmp_path: Path) -> None:
    (tmp_path / "av").mkdir()
    (tmp_path / "av" / "__init__.py").write_text("raise ImportError('libavcodec.so.62: no such file', name='av._core')")
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "yoga_live.runtime", "--video", str(tmp_path / "a.mp4"), "--timeline", "a.csv"]
    (tmp_path / "a.mp4").touch()
    answer = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert answer.returncode == CRASH, answer.stderr
    line = answer.stderr.splitlines()[-1]
    assert "libavcodec.so.62" in line and "the package 'av' is damaged or incompatible with the others" in line
    assert "Traceback" not in answer.stderr


def test_what_ends_a_thread_is_told_on_one_line_and_the_run_goes_on(tmp_path: Path) -> None:
    code = """
import sys, threading
from yoga_live.runtime.system.crashes import report_crashes

@report_crashes("yoga-live")
def main(argv=None):
    thread = threading.Thread(target=lambda: 1 // 0, name="network")
    thread.start()
    thread.join()
    print("on")
    return 0

code = main([])
assert threading.excepthook is threading.__excepthook__
sys.exit(code)
"""
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    answer = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stdout) == (0, "on\n")
    assert re.fullmatch(
        r"yoga-live: error: unexpected error in the thread 'network': ZeroDivisionError: .*\n", answer.stderr
    )


def test_a_signal_after_the_run_keeps_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    def main(_: list[str] | None = None) -> int:
        raise Stopped(signal.SIGTERM)

    assert report_crashes("yoga-live")(main)([]) == 143
    assert capsys.readouterr().err.strip() == "yoga-live: stopped"


def test_a_name_that_is_too_long_is_no_crash(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`Path.is_dir` raises on it, wherever that is asked."""
    assert main.main(["--video", str(tmp_path / ("a" * 300 + ".mp4")), "--no-window"]) == 2
    assert "too long" in capsys.readouterr().err
