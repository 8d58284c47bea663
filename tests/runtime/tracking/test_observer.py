"""One observation: who is seen, and what the second opinion hears of them."""

from __future__ import annotations

import numpy as np
import pytest

from yoga_live.runtime.classifier import PoseClassifier
from yoga_live.runtime.core.frames import TimedFrame
from yoga_live.runtime.core.model_metadata import ModelInfo
from yoga_live.runtime.core.preprocess import letterbox
from yoga_live.runtime.core.regions import Region
from yoga_live.runtime.core.types import Frame
from yoga_live.runtime.cropping.croppers import WholeFrame
from yoga_live.runtime.people.cropper import PersonCropper
from yoga_live.runtime.people.landmarks import LANDMARKS, measure_landmarks
from yoga_live.runtime.people.tracks import Person
from yoga_live.runtime.sources.drawn_figure import POSES, Appearance, draw_figure
from yoga_live.runtime.tracking.observer import Observer, find_info, open_cropper

from ...opinions import make_opinion
from ..conftest import ColourEngine


class ShownPerson(PersonCropper):
    """Somebody in the left half of each frame, or nobody."""

    looked_s = 0.0

    def __init__(self, *scores: float) -> None:
        points = np.random.default_rng(0).uniform(0, 40, (17, 2)).astype(np.float32)
        sure, box = np.full(17, 0.9, np.float32), np.array([0, 0, 32, 48], np.float32)
        everybody = (Person(number, box, points, sure, score, 0.0, 0.0) for number, score in enumerate(scores, 1))
        self.people = tuple(everybody)
        self.person = self.people[0] if scores else None
        self.group = None

    def choose_crop(self, time_s: float, frame_bgr: Frame) -> Region | None:
        return Region(0, 0, 32, 48) if self.person else None


@pytest.fixture
def informed() -> PoseClassifier:
    engine = ColourEngine()
    engine.info = ModelInfo(engine.info.labels, 32, threshold=0.7, second_opinion=make_opinion().to_document())
    return PoseClassifier.from_engine(engine)


def test_the_second_opinion_hears_of_the_person_or_that_nobody_is_there(informed: PoseClassifier) -> None:
    grey = TimedFrame(np.full((48, 64, 3), 90, np.uint8), 0.0, 0)
    cropped, alone = letterbox(grey.image_bgr[:, :32], 32), letterbox(grey.image_bgr, 32)
    for scores, letterboxed in (((0.9,), cropped), ((0.9, 0.8), cropped), ((), alone)):
        cropper = ShownPerson(*scores)
        landmarks = np.zeros((1, LANDMARKS), np.float32)
        if person := cropper.person:
            others = len(scores) - 1
            landmarks[0] = measure_landmarks(person.keypoints, person.keypoint_scores, person.score, others)
        expected = informed.probabilities_letterboxed(letterboxed[None], landmarks)[0]
        observer = Observer(informed, cropper)
        for observation in (observer.observe(grey), observer.observe_prepared(observer.prepare(grey))):
            assert observation.probabilities == pytest.approx(expected)
        assert expected != pytest.approx(informed.probabilities_letterboxed(letterboxed[None])[0])


def test_who_was_missed_by_the_newest_look_is_left_to_the_network(informed: PoseClassifier) -> None:
    """A clip that ended in black for seconds was still called by the pose before, for the key points of that pose."""
    grey = TimedFrame(np.full((48, 64, 3), 90, np.uint8), 1.0, 0)
    cropper = ShownPerson(0.9)
    with_key_points = Observer(informed, cropper).observe(grey).probabilities
    cropper.looked_s = 1.0
    observer = Observer(informed, cropper)
    alone = informed.probabilities(grey.image_bgr, Region(0, 0, 32, 48))
    assert alone != pytest.approx(with_key_points)
    for observation in (observer.observe(grey), observer.observe_prepared(observer.prepare(grey))):
        assert observation.probabilities == pytest.approx(alone)


def test_rows_with_and_without_key_points_are_answered_together(informed: PoseClassifier) -> None:
    frames, nobody = np.full((2, 32, 32, 3), 90, np.uint8), np.zeros(LANDMARKS, np.float32)
    rows = informed.probabilities_letterboxed(frames, np.stack([np.full_like(nobody, np.nan), nobody]))
    assert rows[0] == pytest.approx(informed.probabilities_letterboxed(frames[:1])[0])
    assert rows[1] == pytest.approx(informed.probabilities_letterboxed(frames[:1], nobody[None])[0])
    assert rows[0] != pytest.approx(rows[1])


def test_without_people_it_is_the_network_alone_with_its_own_threshold(informed: PoseClassifier) -> None:
    grey = TimedFrame(np.full((48, 64, 3), 90, np.uint8), 0.0, 0)
    assert Observer(informed).observe(grey).probabilities == pytest.approx(informed.probabilities(grey.image_bgr))
    assert find_info(informed, WholeFrame()).threshold == find_info(informed, None).threshold == 0.7
    assert find_info(informed, ShownPerson()).threshold == 0.35


def test_a_model_with_a_second_opinion_is_told_of_people_without_zoom_too(informed: PoseClassifier) -> None:
    pytest.importorskip("onnxruntime")
    assert isinstance(open_cropper(informed, None, False, (64, 48)), PersonCropper)
    assert isinstance(open_cropper(informed, None, False, (64, 48), "off"), WholeFrame)
    informed.second_opinion = None
    assert isinstance(open_cropper(informed, None, False, (64, 48)), WholeFrame)


def test_the_crop_shows_people_no_larger_than_in_training() -> None:
    """A network of photos in which people are small fails on people who fill the crop."""
    pytest.importorskip("onnxruntime")
    regions = []
    for training in ({}, {"person_share": 0.4}, {"person_share": "much"}):
        engine = ColourEngine()
        engine.info = ModelInfo(engine.info.labels, 32, training=training)
        cropper = open_cropper(PoseClassifier.from_engine(engine), None, True, (1280, 720))
        scene = np.full((720, 1280, 3), 200, np.uint8)
        scene[300:660, 500:980] = draw_figure(POSES["tree"], (480, 360), Appearance(window_x=None))
        regions.append(cropper.choose_crop(0.0, scene))
    near, far, unknown = regions
    assert isinstance(near, Region) and isinstance(far, Region) and unknown == near
    assert isinstance(cropper, PersonCropper) and cropper.person is not None
    left, top, right, bottom = cropper.person.box
    assert far.height == pytest.approx(max(right - left, bottom - top) / 0.4, abs=2) and near.height < 0.6 * far.height
