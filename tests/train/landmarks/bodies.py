"""Drawn bodies as numbers: two poses that their key points tell apart, and people doing nothing."""

from __future__ import annotations

import numpy as np

from yoga_live.runtime.core.types import Floats, Ints
from yoga_live.runtime.people import measure_landmarks
from yoga_live.runtime.people.landmarks import LANDMARKS

LABELS = ("tree", "warrior_2", "none")
STANDING = [
    *((0, -9), (0.3, -9.3), (-0.3, -9.3), (0.7, -9), (-0.7, -9)),  # nose, eyes, ears
    *((1.5, -7.5), (-1.5, -7.5), (2, -5.5), (-2, -5.5), (2, -3.5), (-2, -3.5)),  # shoulders, elbows, wrists
    *((1, -3), (-1, -3), (1, 0), (-1, 0), (1, 3), (-1, 3)),  # hips, knees, ankles
]
"""The 17 key points of somebody who stands, x and y: the person's left is on the right."""
CHANGES = {
    0: {
        7: (1, -10),
        9: (0, -12),
        8: (-1, -10),
        10: (0, -12),
        13: (3, -2),
        15: (-0.5, 0),
    },  # hands up, a foot at the knee
    1: {7: (4, -7.5), 9: (6.5, -7.5), 8: (-4, -7.5), 10: (-6.5, -7.5), 13: (4, -1.5), 15: (4, 2.5), 16: (-5, 3)},
    2: {},
}


def pose_bodies(each: int, seed: int, noise: float = 0.35) -> tuple[Floats, Ints]:
    """Landmarks of so many bodies of each label, float32 (N, 53), and their labels, int (N,).

    A tenth of those of `none` are of nobody.
    """
    rng = np.random.default_rng(seed)
    landmarks, targets = [], []
    for label, changed in CHANGES.items():
        body = np.array(STANDING, float)
        for point, place in changed.items():
            body[point] = place
        for number in range(each):
            points = (body + rng.normal(0, noise, body.shape)) * rng.uniform(5, 40) + rng.uniform(0, 300, 2)
            numbers = measure_landmarks(points, rng.uniform(0.3, 1, 17), rng.uniform(0.3, 0.9), int(rng.integers(0, 2)))
            is_empty = label == 2 and number % 10 == 0
            landmarks.append(np.zeros(LANDMARKS, np.float32) if is_empty else numbers)
            targets.append(label)
    return np.stack(landmarks), np.array(targets)
