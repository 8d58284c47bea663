"""Are several people in one picture told apart?  Clips side by side, each compared with the same clip alone.

    python benchmarks/several_people.py CLIP [CLIP ...] [--across 2] [--model FILE] [--save FILE.mp4]
    python benchmarks/several_people.py CLIP [CLIP ...] --cost [--seconds 20] [--rounds 3] [--model FILE]

The clips are put side by side, so many across, and run as `yoga-live --people all` runs a recording; then each alone
with `--people main`, in a picture of the same size as its part.  Every half second of a clip is one question: does the
timeline of whoever is in its part say the same as the clip alone?  numbers: how many different people were counted in
a part; time: seconds for a second of the recording.  A short clip ends the others.

--cost: what it costs to follow people.  Eight clips (of fewer, some twice, from a later moment on; a short one begins
anew) are put side by side in 1920 x 1080 at 24 frames a second, written as one video, and annotated by `annotate_video`
with `--people off`, `main` and `all` in turns: its timeline alone, and with the annotated video as `yoga-live
class.mp4` writes it.  Wall and CPU seconds for a second of video, the finder's loading included; ratios to `off` of the
same round; medians over the rounds.  people: how many were followed at a time, on average.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from yoga_live.runtime.classifier import PoseClassifier
from yoga_live.runtime.core.frames import TimedFrame
from yoga_live.runtime.core.opencv import cv2
from yoga_live.runtime.core.preprocess import BAR_GREY, fit_inside_wh
from yoga_live.runtime.core.types import Frame, Segment
from yoga_live.runtime.people.cropper import PeopleMode
from yoga_live.runtime.pipelines.annotate import AnnotateConfig, Display, Outputs, annotate_video
from yoga_live.runtime.pipelines.loop import RunPlan, RunResult
from yoga_live.runtime.pipelines.recorded_loop import run_recorded
from yoga_live.runtime.sinks.video import VideoSink
from yoga_live.runtime.sources.base import SourceInfo
from yoga_live.runtime.sources.video import VideoSource
from yoga_live.runtime.tracking.observer import Tracked, open_cropper

RATE = Fraction(12)
PART_WH = (640, 360)
STEP_S = 0.5
COST_RATE = Fraction(24)
EIGHT, EIGHT_ACROSS, EIGHTH_WH = 8, 4, (480, 540)
LATER_S = 4.0
"""How much later a clip begins each further time that it is in the picture."""
WAYS: tuple[PeopleMode, ...] = ("off", "main", "all")


class SideBySide:
    """Clips as one source, each in its part of the picture."""

    def __init__(
        self, paths: Sequence[Path], across: int, part_wh: tuple[int, int] = PART_WH, rate: Fraction = RATE
    ) -> None:
        self._paths, self._across, self.part_wh = paths, min(across, len(paths)), part_wh
        self.rows = -(-len(paths) // self._across)
        size_wh = part_wh[0] * self._across, part_wh[1] * self.rows
        self.info = SourceInfo("side by side", size_wh, rate, 1 / rate, None)

    def __enter__(self) -> SideBySide:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def find_part(self, number: int) -> tuple[int, int]:
        """Left and top of a clip's part, pixels."""
        return number % self._across * self.part_wh[0], number // self._across * self.part_wh[1]

    def frames(self) -> Iterator[TimedFrame]:
        """Frames until the first clip ends."""
        return self.arrange([self.sample(path) for path in self._paths])

    def sample(self, path: Path) -> Iterator[Frame]:
        """A clip as it is in its part."""
        return sample_clip(path, self.part_wh, self.info.rate)

    def arrange(self, clips: Sequence[Iterator[Frame]]) -> Iterator[TimedFrame]:
        """Pictures of clips in one, uint8 (H, W, 3) BGR, until the first of them ends."""
        (width, height), (part_w, part_h), rate = self.info.size_wh, self.part_wh, self.info.rate
        for count, images in enumerate(zip(*clips, strict=False)):
            scene = np.full((height, width, 3), BAR_GREY, np.uint8)
            for number, image in enumerate(images):
                left, top = self.find_part(number)
                scene[top : top + part_h, left : left + part_w] = image
            time_s = float(count / rate)
            self.info.seen.count(time_s, float(1 / rate))
            yield TimedFrame(scene, time_s, count, float(1 / rate))


def sample_clip(path: Path, part_wh: tuple[int, int] = PART_WH, rate: Fraction = RATE) -> Iterator[Frame]:
    """A clip at a rate, whole in a part, uint8 (H, W, 3) BGR."""
    with VideoSource(path) as source:
        count = 0
        for frame in source.frames():
            while count / rate <= frame.time_s - source.info.start_s + 1e-6:
                yield fit_part(frame.image_bgr, part_wh)
                count += 1


