"""Milliseconds from a frame to its label: model files on each engine, beside Ultralytics' classifiers.

    python benchmarks/engines.py FP32.onnx FP16.onnx INT8.onnx --video CLIP.mp4 --ultralytics PYTHON

All of them take turns, some frames at a time, so that a noisy machine is equally noisy to all; the first frames of a
turn are not counted, since caches are cold and other threads may still spin.  Ratios are of turns side by side: the
median over the rounds.  PYTHON has ultralytics installed; it runs in a process of its own, once with as many threads
as it chooses for itself (all cores but one) and once with all cores.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from yoga_live.runtime.classifier import PoseClassifier
from yoga_live.runtime.core.model_metadata import DEFAULT_MODEL
from yoga_live.runtime.cropping.motion_zoom import Zoom
from yoga_live.runtime.pipelines.benchmark import StageTimes, TimedEngine
from yoga_live.runtime.sources.drawn_figure import POSES, draw_figure
from yoga_live.runtime.sources.video import VideoSource
from yoga_live.runtime.system.progress import track
from yoga_live.runtime.tracking.causal_smoother import Smoother

WARM_UP = 5
STAGES = ("preprocess", "network", "smoothing")
PACKAGES = {"cpu": "onnxruntime", "cuda": "onnxruntime-gpu", "tensorrt": "onnxruntime-gpu", "openvino": "openvino"}
YOLO = ("yolo11n-cls.yaml", "yolo11s-cls.yaml")
Frames = npt.NDArray[np.uint8]
Milliseconds = npt.NDArray[np.float64]


class Contender(Protocol):
    """Takes its turn; `turns` are the milliseconds from frame to label, one array for each turn."""

    name: str
    turns: list[Milliseconds]

    def take_turn(self, start: int, count: int) -> None: ...


class YogaLive:
    """A model file on one engine, as the live loop calls it."""

    def __init__(self, path: Path, device: str, frames: Frames) -> None:
        classifier = PoseClassifier(path, device)
        self._frames, self._stages = frames, StageTimes()
        self._classifier = PoseClassifier.from_engine(TimedEngine(classifier.engine, self._stages))
        self._smoother = Smoother(classifier.labels, classifier.info.threshold)
        self._zoom, self._number = Zoom(), 0
        self.precision, package = classifier.info.precision, PACKAGES[classifier.engine.device]
        self.name = f"{path.name} ({self.precision}), {classifier.engine.device}, {package} {metadata.version(package)}"
        self.device = classifier.engine.device
        self.turns: list[Milliseconds] = []
        self.stages: dict[str, list[Milliseconds]] = {stage: [] for stage in (*STAGES, "zoom")}

    def take_turn(self, start: int, count: int) -> None:
        """Classify and smooth frames."""
        self._stages.clear()
        for number in range(start, start + WARM_UP + count):
            frame = self._frames[number % len(self._frames)]
            time_s, self._number = self._number / 30, self._number + 1
            self._stages.mark("idle")
            self._smoother.update(time_s, self._classifier.probabilities(frame))
            self._stages.mark("smoothing")
            self._zoom.update(time_s, frame)
            self._stages.mark("zoom")
        taken = self._stages.milliseconds(WARM_UP)
        for stage, values in self.stages.items():
            values.append(taken[stage])
        self.turns.append(np.sum([taken[stage] for stage in STAGES], axis=0))

    def median(self, stage: str) -> float:
        """Milliseconds of one stage."""
        return float(np.median(np.concatenate(self.stages[stage])))

    @property
    def around_share(self) -> float:
        """What preprocessing, smoothing and the rest take, as a share of the network: median over the frames."""
        network, whole = np.concatenate(self.stages["network"]), np.concatenate(self.turns)
        return float(np.median((whole - network) / network))


@dataclass
class Ultralytics:
    """Another process, which answers when it is asked."""

    name: str
    process: subprocess.Popen[str]
    turns: list[Milliseconds] = field(default_factory=list)

    @classmethod
    def start(cls, python: str, model: str, frames: Path, size: int, threads: int | None, home: Path) -> Ultralytics:
        """threads: None leaves the choice to Ultralytics.  home: where it may write its settings."""
        script = Path(__file__).parent / "ultralytics_predict.py"
        environment = {**os.environ, "YOLO_CONFIG_DIR": str(home), "YOLO_OFFLINE": "true"}
        command = [python, str(script), str(frames), "--model", model, "--size", str(size)]
        command += ["--threads", str(threads)] if threads else []
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=home
        )
        contender = cls("", process)
        facts: dict[str, Any] = contender._read()
        threads_said = f"{facts['threads']} thread{'s' if facts['threads'] > 1 else ''}"
        contender.name = f"{Path(model).stem}, ultralytics {facts['version']}, {threads_said}"
        return contender

    def take_turn(self, start: int, count: int) -> None:
        """`predict` on the same frames."""
        assert self.process.stdin
        self.process.stdin.write(f"{start} {WARM_UP + count}\n")
        self.process.stdin.flush()
        self.turns.append(np.array(self._read()[WARM_UP:]))

    def _read(self) -> Any:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.name or 'ultralytics'} ended with code {self.process.wait()}; what it said is above")
        return json.loads(line)

    def close(self) -> None:
        """Let it end."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


