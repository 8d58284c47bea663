"""JSON lines that say what begins, ends and is reached; goals that cannot be are refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from yoga_live.runtime.classifier import PoseClassifier
from yoga_live.runtime.core.frames import TimedFrame
from yoga_live.runtime.core.goals import PerSide
from yoga_live.runtime.core.types import Hold
from yoga_live.runtime.errors import OptionError
from yoga_live.runtime.sinks.events import Events, parse_goals
from yoga_live.runtime.tracking.live_tracker import LiveTracker

LABELS = ("tree", "warrior_2", "none")


def play(holds: list[tuple[float, str, float]], goals_s: dict[str, float] | None = None) -> list[dict[str, object]]:
    lines: list[str] = []
    events = Events(lines.append, goals_s)
    for time_s, pose, hold_s in holds:
        events.update(time_s, Hold(pose, 0.9, hold_s))
    events.close(holds[-1][0])
    assert all("\n" not in line for line in lines)
    return [json.loads(line) for line in lines]


def test_a_hold_begins_where_its_evidence_did_and_ends_where_the_next_begins() -> None:
    told = play([(0, "none", 0), (5.5, "tree", 0.5), (30, "tree", 25), (31.2, "none", 1.2), (32, "none", 2)])
    assert told == [
        {"event": "begin", "time_s": 5, "pose": "tree", "confidence": 0.9, "version": 1},
        {"event": "end", "time_s": 30, "pose": "tree", "hold_s": 25, "version": 1},
    ]


def test_what_is_held_when_the_class_ends_ends_too() -> None:
    told = play([(1, "tree", 1), (9, "tree", 9)])
    assert told[-1] == {"event": "end", "time_s": 9, "pose": "tree", "hold_s": 9, "version": 1}


def test_a_goal_is_told_once_a_hold_at_its_own_moment() -> None:
    holds = [(n / 2, "tree", n / 2) for n in range(80)]
    again = [(45 + n / 2, "tree", n / 2) for n in range(80)]
    told = play([*holds, (41, "none", 1), *again], {"tree": 30, "warrior_2": 5})
    assert [(line["event"], line["time_s"]) for line in told] == [
        ("begin", 0), ("goal", 30), ("end", 40), ("begin", 45), ("goal", 75), ("end", 84.5),
    ]  # fmt: skip


def test_a_pose_that_follows_a_pose_ends_the_first() -> None:
    told = play([(1, "tree", 1), (8, "warrior_2", 0.4)])
    assert [(line["event"], line["pose"]) for line in told] == [
        ("begin", "tree"), ("end", "tree"), ("begin", "warrior_2"), ("end", "warrior_2"),
    ]  # fmt: skip


def test_goals_are_read_one_by_one_or_with_commas() -> None:
    assert parse_goals(["tree=30,warrior_2=12.5"], LABELS) == {"tree": 30, "warrior_2": 12.5}
    assert parse_goals(["tree=30", "tree=40"], LABELS) == {"tree": 40}
    assert parse_goals([], LABELS) == {}


def test_a_goal_of_a_pose_that_is_not_answered_says_so() -> None:
    with pytest.raises(OptionError, match="--goal triangle=30: triangle is not among --poses tree,warrior_2; add it"):
        parse_goals(["triangle=30"], ("tree", "none", "warrior_2"), ("triangle",))


def test_a_goal_may_count_for_each_side() -> None:
    goals = parse_goals(["tree=30/side,warrior_2=12"], LABELS)
    assert goals == {"tree": 30, "warrior_2": 12}
    assert isinstance(goals["tree"], PerSide) and not isinstance(goals["warrior_2"], PerSide)


WRONG = [
    "tree",
    "tree=",
    "tree=soon",
    "tree=0",
    "tree=-3",
    "tree=nan",
    "tree=inf",
    "tree=30/",
    "tree=30/leg",
    "tree=/side",
]


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_goal_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="give a pose and seconds below 86,400, such as tree=30"):
        parse_goals([text], LABELS)


@pytest.mark.parametrize("text", ["none=30", "crow=30", "=30"])
def test_a_pose_that_the_model_does_not_know_is_refused_with_those_it_does(text: str) -> None:
    with pytest.raises(OptionError, match=r"give one of tree, warrior_2$"):
        parse_goals([text], LABELS)


@pytest.mark.parametrize("rate", [5, 30])
@pytest.mark.parametrize(("held_s", "reaches"), [(29.2, False), (30.5, True)])
def test_a_goal_is_told_only_if_it_was_held(
    classifier: PoseClassifier, rate: int, held_s: float, reaches: bool
) -> None:
    tracker, lines = LiveTracker(classifier), list[str]()
    events = Events(lines.append, {"tree": 30.0})
    for number in range(round((held_s + 6) * rate)):
        time_s = number / rate
        colour = (255, 0, 0) if 1 <= time_s < 1 + held_s else (0, 0, 255)
        frame = TimedFrame(np.full((24, 32, 3), colour, np.uint8), time_s, number)
        events.update(time_s, tracker.update(frame).hold)
    told = [json.loads(line) for line in lines]
    assert [line["event"] for line in told] == (["begin", "goal", "end"] if reaches else ["begin", "end"])
    assert told[-1]["hold_s"] == pytest.approx(held_s, abs=0.45)


def test_a_goal_waits_until_the_network_has_seen_it() -> None:
    lines: list[str] = []
    events = Events(lines.append, {"tree": 30.0})
    for time_s, ahead_s in ((1.0, 0.0), (30.2, 0.4), (30.4, 0.1)):
        events.update(time_s, Hold("tree", 0.9, time_s, ahead_s=ahead_s))
        assert len(lines) == (2 if time_s == 30.4 else 1)


def play_sides(holds: list[tuple[float, float, str | None]], goal_s: float = 30.0) -> list[dict[str, object]]:
    """holds: time, hold_s and side of a tree."""
    lines: list[str] = []
    events = Events(lines.append, {"tree": PerSide(goal_s)}, person=2)
    for time_s, hold_s, side in holds:
        events.update(time_s, Hold("tree", 0.9, hold_s, side=side, angles={"left_knee": 92}))  # pyright: ignore
    events.close(holds[-1][0])
    return [json.loads(line) for line in lines]


def test_a_turn_ends_one_hold_and_begins_another_and_new_keys_come_last() -> None:
    told = play_sides([(1, 1, None), (4, 4, "left"), (20, 20, "left"), (21, 5, "right"), (25, 9, "right")])
    assert [(line["event"], line["time_s"], line.get("side")) for line in told] == [
        ("begin", 0, None), ("end", 16, "left"), ("begin", 16, "right"), ("end", 25, "right"),
    ]  # fmt: skip
    assert list(told[1]) == ["event", "time_s", "pose", "hold_s", "person", "side", "angles", "version"]
    assert told[1]["angles"] == {"left_knee": 92} and "angles" not in told[0]


def test_a_side_that_is_judged_anew_begins_no_hold() -> None:
    told = play_sides([(1, 1, "left"), (4, 4, "right"), (9, 9, None)])
    assert [(line["event"], line.get("side")) for line in told] == [("begin", "left"), ("end", "right")]


def test_a_goal_for_each_side_says_switch_until_both_have_reached_it() -> None:
    left, right = [(n, n, "left") for n in range(1, 35)], [(40 + n, n, "right") for n in range(1, 35)]
    told = [line for line in play_sides([*left, *right]) if line["event"] == "goal"]
    assert [(line["side"], line.get("switch")) for line in told] == [("left", True), ("right", None)]


def test_the_end_of_a_hold_says_how_it_differs_where_it_does() -> None:
    lines: list[str] = []
    events = Events(lines.append, compare=lambda pose, angles, side: f"{side} {pose} {dict(angles)}" if angles else "")
    events.update(5, Hold("tree", 0.9, 5.0, side="left", angles={"left_knee": 92}))
    events.update(9, Hold("warrior_2", 0.9, 1.0))
    events.close(10)
    told = [json.loads(line) for line in lines]
    assert told[1]["difference"] == "left tree {'left_knee': 92}" and list(told[1])[-2:] == ["difference", "version"]
    assert "difference" not in told[3]
