"""Waiting for a thread: interrupts wait with us, unless it hangs."""

from __future__ import annotations

import signal
import threading

import pytest

from yoga_live.runtime.core import background_thread
from yoga_live.runtime.core.background_thread import SideThread

pytestmark = pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="this system sends no signal to a thread")


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
    thread = SideThread(work, "hangs")
    thread.start()
    threading.Timer(0.2, signal.pthread_kill, (main, signal.SIGINT)).start()
    threading.Timer(1.0, goes_on.set).start()
    with pytest.raises(KeyboardInterrupt):
        thread.join()
    assert done.is_set() != hangs
    thread.join()
    assert done.is_set()
