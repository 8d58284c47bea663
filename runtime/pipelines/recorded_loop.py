"""Recorded videos: looked at a few seconds ahead of what is drawn, so that a pose is named from its first frame on."""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

import numpy as np

from ..classifier import PoseClassifier
from ..core.background_thread import ReadAhead
from ..core.frames import DecodedFrame, TimedFrame
from ..core.types import NO_POSE, Hold, Segment
from ..cropping.croppers import View
from ..drawing.overlay import OverlayStyle, annotate_frame
from ..errors import OptionError, SourceError, YogaLiveError, name_troubles
from ..sinks.base import Sink
from ..sinks.timeline import TimelineFile
from ..sources.animated_webp import AnimationSource
from ..sources.base import Source, SourceInfo
from ..sources.frame_sampling import SAME_S, Turns
from ..sources.video import VideoSource
from ..tracking.adaptive_sampling import EVERY, SparseLooker
from ..tracking.hmm_smoother import Hindsight
from ..tracking.live_tracker import Look, Looker, Tracked, see_nothing
from .live_loop import Ending, Watched

log = logging.getLogger(__name__)

LOOKS_PER_S = 6.0
"""Frames of a recording that are due to be looked at, of a second: twice what `Hindsight` counts as independent.

The network is what annotating costs most beside the codec.  On four clips 6 move no edge by more than 0.1 s from where
8 or all frames put it; with a quarter of the answers replaced by chance, 1.5 % of the time is named otherwise than by
all frames, 1.0 % with 8, 2.5 % with 5 (means of six draws).
"""
AHEAD_S = 4.0
"""How far the looks are ahead of the picture that is drawn: evidence from later than that moves no edge any more."""
HELD_BYTES = 500_000_000
"""Of frames in memory, at most, that wait for their looks: 1080p at 30 FPS is 495 MB; larger ones are decoded twice."""
DECODED_AHEAD, LOOKED_AHEAD, IN_HAND = 4, 16, 4
"""Frames that are decoded while others are looked at, and looked at while others are drawn: looks come in bursts; and
those that one of the threads has in hand."""
DAMAGE_S = 0.5
"""Damage that lasts longer is told as nothing seen; across what is shorter, the looks on both sides say enough."""

Step = tuple[TimedFrame | None, Sequence[Look] | None]
"""A frame to be drawn, or none, and the looks that are known since the step before: of this frame or earlier ones.

None instead of looks: no more come.
"""


class Foresight:
    """What is held at a moment of a recording, once the moments after it have been looked at."""

    def __init__(self, classifier: PoseClassifier) -> None:
        self._hindsight = Hindsight(classifier.labels, classifier.info.threshold)
        self._looks: deque[Look] = deque()
        self._recent: tuple[Segment, ...] = ()
        self._smoothed_s, self.looked_s = -1.0, -1.0
        self._pose, self._since_s = NO_POSE, 0.0

    def add(self, look: Look) -> None:
        """Take a look; its time never goes back."""
        self._hindsight.update(look.time_s, look.probabilities)
        self._looks.append(look)
        self.looked_s = look.time_s

    def tell(self, time_s: float) -> Tracked:
        """What is held at `time_s` (seconds, never going back), and what the look at it found."""
        if self.looked_s > self._smoothed_s + AHEAD_S / 8:
            self._smoothed_s = self.looked_s
            self._recent = self._hindsight.segments(since_s=time_s - 4 * AHEAD_S)
        while len(self._looks) > 1 and self._looks[1].time_s <= time_s:
            self._looks.popleft()
        segment = next((s for s in self._recent if s.start_s <= time_s < s.end_s), self._recent[-1])
        if segment.pose != self._pose:
            self._pose, self._since_s = segment.pose, min(segment.start_s, time_s)
        hold = Hold(self._pose, segment.confidence, time_s - self._since_s)
        return Tracked(hold, self._looks[0].region, self._looks[0].evidence)

    def segments(self, end_s: float) -> tuple[Segment, ...]:
        """The timeline up to `end_s`, seconds: looks may have gone further."""
        told = self._hindsight.segments(end_s=end_s)
        return tuple(replace(each, end_s=min(each.end_s, end_s)) for each in told if each.start_s <= end_s)


