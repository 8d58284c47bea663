"""Workers hear why another ends, and notice one that falls silent.  Two watches in this process share a real store."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from torch import distributed

from yoga_live.train.distributed import heartbeat
from yoga_live.train.distributed.heartbeat import Heartbeat

NAMES = ("worker 0 on left", "worker 1 on right")


@pytest.fixture
def stores() -> tuple[distributed.TCPStore, distributed.TCPStore]:
    host = distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    return host, distributed.TCPStore("127.0.0.1", host.port, is_master=False, wait_for_workers=False)


@pytest.fixture
def pair(
    stores: tuple[distributed.TCPStore, distributed.TCPStore], monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[Heartbeat]]:
    monkeypatch.setattr(heartbeat, "BEAT_S", 0.05)
    monkeypatch.setattr(heartbeat, "NOTICE_S", 60.0)  # this test's main thread is not to be interrupted
    monkeypatch.setattr(heartbeat, "GRACE_S", 60.0)
    watches = [Heartbeat(store, rank, NAMES, speaks=True) for rank, store in enumerate(stores)]
    yield watches
    for one in watches:
        one.stop()


def test_the_reason_of_one_reaches_the_other_and_is_waited_for_no_longer_than_that(pair: list[Heartbeat]) -> None:
    pair[0].start()
    started_s = time.monotonic()
    pair[1].report("the disk is full")
    assert time.monotonic() - started_s < heartbeat.LINGER_S / 2
    assert pair[0].find_reason() == "worker 1 on right: the disk is full"


def test_the_first_reason_counts(pair: list[Heartbeat]) -> None:
    pair[0].start()
    pair[1].report("the disk is full")
    pair[0].report("a lost connection, which the full disk led to")
    assert pair[0].find_reason() == "worker 1 on right: the disk is full"


def test_nobody_hears_and_the_wait_ends(pair: list[Heartbeat], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "LINGER_S", 0.3)
    started_s = time.monotonic()
    pair[1].report("the disk is full")
    assert 0.3 <= time.monotonic() - started_s < 5


def test_workers_that_are_alive_leave_each_other_alone(pair: list[Heartbeat], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "LOST_S", 5.0)
    for one in pair:
        one.start()
    time.sleep(0.5)
    assert not any(one.has_heard for one in pair)


def test_one_that_falls_silent_is_named(pair: list[Heartbeat], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "LOST_S", 0.5)
    for one in pair:
        one.start()
    time.sleep(0.2)
    pair[1].stop()
    until_s = time.monotonic() + 10
    while not pair[0].has_heard and time.monotonic() < until_s:
        time.sleep(0.05)
    assert "no heartbeat from worker 1 on right" in pair[0].find_reason()


def test_after_a_connection_broke_the_silent_one_is_named_and_the_way_on(pair: list[Heartbeat]) -> None:
    for one in pair:
        one.start()
    time.sleep(0.2)
    pair[1].stop()
    time.sleep(0.2)
    reason = pair[0].find_reason()
    assert reason.startswith("lost worker 1 on right") and "--resume on every machine" in reason


def test_a_parent_that_is_gone_ends_the_training(pair: list[Heartbeat], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getppid", lambda: 1)
    pair[0].start()
    time.sleep(0.3)
    assert "torchrun on this machine has ended" in pair[0].find_reason()
