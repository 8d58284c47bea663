"""Waiting for a thread, interrupted or not; work done ahead: in order, bounded, ended when no longer wanted."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator

import pytest

from yoga_live.runtime.core import background_thread
from yoga_live.runtime.core.background_thread import BackgroundThread, Prefetch


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="this system sends no signal to a thread")
@pytest.mark.parametrize(("patience_s", "hangs"), [(10.0, False), (0.05, True)])
def test_an_interrupt_waits_for_the_thread_unless_it_hangs(
    monkeypatch: pytest.MonkeyPatch, patience_s: float, hangs: bool
) -> None:
    monkeypatch.setattr(background_thread, "PATIENCE_S", patience_s)
    goes_on, done = threading.Event(), threading.Event()

    def work() -> None:
        goes_on.wait(10)
        done.set()

    main = threading.main_thread().ident
    assert main is not None
    thread = BackgroundThread(work, "hangs")
    thread.start()
    threading.Timer(0.2, signal.pthread_kill, (main, signal.SIGINT)).start()
    threading.Timer(1.0, goes_on.set).start()
    with pytest.raises(KeyboardInterrupt):
        thread.join()
    assert done.is_set() != hangs
    thread.join()
    assert done.is_set()


def count_to(end: int, made: list[int], error: Exception | None = None) -> Iterator[int]:
    for number in range(end):
        made.append(number)
        yield number
    if error:
        raise error


def test_items_come_in_order_and_end() -> None:
    with Prefetch(count_to(50, []), 3) as items:
        assert list(items) == list(range(50))


def test_what_breaks_ahead_is_raised_after_what_came_before_it() -> None:
    seen: list[int] = []
    with Prefetch(count_to(5, [], ValueError("broken")), 2) as items, pytest.raises(ValueError, match="broken"):
        seen.extend(items)
    assert seen == [0, 1, 2, 3, 4]


def test_it_is_no_further_ahead_than_it_has_places() -> None:
    made: list[int] = []
    with Prefetch(count_to(100, made), 4) as items:
        iterator = iter(items)
        assert next(iterator) == 0
        time.sleep(0.3)
        assert len(made) <= 1 + 4 + 1  # taken, waiting, in its hand


def test_leaving_early_ends_the_thread() -> None:
    before = threading.active_count()
    with Prefetch(count_to(1_000_000, []), 2) as items:
        assert next(iter(items)) == 0
    assert threading.active_count() == before


def test_it_works_in_another_thread() -> None:
    def names() -> Iterator[str]:
        yield threading.current_thread().name

    with Prefetch(names(), 1) as items:
        assert list(items) != [threading.current_thread().name]


def test_one_that_is_closed_holds_nobody_up() -> None:
    goes_on, taken = threading.Event(), []

    def wait() -> Iterator[int]:
        goes_on.wait(10)
        yield 1

    with Prefetch(wait(), 1) as items:
        consumer = threading.Thread(target=lambda: taken.extend(items))
        consumer.start()
        threading.Timer(0.2, goes_on.set).start()
    consumer.join(5)
    assert not consumer.is_alive() and taken in ([], [1])


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="this system sends no signal to a thread")
def test_an_interrupt_while_it_ends_waits_for_the_item_in_hand() -> None:
    made: list[str] = []

    def make() -> Iterator[int]:
        time.sleep(0.4)
        made.append("made")
        yield 1

    main = threading.main_thread().ident
    assert main is not None
    with pytest.raises(KeyboardInterrupt), Prefetch(make(), 1):
        for after_s in (0.1, 0.2):
            threading.Timer(after_s, signal.pthread_kill, (main, signal.SIGINT)).start()
    assert made == ["made"]
