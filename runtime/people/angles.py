"""The angles of a body's joints, of one frame and over a hold.

They are angles on the picture, in two dimensions: a limb that points towards the camera looks shorter, and its joint
more bent or straighter than it is.  Joints that cannot be measured are NaN.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..core.types import Floats
from .people import KEYPOINTS

JOINTS = (
    *("left_elbow", "right_elbow", "left_shoulder", "right_shoulder"),
    *("left_hip", "right_hip", "left_knee", "right_knee"),
)
"""In the order of all arrays here.  Left and right are the person's own, unless the picture is mirrored."""

OPPOSITE_JOINTS = tuple(
    JOINTS.index(name.replace("left", "right") if name.startswith("left") else name.replace("right", "left"))
    for name in JOINTS
)
"""For each joint, the one that takes its place in a mirror image."""

_ENDS = {
    "elbow": ("shoulder", "wrist"),
    "shoulder": ("hip", "elbow"),
    "hip": ("shoulder", "knee"),
    "knee": ("hip", "ankle"),
}
MIN_POINT_SCORE = 0.4
"""All three key points of a joint must be as sure as this."""
SHORTEST_BONE = 0.2
"""Of the longest part of the body.  A shorter bone points towards the camera, and its direction means nothing."""
MIN_SEEN = 0.5
"""A joint's angle over a hold counts if it was measured in this fraction of the looks."""
MOST_SPREAD = 10.0
"""Degrees between the quartiles, halved: a joint that varies more has no angle."""


def _find_triples() -> tuple[tuple[int, int, int], ...]:
    """Key points of each joint: one end, the joint, the other end."""
    triples = []
    for joint in JOINTS:
        side, name = joint.split("_")
        one, other = _ENDS[name]
        triples.append(tuple(KEYPOINTS.index(f"{side}_{point}") for point in (one, name, other)))
    return tuple(triples)


TRIPLES = _find_triples()


def measure_angles(keypoints: Floats, keypoint_scores: Floats, min_score: float = MIN_POINT_SCORE) -> Floats:
    """Measure the joints of one person on the picture.

    keypoints: float (17, 2), x and y in pixels that are square; keypoint_scores: float (17,), 0 to 1: a row of
    `People`.  min_score: of the key points that count.  Returns float64 (8,), in the order of `JOINTS`: degrees, 0 to
    180, where 180 is straight, and for shoulders an arm overhead; NaN where a key point is unsure or a bone looks too
    short.

    Raises ValueError for other shapes.
    """
    points, scores = np.asarray(keypoints, np.float64), np.asarray(keypoint_scores, np.float64)
    if points.shape != (len(KEYPOINTS), 2) or scores.shape != (len(KEYPOINTS),):
        raise ValueError(f"one person has key points (17, 2) and scores (17,); got {points.shape} and {scores.shape}")
    one, joint, other = np.array(TRIPLES).T
    bones = points[one] - points[joint], points[other] - points[joint]
    lengths = [np.hypot(*bone.T) for bone in bones]
    sure = np.minimum.reduce([scores[one], scores[joint], scores[other]]) >= min_score
    longest = max(np.where(sure, length, 0).max() for length in lengths)
    sure &= (np.minimum(*lengths) >= SHORTEST_BONE * longest) & (np.minimum(*lengths) > 0)
    cross = bones[0][:, 0] * bones[1][:, 1] - bones[0][:, 1] * bones[1][:, 0]
    degrees = np.degrees(np.arctan2(np.abs(cross), (bones[0] * bones[1]).sum(axis=1)))
    return np.where(sure, degrees, np.nan)


@dataclass(frozen=True, eq=False)
class BodyAngles:
    """The angles of a hold, or of photos of a pose.

    degrees: float64 (8,), the median of each of `JOINTS`, 0 to 180; NaN where it is not sure.  spread: float64 (8,),
    half of what lies between the quartiles, degrees.  seen: float64 (8,), in which fraction of the looks the joint was
    measured.  looks: how many there were.
    """

    degrees: Floats
    spread: Floats
    seen: Floats
    looks: int

    def to_json(self) -> dict[str, int]:
        """The sure ones by name, in whole degrees: {"left_knee": 92, ...}."""
        return {
            name: round(value) for name, value in zip(JOINTS, self.degrees.tolist(), strict=True) if np.isfinite(value)
        }

    @classmethod
    def from_json(cls, degrees: Mapping[str, float]) -> BodyAngles:
        """Angles by name, of which no more is known; joints that are not named are NaN."""
        values = np.array([degrees.get(name, np.nan) for name in JOINTS], np.float64)
        return cls(values, np.zeros(len(JOINTS)), np.isfinite(values).astype(np.float64), 1)

    def mirror(self) -> BodyAngles:
        """Return those of the mirror image."""
        other = list(OPPOSITE_JOINTS)
        return BodyAngles(self.degrees[other], self.spread[other], self.seen[other], self.looks)


class HoldAngles:
    """Collect the angles of a hold, look by look; the memory that it takes does not grow.

    hold = HoldAngles()
    hold.add(measure_angles(people.keypoints[0], people.keypoint_scores[0]))
    hold.summarize().to_json()
    """

    def __init__(self) -> None:
        self._counts = np.zeros((len(JOINTS), 181))
        self._looks = 0

    def add(self, degrees: Floats) -> None:
        """Take one look, or several.

        degrees: float (8,) or (N, 8), as `measure_angles` gives them; NaN: not seen.  Raises ValueError for another
        shape, or for degrees that are not 0 to 180.
        """
        values = np.atleast_2d(np.asarray(degrees, np.float64))
        if values.ndim != 2 or values.shape[1] != len(JOINTS):
            raise ValueError(f"angles must be of shape (8,) or (N, 8); got {np.shape(degrees)}")
        rows, joints = np.nonzero(np.isfinite(values))
        seen = values[rows, joints]
        if (seen < 0).any() or (seen > 180).any():
            raise ValueError(f"angles must be 0 to 180 degrees, or NaN; got {degrees}")
        np.add.at(self._counts, (joints, np.rint(seen).astype(int)), 1)
        self._looks += len(values)

    def summarize(self) -> BodyAngles:
        """What was measured so far.  A joint that was seen too rarely, or varied too much, is NaN."""
        totals = self._counts.sum(axis=1)
        lower, median, upper = (self._find_quantile(fraction, totals) for fraction in (0.25, 0.5, 0.75))
        spread, seen = (upper - lower) / 2, totals / max(self._looks, 1)
        is_sure = (totals > 0) & (seen >= MIN_SEEN) & (spread <= MOST_SPREAD)
        return BodyAngles(np.where(is_sure, median, np.nan), spread, seen, self._looks)

    def _find_quantile(self, fraction: float, totals: Floats) -> Floats:
        """Degrees below which this fraction of the looks lies; the mean of two where it falls between them."""
        sums = np.cumsum(self._counts, axis=1)
        wanted = (fraction * totals)[:, None]
        below, above = (sums >= wanted - 1e-9).argmax(axis=1), (sums > wanted + 1e-9).argmax(axis=1)
        return np.where(totals > 0, (below + np.maximum(above, below)) / 2, 0.0)
