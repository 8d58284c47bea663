"""Tells a collage, one person several times or several pictures in one, from a photo of several people.

Three signs, each measured between the people: a straight seam across the whole picture, where one picture ends and the
next begins; a gutter, columns or rows of one colour across the whole picture; and one person's clothes on everybody,
before a plain ground.  `benchmarks/people_finder/flags.py` measures how many are told.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ...runtime.core.opencv import cv2
from ...runtime.core.preprocess import halve
from ...runtime.core.types import Floats, Frame
from ...runtime.people import KEYPOINTS, People

SIDE = 256
"""Longer side of the picture that is looked at, pixels."""
STEP = 18.0  # grey levels, in any channel, from one pixel to the next: an edge
PLAIN = 8.0  # standard deviation in grey levels, in any channel, of a line of one colour
NEAR = 20.0  # grey levels around the median of the picture's border: the same ground
APART = 0.15  # of the side, between the middles of two people, for a line between them
LEAST_SEAM = 0.9
"""Fraction of a line's length that is an edge."""
LEAST_GUTTER = 2
"""Lines of one colour."""
LEAST_GROUND = 0.7
"""Fraction of the picture's border that has one colour."""
MOST_CLOTHES = 9.0
"""Difference of the clothes of two people, CIE76 (Lab)."""


@dataclass(frozen=True)
class CollageSigns:
    """seam: longest straight edge between people, fraction of the picture's length.  gutter: lines of one colour
    between people.  ground: fraction of the picture's border that has one colour.  clothes: smallest difference
    between the clothes of two people, CIE76.
    """

    seam: float
    gutter: int
    ground: float
    clothes: float

    @property
    def is_collage(self) -> bool:
        """Whether the people are one person several times, or in several pictures."""
        is_repeated = self.ground >= LEAST_GROUND and self.clothes <= MOST_CLOTHES
        return self.seam >= LEAST_SEAM or self.gutter >= LEAST_GUTTER or is_repeated


def measure_signs(frame_bgr: Frame, people: People) -> CollageSigns:
    """Measure what tells a collage.

    frame_bgr: uint8 (H, W, 3) BGR.  people: at least two, in pixels of this frame.
    """
    height, width = frame_bgr.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    size_wh = max(8, round(width * scale)), max(8, round(height * scale))
    small = cv2.resize(halve(frame_bgr, *size_wh), size_wh, interpolation=cv2.INTER_AREA)
    people = people.transform((size_wh[0] / width, size_wh[1] / height), (0, 0))
    image = np.asarray(small, np.float32)
    seam, gutter = 0.0, 0
    middles = (people.boxes[:, :2] + people.boxes[:, 2:]) / 2
    for axis, lines in enumerate((image.transpose(1, 0, 2), image)):  # columns, then rows
        own_seam, own_gutter = _find_lines(lines, np.sort(middles[:, axis]))
        seam, gutter = max(seam, own_seam), max(gutter, own_gutter)
    return CollageSigns(seam, gutter, _measure_ground(image), _compare_clothes(image, people))


def _find_lines(lines: Floats, middles: Floats) -> tuple[float, int]:
    """Find the longest seam, and count the lines of one colour, between neighbouring people.

    lines: float32 (L, N, 3), the lines one after the other.  middles: of the people, in lines, ascending.
    """
    is_edge = np.abs(np.diff(lines, axis=0)).max(axis=2) > STEP
    wide = is_edge.copy()  # a seam may be blurred over two lines
    wide[1:] |= is_edge[:-1]
    wide[:-1] |= is_edge[1:]
    edges, is_plain = wide.mean(axis=1), lines.std(axis=1).max(axis=1) < PLAIN
    seam, gutter = 0.0, 0
    for first, last in zip(middles[:-1].astype(int), middles[1:].astype(int), strict=True):
        if last - first > APART * len(lines):
            seam = max(seam, float(edges[first:last].max()))
            gutter = max(gutter, int(is_plain[first:last].sum()))
    return seam, gutter


def _measure_ground(image: Floats) -> float:
    border = np.concatenate([image[1], image[-2], image[:, 1], image[:, -2]])
    return float((np.abs(border - np.median(border, axis=0)).max(axis=1) < NEAR).mean())


def _compare_clothes(image: Floats, people: People) -> float:
    """Compare the colours of trunk and thighs of each two people, by the more alike of left and right."""
    lab = np.asarray(cv2.cvtColor(image / 255, cv2.COLOR_BGR2LAB), np.float32)
    at = {name: people.keypoints[:, KEYPOINTS.index(name)] for name in KEYPOINTS}
    trunk = [(at[f"{side}_shoulder"] + at[f"{side}_hip"]) / 2 for side in ("left", "right")]
    trunk.append((trunk[0] + trunk[1]) / 2)
    thighs = [(at[f"{side}_hip"] + at[f"{side}_knee"]) / 2 for side in ("left", "right")]
    parts = [np.array([[_read_colour(lab, *point) for point in person] for person in zip(*places, strict=True)])
             for places in (trunk, thighs)]  # fmt: skip
    return min(
        float(np.mean([_compare(colours[one], colours[other]) for colours in parts]))
        for one, other in combinations(range(len(people)), 2)
    )


def _read_colour(lab: Floats, x: float, y: float) -> Floats:
    """Read the median colour around a place, moved into the picture."""
    column, row = int(np.clip(x, 2, lab.shape[1] - 3)), int(np.clip(y, 2, lab.shape[0] - 3))
    return np.median(lab[row - 2 : row + 3, column - 2 : column + 3].reshape(-1, 3), axis=0)


def _compare(colours: Floats, others: Floats) -> float:
    """Difference of two sets of colours, (N, 3) each: of each colour of one set the nearest of the other, the mean."""
    differences = np.linalg.norm(colours[:, None] - others[None], axis=2)
    return float(min(differences.min(axis=0).mean(), differences.min(axis=1).mean()))
