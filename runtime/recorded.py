"""Recorded videos: looked at a few seconds ahead of what is drawn, so that a pose is named from its first frame on."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import partial

from .classifier import NO_POSE, PoseClassifier
from .errors import OutputError, SourceError
from .hindsight import Hindsight
from .live import Watched
from .overlay import OverlayStyle, draw_overlay
from .regions import Region
from .session import Hold, Segment
from .sinks import Sink, StopWatching
from .sources import Source, TimedFrame
from .timeline import TimelineFile
from .tracking import Tracked
from .views import View, WholeView

LOOKS_PER_S = 8.0
"""Frames of a recording that are classified, of a second.  A pose is held for seconds; more looks change nothing."""
AHEAD_S = 4.0
"""How far the looks are ahead of the picture that is drawn: evidence from later than that moves no edge any more."""


class Foresight:
    """What is held at a moment of a recording, once the moments after it have been looked at."""

    def __init__(self, classifier: PoseClassifier, view: View | None = None) -> None:
        self._classifier, self._view = classifier, view or WholeView()
        self._hindsight = Hindsight(classifier.labels, classifier.info.threshold)
        self._regions: deque[tuple[float, Region | None]] = deque()
        self._recent: tuple[Segment, ...] = ()
        self._smoothed_s, self.looked_s = -1.0, -1.0
        self._pose, self._since_s = NO_POSE, 0.0

    def look(self, frame: TimedFrame) -> None:
        """Classify a frame; its time never goes back."""
        region = self._view.look(frame.time_s, frame.image_bgr)
        self._hindsight.update(frame.time_s, self._classifier.probabilities(frame.image_bgr, region))
        self._regions.append((frame.time_s, region))
        self.looked_s = frame.time_s

    def tell(self, time_s: float) -> Tracked:
        """What is held at `time_s` (seconds, never going back), and the part of the frame that was looked at."""
        if self.looked_s > self._smoothed_s + AHEAD_S / 8:
            self._smoothed_s = self.looked_s
            self._recent = self._hindsight.segments(since_s=time_s - 4 * AHEAD_S)
        while len(self._regions) > 1 and self._regions[1][0] <= time_s:
            self._regions.popleft()
        segment = next((s for s in self._recent if s.start_s <= time_s < s.end_s), self._recent[-1])
        if segment.pose != self._pose:
            self._pose, self._since_s = segment.pose, min(segment.start_s, time_s)
        hold = Hold(self._pose, segment.confidence, time_s - self._since_s)
        return Tracked(hold, self._regions[0][1])

    def segments(self, end_s: float) -> tuple[Segment, ...]:
        """The timeline up to `end_s`, seconds."""
        return self._hindsight.segments(end_s=end_s)


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

    source: is drawn; open_again: opens the same recording once more, to look ahead in.  Without sinks nothing is drawn,
    and `source` is left alone.  Ends as `watch` does.  timeline: is kept while it grows, and finished.  Where the
    source is a part of a file, sinks get times from its start, everything else the file's own.
    """
    sinks, foresight = list(sinks), Foresight(classifier, view)
    frames, end_s, trouble, stopped, started_s = 0, 0.0, None, False, time.monotonic()
    try:
        with ExitStack() as closing:
            if timeline:
                closing.callback(lambda: timeline.finish(foresight.segments(end_s)))
            for sink in sinks:
                closing.callback(sink.close)
            looks = _pick_looks(closing.enter_context(open_again()).frames())
            for frame in source.frames() if sinks else looks:
                if sinks:
                    _look_ahead(foresight, looks, frame.time_s + AHEAD_S)
                else:
                    foresight.look(frame)
                tracked = foresight.tell(frame.time_s)
                if sinks:
                    scene = draw_overlay(frame.image_bgr, tracked.hold, None, style, tracked.region)
                    pts = frame.pts - source.info.start_pts
                    shown = TimedFrame(scene, frame.time_s - source.info.start_s, pts, frame.lasts_s)
                    for sink in sinks:
                        sink.write(shown)
                frames, end_s = frames + 1, frame.time_s + (frame.lasts_s or 0.0)
                if timeline:
                    timeline.keep(partial(foresight.segments, end_s))
                if on_frame:
                    on_frame(frame, tracked.hold)
    except (StopWatching, KeyboardInterrupt):
        stopped = True
    except (SourceError, OutputError) as error:
        trouble = error
    return Watched(foresight.segments(end_s), frames, time.monotonic() - started_s, trouble, stopped)


def _pick_looks(frames: Iterable[TimedFrame]) -> Iterator[TimedFrame]:
    """The frames that are looked at."""
    due_s = 0.0
    for frame in frames:
        if frame.time_s >= due_s - 1e-6:
            due_s = max(due_s + 1 / LOOKS_PER_S, frame.time_s)
            yield frame


def _look_ahead(foresight: Foresight, looks: Iterator[TimedFrame], until_s: float) -> None:
    """Look as far as that, or to the end; what is damaged there, the drawing meets too, and says so."""
    try:
        while foresight.looked_s < until_s and (frame := next(looks, None)):
            foresight.look(frame)
    except SourceError:
        return
