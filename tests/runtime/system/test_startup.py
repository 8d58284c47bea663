"""Ctrl-C while a command still imports its packages ends it as later, with a line and 130."""

import os
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")

START = """
import sys
sys.path.insert(0, sys.argv.pop())
from yoga_live.runtime.system.startup import start
if __name__ == "__main__":
    sys.exit(start("yoga-live", "slow_command"))
"""
SLOW = """
import os, signal
try:
    os.kill(os.getpid(), signal.SIGINT)
    signal.pause()
except BaseException:
    raise ImportError("initialization failed") from None
def main():
    return 0
"""


def run(code: str, tmp_path: Path, *before: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "slow_command.py").write_text(code)
    command = [*before, sys.executable, "-c", START, str(tmp_path)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_ctrl_c_while_packages_are_imported_is_a_line(tmp_path: Path) -> None:
    answer = run(SLOW, tmp_path)
    assert (answer.returncode, answer.stderr) == (130, "\nyoga-live: stopped\n")


def test_a_command_in_the_background_stays_deaf_to_ctrl_c(tmp_path: Path) -> None:
    code = SLOW.replace("    signal.pause()\n", "")
    answer = run(code, tmp_path, "sh", "-c", 'trap "" INT; exec "$@"', "sh")
    assert (answer.returncode, answer.stderr) == (0, "")


@pytest.mark.parametrize("room", ["train", "export", "calibration", "runtime"])
def test_each_command_begins_with_the_handler(room: str, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = import_module(f"yoga_live.{room}.__main__")
    monkeypatch.setattr(sys, "argv", [f"yoga-{room}", "--help"])
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(SystemExit) as end:
            begin.main()
        assert end.value.code == 0 and signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("room", ["train", "export", "calibration", "runtime"])
def test_the_first_module_of_a_command_imports_little(room: str) -> None:
    code = f"import sys, yoga_live.{room}.__main__; print(sum(name.startswith('yoga_live') for name in sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(answer.stdout) <= (10 if room == "train" else 8)  # there a function has the name of a package
