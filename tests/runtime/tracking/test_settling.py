"""Who is known to be on a mat has been there from the first look: nothing of it is lost, live or recorded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from yoga_live.runtime.core.model_metadata import ModelInfo
from yoga_live.runtime.people.mats import Mats, Settled
from yoga_live.runtime.people.tracks import Person
from yoga_live.runtime.tracking.fixed_lag import FixedLagSmoother
from yoga_live.runtime.tracking.live_tracker import LiveTracker
from yoga_live.runtime.tracking.observer import Crops, Observation
from yoga_live.runtime.tracking.settling import KEPT_S, Settling, rename_settled

LABELS = ("none", "plank", "tree")
TREE, PLANK = np.array([0.05, 0.05, 0.9]), np.array([0.05, 0.9, 0.05])
STEP_S = 0.25


def stand(track: int, x: float) -> Person:
    box = np.array([x - 50, 150, x + 50, 400], np.float32)
    return Person(track, box, np.zeros((17, 2), np.float32), np.zeros(17, np.float32), 0.6, 0.0, 0.0)


def observe(mats: Mats, time_s: float, *people: Person) -> Observation:
    """What is observed of people who stand; who is on track 3 holds a plank, others a tree."""
    found = mats.update(time_s, people)
    tracks = {each.number: track for each in found for track in [_find_track(each, people)]}
    rows = np.array([PLANK if tracks[each.number] == 3 else TREE for each in found]).reshape(-1, len(LABELS))
    group = tuple((each.number, None) for each in found)
    return Observation(time_s, None, TREE, crops=Crops(None, None, found, group, mats.settled), rows=rows)


def _find_track(found: Person, people: tuple[Person, ...]) -> int:
    return next(each.number for each in people if each.box is found.box)


def run_class() -> list[Observation]:
    """Eight seconds: 7 stands from the start, 3 comes at 4 s; 5 walks past and is never on a mat."""
    mats, observations = Mats(), []
    for time_s in np.arange(0, 8, STEP_S):
        people = [stand(7, 100), stand(5, 1000 + 300 * time_s), *([stand(3, 600)] if time_s >= 4 else [])]
        observations.append(observe(mats, float(time_s), *people))
    return observations


def test_a_recording_counts_from_the_first_look() -> None:
    smoother = FixedLagSmoother(ModelInfo(LABELS, 64))
    observations = run_class()
    for observation in observations[:16]:
        smoother.add(observation)
    assert smoother.state_at(0.0).holds[1].pose == "tree"  # it is drawn seconds later
    for observation in observations[16:]:
        smoother.add(observation)
    told = smoother.segments(8.0)
    assert [(each.start_s, each.pose, each.person) for each in told] == [(0, "tree", 1), (4, "plank", 2)]
    assert set(smoother.state_at(3.9).holds) == {1} and set(smoother.state_at(4.25).holds) == {1, 2}


def test_a_camera_counts_from_the_first_look_once_it_is_certain(classifier) -> None:
    tracker = LiveTracker(classifier)
    tracker._rule = LABELS, 0.5
    holds = {observation.time_s: tracker._update_group(observation) for observation in run_class()}
    assert holds[1.75] == {} and set(holds[2.0]) == {1} and holds[2.0][1].hold_s == pytest.approx(2.0, abs=0.3)
    starts = {each.person: each.start_s for each in reversed(tracker.segments()) if each.pose != "none"}
    assert starts == {1: pytest.approx(0, abs=0.3), 2: pytest.approx(4, abs=0.3)}


def test_who_comes_back_to_a_mat_goes_on_there() -> None:
    mats, smoother = Mats(), FixedLagSmoother(ModelInfo(LABELS, 64))
    for time_s in np.arange(0, 25, STEP_S):
        people = [stand(7, 100)] if time_s < 5 else [stand(9, 110)] if time_s >= 15 else []
        smoother.add(observe(mats, float(time_s), *people))
    poses = [each for each in smoother.segments(25.0) if each.pose == "tree"]
    assert [each.person for each in poses] == [1, 1]
    assert [each.start_s for each in poses] == [0, pytest.approx(15, abs=STEP_S / 2)]  # not in the middle of the gap


def test_what_waits_does_not_grow() -> None:
    settling, people = Settling(), (stand(-5, 100),)
    for time_s in np.arange(0, 60, STEP_S):
        crops = Crops(None, None, people, ((-5, None),))
        assert not settling.update(Observation(float(time_s), None, TREE, crops=crops, rows=TREE[None]))
    assert len(settling._waiting[-5]) <= KEPT_S / STEP_S + 1
    gone = Observation(70.0, None, TREE, crops=Crops(None, None, (), ()), rows=np.zeros((0, 3)))
    assert not settling.update(gone) and not settling._waiting


def test_earlier_observations_are_renamed_from_when_they_came() -> None:
    crops = Crops(None, None, (stand(-5, 100), stand(-6, 500)), ((-6, None), (-5, None)))
    observation = Observation(3.0, None, TREE, crops=crops, rows=np.array([TREE, PLANK]))
    renamed = rename_settled(observation, [Settled(-5, 2, 1.0)]).crops
    assert renamed and [number for number, _ in renamed.group or ()] == [-6, 2]
    assert [person.number for person in renamed.people] == [2, -6]
    assert rename_settled(replace(observation, time_s=0.5), [Settled(-5, 2, 1.0)]).crops == crops
