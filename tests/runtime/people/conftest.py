"""Key points of drawn people, as a perfect finder would give them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from yoga_live.runtime.core.types import Floats
from yoga_live.runtime.people import KEYPOINTS, OPPOSITE_KEYPOINTS
from yoga_live.runtime.sources.drawn_figure import POSES, Appearance, _place_joints

HEIGHT_PX = 300.0
HEAD_PARTS = {"left_eye": 0.45, "right_eye": -0.45, "left_ear": 0.9, "right_ear": -0.9}

DrawnKeypoints = Callable[..., tuple[Floats, Floats]]


def place_keypoints(pose: str, *, mirror: bool = False, score: float = 0.9) -> tuple[Floats, Floats]:
    """Key points of a drawn person, float32 (17, 2), around (400, 300), and their scores, float32 (17,).

    A front view faces the camera, and its near side, right on the picture, is the person's left; a side view faces
    right, and its near side is the person's right.  mirror: the mirror image, where the person has swapped the sides.
    """
    figure = POSES[pose]
    joints = _place_joints(figure, Appearance())
    near = "left" if figure.width > 0.5 else "right"
    names = {"near": near, "far": "right" if near == "left" else "left"}
    at = {
        f"{names[side]}_{name}": xy
        for (side, _, name), xy in ((j.partition("_"), xy) for j, xy in joints.items() if "_" in j)
    }
    up = joints["head"] - joints["neck"]
    across = np.array([-up[1], up[0]]) * figure.width
    at["nose"] = joints["nose"]
    at |= {name: joints["head"] + share * 0.6 * across for name, share in HEAD_PARTS.items()}
    points = np.array([at[name] for name in KEYPOINTS], np.float32) * HEIGHT_PX + np.array([400, 300], np.float32)
    if mirror:
        points = (points * [-1, 1] + [800, 0]).astype(np.float32)[list(OPPOSITE_KEYPOINTS)]
    return points, np.full(len(KEYPOINTS), score, np.float32)


@pytest.fixture
def keypoints_of() -> DrawnKeypoints:
    return place_keypoints
