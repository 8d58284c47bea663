"""What the second opinion sees of a person: the key points, whatever the person's place and size in the frame."""

from __future__ import annotations

import numpy as np

from ..core.types import Floats
from .people import KEYPOINTS, OPPOSITE_KEYPOINTS, People

LANDMARKS = 3 * len(KEYPOINTS) + 2
"""Numbers of one person: x and y of each key point, the score of each, the person's score, the number of others."""
PERSON = LANDMARKS - 2
"""The place of the person's score, which is 0 for nobody alone."""
PHOTO_MARGIN, PHOTO_SCORE = 0.08, 0.25
"""Of `PeopleFinder` for single pictures, which often end where the person ends; `yoga-train fit` does the same."""
SEEN_SCORE = 0.15
"""Key points above it say how large a person is."""
OTHER_SCORE = 0.25
"""Others must be this sure, so that the number does not depend on how unsure ones a finder returns."""
LARGEST = 5.0
"""Limit of x and y, in units of the person's size: a guess may lie anywhere."""
MOST_OTHERS = 5

_LEFT_HIP, _RIGHT_HIP = KEYPOINTS.index("left_hip"), KEYPOINTS.index("right_hip")


def measure_landmarks(keypoints: Floats, keypoint_scores: Floats, score: float, others: int = 0) -> Floats:
    """Describe one person by numbers that do not depend on where the person is, and how large.

    keypoints: float (17, 2), x and y in pixels of any frame, in the order of `KEYPOINTS`.  keypoint_scores: float
    (17,), 0 to 1.  score: how sure it is that this is a person, 0 to 1.  others: how many other people there are.

    Returns float32 (53,): x and y of each key point from the middle of the hips, in units of the root mean square
    distance of the seen key points from their mean, at most 5; their scores; the person's; the number of others, at
    most 5.
    """
    points = np.asarray(keypoints, np.float32)
    seen = np.asarray(keypoint_scores) > SEEN_SCORE
    known = points[seen] if seen.sum() > 1 else points
    size = float(np.sqrt(((known - known.mean(axis=0)) ** 2).sum(axis=1).mean()))
    middle = (points[_LEFT_HIP] + points[_RIGHT_HIP]) / 2
    placed = np.clip((points - middle) / max(size, 1e-3), -LARGEST, LARGEST)
    rest = (*np.asarray(keypoint_scores, np.float32), score, min(others, MOST_OTHERS))
    return np.concatenate([placed.ravel(), np.array(rest, np.float32)]).astype(np.float32)


def find_landmarks(people: People) -> Floats:
    """Describe the largest and surest of the people of a single picture.  Returns float32 (53,), zeros for nobody."""
    if not len(people):
        return np.zeros(LANDMARKS, np.float32)
    main = choose_main(people)
    others = int((np.delete(people.scores, main) > OTHER_SCORE).sum())
    return measure_landmarks(people.keypoints[main], people.keypoint_scores[main], float(people.scores[main]), others)


def choose_main(people: People) -> int:
    """Choose the person whom a single picture is of: the largest and surest.  Raises ValueError if there is nobody."""
    sides_wh = people.boxes[:, 2:] - people.boxes[:, :2]
    return int(np.argmax(people.scores * np.sqrt(sides_wh.prod(axis=1))))


def mirror_landmarks(landmarks: Floats) -> Floats:
    """Describe the same people in a mirror.  landmarks: float32 (N, 53).  Returns float32 (N, 53)."""
    count = len(KEYPOINTS)
    points = landmarks[:, : 2 * count].reshape(-1, count, 2)[:, OPPOSITE_KEYPOINTS] * np.array([-1, 1], np.float32)
    scores = landmarks[:, 2 * count : 3 * count][:, OPPOSITE_KEYPOINTS]
    return np.concatenate([points.reshape(-1, 2 * count), scores, landmarks[:, 3 * count :]], axis=1)
