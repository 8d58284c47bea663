"""Whether a training learned anything: its accuracy beside that of always answering the most frequent pose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...calibration.metrics import Accuracy
from ...runtime.core.types import Ints

ADVICE = "look at the photos and their labels (yoga-train stats, yoga-train show), and add photos"
TRAINED_WEIGHTS = "; start from trained weights (--weights imagenet, shipped or a file)"


@dataclass(frozen=True)
class Verdict:
    """How a test accuracy compares with guessing.

    test: of the network.  pose: the most frequent one of the test photos.  guess: accuracy of always answering it.
    weights: what the training started from, as `FitConfig` has it.
    """

    test: Accuracy
    pose: str
    guess: float
    weights: str = "none"

    @property
    def beats_guessing(self) -> bool:
        """Whether the whole 95 % interval lies above guessing."""
        return self.test.interval[0] > self.guess

    @property
    def learned_nothing(self) -> bool:
        """Whether it is also far from good: nearer to guessing than to perfect."""
        return not self.beats_guessing and self.test.value < (1 + self.guess) / 2

    def describe(self) -> str:
        """One line; empty where the network is clearly better than guessing."""
        if self.beats_guessing or not self.test.total:
            return ""
        guessing = f"always answering {self.pose} is right on {self.guess:.1%} of these {self.test.total} test photos"
        if self.learned_nothing:
            advice = ADVICE + TRAINED_WEIGHTS * (self.weights == "none")
            return f"nothing was learned that shows: {guessing}. Do not export this run: {advice}"
        return f"too few test photos to tell this from guessing: {guessing}; add photos"


def judge_run(test: Accuracy, targets: Ints, labels: tuple[str, ...], weights: str = "none") -> Verdict:
    """Compare a test accuracy with guessing.  targets: int (N,), of the test photos."""
    counts = np.bincount(targets, minlength=len(labels))
    return Verdict(test, labels[int(counts.argmax())], float(counts.max() / max(counts.sum(), 1)), weights)


def read_verdict(content: Mapping[str, Any]) -> Verdict:
    """Read the verdict out of run.json's content; runs of older versions lack the guess: 1 of all poses."""
    test, labels = content["metrics"]["test"], content["labels"]
    pose, guess = test.get("guess") or (labels[0], 1 / len(labels))
    correct = Accuracy(round(test["accuracy"] * test["photos"]), test["photos"])
    return Verdict(correct, pose, guess, content.get("config", {}).get("weights", "none"))
