"""The skeleton joins the key points that are sure, over the heat, and only where it is asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from yoga_live.runtime.core.types import Floats, Hold
from yoga_live.runtime.drawing.overlay import OverlayConfig, draw_overlay
from yoga_live.runtime.drawing.skeleton import BONES, SURE, make_skeleton
from yoga_live.runtime.people import KEYPOINTS, PeopleFinder
from yoga_live.runtime.sources.drawn_figure import POSES, draw_figure

SIZE_WH = (320, 240)
EXPLAINED = OverlayConfig(place="none", explain=True)
REST = Hold("none", 0.9, 3.0)


@dataclass(frozen=True, eq=False)
class Stick:
    keypoints: Floats
    keypoint_scores: Floats


def make_stick() -> Stick:
    """Points in two columns, the left ones at x 220, the right ones at 100."""
    columns = [220 if name.startswith("left") else 100 for name in KEYPOINTS]
    points = np.array([(x, 20 + 12 * n) for n, x in enumerate(columns)], np.float32)
    return Stick(points, np.full(len(KEYPOINTS), 0.9, np.float32))


def draw(body: Stick, style: OverlayConfig = EXPLAINED) -> np.ndarray:
    grey = np.full((SIZE_WH[1], SIZE_WH[0], 3), 128, np.uint8)
    return draw_overlay(grey, REST, style=style, body=body)


def test_bones_join_what_a_body_joins() -> None:
    names = {(KEYPOINTS[one], KEYPOINTS[other]) for one, other in BONES}
    assert {("left_knee", "left_ankle"), ("right_elbow", "right_wrist"), ("left_shoulder", "right_shoulder")} <= names
    assert {index for bone in BONES for index in bone} == set(range(len(KEYPOINTS)))
    for one, other in names:  # limbs stay on their side
        sides = {name.split("_")[0] for name in (one, other)} & {"left", "right"}
        assert len(sides) == 1 or one.split("_")[1] == other.split("_")[1]


def test_key_points_that_are_sure_are_joined_and_guesses_are_left_out() -> None:
    body = make_stick()
    knee, ankle = KEYPOINTS.index("left_knee"), KEYPOINTS.index("left_ankle")
    middle = body.keypoints[[knee, ankle]].mean(axis=0).astype(int)
    scene = draw(body)
    assert scene[middle[1], middle[0]].min() > 200
    body.keypoint_scores[ankle] = SURE - 0.01
    guessed = draw(Stick(body.keypoints, body.keypoint_scores))
    x, y = body.keypoints[ankle].astype(int)
    assert (guessed[y, x] == 128).all() and (guessed[middle[1], middle[0]] == 128).all()
    assert make_skeleton(Stick(body.keypoints, np.zeros(17, np.float32)), SIZE_WH) is None


def test_no_skeleton_is_drawn_unless_it_is_asked_for() -> None:
    assert (draw(make_stick(), replace(EXPLAINED, explain=False)) == 128).all()


def test_the_mirror_takes_the_skeleton_along() -> None:
    body = make_stick()
    np.testing.assert_array_equal(draw(body, replace(EXPLAINED, mirror=True)), draw(body)[:, ::-1])


@pytest.mark.parametrize("shift", [(-150, 0), (180, -100), (0, 9000), (-1e9, 1e9)])
def test_a_body_may_reach_beyond_the_picture(shift: tuple[float, float]) -> None:
    body = make_stick()
    scene = draw(Stick(body.keypoints + np.array(shift, np.float32), body.keypoint_scores))
    assert scene.shape == (SIZE_WH[1], SIZE_WH[0], 3)
    assert (scene != 128).any() == (abs(shift[1]) < 240)


def test_whom_the_finder_finds_is_drawn_where_they_are() -> None:
    pytest.importorskip("onnxruntime")
    frame_bgr = draw_figure(POSES["goddess"], (640, 360))
    people = PeopleFinder("cpu", 1).find(frame_bgr)
    body = Stick(people.keypoints[0], people.keypoint_scores[0])
    changed = (draw_overlay(frame_bgr, REST, style=EXPLAINED, body=body) != frame_bgr).any(axis=2)
    ys, xs = np.nonzero(changed)
    left, top, right, bottom = people.boxes[0]
    assert changed.sum() > 500 and left - 15 < xs.min() and xs.max() < right + 15
    assert top - 15 < ys.min() and ys.max() < bottom + 15