def read_frames(video: Path | None, count: int) -> Frames:
    """Frames spread over the clip, uint8 (N, H, W, 3) BGR; without one, drawn figures at 720p."""
    if video is None:
        return np.stack([draw_figure(pose, (1280, 720)) for pose in POSES.values()])
    with VideoSource(video) as source:
        total = max(1, round((source.info.duration_s or 1) * source.info.rate))
        every = max(1, total // count)
        picked = [frame.image_bgr for number, frame in enumerate(source.frames()) if number % every == 0]
    return np.stack(picked[:count])


def ratio(one: Contender, other: Contender) -> float:
    """How many times the other's milliseconds the one takes: median over the rounds of the ratio of medians."""
    return float(np.median([np.median(a) / np.median(b) for a, b in zip(one.turns, other.turns, strict=True)]))


def print_tables(contenders: list[Contender]) -> None:
    """Print milliseconds and ratios in Markdown, then what was asked of them."""
    ours = [contender for contender in contenders if isinstance(contender, YogaLive)]
    theirs = [contender for contender in contenders if isinstance(contender, Ultralytics)]
    print(
        "| | preprocess | network | smoothing | around the network | frame to label, p50 / p95 | ratio to the first |"
    )
    print("|---|---|---|---|---|---|---|")
    for contender in contenders:
        cells = ["", "", "", ""]
        if isinstance(contender, YogaLive):
            cells = [f"{contender.median(stage):.2f}" for stage in STAGES] + [f"{contender.around_share:.1%}"]
        p50, p95 = np.quantile(np.concatenate(contender.turns), [0.5, 0.95])
        cells += [f"{p50:.2f} / {p95:.2f}", f"{ratio(contender, contenders[0]):.2f}"]
        print(f"| {contender.name} | {' | '.join(cells)} |")
    print(f"\nthe zoom would add {np.median([one.median('zoom') for one in ours]):.2f}")
    for quick in (one for one in ours if one.precision == "int8"):
        for slow in (one for one in ours if one.precision == "fp32" and one.device == quick.device):
            print(f"{quick.device}: FP32 takes {ratio(slow, quick):.2f} times the time of INT8, frame to label")
    quickest = min(ours, key=lambda one: float(np.median(np.concatenate(one.turns))))
    for other in theirs:
        print(f"{other.name} takes {ratio(other, quickest):.2f} times the time of {quickest.name}")


def main() -> int:
    """Let all take turns, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="*", default=[DEFAULT_MODEL])
    parser.add_argument("--devices", default="cpu,openvino", help="engines, with commas between")
    parser.add_argument("--video", type=Path, help="take the frames from this clip (drawn figures at 720p otherwise)")
    parser.add_argument("--ultralytics", metavar="PYTHON", help="a Python that has ultralytics")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--frames", type=int, default=15, help="of a turn, counted ones")
    args = parser.parse_args()
    frames = read_frames(args.video, 60)
    contenders: list[Contender] = [
        YogaLive(path, device, frames) for device in args.devices.split(",") for path in args.models
    ]
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        if args.ultralytics:
            np.save(Path(name) / "frames.npy", frames)
            for model in YOLO:
                for threads in (None, os.cpu_count()):
                    other = Ultralytics.start(
                        args.ultralytics, model, Path(name) / "frames.npy", 224, threads, Path(name)
                    )
                    stack.callback(other.close)
                    contenders.append(other)
        for turn in track(range(args.rounds), "rounds", args.rounds):
            for contender in contenders:
                contender.take_turn(turn * args.frames, args.frames)
    height, width = frames.shape[1:3]
    print(
        f"{args.rounds} rounds of {args.frames} frames of {width} x {height}; milliseconds; {os.cpu_count()} cores, "
        f"{platform.machine()}, Python {platform.python_version()}; p50\n"
    )
    print_tables(contenders)
    return 0


if __name__ == "__main__":
    sys.exit(main())
