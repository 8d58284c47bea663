"""A place in an object store belongs to one run at a time: a small object says to whom, and is renewed while it does.

Object stores have no locks that die with a process.  Whoever finds a lease of another machine watches whether it is
still being renewed, so that no clocks are compared.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, Protocol

from ..errors import OutputError, TakenError
from ..system.claims import Holder

LEASE = ".yoga-live.lock"
RENEW_S = 15.0
"""How often a lease is renewed."""
WATCH_S = 40.0
"""How long a lease that is not renewed is watched before it is taken over."""
SETTLE_S = 1.0
"""After which time a new lease is read again: of two that begin at once the last one to write has it."""


class LeaseStore(Protocol):
    """What a lease needs of a place."""

    def read_many(self, names: list[str]) -> Iterator[bytes | None]: ...
    def write(self, name: str, content: bytes, *, replace: bool = True) -> None: ...
    def remove(self, name: str) -> None: ...


@contextmanager
def hold_lease(store: LeaseStore, watch_s: float = WATCH_S, renew_s: float = RENEW_S) -> Iterator[None]:
    """Hold a place while the block lasts.  Raises TakenError, which names the holder."""
    _check_free(store, watch_s)
    own = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": f"{datetime.now():%Y-%m-%d %H:%M:%S}",
        "token": secrets.token_hex(8),
    }
    _write(store, own, 0)
    time.sleep(SETTLE_S)
    found = _read(store)
    if not found or found.get("token") != own["token"]:
        raise _taken(store, found)
    ended = threading.Event()
    thread = threading.Thread(target=_renew, args=(store, own, ended, renew_s), name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        with suppress(OutputError):  # what is done is done; an old lease is watched and taken over
            store.remove(LEASE)


def _check_free(store: LeaseStore, watch_s: float) -> None:
    found = _read(store)
    if not found:
        return
    holder = _name_holder(found)
    if holder and not holder.may_be_alive:
        return
    if holder and holder.host == socket.gethostname():
        raise _taken(store, found)
    until_s = time.monotonic() + watch_s
    while time.monotonic() < until_s:
        time.sleep(min(2.0, watch_s / 4))
        now = _read(store)
        if not now:
            return
        if now != found:
            raise _taken(store, now)


def _renew(store: LeaseStore, own: dict[str, Any], ended: threading.Event, renew_s: float) -> None:
    number = 0
    while not ended.wait(renew_s):
        number += 1
        with suppress(OutputError):  # a network that is away for a moment
            _write(store, own, number)


def _write(store: LeaseStore, own: dict[str, Any], number: int) -> None:
    store.write(LEASE, (json.dumps({**own, "renewed": number}) + "\n").encode())


def _read(store: LeaseStore) -> dict[str, Any] | None:
    content = next(iter(store.read_many([LEASE])), None)
    try:
        found = json.loads(content or b"null")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _name_holder(found: dict[str, Any]) -> Holder | None:
    pid, host, since = (found.get(name) for name in ("pid", "host", "since"))
    return Holder(pid, str(host), str(since)) if isinstance(pid, int) else None


def _taken(store: LeaseStore, found: dict[str, Any] | None) -> TakenError:
    holder = _name_holder(found or {})
    told = f"another command ({holder})" if holder else "another command"
    return TakenError(f"{told} is writing {store}; wait for it to end, or give another --to")
