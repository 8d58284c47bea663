"""The live loop: source -> tracker (view, preprocess, engine, smoother, session) -> overlay -> sinks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from ..classifier import PoseClassifier
from ..core.frames import TimedFrame
from ..core.types import Hold, Segment
from ..cropping.croppers import View
from ..drawing.overlay import OverlayStyle, annotate_frame
from ..errors import SourceError, YogaLiveError, name_troubles
from ..sinks.base import Sink, StopWatching
from ..sinks.timeline import TimelineFile
from ..sources.base import Source
from ..tracking.live_tracker import BackgroundTracker, PoseTracker


@dataclass(frozen=True)
class Watched:
    """What a run of the loop saw.  frames: how many; wall_s: how long it took.

    trouble: why it ended early, if it broke; stopped: somebody ended it (Ctrl-C, SIGTERM, q), by_key: in the window.
    whole: there was no more to be seen: the source came to its end, or to damage, or somebody ended a camera.
    """

    segments: tuple[Segment, ...]
    frames: int
    wall_s: float
    trouble: YogaLiveError | None = None
    stopped: bool = False
    by_key: bool = False
    whole: bool = True


@dataclass
class Ending:
    """How a run ends, for what is closed then.  whole: as `Watched` has it; False until it is known."""

    whole: bool = False
    stopped: bool = False
    by_key: bool = False
    troubles: list[YogaLiveError | OSError] = field(default_factory=list)

    def close(self, sink: Sink) -> None:
        """Close a sink, which is told where it has not the whole."""
        with self._noting():
            if not self.whole:
                sink.break_off()
            sink.close()

    def finish(self, timeline: TimelineFile, read: Callable[[], tuple[Segment, ...]]) -> None:
        """Finish a timeline."""
        with self._noting():
            timeline.finish(read(), whole=self.whole)

    @contextmanager
    def _noting(self) -> Iterator[None]:
        """Note what goes wrong: on a full disk that may be several outputs."""
        try:
            yield
        except (YogaLiveError, OSError) as error:
            self.troubles.append(error)
            raise

    @contextmanager
    def judge(self, *, is_live: bool = False) -> Iterator[None]:
        """Watch in this block; what a person ends is caught here.  is_live: then that is a source's normal end."""
        try:
            with self._noting():
                yield
        except (StopWatching, KeyboardInterrupt) as cause:
            self.stopped, self.by_key, self.whole = True, isinstance(cause, StopWatching), is_live
        except SourceError:
            self.whole = True  # as far as the source goes, or can be read
            raise
        else:
            self.whole = True


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
    what was seen until then is kept and the reason is in `trouble`.  What is not whole keeps its `.part` name; to
    stop a live source is its normal end.  view: which part of each frame is classified, None: the whole.  timeline: is
    kept while it grows, and finished.  mark: gets the name of each stage when it ends.  raw: gets frames as they came.
    """
    sinks, meter, mark = list(sinks), RateMeter(), mark or (lambda _: None)
    outputs = [*sinks, raw] if raw else sinks
    tracker = PoseTracker(classifier, view, explain=bool(style and style.explain))
    frames, trouble, ending, started_s = 0, None, Ending(), time.monotonic()
    try:
        with ExitStack() as closing:
            if timeline:
                closing.callback(ending.finish, timeline, tracker.segments)
            for sink in outputs:
                closing.callback(ending.close, sink)
            follower = BackgroundTracker(tracker) if source.info.is_live else tracker
            if isinstance(follower, BackgroundTracker):
                closing.callback(follower.close)
            with ending.judge(is_live=source.info.is_live):
                for frame in source.frames():
                    mark("decode")
                    is_new = frame.lost_s is None
                    if raw and is_new:
                        raw.write(frame)
                    tracked = follower.update(frame)
                    fps = meter.tick(time.monotonic()) if is_new else None
                    mark("smoothing")
                    if sinks:
                        seen = tracked.region, tracked.evidence, source.info.colours
                        scene = annotate_frame(frame, tracked.hold, fps, style, *seen)
                        mark("overlay")
                        _hand_out(scene, sinks)
                        mark("encode")
                    frames += is_new
                    if timeline:
                        timeline.keep(tracker.segments)
                    if on_frame:
                        on_frame(frame, tracked.hold)
                for sink in outputs:
                    sink.complete()
    except KeyboardInterrupt:  # while it was closed
        ending.stopped = True
    except (YogaLiveError, OSError) as error:
        trouble = name_troubles(ending.troubles or [error])
    ended = time.monotonic() - started_s, trouble, ending.stopped, ending.by_key, ending.whole
    return Watched(tracker.segments(), frames, *ended)


def describe_stop(watched: Watched, start_s: float, lasts_s: float | None) -> str:
    """Say where a run was stopped.  start_s: of what was watched; lasts_s: seconds of it, if that is known."""
    seen_s = watched.segments[-1].end_s - start_s if watched.segments else 0.0
    return f"stopped at {seen_s:.1f} of {lasts_s:.1f} s" if lasts_s else f"stopped at {seen_s:.1f} s"


def _hand_out(frame: TimedFrame, sinks: Iterable[Sink]) -> None:
    for sink in sinks:
        sink.write(frame)
