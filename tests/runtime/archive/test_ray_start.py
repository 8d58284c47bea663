"""A cluster that cannot be had is one true line, and soon."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from yoga_live.runtime.archive import ray_start
from yoga_live.runtime.archive.ray_environment import log_ray_messages
from yoga_live.runtime.archive.ray_start import check_address, choose_store, describe_failure, import_ray, shorten
from yoga_live.runtime.errors import MissingPackageError

SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])


@contextmanager
def serve(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server on this machine that answers one connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            connection, _ = listener.accept()
            with connection:
                answer(connection)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        thread.join(10)


def test_what_answers_as_ray_does_is_taken() -> None:
    heard: list[bytes] = []
    with serve(lambda connection: (heard.append(connection.recv(100)), connection.sendall(SETTINGS))[1]) as address:
        check_address(address)
    assert heard[0].startswith(b"PRI * HTTP/2.0") and heard[0].endswith(SETTINGS)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", b"SSH-2.0-x\r\n", b"\x15\3\1\0\2"])
def test_another_server_is_no_cluster(answer: bytes) -> None:
    with (
        serve(lambda connection: connection.sendall(answer)) as address,
        pytest.raises(ConnectionError, match="is not a Ray cluster"),
    ):
        check_address(address)


def test_a_server_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_start, "CONNECT_S", 0.3)
    started_s = time.monotonic()
    with (
        serve(lambda connection: time.sleep(1)) as address,
        pytest.raises(ConnectionError, match="is not a Ray cluster"),
    ):
        check_address(address)
    assert time.monotonic() - started_s < 5


def test_a_port_where_nobody_listens_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectionError, match=r"nothing answers there \(Connection refused\)"):
        check_address(f"127.0.0.1:{port}")


@pytest.mark.skipif(sys.platform != "linux", reason="Ray uses /dev/shm on Linux alone")
def test_without_shared_memory_the_disk_is_used_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert choose_store(tmp_path) == {} and caplog.text == ""
    assert Path(choose_store(tmp_path / "none")["_plasma_directory"]).is_dir()
    assert "none cannot be written" in caplog.text


def test_why_ray_did_not_start_is_read_in_its_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    logs = tmp_path / "ray" / f"session_2026-11-30_12-56-15_546440_{os.getpid()}" / "logs"
    logs.mkdir(parents=True)
    (logs / "raylet.err").write_text(
        "[2026-11-30 12:56:22,700 I 1 1] (raylet) main.cc:1: started\n"
        "[2026-11-30 12:56:22,712 C 24496 24718] (raylet) dlmalloc.cc:161: create_buffer failed to open file\n",
        encoding="utf-8",
    )
    line = describe_failure("local", Exception("The current node timed out during startup.\nMore."))
    assert line.startswith(
        "Ray cannot start on this machine: The current node timed out during startup. (create_buffer"
    )
    assert f"its logs are in {logs}" in line and "\n" not in line and "ray status" not in line
    for path in logs.iterdir():
        path.unlink()
    logs.rmdir()
    logs.parent.rmdir()
    assert describe_failure("local", OSError(28, "No space left on device", "/tmp/ray")) == (
        "Ray cannot start on this machine: [Errno 28] No space left on device: '/tmp/ray'; without Ray use "
        "yoga-live --video"
    )


def test_a_foreign_message_is_one_line_that_says_something() -> None:
    assert shorten(ValueError("")) == "ValueError" and shorten("\n first \nsecond") == "first"
    assert shorten("Version mismatch:\n  Ray: 2.40\n  Python: 3.12") == "Version mismatch: Ray: 2.40 Python: 3.12"
    assert len(shorten("x" * 5000)) < 310


def test_a_broken_ray_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ray.py").write_text("raise TypeError('Descriptors cannot be created directly.')\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "ray", raising=False)
    with pytest.raises(MissingPackageError, match=r"Ray cannot be imported \(TypeError: Descriptors cannot be created"):
        import_ray()


def test_what_ray_prints_of_a_dead_worker_is_logged_and_stays_off_the_output(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    worker = pytest.importorskip("ray._private.worker", reason='needs Ray: pip install "yoga-live[cluster]"')
    message = {"lines": ["A worker died or was killed, see its logs."], "pid": "raylet", "is_err": False}
    with log_ray_messages(), caplog.at_level("DEBUG"):
        worker.print_to_stdstream(dict(message), ignore_prefix=False)
    assert capfd.readouterr() == ("", "") and "raylet: A worker died" in caplog.text
    worker.print_to_stdstream({**message, "lines": ["Afterwards."]}, ignore_prefix=False)
    assert "Afterwards." in capfd.readouterr().out
