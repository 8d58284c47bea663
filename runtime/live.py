"""The live loop: source -> view -> preprocess -> engine -> smoother -> session -> overlay -> sinks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass

from .classifier import PoseClassifier
from .errors import OutputError, SourceError, YogaLiveError
from .overlay import OverlayStyle, draw_overlay
from .session import Hold, Segment, Session
from .sinks import Sink, StopWatching
from .smoothing import Smoother
from .sources import Source, TimedFrame
from .views import View, WholeView


@dataclass(frozen=True)
class Watched:
    """What a run of the loop saw.  frames: how many; wall_s: how long it took; trouble: why it ended early, if so."""

    segments: tuple[Segment, ...]
    frames: int
    wall_s: float
    trouble: YogaLiveError | None = None


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
    mark: Callable[[str], None] | None = None,
) -> Watched:
    """Classify every frame, annotate it, hand it to the sinks; sinks are closed however it ends.

    Ends with the source, with `q` in a window, or with Ctrl-C.  A source that breaks in the middle, or a full
    disk, ends it too: what was seen until then is kept and the reason is in `trouble`.  view: which part of each
    frame is classified, the whole of it if None.  mark: is told the name of each stage when it ends.
    """
    sinks, view, mark = list(sinks), view or WholeView(), mark or (lambda stage: None)
    smoother = Smoother(classifier.labels, classifier.info.threshold)
    session, meter = Session(), RateMeter()
    frames, trouble, started_s = 0, None, time.monotonic()
    try:
        with ExitStack() as closing:
            for sink in sinks:
                closing.callback(sink.close)
            for frame in source.frames():
                mark("decode")
                region = view.look(frame.time_s, frame.image_bgr)
                mark("view")
                smoothed = smoother.update(frame.time_s, classifier.probabilities(frame.image_bgr, region))
                hold = session.update(frame.time_s, smoothed)
                fps = meter.tick(time.monotonic())
                mark("smoothing")
                if sinks:
                    scene = draw_overlay(frame.image_bgr, hold, fps, style, region)
                    mark("overlay")
                    for sink in sinks:
                        sink.write(TimedFrame(scene, frame.time_s, frame.pts))
                    mark("encode")
                frames += 1
                if on_frame:
                    on_frame(frame, hold)
    except (StopWatching, KeyboardInterrupt):
        pass
    except (SourceError, OutputError) as error:
        trouble = error
    return Watched(session.segments(), frames, time.monotonic() - started_s, trouble)
