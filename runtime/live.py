"""The live loop: source -> tracker (view, preprocess, engine, smoother, session) -> overlay -> sinks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass

from .classifier import PoseClassifier
from .errors import YogaLiveError, name_trouble
from .overlay import OverlayStyle, annotate_frame
from .session import Hold, Segment
from .sinks import Sink, StopWatching
from .sources import Source, TimedFrame
from .timeline import TimelineFile
from .tracking import BackgroundTracker, PoseTracker
from .views import View


@dataclass(frozen=True)
class Watched:
    """What a run of the loop saw.  frames: how many; wall_s: how long it took.

    trouble: why it ended early, if it broke; stopped: somebody ended it (Ctrl-C, SIGTERM, q).
    """

    segments: tuple[Segment, ...]
    frames: int
    wall_s: float
    trouble: YogaLiveError | None = None
    stopped: bool = False


class RateMeter:
    """Frames per second over about the last second, for the corner of the picture."""

    def __init__(self) -> None:
        self._fps: float | None = None
        self._last_s: float | None = None

    def tick(self, now_s: float) -> float | None:
        """Count a frame at `now_s`, seconds of any clock.  Returns the rate, None at first."""
        if self._last_s is not None and now_s > self._last_s:
            interval_s = now_s - self._last_s
            share = min(1.0, interval_s)  # time constant one second
            self._fps = (self._fps or 1 / interval_s) * (1 - share) + share / interval_s
        self._last_s = now_s
        return self._fps


def watch(
    source: Source,
    classifier: PoseClassifier,
    sinks: Iterable[Sink],
    style: OverlayStyle | None = None,
    on_frame: Callable[[TimedFrame, Hold], None] | None = None,
    view: View | None = None,
    timeline: TimelineFile | None = None,
    mark: Callable[[str], None] | None = None,
    raw: Sink | None = None,
) -> Watched:
    """Classify, annotate, hand it to the sinks; sinks are closed however it ends.

    Every frame of a file is classified; a live source is shown as it comes, beside the network, which takes the newest.
    While it is lost, its last picture says so, nothing is held, and sinks and `on_frame` go on.  Ends with the source,
    with `q` in a window, or with Ctrl-C.  A source or network that breaks in the middle, or a full disk, ends it too:
    what was seen until then is kept and the reason is in `trouble`.  view: which part of each frame is classified, the
    whole of it if None.  timeline: is kept while it grows, and finished.  mark: is told the name of each stage when it
    ends.  raw: is handed each frame as it came, without the overlay.
    """
    sinks, meter, mark = list(sinks), RateMeter(), mark or (lambda stage: None)
    outputs = [*sinks, raw] if raw else sinks
    tracker = PoseTracker(classifier, view, explain=bool(style and style.explain))
    frames, trouble, stopped, started_s = 0, None, False, time.monotonic()
    try:
        with ExitStack() as closing:
            if timeline:
                closing.callback(lambda: timeline.finish(tracker.segments()))
            for sink in outputs:
                closing.callback(sink.close)
            follower = BackgroundTracker(tracker) if source.info.is_live else tracker
            if isinstance(follower, BackgroundTracker):
                closing.callback(follower.close)
            for frame in source.frames():
                mark("decode")
                is_new = frame.lost_s is None
                if raw and is_new:
                    raw.write(frame)
                tracked = follower.update(frame)
                fps = meter.tick(time.monotonic()) if is_new else None
                mark("smoothing")
                if sinks:
                    known = tracked.region, tracked.evidence
                    scene = annotate_frame(frame, tracked.hold, fps, style, *known, source.info.colours)
                    mark("overlay")
                    for sink in sinks:
                        sink.write(scene)
                    mark("encode")
                frames += is_new
                if timeline:
                    timeline.keep(tracker.segments)
                if on_frame:
                    on_frame(frame, tracked.hold)
            for sink in outputs:
                sink.complete()
    except (StopWatching, KeyboardInterrupt):
        stopped = True
    except (YogaLiveError, OSError) as error:
        trouble = name_trouble(error)
    return Watched(tracker.segments(), frames, time.monotonic() - started_s, trouble, stopped)
