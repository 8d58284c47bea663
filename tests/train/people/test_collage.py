"""A collage is one person several times or several pictures in one; several people are none."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from yoga_live.runtime.people import PeopleFinder
from yoga_live.runtime.sources.drawn_figure import POSES, Appearance, draw_figure, draw_room
from yoga_live.train.people.collage import CollageSigns, measure_signs

SIZE_WH = (240, 320)
WHITE = (250, 250, 250)
STUDIO = Appearance(mat=WHITE, wall=WHITE, floor=WHITE, window_x=None)
GREEN_ROOM = Appearance(wall=(60, 120, 60), floor=(40, 70, 90), top=(20, 20, 200), trousers=(200, 60, 20))
BLUE_ROOM = Appearance(wall=(150, 90, 50), floor=(90, 60, 40), top=(40, 200, 200), trousers=(30, 30, 30))


def measure(frame: np.ndarray) -> CollageSigns:
    pytest.importorskip("onnxruntime")
    people = PeopleFinder("cpu", 1, margin=0.08).find(frame)
    assert len(people) == 2
    return measure_signs(frame, people)


def test_two_photos_side_by_side_have_a_seam() -> None:
    photos = [draw_figure(POSES["goddess"], SIZE_WH, look) for look in (GREEN_ROOM, BLUE_ROOM)]
    signs = measure(np.hstack(photos))
    assert signs.seam > 0.95 and signs.is_collage
    assert measure(np.vstack([photo[40:300] for photo in photos])).seam > 0.95


def test_photos_with_a_white_bar_between_them_have_a_gutter() -> None:
    photo = draw_figure(POSES["goddess"], SIZE_WH, GREEN_ROOM)
    bar = np.full((SIZE_WH[1], 16, 3), 255, np.uint8)
    signs = measure(np.hstack([photo, bar, photo]))
    assert signs.gutter >= 4 and signs.is_collage


def test_one_person_twice_on_plain_ground_is_a_collage_without_any_line() -> None:
    signs = measure(np.hstack([draw_figure(POSES[pose], SIZE_WH, STUDIO) for pose in ("goddess", "tree")]))
    assert signs.ground > 0.9 and signs.clothes < 5 and signs.is_collage


def test_two_people_in_one_room_are_none() -> None:
    """In other clothes, before one wall that is not plain."""
    blotches = np.random.default_rng(0).integers(60, 200, (8, 12, 3), dtype=np.uint8)
    frame = cv2.resize(blotches, (480, 320), interpolation=cv2.INTER_CUBIC)
    for left, look in ((0, GREEN_ROOM), (240, BLUE_ROOM)):
        empty = draw_figure(POSES["goddess"], SIZE_WH, look)
        is_person = np.abs(empty.astype(int) - draw_room(SIZE_WH, look)).max(axis=2) > 0
        frame[:320, left : left + 240][is_person] = empty[is_person]
    assert not measure(frame).is_collage