def annotate(
    source: Source,
    open_again: Callable[[], Source],
    classifier: PoseClassifier,
    sinks: Iterable[Sink],
    style: OverlayStyle | None = None,
    on_frame: Callable[[TimedFrame, Hold], None] | None = None,
    view: View | None = None,
    timeline: TimelineFile | None = None,
) -> Watched:
    """Look at a recording, draw what is held on every frame, hand it to the sinks; they are closed however it ends.

    source: is drawn; open_again: opens the same recording once more, to look ahead in where frames are too large to be
    kept.  Without sinks nothing is drawn.  Ends as `watch` does.  timeline: is kept while it grows, and finished.
    Where the source is a part of a file, sinks get times from its start, everything else the file's own.
    """
    sinks, foresight, reads = list(sinks), Foresight(classifier), source
    watcher = Watcher(Looker(classifier, view, explain=bool(sinks and style and style.explain)))
    frames, end_s, trouble, ending, started_s = 0, source.info.start_s, None, Ending(), time.monotonic()
    try:
        with ExitStack() as closing:
            if timeline:
                closing.callback(ending.finish, timeline, lambda: foresight.segments(end_s))
            for sink in sinks:
                closing.callback(ending.close, sink)
            if not sinks or _held_bytes(source) > HELD_BYTES:
                reads = closing.enter_context(open_again())
                looks = watcher.look_through(reads.frames())
                steps, ahead = _look_beside(source.frames(), looks) if sinks else looks, LOOKED_AHEAD // 2
            else:
                decoded = closing.enter_context(ReadAhead(source.frames(), DECODED_AHEAD))
                steps, ahead = watcher.look_along(decoded), LOOKED_AHEAD
            steps = closing.enter_context(ReadAhead(steps, ahead))
            try:
                with ending.judge():
                    for frame in _wait_for_looks(steps, foresight):
                        tracked = foresight.tell(frame.time_s)
                        _draw(frame, tracked, sinks, style, source.info)
                        frames, end_s = frames + 1, frame.time_s + (frame.lasts_s or 0.0)
                        if timeline:
                            timeline.keep(partial(foresight.segments, end_s))
                        if on_frame:
                            on_frame(frame, tracked.hold)
                    for sink in sinks:
                        sink.complete()
            finally:
                if not sinks:  # those were looks alone
                    frames, end_s = reads.info.seen.frames, end_s if ending.stopped else reads.info.seen.end_s
    except KeyboardInterrupt:  # while it was closed
        ending.stopped = True
    except (YogaLiveError, OSError) as error:
        trouble = name_troubles(ending.troubles or [error])
    files = [each for each in (source, reads) if isinstance(each, VideoSource)]
    if files and (damage := max(files, key=lambda file: file.info.seen.frames).damage):  # of who has read more of it
        log.warning(damage)
    wall_s = time.monotonic() - started_s
    return Watched(foresight.segments(end_s), frames, wall_s, trouble, ending.stopped, ending.by_key, ending.whole)


def _draw(
    frame: TimedFrame, tracked: Tracked, sinks: list[Sink], style: OverlayStyle | None, source: SourceInfo
) -> None:
    """Draw what is held, and hand it to the sinks with times from the source's start."""
    if sinks:
        scene = annotate_frame(frame, tracked.hold, None, style, tracked.region, tracked.evidence, source.colours)
        shown = scene.move(frame.time_s - source.start_s, frame.pts - source.start_pts)
        for sink in sinks:
            sink.write(shown)


