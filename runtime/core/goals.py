"""Goals: for how long a pose is to be held, and whether on each side; which have been reached."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from .labels import display_name
from .types import Hold, Segment, Side

SWITCH_SIDES, SIDE_UNCLEAR = "switch sides", "side unclear"
TURNED_S = 0.5
"""By so much later a hold must begin to be another one, on the other side."""


class PerSide(float):
    """Seconds of a goal that counts for each side of a pose: `PerSide(30)` is 30 s on the left and 30 on the right."""


@dataclass(frozen=True)
class GoalState:
    """What became of a hold.

    hold: with what was known of its side and angles before, while it is only kept.  since_s: when it began, seconds.
    begins: it is another hold than that before.  reaches: it has reached its goal just now.  switches: it has reached
    it, and the pose is to be held on the other side, too.  lacks_side: it has reached it, and its side, for which the
    goal counts, is not known.
    """

    hold: Hold
    since_s: float
    begins: bool = False
    reaches: bool = False
    switches: bool = False
    lacks_side: bool = False

    @property
    def note(self) -> str:
        """What is said of it beside the pose; empty for nothing."""
        return SWITCH_SIDES if self.switches else SIDE_UNCLEAR if self.lacks_side else ""


class GoalTracker:
    """Follow one person's holds and which goals they reach."""

    def __init__(self, goals_s: Mapping[str, float]) -> None:
        """goals_s: label -> seconds, as `PerSide` where they count for each side."""
        self._goals_s = goals_s
        self._last: GoalState | None = None
        self._reached = False
        self._sides: dict[str, set[Side]] = {}

    def update(self, time_s: float, hold: Hold) -> GoalState:
        """Take the hold at `time_s`, in seconds, which never decreases."""
        since_s, last = time_s - hold.hold_s, self._last
        begins = last is None or _is_another(hold, since_s, last)
        if last and not begins:
            known = last.hold
            hold = replace(hold, side=hold.side or known.side, angles=hold.angles or known.angles)
            since_s = last.since_s
        else:
            self._reached = False
        goal_s = self._goals_s.get(hold.pose)
        reaches = goal_s is not None and not self._reached and hold.leads and hold.seen_s >= goal_s
        switches = bool(last and not begins and last.switches)
        lacks_side = bool(last and not begins and last.lacks_side)
        if reaches or (lacks_side and hold.side):  # the side may become known later
            self._reached, switches = True, self._reach(hold)
            lacks_side = isinstance(goal_s, PerSide) and hold.side is None
        self._last = GoalState(hold, since_s, begins, reaches, switches, lacks_side)
        return self._last

    def close(self) -> None:
        """Forget the hold; the next one is another."""
        self._last = None

    def _reach(self, hold: Hold) -> bool:
        """Note the side.  Returns whether the other one is still to be held."""
        if not isinstance(self._goals_s.get(hold.pose), PerSide) or hold.side is None:
            return False
        sides = self._sides.setdefault(hold.pose, set())
        sides.add(hold.side)
        if len(sides) < 2:
            return True
        sides.clear()  # another round may follow
        return False


def describe_unclear(segments: Iterable[Segment], goals_s: Mapping[str, float]) -> str:
    """Say in which holds of a finished timeline a goal for each side was reached on an unknown one; empty for none."""
    unclear = Counter(
        segment.pose
        for segment in segments
        if isinstance(goal_s := goals_s.get(segment.pose), PerSide)
        and segment.side is None
        and segment.duration_s >= goal_s
    )
    if not unclear:
        return ""
    poses = ", ".join(f"{display_name(pose)} {number}" for pose, number in unclear.items())
    return f'side unclear in holds that reached their goal, so "{SWITCH_SIDES}" was not said: {poses}'


def _is_another(hold: Hold, since_s: float, last: GoalState) -> bool:
    turned = {hold.side, last.hold.side} == {"left", "right"} and since_s > last.since_s + TURNED_S
    return hold.pose != last.hold.pose or turned
