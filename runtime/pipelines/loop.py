"""One run, live or recorded: what is held on each frame is drawn and handed to sinks, closed however it ends."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from ..classifier import PoseClassifier
from ..core.frames import TimedFrame
from ..core.goals import GoalTracker
from ..core.presentation import Presentation
from ..core.regions import Region
from ..core.types import Floats, Hold, Segment
from ..cropping.croppers import Cropper
from ..drawing.overlay import OverlayConfig, annotate_frame, find_drawn_height
from ..drawing.people_marks import PersonMark
from ..errors import SourceError, YogaLiveError, join_run_errors
from ..people.two_scales import Finder
from ..sinks.base import Sink, StopWatching
from ..sinks.timeline import TimelineFile
from ..sources.base import Source, SourceInfo
from ..tracking.observer import Tracked
from ..tracking.segments import Timeline
from .hidden_faces import Followed, hide_faces


def ignore(_: str) -> None:
    """Mark nothing."""


@dataclass(frozen=True)
class RunPlan:
    """What a run is made of.

    sinks: get each frame as it is drawn; without any nothing is drawn.  overlay: how.  pages: sinks beside whose
    picture the words stand, so that none are drawn on it.  on_frame: gets each frame and what is held;
    on_tracked: and who is there, too.  cropper: which part of each frame is classified; None: the whole.  timeline: is
    kept while it grows, and finished.  mark: gets the name of each stage of a live run when it ends.  record: gets the
    frames of a live run as they came.  faces: finds faces, which are hidden in all that is drawn.
    """

    source: Source
    classifier: PoseClassifier
    sinks: Sequence[Sink] = ()
    overlay: OverlayConfig | None = None
    on_frame: Callable[[TimedFrame, Hold], None] | None = None
    cropper: Cropper | None = None
    timeline: TimelineFile | None = None
    mark: Callable[[str], None] = ignore
    record: Sink | None = None
    pages: Sequence[Sink] = ()
    on_tracked: Callable[[TimedFrame, Tracked], None] | None = None
    faces: Finder | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "sinks", tuple(self.sinks))
        object.__setattr__(self, "pages", tuple(self.pages))

    @property
    def draws(self) -> bool:
        """Whether anything is drawn."""
        return bool(self.sinks or self.pages)

    @property
    def explains(self) -> bool:
        """Whether class maps are drawn."""
        return bool(self.overlay and self.overlay.explain)


class Follower(AbstractContextManager["Follower"], Protocol):
    """What a live run and a recorded one do differently: how they come to know what is held on each frame."""

    frames: int

    def follow(self) -> Iterator[tuple[TimedFrame, Tracked, float | None]]:
        """Each frame, what is held on it, and how many come a second if that is to be shown."""
        ...

    def count(self, frame: TimedFrame) -> None:
        """Count a frame that has been handed out."""
        ...

    def settle(self, ending: Ending) -> None:
        """At the end: count what was observed without being handed out."""
        ...

    def segments(self) -> tuple[Segment, ...]:
        """The timeline so far."""
        ...


@dataclass(frozen=True)
class RunResult:
    """What a run over a video or camera saw.

    segments: what was held when, without gaps, `none` where no pose was.  frames: how many; wall_s: seconds it took.
    error: why it ended early, if it broke.  stopped: somebody ended it (Ctrl-C, SIGTERM, q); by_key: in the window.
    whole: there was no more to be seen: the source came to its end, or to damage, or somebody ended a camera.  files:
    those that `annotate_video` wrote; one that is not whole has the name under which it grew.
    """

    segments: Timeline
    frames: int
    wall_s: float
    error: YogaLiveError | None = None
    stopped: bool = False
    by_key: bool = False
    whole: bool = True
    files: tuple[Path, ...] = ()

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from ..drawing.notebook import format_run

        return format_run(self.segments, self.frames, self.wall_s, _describe_end(self), self.files)

    @property
    def trouble(self) -> YogaLiveError | None:
        """The old name of `error`; works for one release."""
        warnings.warn("RunResult.trouble is now RunResult.error", DeprecationWarning, stacklevel=2)
        return self.error


@dataclass
class Ending:
    """How a run ends, for what is closed then.  whole: as `RunResult` has it; False until it is known."""

    whole: bool = False
    stopped: bool = False
    by_key: bool = False
    errors: list[YogaLiveError | OSError] = field(default_factory=list)

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
            self.errors.append(error)
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


def run_loop(plan: RunPlan, follower: Follower) -> RunResult:
    """Follow the source to its end; draw, hand out, tell; close everything however it ends.

    Ends with the source, with `q` in a window, or with Ctrl-C.  A source or network that breaks in the middle, or a
    full disk, ends it too: what was seen until then is kept and the reason is in `error`.  What is not whole keeps
    its `.part` name; to stop a live source is its normal end.  Where the source is a part of a file, sinks get times
    from its start, everything else the file's own.
    """
    outputs = [*plan.sinks, *plan.pages, *([plan.record] if plan.record else [])]
    cause, ending, started_s = None, Ending(), time.monotonic()
    try:
        with ExitStack() as closing:
            if plan.timeline:
                closing.callback(ending.finish, plan.timeline, follower.segments)
            for sink in outputs:
                closing.callback(ending.close, sink)
            closing.enter_context(follower)
            try:
                with ending.judge(is_live=plan.source.info.is_live):
                    _hand_out(plan, follower)
                    for sink in outputs:
                        sink.complete()
            finally:
                follower.settle(ending)
    except KeyboardInterrupt:  # while it was closed
        ending.stopped = True
    except (YogaLiveError, OSError) as error:
        cause = join_run_errors(ending.errors or [error])
    ended = time.monotonic() - started_s, cause, ending.stopped, ending.by_key, ending.whole
    return RunResult(Timeline(follower.segments()), follower.frames, *ended)


def _hand_out(plan: RunPlan, follower: Follower) -> None:
    """Draw what is held on each frame, hand it to the sinks, and tell of it."""
    info = plan.source.info
    is_part = bool(info.start_s or info.start_pts)
    overlay = plan.overlay or OverlayConfig()
    audiences = [(plan.sinks, overlay), (plan.pages, replace(overlay, place="beside"))]
    audiences = [(sinks, style) for sinks, style in audiences if sinks]
    notes = HoldNotes(overlay.goals_s)
    for (frame, tracked, fps), hidden in _follow(plan, follower):
        marks = mark_people(tracked, notes.update(frame, tracked))
        seen = tracked.region, tracked.class_maps, info.colours, marks, hidden, tracked.person
        styles = [(sinks, replace(style, note=notes.main)) for sinks, style in audiences]
        scenes = [(sinks, annotate_frame(frame, tracked.hold, fps, style, *seen)) for sinks, style in styles]
        if scenes:
            plan.mark("overlay")
        for sinks, drawn in scenes:
            scene = drawn.move(frame.time_s - info.start_s, frame.pts - info.start_pts) if is_part else drawn
            for sink in sinks:
                sink.write(scene)
        if scenes:
            plan.mark("encode")
        follower.count(frame)
        if plan.timeline:
            plan.timeline.autosave(follower.segments)
        if plan.on_frame:
            plan.on_frame(frame, tracked.hold)
        if plan.on_tracked:
            plan.on_tracked(frame, tracked)


def _follow(plan: RunPlan, follower: Follower) -> Iterator[tuple[Followed, list[Region]]]:
    """Each frame, and which parts of it hide faces, where that is asked for and anything is drawn."""
    if plan.faces and plan.draws:
        return hide_faces(follower.follow(), plan.faces, is_live=plan.source.info.is_live)
    return ((followed, list[Region]()) for followed in follower.follow())


class HoldNotes:
    """What is said of what is held: of the main person, and of each of several people by number."""

    def __init__(self, goals_s: Mapping[str, float]) -> None:
        self._goals_s, self._goals = goals_s, dict[int | None, GoalTracker]()
        self.main = ""

    def update(self, frame: TimedFrame, tracked: Tracked) -> dict[int | None, str]:
        """Take what is held on a frame."""
        holds = {None: tracked.hold, **tracked.holds}
        notes = {}
        for number, hold in holds.items():
            goals = self._goals.setdefault(number, GoalTracker(self._goals_s))
            notes[number] = goals.update(frame.time_s, hold).note
        self.main = notes[None]
        return notes


def mark_people(tracked: Tracked, notes: Mapping[int | None, str]) -> tuple[PersonMark, ...]:
    """Those of several people who are followed.  notes: what is said of each."""
    boxes = {person.number: person.box for person in tracked.people if person.number in tracked.holds}
    return tuple(
        PersonMark(number, _to_region(boxes[number]), tracked.holds[number], notes.get(number, ""))
        for number in sorted(boxes)
    )


def _to_region(box: Floats) -> Region:
    left, top, right, bottom = (round(float(edge)) for edge in box)
    return Region(left, top, max(1, right - left), max(1, bottom - top))


def _describe_end(result: RunResult) -> str:
    """Why a run ended before its source did; empty where it did not."""
    return f"ended early: {result.error}" if result.error else "stopped" if result.stopped else ""


def describe_drawn(info: SourceInfo, overlay: OverlayConfig) -> SourceInfo:
    """What a source is once it is drawn on: taller where the words stand below the picture."""
    if overlay.place != "below":
        return info
    stored_w, stored_h = info.stored_wh or info.size_wh
    stored_wh = stored_w, find_drawn_height(info.size_wh, overlay.place, stored_h)
    if info.stored_wh is None:
        return replace(info, size_wh=stored_wh)
    return replace(info, size_wh=Presentation(info.pixel_aspect).square_wh(stored_wh), stored_wh=stored_wh)


def describe_stop(watched: RunResult, start_s: float, lasts_s: float | None) -> str:
    """Say where a run was stopped.  start_s: of what was watched; lasts_s: seconds of it, if that is known."""
    seen_s = watched.segments[-1].end_s - start_s if watched.segments else 0.0
    return f"stopped at {seen_s:.1f} of {lasts_s:.1f} s" if lasts_s else f"stopped at {seen_s:.1f} s"
