"""A timeline against the truth: segments found, their order, counts and edges, false alarms, half-seconds.

F1@k and the edit score are those of action segmentation (Lea et al. 2017, "Temporal Convolutional Networks for Action
Segmentation and Detection"; Farha and Gall 2019, "MS-TCN"), with `none` as the background.  Only labelled time counts:
what lies between the rows of the truth is cut out, of truth and answer alike, and what is left is joined.  So a hold
that ends anywhere in a gap ends at the right moment, and equal answers on both sides of a gap are one segment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise

import numpy as np
from clip_answers import STEP_S, Stretch

from yoga_live.runtime.core.types import NO_POSE

GRID_S = 0.05
"""Timelines are compared at so many moments."""
OVERLAPS = (0.25, 0.5, 0.75)
"""Of F1@k: how much of the union of two segments they must share to be the same hold."""
DRAWS = 2000


@dataclass(frozen=True)
class Run:
    """A stretch of equal answers, in steps of labelled time."""

    pose: str
    start: int
    end: int


@dataclass
class TimelineScore:
    """Counts of one clip, or of several.

    found, extra, missed: pose segments at each of `OVERLAPS`.  edits: the edit score of each clip, 0 to 1.
    counts_right: how many poses of `counts`, all that occur in truth or answer of a clip, were held as often as they
    should be.  edges_s: errors of the edges of segments found at 25 %.  false_alarms: pose segments that lie mostly on
    `none`.  asked, right: half-seconds.
    """

    found: list[int] = field(default_factory=lambda: [0] * len(OVERLAPS))
    extra: list[int] = field(default_factory=lambda: [0] * len(OVERLAPS))
    missed: list[int] = field(default_factory=lambda: [0] * len(OVERLAPS))
    edits: list[float] = field(default_factory=list)
    counts_right: int = 0
    counts: int = 0
    edges_s: list[float] = field(default_factory=list)
    false_alarms: int = 0
    none_s: float = 0.0
    asked: int = 0
    right: int = 0
    switches: int = 0
    labelled_s: float = 0.0

    def f1(self, number: int) -> float:
        """F1 at one of `OVERLAPS`; 1 where nothing is to be found and nothing was."""
        doubled = 2 * self.found[number]
        return doubled / all_ if (all_ := doubled + self.extra[number] + self.missed[number]) else 1.0

    @property
    def edit(self) -> float:
        """Mean edit score of the clips."""
        return float(np.mean(self.edits))

    @property
    def accuracy(self) -> float:
        """Of the half-seconds."""
        return self.right / self.asked

    @property
    def switches_per_min(self) -> float:
        """Changes to a wrong answer within a labelled stretch, a minute."""
        return 60 * self.switches / self.labelled_s

    def cells(self) -> list[str]:
        """A line of the table, without its name."""
        edge = f"{np.median(self.edges_s):.2f}" if self.edges_s else "-"
        alarms = f"{3600 * self.false_alarms / self.none_s:.0f}" if self.none_s else "-"
        shares = [f"{100 * self.f1(number):.1f}" for number in range(len(OVERLAPS))]
        counts = f"{self.counts_right}/{self.counts}"
        rest = [edge, alarms, f"{self.switches_per_min:.1f}", f"{100 * self.accuracy:.1f} %"]
        return [f"{self.labelled_s:.0f}", *shares, f"{100 * self.edit:.1f}", counts, *rest]


HEADS = ["labelled s", *(f"F1@{100 * share:.0f}" for share in OVERLAPS), "edit", "counts right"]
HEADS += ["median edge error s", "false alarms / h of none", "wrong switches / min", "half-seconds right"]


def add_up(scores: Sequence[TimelineScore]) -> TimelineScore:
    """Sum up; lists of each clip are joined."""
    total = TimelineScore()
    for score in scores:
        for name in ("found", "extra", "missed"):
            setattr(total, name, [a + b for a, b in zip(getattr(total, name), getattr(score, name), strict=True)])
        for name in set(vars(score)) - {"found", "extra", "missed"}:
            setattr(total, name, getattr(total, name) + getattr(score, name))
    return total


def score_timeline(answer_at: Callable[[float], str], stretches: Sequence[Stretch]) -> TimelineScore:
    """Compare what a timeline says of each moment, in seconds, with the labelled stretches of a clip."""
    score = TimelineScore()
    truth, answers = list[str](), list[str]()
    for stretch in stretches:
        steps = round((stretch.end_s - stretch.start_s) / GRID_S)
        own = [answer_at(stretch.start_s + (step + 0.5) * GRID_S) for step in range(steps)]
        truth, answers = truth + [stretch.pose] * steps, answers + own
        score.labelled_s += stretch.end_s - stretch.start_s
        score.switches += sum(b not in (a, stretch.pose) for a, b in pairwise(own))
        for number in range(int((stretch.end_s - stretch.start_s) / STEP_S)):
            score.asked += 1
            score.right += answer_at(stretch.start_s + (number + 0.5) * STEP_S) == stretch.pose
    holds, seen = find_runs(truth), find_runs(answers)
    for number, share in enumerate(OVERLAPS):
        pairs = match_runs(holds, seen, share)
        score.found[number] = len(pairs)
        score.missed[number], score.extra[number] = len(holds) - len(pairs), len(seen) - len(pairs)
        if not number:
            edges = [(own.start - other.start, own.end - other.end) for own, other in pairs]
            score.edges_s = [abs(steps) * GRID_S for pair in edges for steps in pair]
    score.edits = [measure_edit([run.pose for run in holds], [run.pose for run in seen])]
    held, shown = Counter(run.pose for run in holds), Counter(run.pose for run in seen)
    score.counts = len(held | shown)
    score.counts_right = sum(held[pose] == shown[pose] for pose in held | shown)
    on_none = [sum(pose == NO_POSE for pose in truth[run.start : run.end]) for run in seen]
    score.false_alarms = sum(2 * steps > run.end - run.start for steps, run in zip(on_none, seen, strict=True))
    score.none_s = GRID_S * truth.count(NO_POSE)
    return score


def find_runs(answers: Sequence[str]) -> list[Run]:
    """Stretches of equal answers, those of `none` left out."""
    runs, start = [], 0
    for pose, group in groupby(answers):
        end = start + len(list(group))
        runs += [Run(pose, start, end)] * (pose != NO_POSE)
        start = end
    return runs


def match_runs(holds: Sequence[Run], seen: Sequence[Run], share: float) -> list[tuple[Run, Run]]:
    """Pair each run that was seen with the hold of its pose that it overlaps most, if by `share` of their union.

    A hold is found once.
    """
    pairs, left = [], list(holds)
    for run in seen:
        best = max(
            (hold for hold in holds if hold.pose == run.pose), key=lambda hold: _overlap(hold, run), default=None
        )
        if best is not None and best in left and _overlap(best, run) >= share:
            left.remove(best)
            pairs.append((best, run))
    return pairs


def _overlap(one: Run, other: Run) -> float:
    """Intersection over union, 0 to 1."""
    inside = max(min(one.end, other.end) - max(one.start, other.start), 0)
    return inside / (one.end - one.start + other.end - other.start - inside)


def measure_edit(truth: Sequence[str], answers: Sequence[str]) -> float:
    """1 minus the Levenshtein distance of two lists of names, divided by the longer one's length.

    1 if both are empty.
    """
    distances = list(range(len(answers) + 1))
    for row, name in enumerate(truth, 1):
        before, distances[0] = distances[0], row
        for column, other in enumerate(answers, 1):
            cheapest = min(before + (name != other), distances[column] + 1, distances[column - 1] + 1)
            before, distances[column] = distances[column], cheapest
    return 1 - distances[-1] / max(len(truth), len(answers), 1)


Measure = Callable[[TimelineScore], float]
MEASURES: dict[str, Measure] = {
    "half-seconds right, %": lambda score: 100 * score.accuracy,
    "F1@50": lambda score: 100 * score.f1(1),
    "edit": lambda score: 100 * score.edit,
    "wrong switches / min": lambda score: score.switches_per_min,
}


def compare(
    before: Sequence[TimelineScore], after: Sequence[TimelineScore], measure: Measure
) -> tuple[float, float, float]:
    """Difference over the same clips, and its 95 % interval: a paired bootstrap over clips."""
    rng, differences = np.random.default_rng(0), []
    for _ in range(DRAWS):
        drawn = rng.integers(len(before), size=len(before))
        pair = [add_up([scores[number] for number in drawn]) for scores in (after, before)]
        differences.append(measure(pair[0]) - measure(pair[1]))
    low, high = np.percentile(differences, [2.5, 97.5])
    return measure(add_up(after)) - measure(add_up(before)), float(low), float(high)
