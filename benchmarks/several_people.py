"""Are several people in one picture told apart?  Clips side by side, each compared with the same clip alone.

    python benchmarks/several_people.py CLIP [CLIP ...] [--across 2] [--model FILE] [--save FILE.mp4]

The clips are put side by side, so many across, and run as `yoga-live --people all` runs a recording; then each alone
with `--people main`, in a picture of the same size as its part.  Every half second of a clip is one question: does the
timeline of whoever is in its part say the same as the clip alone?  numbers: how many different people were counted in
a part; time: seconds for a second of the recording.  A short clip ends the others.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from yoga_live.runtime.classifier import PoseClassifier
from yoga_live.runtime.core.frames import TimedFrame
from yoga_live.runtime.core.opencv import cv2
from yoga_live.runtime.core.preprocess import BAR_GREY, fit_inside_wh
from yoga_live.runtime.core.types import Frame, Segment
from yoga_live.runtime.people.cropper import PeopleMode
from yoga_live.runtime.pipelines.loop import RunPlan, RunResult
from yoga_live.runtime.pipelines.recorded_loop import run_recorded
from yoga_live.runtime.sinks.video import VideoSink
from yoga_live.runtime.sources.base import SourceInfo
from yoga_live.runtime.sources.video import VideoSource
from yoga_live.runtime.tracking.observer import Tracked, open_cropper

RATE = Fraction(12)
PART_WH = (640, 360)
STEP_S = 0.5


class SideBySide:
    """Clips as one source, each in its part of the picture."""

    def __init__(self, paths: Sequence[Path], across: int) -> None:
        self._paths, self._across = paths, min(across, len(paths))
        self.rows = -(-len(paths) // self._across)
        size_wh = PART_WH[0] * self._across, PART_WH[1] * self.rows
        self.info = SourceInfo("side by side", size_wh, RATE, 1 / RATE, None)

    def __enter__(self) -> SideBySide:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def find_part(self, number: int) -> tuple[int, int]:
        """Left and top of a clip's part, pixels."""
        return number % self._across * PART_WH[0], number // self._across * PART_WH[1]

    def frames(self) -> Iterator[TimedFrame]:
        """Frames until the first clip ends."""
        clips = [sample_clip(path) for path in self._paths]
        width, height = self.info.size_wh
        for count, images in enumerate(zip(*clips, strict=False)):
            scene = np.full((height, width, 3), BAR_GREY, np.uint8)
            for number, image in enumerate(images):
                left, top = self.find_part(number)
                scene[top : top + PART_WH[1], left : left + PART_WH[0]] = image
            time_s = float(count / RATE)
            self.info.seen.count(time_s, float(1 / RATE))
            yield TimedFrame(scene, time_s, count, float(1 / RATE))


def sample_clip(path: Path) -> Iterator[Frame]:
    """A clip at `RATE`, whole in a part, uint8 (H, W, 3)."""
    with VideoSource(path) as source:
        count = 0
        for frame in source.frames():
            while count / RATE <= frame.time_s - source.info.start_s + 1e-6:
                yield fit_part(frame.image_bgr)
                count += 1


def fit_part(image: Frame) -> Frame:
    """A picture with bars around it, as large as a part."""
    left, top, width, height = fit_inside_wh((image.shape[1], image.shape[0]), PART_WH)
    part = np.full((PART_WH[1], PART_WH[0], 3), BAR_GREY, np.uint8)
    part[top : top + height, left : left + width] = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return part


class Notes:
    """Who was where at each time."""

    def __init__(self) -> None:
        self.rows: list[tuple[float, Tracked]] = []

    def __call__(self, frame: TimedFrame, tracked: Tracked) -> None:
        """Note a frame."""
        self.rows.append((frame.time_s, tracked))


def watch(
    classifier: PoseClassifier,
    source: SideBySide,
    people: PeopleMode,
    notes: Notes | None = None,
    save: Path | None = None,
) -> RunResult:
    """Run a recording."""
    cropper = open_cropper(classifier, None, True, source.info.size_wh, people)
    sinks = [VideoSink(save, source.info, force=True)] if save else []
    with source:
        result = run_recorded(RunPlan(source, classifier, sinks, cropper=cropper, on_tracked=notes), lambda: source)
    if result.error:
        raise result.error
    return result


def pose_at(segments: Sequence[Segment], time_s: float) -> str:
    """What a timeline says of a moment."""
    return next((s.pose for s in segments if s.start_s <= time_s < s.end_s), "none")


def count_equal(
    source: SideBySide, number: int, notes: Notes, together: Sequence[Segment], alone: RunResult
) -> tuple[int, int, set[int]]:
    """Half seconds that agree, all of them, and the numbers of those who were in a clip's part."""
    left, top = source.find_part(number)
    low, high = np.array([left, top]), np.array([left + PART_WH[0], top + PART_WH[1]])
    right = questions = 0
    seen: set[int] = set()
    end_s = min(alone.segments[-1].end_s, notes.rows[-1][0])
    due_s = STEP_S / 2
    for time_s, tracked in notes.rows:
        if time_s < due_s or time_s > end_s:
            continue
        due_s += STEP_S
        here = [
            person
            for person in tracked.people
            if person.number in tracked.holds
            and ((person.box[:2] + person.box[2:]) / 2 >= low).all()
            and ((person.box[:2] + person.box[2:]) / 2 < high).all()
        ]
        seen |= {person.number for person in here}
        largest = max(here, key=lambda person: person.size, default=None)
        own = [segment for segment in together if largest and segment.person == largest.number]
        questions += 1
        right += pose_at(own, time_s) == pose_at(alone.segments, time_s)
    return right, questions, seen


def main() -> int:
    """Print a row for each clip."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument("--across", type=int, default=2)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--save", type=Path, help="write the annotated picture of all")
    args = parser.parse_args()
    classifier, notes = PoseClassifier(args.model), Notes()
    source, started_s = SideBySide(args.clips, args.across), time.monotonic()
    together = watch(classifier, source, "all", notes, args.save)
    took_s = (time.monotonic() - started_s) / max(notes.rows[-1][0], 1)
    print("| clip | half seconds | same as alone | numbers |\n|---|---|---|---|")
    total = np.zeros(2, int)
    for number, path in enumerate(args.clips):
        alone = watch(classifier, SideBySide([path], 1), "main")
        right, questions, seen = count_equal(source, number, notes, together.segments, alone)
        total += right, questions
        print(f"| {path.name} | {questions} | {right / questions:.1%} | {len(seen)} |", flush=True)
    print(f"| all, {took_s:.2f} s for a second | {total[1]} | {total[0] / total[1]:.1%} | |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
