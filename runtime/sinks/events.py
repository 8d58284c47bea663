"""Events of a class as JSON lines for other programs: a hold begins, ends, or reaches its goal."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from ..core.allowed_poses import explain_excluded
from ..core.goals import GoalState, GoalTracker, PerSide
from ..core.types import NO_POSE, Hold, Side
from ..errors import OptionError
from ..system.option_types import quote
from ..system.plain_text import escape_json
from ..system.suggestions import suggest_word

VERSION = 1
"""Of the event lines: keys are only added while it stays the same."""
Compare = Callable[[str, Mapping[str, float], Side | None], str]
"""Pose, angles by name and side of a hold -> how it differs from a photo, in words."""


class Events:
    """Emits the changes from hold to hold, one JSON object per line.

    {"event": "begin", "time_s": 12.4, "pose": "tree", "confidence": 0.93}: time_s is where the evidence for it began;
    {"event": "goal", "time_s": 42.4, "pose": "tree", "hold_s": 30.0}: once per hold, when it has lasted so long;
    {"event": "end", "time_s": 61.0, "pose": "tree", "hold_s": 48.6}.  No pose (`none`) has no events.
    video: set if there are several; {"event": "begin", "video": "class.mp4", ...}.  Behind these come person: whose
    they are, where several people are followed; side: left or right, where it is known; angles: of the joints, at the
    end; and version, of these lines: {"event": "begin", ..., "person": 2, "side": "left", "version": 1}.

    Who turns to the other side ends one hold and begins another.  Where a goal counts for each side (`PerSide`), it
    says "switch": true until it has been reached on the other side too.
    """

    def __init__(
        self,
        tell: Callable[[str], None],
        goals_s: Mapping[str, float] | None = None,
        video: str | None = None,
        person: int | None = None,
        compare: Compare | None = None,
    ) -> None:
        """compare: says by how much a hold differs from a photo; its words are the `difference` of an end."""
        self._tell, self._goals_s, self._compare = tell, dict(goals_s or {}), compare
        self._source = {} if video is None else {"video": video}
        self._person = {} if person is None else {"person": person}
        self._goals = GoalTracker(self._goals_s)
        self._last: GoalState | None = None

    def update(self, time_s: float, hold: Hold) -> None:
        """Take the hold at `time_s`, in seconds, which never decreases."""
        state = self._goals.update(time_s, hold)
        if state.begins:
            self._end(state.since_s)
            if not hold.is_resting:
                self._say("begin", state.since_s, state.hold, confidence=round(hold.confidence, 3))
        self._last = state
        if state.reaches:
            goal_s, switch = self._goals_s[hold.pose], {"switch": True} if state.switches else {}
            self._say("goal", state.since_s + goal_s, state.hold, switch, hold_s=goal_s)

    def close(self, time_s: float) -> None:
        """End the current hold when the class ends."""
        self._end(time_s)
        self._goals.close()

    def _end(self, time_s: float) -> None:
        state, self._last = self._last, None
        if state is not None and not state.hold.is_resting:
            hold = state.hold
            last: dict[str, object] = {"angles": dict(hold.angles)} if hold.angles else {}
            if self._compare and (words := self._compare(hold.pose, hold.angles, hold.side)):
                last["difference"] = words
            self._say("end", time_s, hold, last, hold_s=round(max(time_s - state.since_s, 0.0), 3))

    def _say(
        self, event: str, time_s: float, hold: Hold, last: Mapping[str, object] | None = None, **more: float
    ) -> None:
        content = {"event": event, **self._source, "time_s": round(time_s, 3), "pose": hold.pose, **more}
        side = {"side": hold.side} if hold.side else {}
        content |= {**self._person, **side, **(last or {}), "version": VERSION}
        self._tell(escape_json(json.dumps(content, ensure_ascii=False)))


class ClassEvents:
    """The events of the main person, or of each of several people."""

    def __init__(
        self,
        tell: Callable[[str], None],
        goals_s: Mapping[str, float] | None = None,
        video: str | None = None,
        *,
        is_group: bool = False,
        compare: Compare | None = None,
    ) -> None:
        """is_group: several people are followed.  compare: see `Events`."""
        self._tell, self._goals_s, self._video, self._compare = tell, goals_s, video, compare
        self._main = None if is_group else Events(tell, goals_s, video, compare=compare)
        self._people: dict[int, Events] = {}

    def update(self, time_s: float, hold: Hold, holds: Mapping[int, Hold]) -> None:
        """Take what is held at `time_s`: by the main person, and by each of several people, by number.

        Who is not there any more holds nothing.
        """
        if self._main:
            self._main.update(time_s, hold)
            return
        for number, held in holds.items():
            if number not in self._people:
                self._people[number] = Events(self._tell, self._goals_s, self._video, number, self._compare)
            self._people[number].update(time_s, held)
        for number in self._people.keys() - holds.keys():
            self._people[number].close(time_s)

    def close(self, time_s: float) -> None:
        """End what is held when the class ends."""
        for events in (self._main, *self._people.values()):
            if events:
                events.close(time_s)


def parse_goals(texts: list[str], labels: tuple[str, ...], excluded: tuple[str, ...] = ()) -> dict[str, float]:
    """Read `tree=30`, or `tree=30/side` for each side, several with commas.

    labels: those that are answered; excluded: poses that the model has and `--poses` leaves out.  Returns label ->
    seconds, as `PerSide` where they count for each side.  Raises OptionError.
    """
    goals: dict[str, float] = {}
    for text in filter(None, (part.strip() for whole in texts for part in whole.split(","))):
        pose, equals, amount = text.partition("=")
        seconds, slash, unit = amount.partition("/")
        try:
            goal_s = float(seconds)
        except ValueError:
            goal_s = 0.0
        if not equals or not 0 < goal_s < 86_400 or (slash and unit.strip() != "side"):
            raise OptionError(
                f"--goal {quote(text)} is not a goal; give a pose and seconds below 86,400, such as tree=30, "
                "or tree=30/side for each side"
            )
        poses = [label for label in labels if label != NO_POSE]
        if pose in excluded:
            raise OptionError(f"--goal {text}: {explain_excluded(pose, poses)}")
        if pose not in poses:
            meant = suggest_word(pose.strip().replace(" ", "_"), poses)
            raise OptionError(f"--goal {text}: this model has no pose {pose!r}; give one of {', '.join(poses)}{meant}")
        goals[pose] = PerSide(goal_s) if slash else goal_s
    return goals
