"""Workers on a Ray cluster: as many as were asked for, one task each, replaced when they die."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ClusterError, Stopped, YogaLiveError
from ..system.plain_text import format_count
from ..system.telemetry import silence_telemetry
from .ray_environment import keep_ray_local, log_ray_messages, without_api_server
from .ray_start import check_address, choose_store, describe_failure, import_ray, shorten
from .scheduler import TRIES, Answer, Outcome, Schedule, Task
from .worker import ArchiveWorker, WorkerConfig

LOCAL = "local"
STORE_BYTES = 256 * 1024 * 1024
"""Of shared memory on this machine: it holds the model once, and observations on their way."""
START_S = 300.0
"""How long no worker may find a place before the run is given up; a cluster that grows by itself takes minutes."""
TELL_S = 20.0
"""After which time without a worker that is said."""
SHARED_MEMORY = Path("/dev/shm")


@dataclass(frozen=True)
class Node:
    """What a machine of the cluster offers to workers."""

    cpus: float
    gpus: float = 0.0


@dataclass(frozen=True)
class Share:
    """How many workers there are, and what each takes; `cpus` is how many threads it uses, too."""

    workers: int
    cpus: int
    gpus: float = 0.0

    def __str__(self) -> str:
        gpus = f" and {self.gpus:g} GPUs" if self.gpus else ""
        return f"{format_count(self.workers, 'worker')} with {format_count(self.cpus, 'CPU')}{gpus} each"


@dataclass(frozen=True)
class Lost:
    """A worker died, and its task with it."""

    reason: str


def share_out(nodes: Sequence[Node], workers: int | None, gpus: float = 0.0) -> Share:
    """Divide machines among workers, none of which spans two machines.

    workers: None: one a CPU (or as many as the GPUs have places for); a number: they share all CPUs.  gpus: of each
    worker.  Raises ClusterError where there is no place for so many.
    """
    most = _count_places(nodes, 1, gpus)
    wanted = workers or most
    if not most or wanted > most:
        what = f"{gpus:g} GPUs and one CPU" if gpus else "one CPU"
        cpus, all_gpus = sum(node.cpus for node in nodes), sum(node.gpus for node in nodes)
        raise ClusterError(
            f"the cluster has {cpus:g} CPUs and {all_gpus:g} GPUs on {format_count(len(nodes), 'machine')}, enough for "
            f"{format_count(most, 'worker')} with {what} each, not for {max(wanted, 1)}; give a smaller --workers"
            + (" or --gpus-per-worker" if gpus else "")
        )
    cpus = max(
        c for c in range(1, int(max(node.cpus for node in nodes)) + 1) if _count_places(nodes, c, gpus) >= wanted
    )
    return Share(wanted, cpus if workers else 1, gpus)


def _count_places(nodes: Sequence[Node], cpus: int, gpus: float) -> int:
    return sum(int(min(node.cpus // cpus, (node.gpus + 1e-9) // gpus if gpus else node.cpus)) for node in nodes)


@contextmanager
def connect(address: str) -> Iterator[list[Node]]:
    """Join a Ray cluster, or start one on this machine; it yields the machines.  Raises ClusterError."""
    silence_telemetry()
    if address == LOCAL:
        keep_ray_local()
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # what newer versions do; older ones warn
    os.environ.setdefault("RAY_worker_niceness", "0")  # of --cluster local: workers run as this command runs
    ray = import_ray()
    on_terminate = signal.getsignal(signal.SIGTERM)
    # address is given always: without one, Ray joins a cluster that runs here by chance
    settings: dict[str, Any] = {
        "address": address,
        "log_to_driver": False,
        "logging_level": logging.ERROR,
        "configure_logging": False,
    }
    try:
        if address == LOCAL:
            settings.update(num_cpus=_count_cpus(), object_store_memory=STORE_BYTES, include_dashboard=False)
            settings.update(choose_store(SHARED_MEMORY))
        else:
            check_address(address)
        with without_api_server() if address == LOCAL else nullcontext():
            ray.init(**settings)
    except SystemExit:  # Ray's own answer to SIGTERM
        raise Stopped(signal.SIGTERM) from None
    except Exception as error:  # Ray raises whatever its parts do, also a bare Exception
        raise ClusterError(describe_failure(address, error)) from error
    finally:
        with suppress(ValueError):  # not in the main thread
            signal.signal(signal.SIGTERM, on_terminate)  # Ray sets one of its own
    try:
        found = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        with log_ray_messages():
            yield [Node(each.get("CPU", 0.0), each.get("GPU", 0.0)) for each in found]
    except ray.exceptions.RayError as error:
        raise ClusterError(
            f"lost the Ray cluster {address!r}: {shorten(error)}; repeat the command to continue"
        ) from error
    finally:
        ray.shutdown()


def _count_cpus() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Crew:
    """Workers; each has one task at most, so that no more is on its way than there are workers."""

    def __init__(
        self, share: Share, model: bytes, order: WorkerConfig, say: Callable[[str], None], first: int | None = None
    ) -> None:
        """first: how many there are at first (all if None); `grow` adds others, up to the share's."""
        import ray

        self._ray, self._say, self._share = ray, say, share
        self._model, self._order = ray.put(model), order
        self._make: Any = ray.remote(ArchiveWorker).options(
            num_cpus=share.cpus, num_gpus=share.gpus, scheduling_strategy="SPREAD", max_restarts=0, max_task_retries=0
        )
        self._idle: list[Any] = []
        self._starting: dict[Any, Any] = {}
        self._running: dict[Any, tuple[Any, Task]] = {}
        self._deaths, self._worked_s, self._told = 0, time.monotonic(), False
        for _ in range(share.workers if first is None else min(first, share.workers)):
            self._hire()

    @property
    def has_idle(self) -> bool:
        """Whether somebody waits for a task."""
        return bool(self._idle)

    @property
    def starting(self) -> int:
        """How many have not started yet."""
        return len(self._starting)

    @property
    def is_working(self) -> bool:
        """Whether a task is on its way."""
        return bool(self._running)

    def grow(self, wanted: int) -> None:
        """Start as many more, as far as there are places for them."""
        there = len(self._idle) + len(self._starting) + len(self._running)
        for _ in range(min(wanted - len(self._starting), self._share.workers - there)):
            self._hire()

    def give(self, task: Task) -> None:
        """Hand a task to somebody who waits."""
        worker = self._idle.pop()
        self._running[worker.work.remote(task)] = worker, task

    def wait(self, longest_s: float) -> list[tuple[Task, Answer | Lost]]:
        """Wait until something has come of a task.  Raises YogaLiveError where no worker can start."""
        waiting = [*self._running, *self._starting]
        ready, _ = self._ray.wait(waiting, num_returns=1, timeout=longest_s, fetch_local=False)
        if ready:
            ready, _ = self._ray.wait(waiting, num_returns=len(waiting), timeout=0, fetch_local=False)
        for ref in [ref for ref in ready if ref in self._starting]:
            self._greet(ref)
        answers = [self._collect(ref) for ref in ready if ref in self._running]
        self._look_at_clock()
        return answers

    def _hire(self) -> None:
        worker = self._make.remote()
        self._starting[worker.start.remote(self._model, self._order)] = worker

    def _greet(self, ref: Any) -> None:
        """Take in who has started; who died of it is replaced, some times."""
        worker = self._starting.pop(ref)
        try:
            self._ray.get(ref)
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, YogaLiveError):
                raise error.cause from None
            raise ClusterError(f"a worker failed to start: {shorten(error.cause or error)}; see Ray's logs") from error
        except self._ray.exceptions.RayError as error:
            self._deaths += 1
            if self._deaths > TRIES * self._share.workers:
                raise ClusterError(f"workers keep dying at their start: {shorten(error)}; see Ray's logs") from error
            self._hire()
        else:
            self._deaths = 0
            self._idle.append(worker)

    def _collect(self, ref: Any) -> tuple[Task, Answer | Lost]:
        worker, task = self._running.pop(ref)
        try:
            answer = self._ray.get(ref)
        except self._ray.exceptions.RayTaskError as error:  # a bug, or what cannot be sent
            self._idle.append(worker)
            return task, Lost(shorten(error.cause or error))
        except self._ray.exceptions.RayError as error:
            self._ray.kill(worker)
            self._hire()
            return task, Lost(shorten(error))
        self._idle.append(worker)
        return task, answer

    def _look_at_clock(self) -> None:
        """Say that no worker has a place, give up in the end."""
        now_s = time.monotonic()
        if self._idle or self._running:
            self._worked_s, self._told = now_s, False
        elif now_s - self._worked_s > START_S:
            raise ClusterError(
                f"no worker could start within {START_S:.0f} s; the cluster has no room for one with "
                f"{format_count(self._share.cpus, 'CPU')} and {self._share.gpus:g} GPUs: see `ray status`"
            )
        elif now_s - self._worked_s > TELL_S and not self._told:
            self._told = True
            self._say("yoga-live: waiting until the cluster has room for a worker (see `ray status`)")


def run_schedule(
    schedule: Schedule,
    crew: Crew,
    on_answer: Callable[[Task, Answer | Lost], None],
    on_outcome: Callable[[Outcome], None],
) -> None:
    """Work until there is nothing left to do; at most one task a worker is on its way.

    Workers that the crew did not start with are started for the shards of long recordings.
    """
    while True:
        while crew.has_idle and (task := schedule.next()):
            crew.give(task)
        if crew.has_idle and not crew.is_working:
            return
        crew.grow(schedule.waiting)
        for task, answer in crew.wait(1.0):
            on_answer(task, answer)
            lost = isinstance(answer, Lost)
            if outcome := schedule.lose(task, answer.reason) if lost else schedule.take(task, answer):
                on_outcome(outcome)
