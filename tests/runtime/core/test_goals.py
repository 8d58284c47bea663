"""Which goals are reached, on which side, and when a hold is another one."""

from __future__ import annotations

from yoga_live.runtime.core.goals import GoalTracker, PerSide
from yoga_live.runtime.core.types import Hold, Side


def hold(hold_s: float, side: Side | None = None, *, leads: bool = True) -> Hold:
    return Hold("tree", 0.9, hold_s, leads, side=side)


def test_a_goal_is_reached_once_a_hold() -> None:
    goals = GoalTracker({"tree": 10.0})
    states = [goals.update(n, hold(n)) for n in range(1, 15)]
    assert [state.reaches for state in states].count(True) == 1 and states[9].reaches
    assert not any(state.switches for state in states)


def test_a_goal_for_each_side_asks_for_the_other_one_as_long_as_the_hold_lasts() -> None:
    goals = GoalTracker({"tree": PerSide(10)})
    left = [goals.update(n, hold(n, "left")) for n in range(1, 15)]
    assert [state.switches for state in left] == [False] * 9 + [True] * 5
    right = [goals.update(20 + n, hold(n, "right")) for n in range(1, 15)]
    assert right[0].begins and right[9].reaches and not any(state.switches for state in right)


def test_both_sides_again_are_another_round() -> None:
    goals = GoalTracker({"tree": PerSide(2)})
    said = []
    for turn, side in enumerate(("left", "right", "left", "right")):
        said.append([goals.update(10 * turn + n, hold(n, side)) for n in range(1, 4)][-1].switches)
    assert said == [True, False, True, False]


def test_a_hold_of_unknown_side_reaches_its_goal_and_says_that_until_it_is_known() -> None:
    goals = GoalTracker({"tree": PerSide(2)})
    assert goals.update(1, hold(1)).note == ""
    state = goals.update(3, hold(3))
    assert state.reaches and not state.switches and state.note == "side unclear"
    assert goals.update(4, hold(4)).note == "side unclear"
    known = goals.update(5, hold(5, "left"))
    assert not known.reaches and known.note == "switch sides" == goals.update(6, hold(6)).note
    assert goals.update(20, hold(1, "right")).note == "" and goals.update(22, hold(3, "right")).note == ""
    assert GoalTracker({"tree": 2.0}).update(3, hold(3)).note == ""


def test_what_was_known_stays_known_and_a_side_judged_anew_is_the_same_hold() -> None:
    goals = GoalTracker({})
    goals.update(3, hold(3, "left"))
    assert goals.update(4, hold(4, leads=False)).hold.side == "left"
    state = goals.update(5, hold(5, "right"))
    assert state.hold.side == "right" and not state.begins
