"""Your own smoother in place of that of `yoga-live`: the median of the last second's probabilities.

    pip install ".[cpu]"
    python examples/own_smoother.py class.mp4
It prints when the pose changes.
"""

import sys

import cv2
import numpy as np

from yoga_live.runtime import PoseClassifier


class MedianSmoother:
    """The label with the highest median over `memory_s` seconds; `none` is a label like the others here."""

    def __init__(self, memory_s: float = 1.0) -> None:
        self.memory_s = memory_s
        self.recent: list[tuple[float, dict[str, float]]] = []

    def update(self, time_s: float, probabilities: dict[str, float]) -> str:
        self.recent = [kept for kept in self.recent if kept[0] > time_s - self.memory_s] + [(time_s, probabilities)]
        return max(probabilities, key=lambda label: float(np.median([row[label] for _, row in self.recent])))


def print_changes(path: str) -> None:
    classifier, smoother, shown = PoseClassifier(), MedianSmoother(), ""
    video, time_s = cv2.VideoCapture(path), 0.0
    while (read := video.read())[0]:
        pose = smoother.update(time_s, classifier.classify(read[1]).probabilities)
        if pose != shown:
            print(f"{time_s:7.2f} s  {pose}")
            shown = pose
        time_s += 1 / video.get(cv2.CAP_PROP_FPS)


if __name__ == "__main__":
    print_changes(sys.argv[1])
