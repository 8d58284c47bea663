"""Bad input is one line and exit code 2; a bug stays a traceback."""

import argparse
import errno
import os
import signal
import subprocess
import sys

import pytest

from yoga_live.runtime.command_line import run_command
from yoga_live.runtime.errors import OptionError


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
def test_bug_stays_a_traceback(error: Exception) -> None:
    with pytest.raises(type(error)):
        run(error)


def test_ctrl_c_is_130_and_a_good_run_0() -> None:
    assert run(KeyboardInterrupt()) == 130
    assert run(None) == 0


def test_termination_ends_like_ctrl_c() -> None:
    def body(_: argparse.Namespace) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    try:
        assert run_command("yoga-live", body, argparse.Namespace()) == 130
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    code = (
        "import sys, argparse\nfrom yoga_live.runtime.command_line import run_command\n"
        "sys.exit(run_command('yoga-export', lambda args: print('line\\n' * 100_000), argparse.Namespace()))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"line\n"
        process.stdout.close()
        assert process.stderr is not None and process.stderr.read() == b""
    assert process.returncode == 141
