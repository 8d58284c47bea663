"""What a training came to, out of run.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class FitResult:
    """A finished training and how it did on its test photos, which it has not been trained on.

    run: its folder, which `export_onnx` and the commands take.  labels: the poses in the order of the model's output.
    accuracy: fraction of test photos classified correctly, 0 to 1.  interval: its 95 % interval (Wilson), low and high.
    photos: how many test photos there were.  frozen_accuracy: the same after the frozen phase alone.
    recalls: label -> fraction of its test photos classified correctly; None where it has none.
    confusions: (truth, answer, how many), the most frequent first.
    best_epoch: the epoch whose weights are kept; 0 is the frozen phase.  seconds: how long it took.
    interrupted: it was stopped before its last epoch, and `fit(..., resume=True)` goes on.
    """

    run: Path
    labels: tuple[str, ...]
    accuracy: float
    interval: tuple[float, float]
    photos: int
    frozen_accuracy: float
    recalls: Mapping[str, float | None]
    confusions: tuple[tuple[str, str, int], ...]
    best_epoch: int
    seconds: float
    interrupted: bool = False

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from ...runtime.drawing.notebook import Html, format_bar, format_paragraph, format_table, name_pose

        low, high = self.interval
        lines = [
            format_paragraph(
                f"{self.accuracy:.1%} of {self.photos} test photos, 95 % interval {low:.1%} to {high:.1%}",
                strong="test accuracy",
            )
        ]
        if self.interrupted:
            lines.append(format_paragraph(f"stopped; the best epoch so far ({self.best_epoch}) is kept"))
        rows = [
            (name_pose(label), "" if recall is None else format_bar(recall), "-" if recall is None else f"{recall:.0%}")
            for label, recall in self.recalls.items()
        ]
        lines.append(format_table(("pose", "recall", ""), rows))
        lines += [
            format_paragraph(f"{name_pose(truth)} taken for {name_pose(answer)}: {count}")
            for truth, answer, count in self.confusions
        ]
        return Html("".join([*lines, format_paragraph(str(self.run), strong="run:")]))


def read_result(run: Path, content: Mapping[str, Any]) -> FitResult:
    """The numbers of a run.  content: of its run.json."""
    metrics = content["metrics"]
    test = metrics["test"]
    return FitResult(
        run=run,
        labels=tuple(content["labels"]),
        accuracy=test["accuracy"],
        interval=(test["interval"][0], test["interval"][1]),
        photos=test["photos"],
        frozen_accuracy=metrics["frozen"]["accuracy"],
        recalls=dict(test["recall"]),
        confusions=tuple((truth, answer, count) for truth, answer, count in test["confusions"]),
        best_epoch=metrics["best_epoch"],
        seconds=test["seconds"],
        interrupted=metrics["interrupted"],
    )
