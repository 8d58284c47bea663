"""A recording of minutes: what is forgotten every ten minutes, and what is not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from yoga_live.runtime.classifier import PoseClassifier
from yoga_live.runtime.core.frames import TimedFrame
from yoga_live.runtime.people import People
from yoga_live.runtime.people.cropper import PersonCropper
from yoga_live.runtime.people.watcher import PeopleWatcher
from yoga_live.runtime.sources import frame_sampling
from yoga_live.runtime.tracking.observer import Observer
from yoga_live.runtime.tracking.sampling_observer import OBSERVATIONS_PER_S, SamplingObserver

from ..conftest import ColourEngine

LEFT, RIGHT = (20.0, 60.0, 80.0, 220.0), (220.0, 60.0, 280.0, 220.0)
LOOKS_BEFORE = 2


class TwoWhoSwapRanks:
    """Finds the same two people in the same places; who is the surest, and so comes first, changes after a while."""

    def __init__(self) -> None:
        self.looks = 0

    def find(self, frame_bgr: Any, region: Any = None, *, min_score: float | None = None) -> People:
        self.looks += 1
        boxes = (LEFT, RIGHT) if self.looks <= LOOKS_BEFORE else (RIGHT, LEFT)
        points = [[[(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]] * 17 for box in boxes]
        sure = np.full((2, 17), 0.9, np.float32)
        return People(np.array(boxes, np.float32), np.array(points, np.float32), sure, np.array([0.9, 0.8], np.float32))


def draw_seconds(seconds: int) -> Iterator[TimedFrame]:
    picture = np.full((240, 320, 3), 90, np.uint8)
    for count in range(seconds * int(OBSERVATIONS_PER_S)):
        yield TimedFrame(picture, count / OBSERVATIONS_PER_S, count)


@pytest.mark.parametrize("mats", [False, True])
def test_each_of_several_people_keeps_their_number_for_longer_than_ten_minutes(
    monkeypatch: pytest.MonkeyPatch, mats: bool
) -> None:
    monkeypatch.setattr(frame_sampling, "CHUNK_S", 6.0)
    monkeypatch.setattr(frame_sampling, "WARM_UP_S", 3.0)
    cropper = PersonCropper(PeopleWatcher(TwoWhoSwapRanks(), mats=mats), most=8)
    observer = SamplingObserver(Observer(PoseClassifier.from_engine(ColourEngine()), cropper))
    observations = [each for step in observer.observe_through(draw_seconds(20)) for each in step.observations]
    assert len(observations) == 20 * OBSERVATIONS_PER_S
    places: dict[int, set[float]] = {}
    for observation in observations:
        assert observation.crops and len(observation.crops.people) == 2
        for person in observation.crops.people:
            if person.number > 0:
                places.setdefault(person.number, set()).add(float(person.box[0]))
    assert places == {1: {LEFT[0]}, 2: {RIGHT[0]}}
