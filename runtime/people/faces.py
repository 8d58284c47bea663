"""Where faces are, so that they can be hidden: generous where it is not sure, between looks and after a loss.

Nobody is recognised; a face is a place above the shoulders.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..core.regions import Region
from ..core.types import Floats
from ..drawing.canvas import Canvas
from .people import KEYPOINTS, People

FACE_SCORE = 0.07
"""People from this score on have faces: below what counts as a person, because a wrong place costs little."""
SURE_SCORE = 0.3
"""Key points of a head that are as sure as this are believed."""
EAR_WIDTHS, EYE_WIDTHS, PROFILE_WIDTHS, SHOULDER_WIDTHS, TORSOS, BOX_SHARE = 0.95, 2.0, 1.5, 0.42, 0.36, 0.07
"""Half the side of the square around a face, in what is measured of the body: between the ears, between the eyes, from
the nose to an ear, between the shoulders, from shoulders to hips; and in the longer side of the person's box."""
GUESS_FACTOR = 1.5
"""So much larger where the head is a guess."""
MARGIN = 0.15
"""On each side, of the square's half, for the movement that two looks do not show."""
KEEP_S = 1.0
"""A face that is found no longer stays hidden for so long, and one that appears was hidden for so long before."""
GROWTH_PER_S = 1.0
"""Without a newer look a square grows by this, in halves of its side each second, beside the movement."""
FASTEST_PER_S = 6.0
"""A face moves at most so far from look to look, in halves of its side each second; else it is another one."""


@dataclass(frozen=True)
class Face:
    """A square around a face, or where one may be.  x, y: its middle; half: of its side, pixels; is_sure: seen."""

    x: float
    y: float
    half: float
    is_sure: bool = True

    def distance(self, other: Face) -> float:
        """Between the middles, pixels."""
        return float(np.hypot(self.x - other.x, self.y - other.y))


def find_faces(people: People) -> tuple[Face, ...]:
    """Find the face of each person; also of people seen from behind, where it is the head.

    Where the head is unsure, the square is larger and may be a second one: at the guess of the key points, and above
    the shoulders in the direction of the torso, whichever way up the body is.
    """
    faces: list[Face] = []
    for box, points, scores in zip(people.boxes, people.keypoints, people.keypoint_scores, strict=True):
        faces += _find_face(box, points, scores)
    return tuple(faces)


def _find_face(box: Floats, points: Floats, scores: Floats) -> list[Face]:
    at = dict(zip(KEYPOINTS, np.asarray(points, np.float64), strict=True))
    sure = {name for name, score in zip(KEYPOINTS, scores.tolist(), strict=True) if score >= SURE_SCORE}
    half = _measure_half(box, at, sure)
    head = [name for name in KEYPOINTS[:5] if name in sure]
    if len(head) >= 2:
        x, y = np.mean([at[name] for name in head], axis=0)
        return [Face(float(x), float(y), half)]
    x, y = np.average(np.asarray(points[:5], np.float64), axis=0, weights=np.asarray(scores[:5], np.float64) + 1e-6)
    guesses = [Face(float(x), float(y), GUESS_FACTOR * half, is_sure=False)]
    shoulders, hips = (
        (at[f"left_{name}"] + at[f"right_{name}"]) / 2 if {f"left_{name}", f"right_{name}"} & sure else None
        for name in ("shoulder", "hip")
    )
    if shoulders is not None and hips is not None:
        above = shoulders + 0.45 * (shoulders - hips)
        guesses.append(Face(float(above[0]), float(above[1]), GUESS_FACTOR * half, is_sure=False))
    elif shoulders is None:  # a close-up, or somebody far away: the upper part of the box
        left, top, right, bottom = box.tolist()
        side = min(right - left, (bottom - top) / 2)
        guesses.append(Face((left + right) / 2, top + side / 2, max(side / 2, half), is_sure=False))
    return guesses


def _measure_half(box: Floats, at: dict[str, Floats], sure: set[str]) -> float:
    """Half the side of the square around a face: the largest of what the body says."""

    def gap(one: str, other: str) -> float:
        return float(np.hypot(*(at[one] - at[other]))) if {one, other} <= sure else 0.0

    shoulders, hips = (at["left_shoulder"] + at["right_shoulder"]) / 2, (at["left_hip"] + at["right_hip"]) / 2
    has_torso = {"left_shoulder", "right_shoulder", "left_hip", "right_hip"} <= sure
    return max(
        EAR_WIDTHS * gap("left_ear", "right_ear"),
        EYE_WIDTHS * gap("left_eye", "right_eye"),
        PROFILE_WIDTHS * gap("nose", "left_ear"),
        PROFILE_WIDTHS * gap("nose", "right_ear"),
        SHOULDER_WIDTHS * gap("left_shoulder", "right_shoulder"),
        TORSOS * float(np.hypot(*(shoulders - hips))) if has_torso else 0.0,
        BOX_SHARE * float(max(box[2] - box[0], box[3] - box[1])),
    )


