"""Which shard of which recording is watched next: no clock, no cluster, no file.

A recording is opened by one task, which watches the whole of a short one and says in which shards a long one is
watched.  Pieces of recordings that are open go before recordings that are not, so that few are open at once and what is
kept of them stays small, however long the list is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from .inputs import Recorded
from .shards import Shard, ShardResult, VideoResult

TRIES = 3
"""How many workers a task may cost before its recording is given up."""


@dataclass(frozen=True)
class OpenTask:
    """Open a recording; watch it, or say in which shards."""

    video: Recorded


@dataclass(frozen=True)
class ObserveShard:
    """Observe one shard.  number: which."""

    video: Recorded
    number: int
    shard: Shard


@dataclass(frozen=True)
class SmoothTask:
    """Smooth the observations of all shards."""

    video: Recorded
    observations: tuple[ShardResult, ...] = field(repr=False)


@dataclass(frozen=True)
class Failed:
    """Why nothing came of a recording."""

    reason: str


Task = OpenTask | ObserveShard | SmoothTask
Answer = VideoResult | list[Shard] | ShardResult | Failed


@dataclass(frozen=True)
class Outcome:
    """What became of a recording."""

    video: Recorded
    result: VideoResult | Failed


@dataclass
class _Seen:
    """What is known of the shards of an open recording."""

    observations: list[ShardResult | None]


class Schedule:
    """Hand out tasks, take what came of them; a task whose worker died is handed out again."""

    def __init__(self, videos: Iterable[Recorded]) -> None:
        self._videos = iter(videos)
        self._waiting: deque[Task] = deque()
        self._open: dict[str, _Seen] = {}
        self._losses: dict[tuple[str, int], int] = {}

    @property
    def waiting(self) -> int:
        """How many tasks of recordings that are open wait for a worker."""
        return len(self._waiting)

    def next(self) -> Task | None:
        """The next task; None where there is none at the moment."""
        while self._waiting:
            task = self._waiting.popleft()
            if not isinstance(task, ObserveShard) or _key(task.video) in self._open:  # else its recording was given up
                return task
        video = next(self._videos, None)
        return OpenTask(video) if video else None

    def take(self, task: Task, answer: Answer) -> Outcome | None:
        """Take the answer to a task.  Returns what became of the recording, once that is known."""
        key = _key(task.video)
        self._losses.pop((key, _number(task)), None)
        if isinstance(task, ObserveShard) and key not in self._open:
            return None
        if isinstance(answer, VideoResult | Failed):
            self._open.pop(key, None)
            return Outcome(task.video, answer)
        if isinstance(answer, list):
            self._open[key] = _Seen([None] * len(answer))
            self._waiting += [ObserveShard(task.video, number, shard) for number, shard in enumerate(answer)]
        elif isinstance(task, ObserveShard):
            seen = self._open[key].observations
            seen[task.number] = answer
            if all(each is not None for each in seen):
                del self._open[key]
                self._waiting.appendleft(SmoothTask(task.video, tuple(each for each in seen if each is not None)))
        return None

    def lose(self, task: Task, reason: str) -> Outcome | None:
        """Hand a task out again whose worker died, or give its recording up."""
        key = _key(task.video)
        losses = self._losses[key, _number(task)] = self._losses.get((key, _number(task)), 0) + 1
        if losses < TRIES:
            self._waiting.appendleft(task)
            return None
        return self.take(task, Failed(f"{TRIES} workers died on it, the last one with: {reason}"))


def _key(video: Recorded) -> str:
    return str(video.path)


def _number(task: Task) -> int:
    return task.number if isinstance(task, ObserveShard) else -1
