"""Where faces are hidden: on drawn bodies, where the head is unsure, between looks and after a loss."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from yoga_live.runtime.core.opencv import cv2
from yoga_live.runtime.core.regions import Region
from yoga_live.runtime.drawing.canvas import BgrCanvas
from yoga_live.runtime.people import KEYPOINTS, People
from yoga_live.runtime.people.faces import Face, FaceTrack, find_faces, hide_faces
from yoga_live.runtime.sources.drawn_figure import (
    POSES,
    Appearance,
    _aim_camera,
    _place_joints,
    _shape_body,
    draw_figure,
)

SIZE_WH = (640, 360)
HEAD = [KEYPOINTS.index(name) for name in ("nose", "left_eye", "right_eye", "left_ear", "right_ear")]


def make_people(points: np.ndarray, scores: np.ndarray) -> People:
    low, high = points.min(axis=0), points.max(axis=0)
    box = np.concatenate([low, high]).astype(np.float32)
    return People(box[None], points[None].astype(np.float32), scores[None], np.full(1, 0.6, np.float32))


def covers(region: Region, xy: np.ndarray, radius: float) -> bool:
    low, high = np.array([region.left, region.top]), np.array([region.left + region.width, region.top + region.height])
    return bool((xy - radius >= low).all() and (xy + radius <= high).all())


def find_now(*faces: Face, size_wh: tuple[int, int] = (1000, 800)) -> list[Region]:
    track = FaceTrack()
    track.add(0, faces)
    return track.find_regions(0, size_wh)


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("pose", POSES)
def test_the_head_of_a_drawn_person_is_hidden_in_every_pose(keypoints_of: Callable, pose: str, mirror: bool) -> None:
    points, scores = keypoints_of(pose, mirror=mirror)
    regions = find_now(*find_faces(make_people(points, scores)))
    assert len(regions) == 1
    assert covers(regions[0], points[HEAD].mean(axis=0), 0.064 * 300)
    assert regions[0].width < 0.45 * 300  # the head, not the body


@pytest.mark.parametrize("pose", ["tree", "down_dog", "half_moon"])
def test_an_unsure_head_is_hidden_generously_above_the_shoulders(keypoints_of: Callable, pose: str) -> None:
    points, scores = keypoints_of(pose)
    middle = points[HEAD].mean(axis=0)
    sure = find_now(*find_faces(make_people(points, scores)))[0]
    points[HEAD], scores[HEAD] = points[KEYPOINTS.index("left_hip")], 0.02
    regions = find_now(*find_faces(make_people(points, scores)))
    assert any(covers(region, middle, 0.05 * 300) and region.width > sure.width for region in regions)


def test_of_a_close_up_without_shoulders_the_upper_part_is_hidden() -> None:
    points = np.tile(np.array([300, 200], np.float32), (17, 1))
    people = make_people(points, np.full(17, 0.1, np.float32))
    people = People(
        np.array([[200, 50, 400, 350]], np.float32), people.keypoints, people.keypoint_scores, people.scores
    )
    assert any(covers(region, np.array([300, 125]), 70) for region in find_now(*find_faces(people)))


def test_nobody_has_no_face() -> None:
    assert find_faces(People.nobody()) == ()
    assert find_now() == [] and FaceTrack().find_regions(3, SIZE_WH) == []


def test_a_face_that_is_outside_the_frame_is_cut_or_left_out() -> None:
    assert find_now(Face(-100, 100, 20)) == []
    (region,) = find_now(Face(5, 5, 20))
    assert (region.left, region.top) == (0, 0) and region.width == region.height == 28


def test_between_two_looks_a_face_is_hidden_on_its_whole_way() -> None:
    track = FaceTrack()
    track.add(0, [Face(100, 100, 20)])
    track.add(1, [Face(180, 140, 20)])
    for fraction in np.linspace(0, 0.99, 12):
        region, *_ = track.find_regions(fraction, SIZE_WH)
        assert covers(region, np.array([100, 100]) + fraction * np.array([80, 40]), 20)


def test_where_another_square_is_nearer_the_face_is_hidden_when_it_comes() -> None:
    track = FaceTrack()
    track.add(0, [Face(100, 100, 20)])
    track.add(0.25, [Face(110, 100, 20), Face(130, 100, 20)])
    assert any(covers(region, np.array([130, 100]), 20) for region in track.find_regions(0.24, SIZE_WH))


def test_without_a_newer_look_a_moving_face_is_hidden_wherever_it_may_be() -> None:
    track = FaceTrack()
    track.add(0, [Face(100, 100, 20)])
    track.add(0.5, [Face(120, 100, 20)])
    for age_s in (0.1, 0.5, 0.9):
        (region,) = track.find_regions(0.5 + age_s, SIZE_WH)
        for direction in ([1, 0], [-1, 0], [0, 1]):
            assert covers(region, np.array([120, 100]) + 40 * age_s * np.array(direction), 20)


def test_a_face_stays_hidden_for_a_second_after_it_is_lost() -> None:
    track = FaceTrack()
    track.add(0, [Face(100, 100, 20)])
    track.add(0.5, [])
    assert track.find_regions(0.6, SIZE_WH) and track.find_regions(1.4, SIZE_WH)
    assert track.find_regions(1.6, SIZE_WH) == []


def test_a_face_that_a_later_look_shows_is_hidden_for_the_second_before() -> None:
    track = FaceTrack()
    track.add(0, [])
    track.add(2, [Face(100, 100, 20)])
    assert track.find_regions(0.5, SIZE_WH) == []
    assert track.find_regions(1.2, SIZE_WH) and track.find_regions(2.0, SIZE_WH)


def test_two_faces_that_pass_each_other_are_both_hidden() -> None:
    track = FaceTrack()
    track.add(0, [Face(100, 100, 20), Face(300, 100, 20)])
    track.add(1, [Face(220, 100, 20), Face(180, 100, 20)])
    for fraction in (0.0, 0.5, 0.99):
        regions = track.find_regions(fraction, SIZE_WH)
        for start, end in ((100, 180), (300, 220)):
            assert any(covers(region, np.array([start + fraction * (end - start), 100]), 20) for region in regions)


def test_a_long_class_keeps_only_its_newest_looks() -> None:
    track = FaceTrack()
    for number in range(1000):
        track.add(number / 4, [Face(100, 100, 20)])
        track.find_regions(number / 4, SIZE_WH)
    assert len(track._looks) < 12


def test_looks_that_go_back_in_time_are_refused() -> None:
    track = FaceTrack()
    track.add(2, [])
    with pytest.raises(ValueError, match="got 1 after 2"):
        track.add(1, [])


def test_the_face_of_a_picture_is_gone_and_the_rest_is_untouched() -> None:
    figure, look = POSES["standing"], Appearance()
    joints = _place_joints(figure, look)
    camera = _aim_camera(_shape_body(joints, figure, look), SIZE_WH, look)
    x, y = joints["head"] * camera.scale + camera.origin
    scene = draw_figure(figure, SIZE_WH, look)
    before = scene.copy()
    regions = find_now(Face(float(x), float(y), 0.09 * camera.scale), size_wh=SIZE_WH)
    hide_faces(BgrCanvas(scene), regions)
    (region,) = regions
    blocks = cv2.resize(np.asarray(region.cut(before), np.uint8), (6, 6), interpolation=cv2.INTER_AREA)
    rough = cv2.resize(blocks, (region.width, region.height), interpolation=cv2.INTER_LINEAR)
    detail = np.abs(region.cut(before).astype(float) - rough).mean()
    assert detail > 5  # the picture had more than its blocks
    assert np.abs(region.cut(scene).astype(float) - rough).mean() < 0.1 * detail
    outside = np.ones(scene.shape[:2], bool)
    region.cut(outside)[:] = False
    assert np.array_equal(scene[outside], before[outside])
