"""What every kind is handed: a folder of its own, the commands, the model that sees shapes, how much to try."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from fault_kinds.command_worker import CommandWorker, run_child
from fault_kinds.outcome import Answer

T = TypeVar("T")
QUICK = 10


@dataclass(frozen=True)
class Bench:
    """One kind's place.  model: answers with the shape it sees; is_quick: a tenth of each; seed: of every draw."""

    folder: Path
    worker: CommandWorker
    environment: Mapping[str, str]
    model: Path
    is_quick: bool
    seed: int

    def choose(self, cases: Sequence[T]) -> list[T]:
        """All cases, or a tenth, at least one, drawn from them in their order."""
        if not self.is_quick:
            return list(cases)
        chosen = self.make_random("quick").sample(range(len(cases)), -(-len(cases) // QUICK))
        return [cases[number] for number in sorted(chosen)]

    def count(self, number: int) -> int:
        """How many of `number` random cases are drawn."""
        return max(number // QUICK, 1) if self.is_quick else number

    def make_random(self, name: str) -> random.Random:
        """Numbers for one purpose, the same in each run."""
        return random.Random(f"{self.seed} {name}")

    def make_folder(self, name: str) -> Path:
        """A new folder."""
        path = self.folder / name
        path.mkdir(parents=True)
        return path

    def watch(self, video: Path, *arguments: str | Path, limit_s: float = 60.0) -> Answer:
        """Run yoga-live on a video with the shape model, whole frames, without a window."""
        fixed = ["--model", self.model, "--device", "cpu", "--zoom", "off", "--no-window"]
        return self.worker.run("yoga-live", "--video", video, *fixed, *arguments, limit_s=limit_s)

    def run_child(self, arguments: list[str], limit_s: float = 60.0) -> Answer:
        """Run a command line as a process of its own."""
        return run_child(arguments, self.environment, limit_s)
