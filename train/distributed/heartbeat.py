"""Heartbeats between workers, so that none waits for one that is dead: the reason why a worker ends reaches the others,
and a silent one is noticed.

A collective operation notices a killed process by its closed connection, but not a machine without power, nor, on GPUs,
anything before its time-out; and it never gives a reason.  So every worker writes a heartbeat each second into the
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
LOST_S = 60.0  # without a heartbeat: longer than a busy machine has ever taken
NOTICE_S = 2.0  # for a worker to notice a broken connection by itself, before it is interrupted
GRACE_S = 15.0  # before its process is ended, because it waits inside torch
LINGER_S = 5.0  # for the others to read why this worker ends
HOW_TO_GO_ON = (
    "the run is saved up to its last complete epoch; to continue, repeat the command with --resume on every machine"
)


class Heartbeat:
    """Watches the other workers.  names: of all workers, by rank; speaks: whether it prints on stderr why it ends."""

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
        """Start, once all have written their first heartbeat."""
        self._thread.start()

    @property
    def has_heard(self) -> bool:
        """Whether it is known that the training ends."""
        return self._heard.is_set()

    def stop(self) -> None:
        """Stop watching: the training is finished, or this worker reports why it ends."""
        self._ended.set()

    def report(self, reason: str) -> bool:
        """Send the others the reason why this worker ends, and wait until they have read it.  False if they cannot."""
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
        """Find out why another worker has ended, after a connection to it broke."""
        with suppress(KeyboardInterrupt):  # torchrun, which lost the same machine, ends its workers: report first
            self._heard.wait(4 * BEAT_S)
        self.stop()
        if self._failure:
            return self._failure
        now = time.monotonic()
        silent = [self._names[other] for other, (_, seen_s) in self._seen.items() if now - seen_s > 2.5 * BEAT_S]
        who = " and ".join(silent[:3]) if silent else "another worker"
        self._failure = f"lost {who} (killed, or without power or network); {HOW_TO_GO_ON}"
        with suppress(distributed.DistError):  # workers that lose the connection to this one now read the cause
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
        """Write a heartbeat and check the others'.  Returns why the training ends; empty if it continues."""
        self._store.set(f"beat/{self._rank}", str(beats))
        if self._store.check(["failure"]):
            self._store.add("heard", 1)
            return bytes(self._store.get("failure")).decode()
        if os.getppid() != self._parent:
            return f"torchrun on this machine has ended; {HOW_TO_GO_ON}"
        now = time.monotonic()
        signs = self._store.multi_get([f"beat/{other}" for other in self._seen])
        for other, sign in zip(list(self._seen), signs, strict=True):
            text = bytes(sign).decode()
            if text != self._seen[other][0]:
                self._seen[other] = text, now
            elif now - self._seen[other][1] > LOST_S:
                return f"no heartbeat from {self._names[other]} for {LOST_S:.0f} s; {HOW_TO_GO_ON}"
        return ""

    def _end_process(self) -> None:
        """End a process whose main thread waits inside torch."""
        if self._speaks and sys.__stderr__ is not None:
            sys.__stderr__.write(f"yoga-train: error: {show_name(self._failure)}\n")
            sys.__stderr__.flush()
        os._exit(2)


def describe_lost_meeting() -> str:
    """Describe why the training ends when the store is lost."""
    return f"lost the machine that all workers connect to ({os.environ.get('MASTER_ADDR', 'rank 0')}); {HOW_TO_GO_ON}"
