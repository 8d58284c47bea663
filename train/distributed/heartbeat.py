"""Workers watch each other, so that none waits for one that is gone: why a worker ends reaches the others, and one
that falls silent is noticed.

A collective operation notices a killed process by its closed connection, but neither a machine without power nor, on
GPUs, anything before its time is up; and it never says why.  So every worker leaves a sign of life each second in the
store that torchrun keeps for all of them.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time
from contextlib import suppress

from torch import distributed
from torch.distributed.distributed_c10d import Store

from ...runtime.system.plain_text import show_name

BEAT_S = 1.0
LOST_S = 60.0  # without a sign of life: longer than a busy machine ever took, shorter than anybody wants to wait
NOTICE_S = 2.0  # for a worker to find a broken connection by itself, when another has ended, before it is interrupted
GRACE_S = 15.0  # and before its process is ended: it waits inside torch
LINGER_S = 5.0  # for the others to hear why this worker ends
HOW_TO_GO_ON = (
    "all of the run up to its last whole epoch is kept; to go on, give the same command with --resume on every machine"
)


class Heartbeat:
    """This worker's watch over the others.  names: of all workers, by rank; speaks: says on stderr why it ends."""

    def __init__(self, store: Store, rank: int, names: tuple[str, ...], *, speaks: bool) -> None:
        self._store, self._rank, self._names, self._speaks = store, rank, names, speaks
        self._parent = os.getppid()
        self._failure = ""
        self._heard, self._ended = threading.Event(), threading.Event()
        now = time.monotonic()
        self._seen = {other: ("", now) for other in range(len(names)) if other != rank}
        self._store.set(f"beat/{rank}", "0")
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Begin, once all have left their first sign of life."""
        self._thread.start()

    @property
    def has_heard(self) -> bool:
        """True once it is known that the training ends."""
        return self._heard.is_set()

    def stop(self) -> None:
        """End the watch: all workers have come to the end, or this one says itself why it ends."""
        self._ended.set()

    def report(self, reason: str) -> bool:
        """Tell the others why this worker ends, and give them time to hear it.  False if nobody can hear any more."""
        self.stop()
        try:
            own = f"{self._names[self._rank]}: {reason}"
            if bytes(self._store.compare_set("failure", "", own)).decode() != own:
                self._store.add("heard", 1)  # another was first
                return True
            until_s = time.monotonic() + LINGER_S
            while self._store.add("heard", 0) < len(self._names) - 1 and time.monotonic() < until_s:
                time.sleep(0.1)
        except distributed.DistError:
            return False
        return True

    def find_reason(self) -> str:
        """Why another worker has ended, after a connection to it broke."""
        with suppress(KeyboardInterrupt):  # torchrun, which lost the same machine, ends its workers: say why first
            self._heard.wait(4 * BEAT_S)
        self.stop()
        if self._failure:
            return self._failure
        now = time.monotonic()
        silent = [self._names[other] for other, (_, seen_s) in self._seen.items() if now - seen_s > 2.5 * BEAT_S]
        who = " and ".join(silent[:3]) if silent else "another worker"
        self._failure = f"lost {who} (killed, or without power or network); {HOW_TO_GO_ON}"
        with suppress(distributed.DistError):  # those that lose the connection to this one now hear the cause
            self._store.compare_set("failure", "", self._failure)
        return self._failure

    def _run(self) -> None:
        beats, failed_s, interrupted = 0, 0.0, False
        while not self._ended.wait(BEAT_S):
            if self._failure:
                waited_s = time.monotonic() - failed_s
                if waited_s > NOTICE_S and not interrupted:
                    interrupted = True
                    _thread.interrupt_main(signal.SIGTERM)
                elif waited_s > GRACE_S:
                    self._end_process()
                continue
            beats += 1
            try:
                self._failure = self._look(beats)
            except distributed.DistError:
                if self._ended.wait(2 * BEAT_S):
                    return
                self._failure = describe_lost_meeting()
            if self._failure:
                failed_s = time.monotonic()
                self._heard.set()

    def _look(self, beats: int) -> str:
        """Leave a sign of life and look for the others'.  Returns why the training ends; empty if it goes on."""
        self._store.set(f"beat/{self._rank}", str(beats))
        if self._store.check(["failure"]):
            self._store.add("heard", 1)
            return bytes(self._store.get("failure")).decode()
        if os.getppid() != self._parent:
            return f"torchrun on this machine is gone; {HOW_TO_GO_ON}"
        now = time.monotonic()
        signs = self._store.multi_get([f"beat/{other}" for other in self._seen])
        for other, sign in zip(list(self._seen), signs, strict=True):
            text = bytes(sign).decode()
            if text != self._seen[other][0]:
                self._seen[other] = text, now
            elif now - self._seen[other][1] > LOST_S:
                return f"{self._names[other]} has given no sign of life for {LOST_S:.0f} s; {HOW_TO_GO_ON}"
        return ""

    def _end_process(self) -> None:
        """End a process whose main thread waits for ever inside torch."""
        if self._speaks and sys.__stderr__ is not None:
            sys.__stderr__.write(f"yoga-train: error: {show_name(self._failure)}\n")
            sys.__stderr__.flush()
        os._exit(2)


def describe_lost_meeting() -> str:
    """Why the training ends when the store is gone."""
    return f"lost the machine that all workers meet at ({os.environ.get('MASTER_ADDR', 'rank 0')}); {HOW_TO_GO_ON}"