class FaceTrack:
    """The squares to hide at any moment, from the looks around it.

    track.add(time_s, find_faces(people)); for region in track.find_regions(now_s, size_wh): canvas.hide(region)

    Looks are added in the order of their time, and may be newer than the moment that is asked for: of a file they
    are known ahead, and a face is then hidden on its whole way from one look to the next.
    """

    def __init__(self) -> None:
        self._looks: deque[_Look] = deque()

    def add(self, time_s: float, faces: Sequence[Face]) -> None:
        """Take a look.  time_s: seconds, on a clock that never goes back.  Raises ValueError if it does."""
        if self._looks and time_s < self._looks[-1].time_s:
            raise ValueError(f"looks must come in the order of their time; got {time_s} after {self._looks[-1].time_s}")
        self._looks.append(_Look(time_s, tuple(faces)))

    def find_regions(self, time_s: float, size_wh: tuple[int, int]) -> list[Region]:
        """Find what to hide at this moment, in whole pixels inside the frame.

        time_s: seconds, never before that of the last call.  size_wh: width and height of the frame, pixels.
        """
        while len(self._looks) > 2 and self._looks[2].time_s < time_s - KEEP_S:
            self._looks.popleft()
        past = [look for look in self._looks if look.time_s <= time_s]
        ahead = next((look for look in self._looks if look.time_s > time_s), None)
        bounds = self._cover_newest(time_s, past, ahead) if past else []
        for look, newer in pairwise(past):
            if time_s <= newer.time_s + KEEP_S:  # lost in the newer look
                bounds += [_grow(face, time_s - look.time_s) for face in look.faces if not look.match(face, newer)]
        if ahead and ahead.time_s <= time_s + KEEP_S:  # some appear, and of two faces one may be taken for the other
            bounds += [_grow(face, 0) for face in ahead.faces]
        return [region for bound in bounds if (region := _cut(bound, size_wh))]

    def _cover_newest(self, time_s: float, past: Sequence[_Look], ahead: _Look | None) -> list[Floats]:
        """Bounds of the faces of the newest look: on their way to the next one, or wherever they may be by now."""
        newest, bounds = past[-1], []
        for face in newest.faces:
            if ahead and (following := newest.match(face, ahead)):
                bounds.append(_surround(face, following))
                continue
            before = newest.match(face, past[-2]) if len(past) > 1 else None
            speed = face.distance(before) / max(newest.time_s - past[-2].time_s, 1e-3) if before else 0.0
            bounds.append(_grow(face, time_s - newest.time_s, speed))
        return bounds


@dataclass(frozen=True)
class _Look:
    time_s: float
    faces: tuple[Face, ...]

    def match(self, face: Face, other: _Look) -> Face | None:
        """Find a face of this look in another one: the nearest, if a face can have moved so far."""
        nearest = min(other.faces, key=face.distance, default=None)
        reach = max(FASTEST_PER_S * abs(other.time_s - self.time_s), 1.0)
        return nearest if nearest and face.distance(nearest) <= reach * max(face.half, nearest.half) else None


def _grow(face: Face, age_s: float, speed: float = 0.0) -> Floats:
    """Left, top, right, bottom of a face that was seen so long ago, or will be.  speed: pixels a second."""
    age_s = min(age_s, KEEP_S)
    half = face.half * (1 + MARGIN + GROWTH_PER_S * age_s) + speed * age_s
    return np.array([face.x - half, face.y - half, face.x + half, face.y + half])


def _surround(one: Face, other: Face) -> Floats:
    """Left, top, right, bottom around the same face in two looks."""
    first, second = _grow(one, 0), _grow(other, 0)
    return np.concatenate([np.minimum(first[:2], second[:2]), np.maximum(first[2:], second[2:])])


def _cut(bounds: Floats, size_wh: tuple[int, int]) -> Region | None:
    """Whole pixels inside the frame, rounded outwards; None where nothing is inside."""
    left, top = (int(max(np.floor(edge), 0)) for edge in bounds[:2])
    right, bottom = (int(min(np.ceil(edge), size)) for edge, size in zip(bounds[2:], size_wh, strict=True))
    return Region(left, top, right - left, bottom - top) if right > left and bottom > top else None


def hide_faces(canvas: Canvas, regions: Sequence[Region]) -> None:
    """Make these parts of a picture unrecognisable, in place."""
    for region in regions:
        canvas.hide(region)
