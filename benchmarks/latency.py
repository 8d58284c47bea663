"""Time from frame in to label out, stage by stage: `python benchmarks/latency.py [MODEL ...]`.

The models take turns, fifteen frames at a time, so that a noisy machine is equally noisy to all of them; the first
five frames of a turn are not counted, since the other model's threads still spin then.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

from yoga_live.runtime.classifier import DEFAULT_MODEL, PoseClassifier
from yoga_live.runtime.figure import POSES, draw_figure
from yoga_live.runtime.preprocess import letterbox
from yoga_live.runtime.smoothing import Smoother
from yoga_live.runtime.zoom import Zoom

ROUNDS, FRAMES, WARM_UP = 10, 15, 5


def time_frame(
    classifier: PoseClassifier, smoother: Smoother, zoom: Zoom, frame: np.ndarray, time_s: float
) -> dict[str, float]:
    """Milliseconds of each stage for one frame."""
    ticks = [time.perf_counter()]
    batch = letterbox(frame, classifier.info.size)[None]
    ticks.append(time.perf_counter())
    classifier.engine.run(batch)
    ticks.append(time.perf_counter())
    probabilities = classifier.probabilities(frame)
    ticks.append(time.perf_counter())
    smoother.update(time_s, probabilities)
    ticks.append(time.perf_counter())
    zoom.update(time_s, frame)
    ticks.append(time.perf_counter())
    preprocess, network, whole, smoothing, zooming = np.diff(ticks) * 1000
    return {
        "preprocess": preprocess,
        "network": network,
        "smoothing": smoothing,
        "frame to label": whole + smoothing,
        "zoom": zooming,
    }


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="*", default=[DEFAULT_MODEL])
    parser.add_argument("--size", default="1280x720", help="of the frames, WIDTHxHEIGHT")
    args = parser.parse_args()
    width, height = (int(side) for side in args.size.split("x"))
    poses = list(POSES.values())
    frames = [draw_figure(pose, (width, height)) for pose in poses]
    classifiers = {path.name: PoseClassifier(path) for path in args.models}
    smoothers = {name: Smoother(c.labels, c.info.threshold) for name, c in classifiers.items()}
    zoom = Zoom()
    times: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in classifiers}
    for turn in range(ROUNDS):
        for name, classifier in classifiers.items():
            for number in range(WARM_UP + FRAMES):
                frame = frames[number % len(frames)]
                stages = time_frame(classifier, smoothers[name], zoom, frame, turn * 60 + number / 30)
                for stage, value in stages.items():
                    if number >= WARM_UP:
                        times[name][stage].append(value)
    print(f"{ROUNDS * FRAMES} frames of {args.size}, milliseconds, p50 / p95")
    print("| model | preprocess | network | smoothing | frame to label | zoom adds | network, ratio to the first |")
    print("|---|---|---|---|---|---|---|")
    first = np.median(next(iter(times.values()))["network"])
    for name, stages in times.items():
        cells = [f"{np.median(values):.2f} / {np.quantile(values, 0.95):.2f}" for values in stages.values()]
        print(f"| {name} | {' | '.join(cells)} | {np.median(stages['network']) / first:.2f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
