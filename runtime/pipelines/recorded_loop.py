"""Recorded videos: looked at a few seconds ahead of what is drawn, so that a pose is named from its first frame on."""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial

from ..classifier import PoseClassifier
from ..core.background_thread import ReadAhead
from ..core.frames import TimedFrame
from ..core.types import Hold
from ..cropping.croppers import View
from ..drawing.overlay import OverlayStyle, annotate_frame
from ..errors import SourceError, YogaLiveError, name_troubles
from ..sinks.base import Sink
from ..sinks.timeline import TimelineFile
from ..sources.animated_webp import AnimationSource
from ..sources.base import Source, SourceInfo
from ..sources.video import VideoSource
from ..tracking.adaptive_sampling import EVERY
from ..tracking.fixed_lag import AHEAD_S, Foresight
from ..tracking.observer import Look, Looker, Tracked
from ..tracking.sampling_observer import LOOKS_PER_S, Step, Watcher
from .live_loop import Ending, Watched

log = logging.getLogger(__name__)

HELD_BYTES = 500_000_000
"""Of frames in memory, at most, that wait for their looks: 1080p at 30 FPS is 495 MB; larger ones are decoded twice."""
DECODED_AHEAD, LOOKED_AHEAD, IN_HAND = 4, 16, 4
"""Frames that are decoded while others are looked at, and looked at while others are drawn: looks come in bursts; and
those that one of the threads has in hand."""


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
