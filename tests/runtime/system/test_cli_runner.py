"""Bad input is one line and exit code 2; a bug is left to crashes.py."""

import argparse
import errno
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from yoga_live.runtime.errors import OptionError
from yoga_live.runtime.system.cli_runner import CommandParser, HelpFormatter, run_command
from yoga_live.runtime.system.item_failures import attempt


def run(error: BaseException | None) -> int:
    def body(_: argparse.Namespace) -> None:
        if error is not None:
            raise error

    return run_command("yoga-live", body, argparse.Namespace())


@pytest.mark.parametrize(
    "error",
    [
        OptionError("say it once"),
        OSError(errno.ENOSPC, "No space left on device", "a.mp4"),
        ModuleNotFoundError("No module named 'torch'", name="torch"),
    ],
)
def test_what_the_user_can_mend_is_one_line_and_exit_code_2(
    error: BaseException, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(error) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("yoga-live: error: ")


def test_full_disk_names_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    run(OSError(errno.ENOSPC, "No space left on device", "a.mp4"))
    assert "No space left on device (a.mp4)" in capsys.readouterr().err


@pytest.mark.parametrize("error", [ValueError("bug"), ModuleNotFoundError("typo", name="yoga_live.runtime.typo")])
def test_a_bug_is_left_to_crashes(error: Exception) -> None:
    with pytest.raises(type(error)):
        run(error)


def test_ctrl_c_is_130_and_a_good_run_0() -> None:
    assert run(KeyboardInterrupt()) == 130
    assert run(None) == 0


def test_words_of_a_stop_are_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(KeyboardInterrupt("stopped at 3.4 of 8.8 s")) == 130
    assert capsys.readouterr().err == "\nyoga-live: stopped at 3.4 of 8.8 s\n"


def test_termination_ends_like_ctrl_c_with_its_own_code() -> None:
    """In a process of its own: other tests leave threads and handlers of libraries behind."""
    code = (
        "import argparse, signal\nfrom yoga_live.runtime.system.cli_runner import run_command\n"
        "def body(_):\n"
        "    signal.raise_signal(signal.SIGTERM)\n"
        "def body_that_says_more(_):\n"
        "    try:\n        signal.raise_signal(signal.SIGTERM)\n"
        "    except KeyboardInterrupt as error:\n"
        "        raise KeyboardInterrupt('stopped at 3.4 of 8.8 s') from error\n"
        "for each in (body, body_that_says_more):\n"
        "    print(run_command('yoga-live', each, argparse.Namespace()))\n"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stdout) == (0, "143\n143\n"), answer.stderr


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")
@pytest.mark.parametrize("ignored", [False, True])
def test_a_closed_terminal_ends_a_run_unless_nohup_is_before_it(ignored: bool) -> None:
    code = (
        "import os, sys, argparse, signal\nfrom yoga_live.runtime.system.cli_runner import run_command\n"
        f"signal.signal(signal.SIGHUP, signal.SIG_IGN if {ignored} else signal.SIG_DFL)\n"
        "def body(_):\n"
        "    try:\n        os.kill(os.getpid(), signal.SIGHUP)\n        print('on')\n"
        "    finally:\n        print('closed')\n"
        "sys.exit(run_command('yoga-live', body, argparse.Namespace()))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stdout) == ((0, "on\nclosed\n") if ignored else (129, "closed\n"))


@pytest.mark.skipif(not hasattr(os, "forkpty"), reason="this system has no terminals of this kind")
def test_what_is_said_after_the_terminal_has_gone_costs_nothing(tmp_path: Path) -> None:
    code = f"""
import argparse, os, pathlib, signal, sys, time
from yoga_live.runtime.system.cli_runner import CommandParser, HelpFormatter, run_command

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run under nohup

def body(_):
    try:
        print('ready', flush=True)
        for _ in range(300):
            time.sleep(0.1)  # a signal just before one is seen after it
    except KeyboardInterrupt:
        print('a line', flush=True)
        print('another', file=sys.stderr, flush=True)
        pathlib.Path({str(tmp_path / "summary")!r}).write_text('whole')
        raise

child, terminal = os.forkpty()
if not child:
    os._exit(run_command('yoga-live', body, argparse.Namespace()))
assert os.read(terminal, 100).startswith(b'ready')
os.close(terminal)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert answer.stdout == "129\n", answer.stderr
    assert (tmp_path / "summary").read_text() == "whole"


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    code = (
        "import sys, argparse\nfrom yoga_live.runtime.system.cli_runner import run_command\n"
        "sys.exit(run_command('yoga-export', lambda args: print('line\\n' * 100_000), argparse.Namespace()))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"line\n"
        process.stdout.close()
        assert process.stderr is not None and process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.parametrize("is_debug", [False, True])
def test_debug_shows_the_traceback_behind_an_items_row(is_debug: bool, capsys: pytest.CaptureFixture[str]) -> None:
    address = "rtsp://me:ge heim@192.0.2.1/live"

    def classify(_: argparse.Namespace) -> None:
        attempt("odd.jpg", lambda: int(address))
        attempt(address, lambda: 1 // 0)

    assert run_command("yoga-live", classify, argparse.Namespace(debug=is_debug, camera=address)) == 0
    said = capsys.readouterr().err
    assert "odd.jpg: unexpected ValueError" in said and "rtsp://192.0.2.1/live: unexpected ZeroDivisionError" in said
    assert ("Traceback" in said) == is_debug and "heim" not in said


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize(
    "broken", ["ImportError('initialization failed')", "MissingPackageError('no engine is installed')"]
)
def test_a_package_that_was_interrupted_while_it_was_imported_is_not_called_missing(
    number: int, code: int, broken: str
) -> None:
    """What C extensions do: numpy's import turns KeyboardInterrupt into ImportError, without a word of it."""
    program = (
        "import argparse, os, signal, sys\nfrom yoga_live.runtime.errors import MissingPackageError\n"
        "from yoga_live.runtime.system.cli_runner import run_command\n"
        "def body(_):\n"
        f"    try:\n        os.kill(os.getpid(), {int(number)})\n        signal.pause()\n"
        "    except KeyboardInterrupt:\n        pass\n"
        f"    raise {broken}\n"
        "sys.exit(run_command('yoga-live', body, argparse.Namespace()))\n"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stderr.strip()) == (code, "yoga-live: stopped")


def test_a_command_that_has_ended_leaves_no_handler_of_its_own() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert run(OptionError("odd")) == 2
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


MAINS = {
    "yoga-train": "yoga_live.train.cli.main",
    "yoga-export": "yoga_live.export.command",
    "yoga-calibrate": "yoga_live.calibration.command",
    "yoga-live": "yoga_live.runtime.cli.main",
}


@pytest.mark.parametrize("name", MAINS)
def test_each_command_says_its_version(name: str, ask: Callable[..., Any]) -> None:
    answer = ask(import_module(MAINS[name]).main, "--version")
    assert (answer.code, answer.out, answer.err) == (0, f"{name} {version('yoga-live')}\n", "")


@pytest.mark.parametrize("name", MAINS)
def test_help_shows_no_default_that_says_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[argparse.ArgumentParser] = []
    make = CommandParser.__init__

    def note(self: CommandParser, *args: Any, **settings: Any) -> None:
        make(self, *args, **settings)
        made.append(self)

    monkeypatch.setattr(CommandParser, "__init__", note)
    with pytest.raises(SystemExit):
        import_module(MAINS[name]).main(["--help"])
    for subcommand in ("archive", "benchmark", "poses", "cameras") if name == "yoga-live" else ():
        with pytest.raises(SystemExit):
            import_module(MAINS[name]).main([subcommand, "--help"])
    assert made
    for parser in made:
        text = parser.format_help()
        defaults = re.findall(r"\(default:\s+([^)]*)\)", text)
        assert not {"None", "[]", "True", "False", ""} & set(defaults), (parser.prog, defaults)
        assert not re.search(r"\(default:\s*[(\[)]", text), parser.prog


def test_a_size_is_shown_as_it_is_typed() -> None:
    parser = CommandParser("yoga-live", formatter_class=HelpFormatter)
    parser.add_argument("--size", default=(1280, 720), help="of the picture")
    parser.add_argument("--rate", default=0, help="of it")
    assert "(default: 1280x720)" in parser.format_help() and "(default: 0)" in parser.format_help()
