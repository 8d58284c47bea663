"""An output belongs to one run at a time, and to nobody once that run has ended, however it ended."""

import contextlib
import errno
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from yoga_live.runtime.errors import OutputError, TakenError
from yoga_live.runtime.system.claims import check_growing_output, claim_outputs, find_holder, name_lock

HOLD = """
import sys
from pathlib import Path
from yoga_live.runtime.system.claims import claim_outputs

with claim_outputs([Path(name) for name in sys.argv[1:]]):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def other_run(*paths: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process that holds the outputs until its input ends."""
    command = [sys.executable, "-c", HOLD, *map(str, paths)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            with contextlib.suppress(BrokenPipeError):
                process.communicate(timeout=30)


def list_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_second_run_is_told_who_has_the_output_and_the_first_leaves_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with other_run(tmp_path / "b.csv", path) as process:
        expected = (
            rf"another command \(process {process.pid} on {socket.gethostname()}, since 20.*\) is writing .*a\.mp4"
        )
        with pytest.raises(TakenError, match=expected), claim_outputs([path], force=True):
            pytest.fail("it was taken twice")
        with pytest.raises(TakenError, match="another command"):
            check_growing_output(path, force=True)
        assert find_holder(tmp_path / "c.mp4") is None
    assert list_names(tmp_path) == []
    with claim_outputs([path]):
        assert list_names(tmp_path) == [".a.mp4.lock"]
        check_growing_output(path)  # what one holds oneself is no hindrance
    assert list_names(tmp_path) == []


def test_a_lock_dies_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with other_run(path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        assert list_names(tmp_path) == [".a.mp4.lock"]
        check_growing_output(path)
        with claim_outputs([path]):
            holder = json.loads(name_lock(path).read_text())
            assert holder["pid"] == os.getpid() and holder["host"] == socket.gethostname()
    assert list_names(tmp_path) == []


def test_of_two_that_want_the_same_in_another_order_one_has_all(tmp_path: Path) -> None:
    a, b = tmp_path / "a.mp4", tmp_path / "b.csv"
    with other_run(a), pytest.raises(TakenError, match=r"a\.mp4"), claim_outputs([b, a]):
        pytest.fail("it was taken twice")
    with claim_outputs([b]):
        pass
    assert list_names(tmp_path) == []


def test_what_exists_is_refused_once_it_is_held_and_a_part_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.mp4").write_text("mine")
    (tmp_path / "b.part.mp4").write_text("left")
    with pytest.raises(OutputError, match="exists already"), claim_outputs([tmp_path / "a.mp4"], grow=True):
        pytest.fail("it exists")
    with caplog.at_level(logging.INFO), claim_outputs([tmp_path / "b.mp4"], grow=True):
        pass
    assert "b.part.mp4 was left by an unfinished command and will be replaced" in caplog.text
    assert list_names(tmp_path) == ["a.mp4", "b.part.mp4"] and (tmp_path / "b.part.mp4").read_text() == "left"


def test_a_part_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.part.mp4").mkdir()
    with pytest.raises(OutputError, match=r"a\.part\.mp4 first, which is a folder"):
        check_growing_output(tmp_path / "a.mp4", force=True)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has locks on all its file systems")
def test_where_there_are_no_locks_the_process_that_lives_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    path = tmp_path / "a.mp4"
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    holder = {"pid": os.getppid(), "host": socket.gethostname(), "since": "2026-11-30 12:00:00"}
    name_lock(path).write_text(json.dumps(holder))
    with pytest.raises(TakenError, match=f"process {os.getppid()}"), claim_outputs([path]):
        pytest.fail("it is held")
    name_lock(path).write_text(json.dumps({**holder, "pid": ended.pid}))
    with claim_outputs([path]):
        assert json.loads(name_lock(path).read_text())["pid"] == os.getpid()
    assert list_names(tmp_path) == []


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}', "null"])
def test_a_lock_that_says_nothing_is_a_lock_all_the_same(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.mp4"
    name_lock(path).write_text(content)
    with claim_outputs([path]):
        pass
    with other_run(path):
        name_lock(path).write_text(content)
        with pytest.raises(TakenError, match=r"^another command is writing"), claim_outputs([path]):
            pytest.fail("it is held")


def test_the_name_that_another_run_grows_under_is_taken_too(tmp_path: Path) -> None:
    """`--save o.mp4` is kept as o.part.mp4 until it is whole; a run with that very output would write into it."""
    with (
        claim_outputs([tmp_path / "o.mp4"], grow=True),
        pytest.raises(TakenError, match="is writing"),
        claim_outputs([tmp_path / "o.part.mp4"], force=True, grow=True),
    ):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_a_named_pipe_in_the_place_of_a_lock_is_refused_and_hangs_nobody(tmp_path: Path) -> None:
    os.mkfifo(name_lock(tmp_path / "o.csv"))
    assert find_holder(tmp_path / "o.csv") is None
    with pytest.raises(OutputError, match="is not a file; remove it"), claim_outputs([tmp_path / "o.csv"]):
        pass


def test_a_full_disk_is_no_other_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", write)
    no_space = pytest.raises(OutputError, match=r"cannot write .*a\.mp4: No space left on device")
    with no_space as told, claim_outputs([tmp_path / "a.mp4"]):
        pytest.fail("it was claimed")
    assert not isinstance(told.value, TakenError) and list_names(tmp_path) == []


def test_a_lock_that_can_only_be_read_and_that_nobody_holds_hinders_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a folder like /tmp, where a lock that another user's run left can be neither written nor removed."""
    path, opens = tmp_path / "a.mp4", os.open
    stale = json.dumps({"pid": 1, "host": socket.gethostname(), "since": "2026-01-01 00:00:00"})
    name_lock(path).write_text(stale)

    def open_as_another_user(name: Path, flags: int, *more: int) -> int:
        if name == name_lock(path) and flags & (os.O_RDWR | os.O_WRONLY):
            raise PermissionError(errno.EACCES, "Permission denied", str(name))
        return opens(name, flags, *more)

    monkeypatch.setattr(os, "open", open_as_another_user)
    with claim_outputs([path]):
        check_growing_output(path)  # as a sink does that opens what was claimed
        assert find_holder(path) is None
        assert name_lock(path).read_text() == stale
