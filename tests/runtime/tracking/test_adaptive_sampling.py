"""Looks that are left out: where both sides agree, and there alone."""

from __future__ import annotations

import numpy as np
import pytest

from yoga_live.runtime.classifier import PoseClassifier
from yoga_live.runtime.core.frames import TimedFrame
from yoga_live.runtime.core.regions import Region
from yoga_live.runtime.tracking.adaptive_sampling import SAME, AdaptiveObserver
from yoga_live.runtime.tracking.observer import Observation, Observer, PreparedFrame

from ..conftest import LABELS, ColourEngine

BLUE, GREEN, RED = (255, 0, 0), (0, 255, 0), (0, 0, 255)  # tree, warrior_2, none
FPS = 6


class GivenLooker(Observer):
    """Answers with what it was given for each moment; counts what it was asked."""

    def __init__(self, rows: dict[float, list[float]]) -> None:
        self.rows, self.explains = rows, False
        self.judged_s: list[float] = []

    def prepare(self, frame: TimedFrame, *, warms: bool = False) -> PreparedFrame:
        return PreparedFrame(frame.time_s, Region(round(frame.time_s * FPS), 0, 8, 8), frame.image_bgr)

    def observe_prepared(self, prepared: PreparedFrame) -> Observation:
        self.judged_s.append(prepared.time_s)
        return Observation(prepared.time_s, prepared.region, np.array(self.rows[prepared.time_s]))


def look_at(times_s: list[float], shares: list[float]) -> tuple[list[Observation], list[Observation], list[float]]:
    """Probabilities of a pose at moments.  Returns looks on the way, those that were left at the end, and which of all
    the network saw."""
    observer = GivenLooker({time_s: [share, 1 - share] for time_s, share in zip(times_s, shares, strict=True)})
    sparse = AdaptiveObserver(observer)
    picture = np.zeros((8, 8, 3), np.uint8)
    known = [observation for time_s in times_s for observation in sparse.observe(TimedFrame(picture, time_s, 0))]
    return known, sparse.finish(), observer.judged_s


def test_between_looks_that_agree_the_answer_lies_between_theirs() -> None:
    times_s = [0.0, 0.2, 0.3, 0.5]
    known, left, judged_s = look_at(times_s, [0.90, 0.1, 0.1, 0.95])
    assert judged_s == [0.0, 0.5] and left == []
    assert [observation.time_s for observation in known] == times_s
    assert [observation.probabilities[0] for observation in known] == pytest.approx([0.90, 0.92, 0.93, 0.95])
    assert [observation.probabilities.sum() for observation in known] == pytest.approx([1.0] * 4)
    assert [observation.region.left for observation in known if observation.region] == [
        0,
        1,
        2,
        3,
    ]  # each has its own part of the frame


def test_between_looks_that_disagree_all_are_looked_at() -> None:
    times_s = [0.0, 0.2, 0.3, 0.5]
    known, _, judged_s = look_at(times_s, [0.9, 0.5, 0.4, 0.9 - SAME - 0.01])
    assert sorted(judged_s) == times_s
    assert [observation.probabilities[0] for observation in known] == [0.9, 0.5, 0.4, pytest.approx(0.79)]


def test_what_is_beside_a_disagreement_is_left_out_again() -> None:
    times_s = [number / FPS for number in range(13)]
    _, _, judged_s = look_at(times_s, [0.9] * 5 + [0.1] * 8)
    assert sorted(judged_s) == [times_s[number] for number in (0, 3, 4, 5, 6, 9, 12)]


def test_a_video_of_few_frames_is_looked_at_whole() -> None:
    times_s = [0.0, 0.3, 0.6, 0.9, 1.2, 1.5, 1.8]
    _, _, judged_s = look_at(times_s, [0.9] * 7)
    assert sorted(judged_s) == times_s


def test_what_waits_at_the_end_is_looked_at() -> None:
    times_s = [number / FPS for number in range(6)]
    known, left, judged_s = look_at(times_s, [0.9] * 6)
    assert [observation.time_s for observation in known + left] == times_s and len(left) == 2
    assert judged_s == [times_s[number] for number in (0, 3, 4, 5)]


def test_after_the_end_nothing_is_compared_with_what_was_before() -> None:
    engine = ColourEngine()
    sparse = AdaptiveObserver(Observer(PoseClassifier.from_engine(engine)))
    blue, green = (TimedFrame(np.full((24, 32, 3), colour, np.uint8), 0.0, 0) for colour in (BLUE, GREEN))
    assert len(sparse.observe(blue)) == 1 and sparse.observe(blue.move(0.1, 1)) == []
    assert len(sparse.finish()) == 1
    observations = sparse.observe(green.move(0.2, 2))  # the first again
    assert len(observations) == 1 and LABELS[int(observations[0].probabilities.argmax())] == "warrior_2"


def test_the_answers_are_those_of_a_looker() -> None:
    frames = [
        TimedFrame(np.full((24, 32, 3), colour, np.uint8), number / FPS, number)
        for number, colour in enumerate([RED, RED, BLUE, BLUE, GREEN, GREEN, GREEN])
    ]
    plain = Observer(PoseClassifier.from_engine(ColourEngine()))
    sparse = AdaptiveObserver(Observer(PoseClassifier.from_engine(ColourEngine())))
    found = [observation for frame in frames for observation in sparse.observe(frame)] + sparse.finish()
    for observation, frame in zip(found, frames, strict=True):
        wanted = plain.observe(frame)
        assert observation.time_s == wanted.time_s and observation.region == wanted.region
        np.testing.assert_array_equal(observation.probabilities, wanted.probabilities)


def test_looks_that_say_where_are_all_taken() -> None:
    engine = ColourEngine()
    sparse = AdaptiveObserver(Observer(PoseClassifier.from_engine(engine), explain=True))
    picture = np.full((24, 32, 3), BLUE, np.uint8)
    observations = [
        observation for number in range(7) for observation in sparse.observe(TimedFrame(picture, number / FPS, number))
    ]
    assert (
        len(observations) == len(engine.batches) == 7
        and all(observation.class_maps for observation in observations)
        and sparse.finish() == []
    )
