"""Whether Ray can be used, before it tries for minutes; and why it could not, from its own logs."""

from __future__ import annotations

import logging
import os
import re
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

from ..errors import MissingPackageError

LOCAL = "local"
CONNECT_S = 10.0
MOST_LETTERS = 300
HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""What an HTTP/2 client says first (RFC 9113, 3.4), with empty settings: Ray speaks gRPC, and answers with its own."""
SETTINGS = 4

log = logging.getLogger(__name__)


def import_ray() -> Any:
    """Import Ray.  Raises MissingPackageError, also where it is there and broken."""
    try:
        import ray
    except Exception as error:  # a package that does not fit to another raises TypeError, AttributeError, ...
        raise MissingPackageError(
            f"Ray cannot be imported ({type(error).__name__}: {shorten(error)}); "
            'run: pip install --force-reinstall "yoga-live[cluster]"'
        ) from error
    return ray


def choose_store(shared_memory: Path) -> dict[str, str]:
    """Where Ray keeps what workers share: in shared memory, or on the disk where that cannot be written.

    Ray itself looks at how much of it is free only, and waits half a minute for a process that has died of it.
    """
    if sys.platform != "linux" or os.access(shared_memory, os.W_OK):
        return {}
    elsewhere = tempfile.gettempdir()
    log.warning("%s cannot be written; workers share memory through %s, which is slower", shared_memory, elsewhere)
    return {"_plasma_directory": elsewhere}


def check_address(address: str) -> None:
    """Knock first: Ray itself would try for minutes, whatever answers there.  Raises OSError or ValueError."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if address == "auto":
        return
    if not (host and port.isdigit()):
        raise ValueError("it is not an address; give HOST:PORT (as `ray start` prints it), auto, or local")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), CONNECT_S) as connection:
            is_ray = os.environ.get("RAY_USE_TLS") == "1" or _speaks_http2(connection)
    except (OSError, OverflowError) as error:
        raise ConnectionError(f"nothing answers there ({getattr(error, 'strerror', None) or error})") from error
    if not is_ray:
        raise ConnectionError("the server there is not a Ray cluster; give the port that `ray start` printed")


def _speaks_http2(connection: socket.socket) -> bool:
    try:
        connection.sendall(HELLO)
        answer = connection.recv(9)
    except OSError:  # hung up, or silent for CONNECT_S
        return False
    return len(answer) > 3 and answer[3] == SETTINGS


def describe_failure(address: str, error: Exception) -> str:
    """Why Ray could not start or be joined, in one line."""
    if address != LOCAL:
        return f"the Ray cluster {address!r} cannot be used: {shorten(error)}; see `ray status`"
    told, place = _read_logs()
    reason = f"{shorten(error)} ({told})" if told else shorten(error)
    where = f"; its logs are in {place}" if place else ""
    return f"Ray cannot start on this machine: {reason}{where}; without Ray use yoga-live --video"


def _read_logs() -> tuple[str, Path | None]:
    """The last fatal line of the session that this process began, and where its logs lie."""
    asked = os.environ.get("RAY_TMPDIR")
    tops = [asked] if asked else dict.fromkeys([tempfile.gettempdir(), "/tmp"])
    found = [path for top in tops for path in Path(top, "ray").glob(f"session_*_{os.getpid()}")]
    if not found:
        return "", None
    logs = max(found, key=lambda path: path.stat().st_mtime) / "logs"
    for name in ("raylet.err", "raylet.out", "gcs_server.err", "gcs_server.out"):
        try:
            text = (logs / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        if lines := re.findall(r"^\[[^\]]* [CF] [^\]]*\] (?:\(\w+\) )?(?:\S+:\d+: )?(.+)$", text, re.MULTILINE):
            return shorten(lines[-1]), logs
    return "", logs


def shorten(error: BaseException | str) -> str:
    """The first line of a foreign message that says something, with the rest where it only introduces it."""
    lines = [" ".join(line.split()) for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    text = " ".join(lines) if lines[0].endswith(":") else lines[0]
    return text if len(text) <= MOST_LETTERS else f"{text[:MOST_LETTERS]}..."
