"""Score the live loop on clips with a known truth: `python benchmarks/clips.py FOLDER [--model FILE]`.

FOLDER holds videos and `truth.csv` (video,start_s,end_s,pose; `none` = no pose, `transition` = not scored).  Every half
second of a labelled stretch is one question.  `shown` is what the overlay said at that moment (causal, so late by the
smoother's own delay); `timeline` is what the timeline of a recording says of it; `frames` is the share of single
frames that are named rightly before any smoothing.  A wrong switch is a change of the shown answer, within a labelled
stretch, to something else than the truth.

    python benchmarks/clips.py FOLDER --distort all --clutter EVERYDAY_PHOTOS --unseen-by RUN

scores the clips again shrunk into a corner of a cluttered picture, dark, mirrored, turned, at 360p and 5 FPS, with a
television in the room, which never stops moving, and as if a hand held the camera; one row each.  Training puts photos
of places behind people: `--unseen-by` leaves only clutter that the run did not train on.  `--crop all` scores each with
the whole frame, with a crop around what moves (`--people off`), and with one around the main person (`--people main`).
`--every 3` takes every third frame only, in less time.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import numpy.typing as npt
from clip_answers import STEP_S, SparseSource, Stretch, pose_at, read_truth
from distortions import DISTORTIONS, DistortedSource

from yoga_live.calibration.runs import load_run
from yoga_live.runtime.classifier import PoseClassifier, choose_answer
from yoga_live.runtime.core.frames import TimedFrame
from yoga_live.runtime.core.regions import Region
from yoga_live.runtime.core.types import Floats, Hold
from yoga_live.runtime.cropping.croppers import Cropper
from yoga_live.runtime.pipelines.live_loop import run_live
from yoga_live.runtime.pipelines.loop import RunPlan
from yoga_live.runtime.sources.base import Source
from yoga_live.runtime.sources.video import VideoSource
from yoga_live.runtime.tracking.hmm_smoother import HmmSmoother
from yoga_live.runtime.tracking.observer import find_info, open_cropper

CROPS = ("whole", "motion", "person")
"""What is classified: all of the frame, a crop around what moves, or around the main person."""


@dataclass
class Score:
    """Counts of one clip, or of all of them."""

    questions: int = 0
    shown_right: int = 0
    timeline_right: int = 0
    frames: int = 0
    frames_right: int = 0
    wrong_switches: int = 0
    labelled_s: float = 0.0
    wrong: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))

    def add(self, other: Score) -> None:
        """Sum up."""
        for name, value in vars(other).items():
            if name != "wrong":
                setattr(self, name, getattr(self, name) + value)
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
            f"{self.timeline_right / self.questions:.1%} | {self.frames_right / max(self.frames, 1):.1%} | "
            f"{per_minute:.1f} | {wrong or '-'} |"
        )


class NotingClassifier(PoseClassifier):
    """A classifier that keeps its last answer, before any smoothing."""

    answer = ""
    last: Floats

    def probabilities(
        self, frame_bgr: npt.NDArray[np.generic], region: Region | None = None, landmarks: Floats | None = None
    ) -> Floats:
        """Classify and note."""
        probabilities = super().probabilities(frame_bgr, region, landmarks)
        self.last = probabilities
        self.answer = choose_answer(probabilities, self.labels, self.info.threshold)[0]
        return probabilities


def score_clip(source: Source, stretches: list[Stretch], classifier: NotingClassifier, view: Cropper) -> Score:
    """Watch one clip and compare."""
    shown: list[tuple[float, str]] = []
    single: list[tuple[float, str]] = []
    smoother = HmmSmoother(classifier.labels, find_info(classifier, view).threshold)

    def note(frame: TimedFrame, hold: Hold) -> None:
        shown.append((frame.time_s, hold.pose))
        single.append((frame.time_s, classifier.answer))
        smoother.update(frame.time_s, classifier.last)

    with source:
        watched = run_live(RunPlan(source, classifier, [], on_frame=note, cropper=view))
    if watched.error:
        raise watched.error
    score, segments = Score(), smoother.segments()
    for stretch in stretches:
        score.labelled_s += stretch.end_s - stretch.start_s
        inside = [pose for time_s, pose in shown if stretch.start_s <= time_s <= stretch.end_s]
        score.wrong_switches += sum(b not in (a, stretch.pose) for a, b in pairwise(inside))
        answers = [pose for time_s, pose in single if stretch.start_s <= time_s < stretch.end_s]
        score.frames += len(answers)
        score.frames_right += answers.count(stretch.pose)
        for number in range(int((stretch.end_s - stretch.start_s) / STEP_S)):
            time_s = stretch.start_s + (number + 0.5) * STEP_S
            answer = max((item for item in shown if item[0] <= time_s), default=(0.0, "none"))[1]
            score.questions += 1
            score.shown_right += answer == stretch.pose
            score.timeline_right += pose_at(segments, time_s) == stretch.pose
            if answer != stretch.pose:
                score.wrong[(stretch.pose, answer)] += 1
    return score


def read_distortions(text: str) -> list[str]:
    """Names, comma-separated, or `all`."""
    return read_names(text, list(DISTORTIONS))


def read_crops(text: str) -> list[str]:
    """Names, comma-separated, or `all`."""
    return read_names(text, list(CROPS))


def read_names(text: str, known: list[str]) -> list[str]:
    """Some of the known names, comma-separated, or `all`."""
    names = known if text == "all" else text.split(",")
    unknown = [name for name in names if name not in known]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(known)}, all")
    return names


def parse_args() -> argparse.Namespace:
    """Define the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder with videos and truth.csv")
    parser.add_argument("--model", type=Path, help="pose model instead of the shipped one")
    parser.add_argument("--distort", type=read_distortions, default=["none"], help=f"{', '.join(DISTORTIONS)} or all")
    parser.add_argument("--crop", type=read_crops, default=["whole"], help=f"{', '.join(CROPS)} or all")
    parser.add_argument("--clutter", type=Path, help="folder of everyday photos, for the corner's background")
    parser.add_argument("--unseen-by", type=Path, metavar="RUN", help="no clutter that this run was trained with")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="classify every Nth frame only")
    args = parser.parse_args()
    if not args.clutter and any(name.endswith(("corner", "screen")) for name in args.distort):
        parser.error("--distort corner and screen need --clutter, a folder of everyday photos")
    return args