class Watcher:
    """A looker that looks a few times a second, and forgets what is minutes ago."""

    def __init__(self, looker: Looker, start_s: float = 0.0) -> None:
        """start_s: where its looks begin, seconds; frames before it are for warming up alone."""
        self._looker, self._looks, self._start_s = looker, SparseLooker(looker), start_s
        self._turns = Turns(LOOKS_PER_S)
        self._stretch: int | None = None
        self._warmed: int | None = None
        self._blanks = Turns(LOOKS_PER_S)
        self._damaged_from: float | None = None
        self._last_stretch: int | None = None  # of the last frame, damaged ones too

    def look_along(self, frames: Iterable[TimedFrame]) -> Iterator[Step]:
        """Every frame, some of them looked at; they wait as small as they are drawn."""
        for frame, looks, _ in self._take_all(frames):
            yield frame.to_plain() if isinstance(frame, DecodedFrame) else frame, looks

    def look_through(self, frames: Iterable[TimedFrame]) -> Iterator[Step]:
        """Those that are due to be looked at, by their times alone."""
        nothing = np.empty((0, 0, 3), np.uint8)
        for frame, looks, is_due in self._take_all(frames):
            if frame and is_due:
                yield TimedFrame(nothing, frame.time_s, frame.pts, frame.lasts_s), looks
            elif looks:
                yield None, looks

    def _take_all(self, frames: Iterable[TimedFrame]) -> Iterator[tuple[TimedFrame | None, Sequence[Look], bool]]:
        """Each frame, the looks that are known since, and whether it is due; those that wait at the end, or at damage,
        come without one."""
        try:
            for frame in frames:
                yield frame, *self._take(frame)
        except (SourceError, OptionError):  # damage, or a region that fits no more
            yield None, self._looks.finish(), False
            raise
        yield None, self._looks.finish(), False

    def _take(self, frame: TimedFrame) -> tuple[Sequence[Look], bool]:
        """Look at a frame if it is its turn; the view of a new stretch has seen nothing but its warm-up."""
        if frame.is_damaged:
            return self._pass_over(frame.time_s)
        turn, known = self._turns.take(frame.time_s), []
        self._last_stretch, self._damaged_from = turn.stretch, None
        if self._stretch not in (None, turn.stretch):
            known = self._looks.finish()
            if self._warmed != turn.stretch:  # a gap: what was warmed up is another stretch's
                self._looker.forget()
            self._looker.turn()
        self._stretch = turn.stretch
        if turn.warms and self._warmed != turn.stretch + 1:
            self._looker.forget()
            self._warmed = turn.stretch + 1
        if turn.looks and frame.time_s >= self._start_s - SAME_S:
            return [*known, *self._looks.look(frame, warms=turn.warms)], True
        if turn.warms:
            self._looker.warm_up(frame)
        return known, False

    def _pass_over(self, time_s: float) -> tuple[Sequence[Look], bool]:
        """A damaged frame is not looked at.  Where they don't end, or a stretch begins so, looks say that saw nothing.

        Counted anew in each stretch, so that it does not depend on where reading began.
        """
        turn = self._blanks.take(time_s)
        is_first, self._last_stretch = turn.stretch != self._last_stretch, turn.stretch
        if is_first or self._damaged_from is None:
            self._damaged_from = time_s - DAMAGE_S * is_first
        is_long = time_s - self._damaged_from >= DAMAGE_S - SAME_S
        if not (turn.looks and is_long) or time_s < self._start_s - SAME_S:
            return [], False
        return [*self._looks.finish(), Look(time_s, None, see_nothing(self._looker.classes))], True


def _held_bytes(source: Source) -> float:
    """What the frames take that wait for their looks, 8 bit 4:2:0; no end is known of an animation's frames in BGR."""
    if isinstance(source, AnimationSource):
        return math.inf
    width, height = source.info.stored_wh or source.info.size_wh
    rate = float(source.info.rate)
    frames = rate * AHEAD_S + EVERY * max(rate / LOOKS_PER_S, 1) + DECODED_AHEAD + LOOKED_AHEAD + IN_HAND
    return width * height * 1.5 * frames


def _look_beside(frames: Iterable[TimedFrame], looks: Iterator[Step]) -> Iterator[Step]:
    """Each frame after the looks that it needs; what is damaged there, the drawing meets too, and says so."""
    looked_s: float = 0
    for frame in frames:
        while looked_s < frame.time_s + AHEAD_S:
            known = _ask_for_looks(looks)
            yield None, known
            looked_s = math.inf if known is None else max(looked_s, *(look.time_s for look in known), 0)
        yield frame, ()


def _ask_for_looks(looks: Iterator[Step]) -> Sequence[Look] | None:
    try:
        return next(looks, (None, None))[1]
    except SourceError:
        return None


def _wait_for_looks(steps: Iterable[Step], foresight: Foresight) -> Iterator[TimedFrame]:
    """Each frame once enough has been looked at after it; at the end, and before trouble, all that are left."""
    waiting: deque[TimedFrame] = deque()
    trouble: Exception | None = None
    try:
        is_over = False
        for frame, looks in steps:
            is_over = is_over or looks is None
            for look in looks or ():
                foresight.add(look)
            if frame:
                waiting.append(frame)
            while waiting and (is_over or waiting[0].time_s + AHEAD_S <= foresight.looked_s):
                yield waiting.popleft()
    except Exception as error:  # noqa: BLE001 - raised below, whatever it is
        trouble = error
    yield from waiting
    if trouble:
        raise trouble
