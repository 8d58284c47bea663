"""What answering only when sure buys: the risk-coverage curve (El-Yaniv and Wiener 2010; Geifman and El-Yaniv 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from yoga_live.runtime.core.types import Floats


@dataclass(frozen=True)
class RiskCoverage:
    """Answers given from the surest down: coverage, float (K,), share of photos answered, ascending to 1;
    risk, float (K,), share of those answers that is wrong.
    """

    coverage: Floats
    risk: Floats

    @property
    def area(self) -> float:
        """Mean risk over all coverages, 0 to 1 (AURC): small where the wrong answers are the least sure."""
        return float((self.risk * np.diff(self.coverage, prepend=0.0)).sum())

    def coverage_at(self, risk: float) -> float:
        """Largest share of photos that can be answered with at most this share of wrong answers; 0 if none can."""
        return float(self.coverage[self.risk <= risk].max(initial=0.0))

    def best_risk(self) -> Floats:
        """Risk, float (K,), if every wrong answer were less sure than every right one: nobody does better."""
        accuracy = 1 - self.risk[-1]
        return np.maximum(0.0, 1 - accuracy / self.coverage)


def measure_risk_coverage(confidences: Floats, right: npt.NDArray[np.bool_]) -> RiskCoverage:
    """Curve over all thresholds.  confidences: float (N,), any scale; right: bool (N,), N at least 1.

    Photos of equal confidence are answered together: no threshold tells them apart.
    """
    order = np.argsort(-confidences, kind="stable")
    wrong = np.cumsum(~right[order])
    ends = np.flatnonzero(np.append(np.diff(confidences[order]) != 0, True))
    return RiskCoverage((ends + 1) / len(order), wrong[ends] / (ends + 1))


def plot_risk_coverage(curves: dict[str, RiskCoverage], path: Path) -> None:
    """Write a PNG: a curve for each name, the best that its accuracy allows dashed in the same colour."""
    from matplotlib.figure import Figure

    from yoga_live.runtime.system.files import write_then_rename

    figure = Figure(figsize=(6, 4.2), layout="constrained")
    axes = figure.subplots()
    highest = 0.01
    for number, (name, curve) in enumerate(curves.items()):
        colour = f"C{number}"
        axes.plot(curve.coverage, curve.risk, color=colour, linewidth=1.5, label=f"{name}: area {curve.area:.2%}")
        axes.plot(curve.coverage, curve.best_risk(), "--", color=colour, linewidth=1)
        highest = max(highest, float(curve.risk[curve.coverage >= 0.05].max(initial=0.0)))
    axes.set(
        xlim=(0, 1), ylim=(0, highest * 1.1), xlabel="coverage: share answered", ylabel="risk: share of wrong answers"
    )
    axes.set_title("answering only when sure (dashed: the best order possible)", fontsize=10)
    axes.legend(loc="upper left", fontsize=8)
    with write_then_rename(path) as temporary:
        figure.savefig(temporary, dpi=110)
