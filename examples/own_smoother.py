"""Your own smoother in place of that of `yoga-live`: the median of the last second's probabilities.

    pip install ".[cpu]"
    python examples/own_smoother.py class.mp4
It prints when the pose changes.
"""

import sys
from pathlib import Path

import numpy as np

from yoga_live.runtime import PoseClassifier
from yoga_live.runtime.sources.video import VideoSource


class MedianSmoother:
    """The label with the highest median over `memory_s` seconds; `none` is a label like the others here."""

    def __init__(self, memory_s: float = 1.0) -> None:
        self.memory_s = memory_s
        self.recent: list[tuple[float, dict[str, float]]] = []

    def update(self, time_s: float, probabilities: dict[str, float]) -> str:
        self.recent = [kept for kept in self.recent if kept[0] > time_s - self.memory_s] + [(time_s, probabilities)]
        return max(probabilities, key=lambda label: float(np.median([row[label] for _, row in self.recent])))


def print_changes(video: Path) -> None:
    classifier, smoother, shown = PoseClassifier(), MedianSmoother(), ""
    with VideoSource(video) as source:
        for frame in source.frames():
            pose = smoother.update(frame.time_s, classifier.classify(frame.image_bgr).probabilities)
            if pose != shown:
                print(f"{frame.time_s:7.2f} s  {pose}")
                shown = pose


if __name__ == "__main__":
    print_changes(Path(sys.argv[1]))
