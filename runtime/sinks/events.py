"""Events of a class as JSON lines for other programs: a hold begins, ends, or reaches its goal."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from ..core.types import NO_POSE, Hold
from ..errors import OptionError
from ..system.option_types import quote
from ..system.plain_text import escape_json
from ..system.suggestions import suggest_word


class Events:
    """Emits the changes from hold to hold, one JSON object per line.

    {"event": "begin", "time_s": 12.4, "pose": "tree", "confidence": 0.93}: time_s is where the evidence for it began;
    {"event": "goal", "time_s": 42.4, "pose": "tree", "hold_s": 30.0}: once per hold, when it has lasted so long;
    {"event": "end", "time_s": 61.0, "pose": "tree", "hold_s": 48.6}.  No pose (`none`) has no events.
    video: set if there are several; {"event": "begin", "video": "class.mp4", ...}.  person: whose they are, where
    several people are followed; it comes last: {"event": "begin", ..., "person": 2}.
    """

    def __init__(
        self,
        tell: Callable[[str], None],
        goals_s: Mapping[str, float] | None = None,
        video: str | None = None,
        person: int | None = None,
    ) -> None:
        self._tell, self._goals_s = tell, dict(goals_s or {})
        self._source = {} if video is None else {"video": video}
        self._person = {} if person is None else {"person": person}
        self._held: Hold | None = None
        self._since_s = 0.0
        self._reached = False

    def update(self, time_s: float, hold: Hold) -> None:
        """Take the hold at `time_s`, in seconds, which never decreases."""
        since_s = time_s - hold.hold_s
        if self._held is None or hold.pose != self._held.pose:
            self._end(since_s)
            self._held, self._since_s, self._reached = hold, since_s, False
            if not hold.is_resting:
                self._say("begin", since_s, hold.pose, confidence=round(hold.confidence, 3))
        goal_s = self._goals_s.get(hold.pose)
        if goal_s is not None and not self._reached and hold.leads and hold.seen_s >= goal_s:
            self._reached = True
            self._say("goal", self._since_s + goal_s, hold.pose, hold_s=goal_s)

    def close(self, time_s: float) -> None:
        """End the current hold when the class ends."""
        self._end(time_s)
        self._held = None

    def _end(self, time_s: float) -> None:
        if self._held is not None and self._held.pose != NO_POSE:
            self._say("end", time_s, self._held.pose, hold_s=round(max(time_s - self._since_s, 0.0), 3))

    def _say(self, event: str, time_s: float, pose: str, **more: float) -> None:
        content = {"event": event, **self._source, "time_s": round(time_s, 3), "pose": pose, **more, **self._person}
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
    ) -> None:
        """is_group: several people are followed."""
        self._tell, self._goals_s, self._video = tell, goals_s, video
        self._main = None if is_group else Events(tell, goals_s, video)
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
                self._people[number] = Events(self._tell, self._goals_s, self._video, number)
            self._people[number].update(time_s, held)
        for number in self._people.keys() - holds.keys():
            self._people[number].close(time_s)

    def close(self, time_s: float) -> None:
        """End what is held when the class ends."""
        for events in (self._main, *self._people.values()):
            if events:
                events.close(time_s)


def parse_goals(texts: list[str], labels: tuple[str, ...]) -> dict[str, float]:
    """Read `tree=30`, several with commas.  Returns label -> seconds.  Raises OptionError."""
    goals: dict[str, float] = {}
    for text in filter(None, (part.strip() for whole in texts for part in whole.split(","))):
        pose, equals, seconds = text.partition("=")
        try:
            goal_s = float(seconds)
        except ValueError:
            goal_s = 0.0
        if not equals or not 0 < goal_s < 86_400:
            raise OptionError(
                f"--goal {quote(text)} is not a goal; give a pose and seconds below 86,400, such as tree=30"
            )
        if pose not in labels or pose == NO_POSE:
            poses = [label for label in labels if label != NO_POSE]
            meant = suggest_word(pose.strip().replace(" ", "_"), poses)
            raise OptionError(f"--goal {text}: this model has no pose {pose!r}; give one of {', '.join(poses)}{meant}")
        goals[pose] = goal_s
    return goals
