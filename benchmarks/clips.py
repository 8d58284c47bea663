"""Score the live loop on clips with a known truth: `python benchmarks/clips.py FOLDER [--model FILE]`.

FOLDER holds videos and `truth.csv` (video,start_s,end_s,pose; `none` = no pose, `transition` = not scored).  Every half
second of a labelled stretch is one question.  `shown` is what the overlay said at that moment (causal, so late by the
smoother's own delay); `timeline` is what the finished timeline says of it.  A wrong switch is a change of the shown
answer, within a labelled stretch, to something else than the truth.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from yoga_live.runtime.classifier import PoseClassifier
from yoga_live.runtime.live import watch
from yoga_live.runtime.session import Hold, Segment
from yoga_live.runtime.sources import TimedFrame, VideoSource

STEP_S = 0.5


@dataclass(frozen=True)
class Stretch:
    """One row of truth.csv."""

    start_s: float
    end_s: float
    pose: str


@dataclass
class Score:
    """Counts of one clip, or of all of them."""

    questions: int = 0
    shown_right: int = 0
    timeline_right: int = 0
    wrong_switches: int = 0
    labelled_s: float = 0.0
    wrong: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))

    def add(self, other: Score) -> None:
        """Sum up."""
        self.questions += other.questions
        self.shown_right += other.shown_right
        self.timeline_right += other.timeline_right
        self.wrong_switches += other.wrong_switches
        self.labelled_s += other.labelled_s
        for pair, count in other.wrong.items():
            self.wrong[pair] += count

    def row(self, name: str) -> str:
        """A line of the table."""
        per_minute = self.wrong_switches / self.labelled_s * 60
        wrong = ", ".join(
            f"{truth} as {answer} {n * STEP_S:.1f} s" for (truth, answer), n in sorted(self.wrong.items())
        )
        return (
            f"| {name} | {self.labelled_s:.0f} | {self.shown_right / self.questions:.1%} | "
            f"{self.timeline_right / self.questions:.1%} | {per_minute:.1f} | {wrong or '-'} |"
        )


def read_truth(path: Path) -> dict[str, list[Stretch]]:
    """Labelled stretches of each video, transitions left out."""
    truth: dict[str, list[Stretch]] = defaultdict(list)
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["pose"] != "transition":
                truth[row["video"]].append(Stretch(float(row["start_s"]), float(row["end_s"]), row["pose"]))
    return truth


def score_clip(path: Path, stretches: list[Stretch], classifier: PoseClassifier) -> Score:
    """Watch one clip and compare."""
    shown: list[tuple[float, str]] = []

    def note(frame: TimedFrame, hold: Hold) -> None:
        shown.append((frame.time_s, hold.pose))

    with VideoSource(path) as source:
        watched = watch(source, classifier, [], on_frame=note)
    score = Score()
    for stretch in stretches:
        score.labelled_s += stretch.end_s - stretch.start_s
        inside = [pose for time_s, pose in shown if stretch.start_s <= time_s <= stretch.end_s]
        score.wrong_switches += sum(b not in (a, stretch.pose) for a, b in pairwise(inside))
        for number in range(int((stretch.end_s - stretch.start_s) / STEP_S)):
            time_s = stretch.start_s + (number + 0.5) * STEP_S
            answer = max((item for item in shown if item[0] <= time_s), default=(0.0, "none"))[1]
            score.questions += 1
            score.shown_right += answer == stretch.pose
            score.timeline_right += pose_at(watched.segments, time_s) == stretch.pose
            if answer != stretch.pose:
                score.wrong[(stretch.pose, answer)] += 1
    return score


def pose_at(segments: tuple[Segment, ...], time_s: float) -> str:
    """What a timeline says of a moment."""
    return next((s.pose for s in segments if s.start_s <= time_s < s.end_s), "none")


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder with videos and truth.csv")
    parser.add_argument("--model", type=Path, help="pose model instead of the shipped one")
    args = parser.parse_args()
    classifier = PoseClassifier(args.model)
    total = Score()
    print("| clip | labelled s | shown right | timeline right | wrong switches / min | shown wrong |")
    print("|---|---|---|---|---|---|")
    for name, stretches in read_truth(args.folder / "truth.csv").items():
        score = score_clip(args.folder / name, stretches, classifier)
        total.add(score)
        print(score.row(name))
    print(total.row("all"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
