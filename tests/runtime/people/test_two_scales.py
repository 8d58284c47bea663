"""People near and far in one frame."""

from __future__ import annotations

import numpy as np
import pytest

from yoga_live.runtime.classifier import PoseClassifier
from yoga_live.runtime.core.types import Frame
from yoga_live.runtime.people import People, PeopleFinder
from yoga_live.runtime.people.two_scales import TwoScaleFinder, find_covered
from yoga_live.runtime.sources.drawn_figure import POSES, Appearance, draw_figure


@pytest.fixture(scope="module")
def near() -> PeopleFinder:
    pytest.importorskip("onnxruntime")
    return PeopleFinder("cpu", 1)


@pytest.fixture(scope="module")
def far() -> PeopleFinder:
    return PeopleFinder("cpu", 1, side=640)


def draw_hall() -> Frame:
    """Six small people in a wide picture."""
    hall = np.full((720, 1920, 3), 200, np.uint8)
    for number, pose in enumerate(("tree", "warrior_2", "standing", "goddess", "chair", "triangle")):
        figure = draw_figure(POSES[pose], (240, 180), Appearance(window_x=None))
        hall[400:580, 40 + 310 * number : 280 + 310 * number] = figure
    return hall


def test_small_people_are_found_in_the_large_picture_alone(near: PeopleFinder, far: PeopleFinder) -> None:
    hall = draw_hall()
    assert len(near.find(hall)) < 4
    for always in (True, False):
        people = TwoScaleFinder(near, far, always=always).find(hall)
        assert len(people) >= 5 and (np.diff(people.scores) <= 0).all()


def test_somebody_near_is_counted_once(near: PeopleFinder, far: PeopleFinder) -> None:
    for pose in ("tree", "warrior_2", "down_dog", "goddess"):
        frame = draw_figure(POSES[pose], (1280, 720))
        assert len(TwoScaleFinder(near, far, always=True).find(frame)) == 1


def test_the_large_picture_is_looked_at_only_where_it_has_to_be(near: PeopleFinder) -> None:
    class Refusing:
        def find(self, *_: object, **__: object) -> People:
            raise AssertionError

    frame = draw_figure(POSES["tree"], (640, 360))
    assert len(TwoScaleFinder(near, Refusing(), always=False).find(frame)) == 1
    with pytest.raises(AssertionError):
        TwoScaleFinder(near, Refusing(), always=False).find(np.zeros((360, 640, 3), np.uint8))


def test_where_nobody_is_the_large_picture_is_looked_at_now_and_then(near: PeopleFinder) -> None:
    class Counting:
        looks = 0

        def find(self, *more: object, **named: object) -> People:
            self.looks += 1
            return People.nobody()

    far, wall = Counting(), np.full((360, 640, 3), 180, np.uint8)
    finder = TwoScaleFinder(near, far, always=False)
    for _ in range(9):
        finder.find(wall)
    assert far.looks == 3
    finder.renew().find(wall)  # which knows nothing of what was before
    assert far.looks == 4
    finder.find(draw_figure(POSES["tree"], (640, 360)))
    finder.find(wall)  # somebody was there just now
    assert far.looks == 5


def test_one_network_looks_at_both_sizes(near: PeopleFinder) -> None:
    far = near.resize(640)
    frame = draw_figure(POSES["tree"], (640, 360))
    assert far.find(frame).boxes.shape[1] == 4 and len(near.find(frame)) == 1
    with pytest.raises(ValueError, match="multiple of 32"):
        near.resize(100)


def test_what_is_covered_is_a_fraction_of_each_box() -> None:
    boxes = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [50, 50, 60, 60]], np.float32)
    assert find_covered(boxes, boxes[:1]) == pytest.approx([1, 0.5, 0])
    assert find_covered(boxes, boxes[:0]) == pytest.approx([0, 0, 0])


def test_faces_are_looked_for_near_and_far() -> None:
    classifier = PoseClassifier(device="cpu", threads=1)
    assert len(classifier.make_face_finder().find(draw_hall())) >= 5
