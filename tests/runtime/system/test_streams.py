"""A command whose output is closed or full does its work, or says so in one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from yoga_live.runtime.errors import OutputError
from yoga_live.runtime.system.streams import Steady

needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")

COMMAND = """
import argparse, os, sys
from yoga_live.runtime.system.cli_runner import CommandParser, run_command
from yoga_live.runtime.system.crashes import report_crashes
from yoga_live.runtime.system.progress import track

def work(args):
    with open(args.to, "w") as file:
        numbers = [file.fileno()]
        for _ in track(range(3), "working"):
            print(args.says)
        print("a remark", file=sys.stderr)
        file.write(f"{min(numbers)}")

@report_crashes("yoga-live")
def main(argv=None):
    parser = CommandParser("yoga-live")
    parser.add_argument("to")
    parser.add_argument("--says", default="an answer")
    return run_command("yoga-live", work, parser.parse_args(argv))

sys.exit(main())
"""


def run(tmp_path: Path, redirection: str, *arguments: str) -> tuple[int, str, str, str]:
    """Returns the exit code, what was said on both streams, and what was written."""
    to = tmp_path / "result"
    answer = subprocess.run(
        ["sh", "-c", f'exec "$@" {redirection}', "sh", sys.executable, "-c", COMMAND, *(arguments or (str(to),))],
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.returncode, answer.stdout, answer.stderr, to.read_text() if to.exists() else ""


@needs_full
@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
def test_what_can_t_be_said_on_stderr_ends_no_run(redirection: str, tmp_path: Path) -> None:
    code, said, _, written = run(tmp_path, redirection)
    assert (code, said) == (0, "an answer\n" * 3)
    assert int(written) > 2  # what a library writes to standard error must not land in a result


def test_a_closed_stdout_costs_nothing(tmp_path: Path) -> None:
    code, _, said, written = run(tmp_path, ">&-")
    assert code == 0 and "a remark" in said and "Error" not in said and int(written) > 2


@needs_full
@pytest.mark.parametrize("arguments", [(), ("--help",)])
def test_a_full_stdout_is_named(arguments: tuple[str, ...], tmp_path: Path) -> None:
    code, _, said, _ = run(tmp_path, ">/dev/full", *arguments)
    assert code == 2 and "Exception ignored" not in said
    assert said.splitlines()[-1] == (
        "yoga-live: error: standard output: No space left on device; fix this and try again"
    )


@needs_full
@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
def test_exit_codes_stay_where_the_error_can_t_be_said(redirection: str, tmp_path: Path) -> None:
    assert run(tmp_path, redirection, "--odd")[0] == 2
    assert run(tmp_path, redirection, str(tmp_path / "no" / "folder"))[0] == 2


def test_a_reader_that_has_gone_is_still_a_broken_pipe() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        stream = Steady(pipe, must_arrive=True)
        stream.write("x")
        with pytest.raises(BrokenPipeError):
            stream.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), pipe.fileno())


@needs_full
def test_only_what_must_arrive_is_an_error() -> None:
    for must_arrive in (True, False):
        with Path("/dev/full").open("w") as full:
            stream = Steady(full, must_arrive=must_arrive)
            stream.write("x")
            if must_arrive:
                with pytest.raises(OutputError, match="standard output: No space left"):
                    stream.flush()
            else:
                stream.flush()


@pytest.mark.parametrize(
    "settings",
    [{"PYTHONIOENCODING": "latin-1"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}],
    ids=["latin-1", "C"],
)
def test_what_a_terminal_that_is_not_utf_8_lacks_is_escaped(settings: dict[str, str], tmp_path: Path) -> None:
    answer = subprocess.run(
        [sys.executable, "-c", COMMAND, str(tmp_path / "result"), "--says", "Vṛkṣāsana"],
        capture_output=True,
        env={name: value for name, value in os.environ.items() if name not in ("LANG", "LC_CTYPE")} | settings,
        check=False,
    )
    assert answer.returncode == 0 and b"Error" not in answer.stderr
    assert answer.stdout.count(b"sana\n") == 3 and b"V\\u" in answer.stdout
