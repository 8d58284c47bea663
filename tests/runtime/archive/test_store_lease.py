"""A lease that is renewed is held; one that is not is taken over."""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from yoga_live.runtime.archive import store_lease
from yoga_live.runtime.archive.store_lease import LEASE, hold_lease
from yoga_live.runtime.errors import TakenError


class DictStore(dict[str, bytes]):
    """An object store of this process."""

    def read_many(self, names: list[str]) -> Iterator[bytes | None]:
        yield from (self.get(name) for name in names)

    def write(self, name: str, content: bytes, *, replace: bool = True) -> None:
        self[name] = content

    def remove(self, name: str) -> None:
        self.pop(name, None)

    def __str__(self) -> str:
        return "s3://studio/poses"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_lease, "SETTLE_S", 0.01)


def make_lease(**changes: object) -> bytes:
    lease = {"pid": 7, "host": "another-machine", "since": "2026-11-30 12:00:00", "token": "x", "renewed": 0}
    return json.dumps({**lease, **changes}).encode()


def test_a_lease_is_renewed_while_it_is_held_and_goes_with_its_holder() -> None:
    store = DictStore()
    with hold_lease(store, renew_s=0.01):
        deadline_s = time.monotonic() + 10
        while json.loads(store[LEASE])["renewed"] < 2 and time.monotonic() < deadline_s:
            time.sleep(0.01)
        assert json.loads(store[LEASE])["renewed"] >= 2
    assert not store and not [thread for thread in threading.enumerate() if thread.name == "lease"]


def test_another_machine_that_renews_its_lease_holds_the_place() -> None:
    store = DictStore({LEASE: make_lease()})
    timer = threading.Timer(0.05, store.write, (LEASE, make_lease(renewed=1)))
    timer.start()
    expected = (
        r"another command \(process 7 on another-machine, since 2026-11-30 12:00:00\) is writing s3://studio/poses"
    )
    with pytest.raises(TakenError, match=expected), hold_lease(store, watch_s=10):
        pytest.fail("it is held")
    timer.join()
    assert json.loads(store[LEASE])["host"] == "another-machine"


@pytest.mark.parametrize("content", [make_lease(), b"", b"{", b"[]", b"{}"])
def test_what_nobody_renews_is_taken_over(content: bytes) -> None:
    store = DictStore({LEASE: content})
    with hold_lease(store, watch_s=0.05):
        assert json.loads(store[LEASE])["host"] == socket.gethostname()
    assert not store


def test_a_process_of_this_machine_is_asked_for_at_once() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    store = DictStore({LEASE: make_lease(host=socket.gethostname(), pid=ended.pid)})
    started_s = time.monotonic()
    with hold_lease(store, watch_s=60):
        pass
    assert time.monotonic() - started_s < 10


def test_of_two_that_begin_at_once_the_last_to_write_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_lease, "SETTLE_S", 0.2)
    store = DictStore()
    timer = threading.Timer(0.05, store.write, (LEASE, make_lease(token="y")))
    timer.start()
    with pytest.raises(TakenError, match="another-machine"), hold_lease(store):
        pytest.fail("the other was later")
    timer.join()