def list_clutter(folder: Path, run: Path | None) -> list[Path]:
    """Photos of a folder, sorted; without those that a run was trained with."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    if run is None:
        return paths
    known = {photo.sha256 for photo in load_run(run).photos if photo.split == "train"}
    return [path for path in paths if hashlib.sha256(path.read_bytes()).hexdigest() not in known]


def main() -> int:
    """Print the table."""
    args = parse_args()
    clutter = list_clutter(args.clutter, args.unseen_by) if args.clutter else []
    classifier = NotingClassifier(args.model)
    print("| clip | labelled s | shown right | timeline right | frames right | wrong switches / min | shown wrong |")
    print("|---|---|---|---|---|---|---|")
    truth = read_truth(args.folder / "truth.csv")
    for distortion, crop in product(args.distort, args.crop):
        total, suffix = Score(), f", {crop}" if len(args.crop) > 1 else ""
        for name, stretches in truth.items():
            # `low` drops frames itself: --every thins the others alone.
            video = SparseSource(VideoSource(args.folder / name), 1 if distortion == "low" else args.every)
            source = DistortedSource(video, distortion, clutter)
            people = "main" if crop == "person" else "off"
            view = open_cropper(classifier, None, crop != "whole", source.info.size_wh, people)
            score = score_clip(source, stretches, classifier, view)
            total.add(score)
            if len(args.distort) == 1:
                print(score.row(name + suffix), flush=True)
        print(total.row(("all" if len(args.distort) == 1 else distortion) + suffix), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