def fit_part(image: Frame, part_wh: tuple[int, int] = PART_WH) -> Frame:
    """A picture with bars around it, as large as a part."""
    left, top, width, height = fit_inside_wh((image.shape[1], image.shape[0]), part_wh)
    part = np.full((part_wh[1], part_wh[0], 3), BAR_GREY, np.uint8)
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


def compose_eight(clips: Sequence[Path], seconds: float) -> Iterator[TimedFrame]:
    """Frames of eight clips side by side, 1920 x 1080."""
    source = open_eight(clips)
    parts = []
    for number in range(EIGHT):
        first = int(number // len(clips) * LATER_S * COST_RATE)
        path = clips[number % len(clips)]
        rounds = itertools.chain.from_iterable(source.sample(path) for path in itertools.repeat(path))
        parts.append(itertools.islice(rounds, first, None))
    return itertools.islice(source.arrange(parts), int(seconds * COST_RATE))


def open_eight(clips: Sequence[Path]) -> SideBySide:
    """Eight parts, in which the clips are in turns."""
    return SideBySide([clips[n % len(clips)] for n in range(EIGHT)], EIGHT_ACROSS, EIGHTH_WH, COST_RATE)


@dataclass(frozen=True)
class Turn:
    """One run, in seconds for a second of video.  people: how many were followed at a time, on average."""

    wall_s: float
    cpu_s: float
    people: float


def take_turn(classifier: PoseClassifier, video: Path, people: PeopleMode, outputs: Outputs, seconds: float) -> Turn:
    """Annotate the video once."""
    followed: list[int] = []
    display = Display(on_tracked=lambda _, tracked: followed.append(len(tracked.holds) or bool(tracked.person)))
    started_s, started_cpu_s = time.perf_counter(), time.process_time()
    config = AnnotateConfig(people=people, force=True)
    result = annotate_video(video, outputs, config, show=lambda _: display, classifier=classifier)
    wall_s, cpu_s = time.perf_counter() - started_s, time.process_time() - started_cpu_s
    if result.error:
        raise result.error
    return Turn(wall_s / seconds, cpu_s / seconds, float(np.mean(followed)))


def measure_cost(args: argparse.Namespace) -> None:
    """Print what `--people` costs for eight people at 1080p."""
    classifier, source = PoseClassifier(args.model), open_eight(args.clips)
    with tempfile.TemporaryDirectory(prefix="yoga-live-") as name:
        video, folder = args.save or Path(name) / "eight.mp4", Path(name)
        sink = VideoSink(video, source.info, force=True)
        for frame in compose_eight(args.clips, args.seconds):
            sink.write(frame)
        sink.complete()
        sink.close()
        timeline = folder / "eight.csv"
        kinds = {
            "timeline": Outputs(timeline=timeline),
            "timeline, video": Outputs(folder / "annotated.mp4", timeline),
        }
        turns: dict[tuple[str, PeopleMode], list[Turn]] = {(kind, people): [] for kind in kinds for people in WAYS}
        for _ in range(args.rounds):
            for kind, people in turns:
                turns[kind, people].append(take_turn(classifier, video, people, kinds[kind], args.seconds))
    width, height = source.info.size_wh
    print(
        f"{args.rounds} rounds, {args.seconds:g} s of {width} x {height} at {float(COST_RATE):g} FPS, engine on "
        f"{classifier.engine.device}; {os.cpu_count()} cores, {platform.machine()}; medians, seconds for a second\n"
    )
    print_costs(turns)


def print_costs(turns: dict[tuple[str, PeopleMode], list[Turn]]) -> None:
    """Print a row for each way."""
    print("| written | --people | people | wall | ratio to off | CPU | ratio to off |\n|---|---|---|---|---|---|---|")
    for (kind, people), taken in turns.items():
        own, off = (np.array([(turn.wall_s, turn.cpu_s) for turn in each]) for each in (taken, turns[kind, "off"]))
        (wall, cpu), (wall_ratio, cpu_ratio) = np.median(own, axis=0), np.median(own / off, axis=0)
        count = np.mean([turn.people for turn in taken])
        print(f"| {kind} | {people} | {count:.1f} | {wall:.2f} | {wall_ratio:.2f} | {cpu:.2f} | {cpu_ratio:.2f} |")


def main() -> int:
    """Print a row for each clip, or for each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument("--across", type=int, default=2)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--save", type=Path, help="write the annotated picture of all; with --cost: the video of eight")
    parser.add_argument("--cost", action="store_true", help="measure what it costs to follow eight people at 1080p")
    parser.add_argument("--seconds", type=float, default=20.0, help="of video, with --cost")
    parser.add_argument("--rounds", type=int, default=3, help="with --cost")
    args = parser.parse_args()
    if args.cost:
        measure_cost(args)
        return 0
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
