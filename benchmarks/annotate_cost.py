"""What annotating a recorded video costs beyond decoding and encoding it, whole commands in turns.

    python benchmarks/annotate_cost.py CLIP.mp4 [--ultralytics PYTHON]

`bare` reads the clip and hands its frames to the encoder of `yoga-live --save` with the same options, writing video
alone: no sound, no index in front, no look at any frame.  Both are processes of their own, timed from start to end.
Ratios are of turns side by side: the median over the rounds.  CPU seconds are of the process with all of its threads:
they tell what is left for others, and on a busy machine they are steadier than the clock.

PYTHON has ultralytics installed: `predict` with `save=True` takes turns too, with a randomly initialised yolo11n-cls,
which is all the same to the clock.  There are no trained weights of it for these poses, so its label flips mean
nothing; what is set beside ours is what `predict` would show of our own network, each frame's likeliest label.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np

from yoga_live.runtime.classifier import PoseClassifier, choose_answer
from yoga_live.runtime.core.frames import TimedFrame
from yoga_live.runtime.cropping.croppers import ZoomCropper
from yoga_live.runtime.pipelines.loop import RunPlan
from yoga_live.runtime.pipelines.recorded_loop import run_recorded
from yoga_live.runtime.sinks.video import ENCODER_OPTIONS
from yoga_live.runtime.sources.video import VideoSource
from yoga_live.runtime.system.progress import track
from yoga_live.runtime.tracking.sampling_observer import OBSERVATIONS_PER_S

YOLO = "yolo11n-cls.yaml"


@dataclass
class Contender:
    """A command; the file that it writes is removed before each turn."""

    name: str
    command: list[str]
    writes: Path | None = None
    wall_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    said: str = ""

    def take_turn(self, environment: dict[str, str]) -> None:
        """Run it once."""
        if self.writes:
            self.writes.unlink(missing_ok=True)
        cpu_s, started_s = _children_s(), time.perf_counter()
        result = subprocess.run(self.command, env=environment, capture_output=True, text=True, check=False)
        self.wall_s.append(time.perf_counter() - started_s)
        self.cpu_s.append(_children_s() - cpu_s)
        if result.returncode:
            sys.exit(f"{self.name} ended with code {result.returncode}: {result.stderr.strip()[-500:]}")
        self.said = result.stdout


class Nowhere:
    """A sink that keeps nothing: what is shown is noted by the loop."""

    def write(self, frame: TimedFrame) -> None:
        """Let it go."""

    def complete(self) -> None:
        """Nothing follows."""

    def break_off(self) -> None:
        """Nothing is kept."""

    def close(self) -> None:
        """Nothing is open."""


def write_bare(video: Path, to: Path) -> None:
    """Decode and encode, nothing else."""
    with av.open(str(video)) as source, av.open(str(to), "w", format="mp4") as container:
        stream = source.streams.video[0]
        stream.thread_type = "AUTO"
        out: Any = container.add_stream("libx264", rate=stream.average_rate, options=ENCODER_OPTIONS)
        out.width, out.height, out.pix_fmt = stream.width, stream.height, "yuv420p"
        out.time_base = out.codec_context.time_base = stream.time_base
        for picture in source.decode(stream):
            picture.pict_type = 0  # the encoder's choice, as in ours
            container.mux(out.encode(picture))
        container.mux(out.encode(None))


def count_flips(video: Path, model: Path | None) -> tuple[int, int, int, float]:
    """Changes of the label: the likeliest of each frame, the same with our threshold, what we draw; and seconds."""
    classifier = PoseClassifier(model)
    with VideoSource(video) as source:
        rows = [classifier.probabilities(frame.image_bgr) for frame in track(source.frames(), "each frame alone")]
        rate = float(source.info.rate)
    likeliest = [int(np.argmax(row)) for row in rows]
    sure = [choose_answer(row, classifier.labels, classifier.info.threshold)[0] for row in rows]
    drawn: list[str] = []
    with VideoSource(video) as source:
        again = partial(VideoSource, video, OBSERVATIONS_PER_S)
        run_recorded(
            RunPlan(
                source, classifier, [Nowhere()], on_frame=lambda _, hold: drawn.append(hold.pose), cropper=ZoomCropper()
            ),
            again,
        )
    return _changes(likeliest), _changes(sure), _changes(drawn), len(rows) / rate


def _changes(labels: Sequence[object]) -> int:
    return sum(a != b for a, b in pairwise(labels))


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def list_contenders(args: argparse.Namespace, folder: Path) -> list[Contender]:
    """Bare first; the others are measured against it."""
    ours = [sys.executable, "-m", "yoga_live.runtime", "--video", str(args.video), "--no-window"]
    ours += ["--model", str(args.model)] if args.model else []
    ours += ["--device", args.device, "--save"]
    bare = [sys.executable, __file__, str(args.video), "--bare", str(folder / "bare.mp4")]
    contenders = [
        Contender("bare", bare),
        Contender("yoga-live", [*ours, str(folder / "annotated.mp4")], folder / "annotated.mp4"),
        Contender("yoga-live --explain", [*ours, str(folder / "explained.mp4"), "--explain"], folder / "explained.mp4"),
    ]
    if args.ultralytics:
        script = Path(__file__).parent / "ultralytics_video.py"
        theirs = [args.ultralytics, str(script), str(args.video), "--model", YOLO, "--size", "224"]
        contenders.append(Contender(f"ultralytics predict, {YOLO}", [*theirs, "--to", str(folder)]))
    return contenders


def print_table(contenders: list[Contender]) -> None:
    """Seconds, and ratios to the first."""
    first = contenders[0]
    print("| | wall s | ratio to bare | CPU s | ratio to bare |")
    print("|---|---|---|---|---|")
    for one in contenders:
        wall = np.median(np.array(one.wall_s) / np.array(first.wall_s))
        cpu = np.median(np.array(one.cpu_s) / np.array(first.cpu_s))
        print(f"| {one.name} | {np.median(one.wall_s):.2f} | {wall:.2f} | {np.median(one.cpu_s):.2f} | {cpu:.2f} |")


def print_flips(args: argparse.Namespace, contenders: list[Contender]) -> None:
    """Changes of the label a minute."""
    likeliest, sure, drawn, seconds = count_flips(args.video, args.model)
    print(f"\nchanges of the label in {seconds:.0f} s of video, a minute:")
    print(f"  the likeliest label of each frame (as predict shows it), our network: {likeliest / seconds * 60:.1f}")
    print(f"  the same with our threshold, no smoothing: {sure / seconds * 60:.1f}")
    print(f"  drawn by yoga-live: {drawn / seconds * 60:.1f}")
    if args.ultralytics:
        facts = json.loads(contenders[-1].said)
        flips = facts["flips"] / seconds * 60
        print(f"  ultralytics {facts['version']}, random weights, so it says nothing: {flips:.1f}")


def main() -> int:
    """Let all take turns, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--ultralytics", metavar="PYTHON", help="a Python that has ultralytics")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--bare", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.video = args.video.resolve()
    if args.bare:
        write_bare(args.video, args.bare)
        return 0
    with tempfile.TemporaryDirectory() as name, VideoSource(args.video) as source:
        environment = {**os.environ, "YOLO_CONFIG_DIR": name, "YOLO_OFFLINE": "true"}
        contenders = list_contenders(args, Path(name))
        for _ in track(range(args.rounds), "rounds", args.rounds):
            for contender in contenders:
                contender.take_turn(environment)
    width, height = source.info.size_wh
    print(
        f"{args.rounds} rounds, {source.info.duration_s or 0:.0f} s of {width} x {height} at "
        f"{float(source.info.rate):.4g} FPS; {os.cpu_count()} cores, {platform.machine()}, "
        f"Python {platform.python_version()}; medians\n"
    )
    print_table(contenders)
    print_flips(args, contenders)
    return 0


if __name__ == "__main__":
    sys.exit(main())
