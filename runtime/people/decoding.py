"""Decode the six heads of MoveNet MultiPose into people, as the published graph's own post-processing does.

The heads are maps of a quarter of the input's height and width (`STRIDE`).  `center` has a peak at the middle of each
person; there `box_scale` and `box_offset` give the box, and `kpt_regress` a first guess of each key point.  A key point
is the highest place of `kpt_heatmap` inside the box, weighted by a Gaussian around the guess, then moved by
`kpt_offset`.  Formulas and constants are those of the published graph, which stores its constants in float16.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..core.opencv import cv2
from ..core.types import Floats, Ints
from .people import KEYPOINTS, People

HEADS = ("center", "box_scale", "box_offset", "kpt_heatmap", "kpt_regress", "kpt_offset")
STRIDE = 4
PEAK_SIDE = 5
"""A centre is the highest place of a square of this side, in cells."""
PEAK_TOLERANCE = 1.0132789611816406e-06
GAUSSIAN_WIDTH = 0.300048828125
"""Twice the variance of the Gaussian around a guess, for each cell of the shorter side."""
SEEN_SCORE = 0.126953125
"""Key points below this score do not count in a person's score."""


def decode_heads(heads: Mapping[str, Floats], most: int) -> People:
    """Decode one frame's heads into the `most` likeliest people, however unlikely they are, the surest centre first.

    heads: by name, float32 (C, h, w), before any sigmoid.  Boxes and key points are in pixels of the network's input.
    """
    height, width = heads["center"].shape[1:]
    rows, columns, centers = _find_peaks(_sigmoid(heads["center"][0]), most)
    cells = np.stack([rows, columns], axis=1).astype(np.float32)
    boxes = _decode_boxes(heads, rows, columns, cells)
    weighted = _weigh_heatmaps(heads, rows, columns, cells, boxes)
    people, points = weighted.shape[:2]
    flat = weighted.reshape(people, points, height * width)
    places = flat.argmax(axis=2)
    # The graph takes the highest score that any of the people has at that place.
    scores = flat[:, np.arange(points), places].max(axis=0)
    place_rows, place_columns = np.divmod(places, width)
    offsets = heads["kpt_offset"].reshape(points, 2, height, width)
    offsets = offsets[np.arange(points), :, place_rows, place_columns]
    keypoints = np.stack([place_columns + offsets[..., 1], place_rows + offsets[..., 0]], axis=2) * STRIDE
    seen = scores > SEEN_SCORE
    means = np.where(seen, scores, 0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
    return People(
        boxes=boxes[:, [1, 0, 3, 2]] * np.float32(STRIDE),
        keypoints=keypoints.astype(np.float32),
        keypoint_scores=scores,
        scores=(centers * means).astype(np.float32),
    )


def _sigmoid(logits: Floats) -> Floats:
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-logits))


def _find_peaks(centers: Floats, most: int) -> tuple[Ints, Ints, Floats]:
    """Find the highest local maxima of a map (h, w): rows, columns and values, each (N,), the highest first."""
    highest = cv2.dilate(centers, np.ones((PEAK_SIDE, PEAK_SIDE), np.uint8))
    places = np.flatnonzero(highest - centers < PEAK_TOLERANCE)
    values = centers.ravel()[places]
    order = np.argsort(-values, kind="stable")[:most]
    rows, columns = np.divmod(places[order], centers.shape[1])
    return rows, columns, values[order]


def _decode_boxes(heads: Mapping[str, Floats], rows: Ints, columns: Ints, cells: Floats) -> Floats:
    """Top, left, bottom, right in cells, float32 (N, 4), cut at the border of the map."""
    limits = np.array(heads["center"].shape[1:] * 2, np.float32)
    half = np.maximum(heads["box_scale"][:, rows, columns].T, 0) / 2
    middle = cells + heads["box_offset"][:, rows, columns].T
    return np.clip(np.concatenate([middle - half, middle + half], axis=1), 0, limits)


def _weigh_heatmaps(heads: Mapping[str, Floats], rows: Ints, columns: Ints, cells: Floats, boxes: Floats) -> Floats:
    """Heatmaps of each person, float32 (N, 17, h, w): zero outside the box, lower far from the guess."""
    height, width = heads["center"].shape[1:]
    guesses = heads["kpt_regress"].reshape(len(KEYPOINTS), 2, height, width)[:, :, rows, columns]
    guesses = guesses.transpose(2, 0, 1) + cells[:, None]
    along = []
    for axis, length in enumerate((height, width)):
        grid = np.arange(length, dtype=np.float32)
        distances = grid - guesses[:, :, axis, None]
        weights = np.exp(distances**2 / np.float32(-GAUSSIAN_WIDTH * min(height, width)))
        inside = (grid >= boxes[:, axis, None]) & (grid < boxes[:, axis + 2, None])
        along.append(weights * inside[:, None])
    return along[0][:, :, :, None] * along[1][:, :, None, :] * _sigmoid(heads["kpt_heatmap"])
