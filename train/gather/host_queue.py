"""A queue of jobs in the order of the lists, limited per host, read from a stream and never all in memory."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Job:
    """One URL in progress.  url: as listed; target: the current URL, which a redirect changes."""

    pose: str
    url: str
    target: str
    attempt: int = 1
    redirects: int = 0

    @cached_property
    def host(self) -> str:
        """The host whose limit a request counts towards."""
        return urlsplit(self.target).hostname or ""


class HostQueue:
    """Hand out jobs, at most `per_host` at a time for one host.

    A job that was taken is finished once, with the job that follows from it (a redirect, another attempt) or with
    none.  At most `window` jobs wait at a time: so far ahead the stream is read to find other hosts.
    """

    def __init__(self, jobs: Iterator[Job], per_host: int, window: int) -> None:
        self._jobs: Iterator[Job] | None = jobs
        self._per_host, self._window = per_host, window
        self._waiting: dict[str, deque[Job]] = {}
        self._busy: Counter[str] = Counter()
        self._paused_until_s: dict[str, float] = {}
        self._ready: dict[str, None] = {}  # hosts with a job that may start now, in turn
        self._queued = self._unfinished = 0
        self._takers: deque[asyncio.Future[None]] = deque()

    async def take(self) -> Job | None:
        """Wait for the next job that may start.  Returns None when all jobs are finished."""
        while True:
            self._read_ahead()
            if self._ready:
                return self._pop()
            if not self._unfinished:
                self._wake(len(self._takers))
                return None
            taker = asyncio.get_running_loop().create_future()
            self._takers.append(taker)
            await taker

    def finish(self, job: Job, following: Job | None = None, delay_s: float = 0.0) -> None:
        """Free the place of a job; `following` is queued instead, first in its host's queue, or after a delay."""
        self._busy[job.host] -= 1
        if not self._busy[job.host]:
            del self._busy[job.host]
        if following is None:
            self._unfinished -= 1
        elif delay_s > 0:
            asyncio.get_running_loop().call_later(delay_s, self._put, following)
        else:
            self._put(following, first=True)
        self._offer(job.host)
        self._wake(1 if self._unfinished else len(self._takers))

    def pause(self, host: str, delay_s: float) -> None:
        """Send no requests to a host for a while."""
        loop = asyncio.get_running_loop()
        self._paused_until_s[host] = max(loop.time() + delay_s, self._paused_until_s.get(host, 0.0))
        self._ready.pop(host, None)
        loop.call_at(self._paused_until_s[host] + 0.001, self._offer, host)

    def _read_ahead(self) -> None:
        while self._jobs is not None and self._queued < self._window:
            job = next(self._jobs, None)
            if job is None:
                self._jobs = None
                return
            self._unfinished += 1
            self._put(job)

    def _put(self, job: Job, *, first: bool = False) -> None:
        line = self._waiting.setdefault(job.host, deque())
        if first:
            line.appendleft(job)
        else:
            line.append(job)
        self._queued += 1
        self._offer(job.host)

    def _offer(self, host: str) -> None:
        """Mark a host as ready if it has a job and a free place, and is not paused."""
        if host not in self._waiting or self._busy[host] >= self._per_host or host in self._ready:
            return
        if host in self._paused_until_s:
            if self._paused_until_s[host] > asyncio.get_running_loop().time():
                return
            del self._paused_until_s[host]
        self._ready[host] = None
        self._wake(1)

    def _pop(self) -> Job:
        host = next(iter(self._ready))
        del self._ready[host]
        job = self._waiting[host].popleft()
        if not self._waiting[host]:
            del self._waiting[host]
        self._queued -= 1
        self._busy[host] += 1
        self._offer(host)
        return job

    def _wake(self, count: int) -> None:
        while count and self._takers:
            taker = self._takers.popleft()
            if not taker.done():
                taker.set_result(None)
                count -= 1
