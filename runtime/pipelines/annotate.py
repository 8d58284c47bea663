"""Recorded videos by their files: opened whatever they are, annotated one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from ..classifier import PoseClassifier
from ..core.frames import TimedFrame
from ..core.presentation import Mounting
from ..core.regions import Roi
from ..core.types import Hold
from ..cropping.croppers import Cropper
from ..drawing.overlay import OverlayConfig
from ..drawing.placement import Place
from ..drawing.summary import check_summary_output, write_summary
from ..errors import OptionError, YogaLiveError, as_run_error
from ..people.cropper import PeopleMode, PersonCropper, check_group, check_people, check_sides
from ..sinks.base import Sink
from ..sinks.threaded import ThreadedSink
from ..sinks.timeline import TimelineFile, check_format, choose_columns
from ..sinks.video import VideoSink, check_video_output
from ..sources.animated_webp import AnimationSource, is_animated_webp
from ..sources.base import Source
from ..sources.demux import open_media
from ..sources.inputs import VIDEO_SUFFIXES, add_suffix, name_beside
from ..sources.pipes import open_pipe, read_on
from ..sources.time_range import TimeRange
from ..sources.video import VideoSource
from ..system.claims import check_growing_output, claim_outputs
from ..system.files import check_apart, find_result
from ..system.item_failures import Failure, attempt
from ..system.progress import VIDEO_SECONDS, OnProgress, Progress, send_progress
from ..tracking.observer import Tracked, follows_group, open_cropper
from ..tracking.sampling_observer import OBSERVATIONS_PER_S
from .callers import answering, check_output_name, check_video_name, guard
from .loop import RunPlan, RunResult, describe_drawn
from .recorded_loop import run_recorded

if TYPE_CHECKING:
    from ..sources.remote import RemoteFile

DAY_S = 86_400


@dataclass(frozen=True, init=False)
class Outputs:
    """Files that are made of one video; None: not wanted.

    save: a copy with the overlay, .mp4.  timeline: what was held when, .csv, .json or .vtt.  summary: a picture of the
    timeline, .png.  Each may be given as a string, too.
    """

    save: Path | None = None
    timeline: Path | None = None
    summary: Path | None = None

    def __init__(
        self, save: str | Path | None = None, timeline: str | Path | None = None, summary: str | Path | None = None
    ) -> None:
        for name, path in {"save": save, "timeline": timeline, "summary": summary}.items():
            if path is not None:
                check_output_name(path, name)
            object.__setattr__(self, name, None if path is None else Path(path))

    @classmethod
    def beside(cls, video: str | Path) -> Outputs:
        """What `yoga-live` writes of a video: `NAME.annotated.mp4` and `NAME.annotated.poses.csv` beside `NAME.mp4`."""
        name = name_beside([Path(video)])[0]
        return cls(add_suffix(name, ".mp4"), add_suffix(name, ".poses.csv"))

    def paths(self) -> list[Path]:
        """Those that are wanted."""
        return [path for path in (self.save, self.timeline, self.summary) if path]


@dataclass(frozen=True)
class AnnotateConfig:
    """How a video is annotated.

    time_range: only this part of it.  roi: the part of the picture to look at.  zoom: classify a steady crop of it
    (False: all of it).  people: "main": the crop follows the main person; "all" or a number: each of several people is
    followed, and segments say whose they are; "off": nobody is looked for; the crop follows what moves, and a given
    `roi` is classified whole.  mats: tell several people by their places.  goals_s: label -> seconds to hold it, which
    the overlay counts down.  explain: draw where the network sees the pose.  force: replace outputs that exist.
    mounting: turn or flip the picture before anything else sees it.  mirror: draw it as a mirror shows it.  overlay:
    where the words stand, as `OverlayConfig` has it.  blur_faces: hide faces in all pictures that are written and
    shown.

    Raises OptionError where a goal is no number of seconds, or `people` is another word or does not go with the rest.
    """

    time_range: TimeRange | None = None
    roi: Roi | None = None
    zoom: bool = True
    goals_s: Mapping[str, float] = field(default_factory=dict)
    explain: bool = False
    force: bool = False
    mounting: Mounting = field(default_factory=Mounting)
    mirror: bool = False
    overlay: Place = "corner"
    people: PeopleMode = "main"
    mats: bool = False
    blur_faces: bool = False

    def __post_init__(self) -> None:
        check_people(self.people)
        check_group(self.people, mats=self.mats, explain=self.explain, zoom=self.zoom)
        check_sides(self.goals_s, self.people, zoom=self.zoom)
        for pose, goal_s in self.goals_s.items():
            if isinstance(goal_s, bool) or not isinstance(goal_s, int | float) or not 0 < goal_s < DAY_S:
                raise OptionError(f"the goal of {pose!r} must be seconds, above 0 and below {DAY_S:,}; got {goal_s!r}")


@dataclass(frozen=True)
class Display:
    """Where a video is shown while it is annotated.  show_fps: whether the rate stands in the picture.

    pages: sinks that have the words beside their picture.  on_tracked: gets each frame, what is held on it and who is
    there.
    """

    sinks: Sequence[Sink] = ()
    show_fps: bool = False
    pages: Sequence[Sink] = ()
    on_tracked: Callable[[TimedFrame, Tracked], None] | None = None


def is_video(path: Path) -> bool:
    """Whether a file in a folder is taken for a video."""
    suffix = path.suffix.lower()
    return is_animated_webp(path) if suffix == ".webp" else suffix in VIDEO_SUFFIXES


def open_recording(
    path: Path | RemoteFile,
    at_most_per_s: float | None = None,
    time_range: TimeRange | None = None,
    threads: int | None = None,
    mounting: Mounting | None = None,
) -> Source:
    """Open a video file, GIF or animated WebP; arguments as `VideoSource` has them.  Raises SourceError."""
    if isinstance(path, Path) and path.is_fifo():
        return open_pipe(path, time_range, threads, mounting)
    may_be_webp = isinstance(path, Path) or path.suffix.lower() == ".webp"  # asking a remote file costs a round trip
    if may_be_webp and is_animated_webp(path):
        return AnimationSource(path, at_most_per_s, time_range, mounting)
    return VideoSource(path, at_most_per_s, time_range, threads, mounting)


def open_again(
    path: Path, time_range: TimeRange | None, source: Source, *, draws: bool, mounting: Mounting | None = None
) -> Source:
    """Open a recording once more, for observations at it alone, beside its `source`.  draws: that one's frames are
    drawn."""
    if path.is_fifo():
        return read_on(path, source, draws=draws)
    return open_recording(path, OBSERVATIONS_PER_S, time_range, mounting=mounting)


def read_length_s(path: Path, time_range: TimeRange | None = None) -> float:
    """Seconds that will be read of a file, for a progress bar: nothing is decoded; 0 where it does not say."""
    length_s = attempt(path, partial(_ask_length_s, path))
    if isinstance(length_s, Failure):  # the run itself meets it again, and says so
        return 0.0
    time_range = time_range or TimeRange()
    return max((length_s if time_range.end_s is None else min(length_s, time_range.end_s)) - time_range.start_s, 0.0)


def _ask_length_s(path: Path) -> float:
    if not path.is_file():  # a named pipe would wait for its writer
        return 0.0
    import av.error

    try:
        with open_media(path) as container:
            return (container.duration or 0) / 1_000_000
    except (av.error.FFmpegError, OSError):  # the run itself meets it again, and says so
        return 0.0


def _take_classifier_first(annotate: Callable[..., RunResult]) -> Callable[..., RunResult]:
    """Let `annotate_video(classifier, path, ...)` stand for `annotate_video(path, ..., classifier=classifier)`."""

    @wraps(annotate)
    def annotate_either(*given: Any, **named: Any) -> RunResult:
        if given and isinstance(given[0], PoseClassifier):
            return annotate(*given[1:], classifier=given[0], **named)
        return annotate(*given, **named)

    return annotate_either


OnFrame = Callable[[TimedFrame, Hold], None]


@overload
def annotate_video(
    path: str | Path,
    outputs: Outputs | None = None,
    config: AnnotateConfig | None = None,
    on_frame: OnFrame | None = None,
    show: Callable[[Source], Display] | None = None,
    *,
    classifier: PoseClassifier | None = None,
    on_progress: OnProgress | None = None,
) -> RunResult: ...


@overload
def annotate_video(
    classifier: PoseClassifier,
    path: str | Path,
    outputs: Outputs | None = None,
    config: AnnotateConfig | None = None,
    on_frame: OnFrame | None = None,
    show: Callable[[Source], Display] | None = None,
    *,
    on_progress: OnProgress | None = None,
) -> RunResult: ...


@_take_classifier_first
def annotate_video(
    path: str | Path,
    outputs: Outputs | None = None,
    config: AnnotateConfig | None = None,
    on_frame: OnFrame | None = None,
    show: Callable[[Source], Display] | None = None,
    *,
    classifier: PoseClassifier | None = None,
    on_progress: OnProgress | None = None,
) -> RunResult:
    """Annotate one video file, GIF or animated WebP.  Returns what was held when, and which files were written::

        result = annotate_video("class.mp4")              # class.annotated.mp4, class.annotated.poses.csv
        result = annotate_video("class.mp4", Outputs(timeline="class.csv"), classifier=PoseClassifier("own.onnx"))

    For many videos make one classifier; `annotate_video(classifier, "class.mp4", ...)` is the same.

    path: the video.  outputs: what to write (None: as `yoga-live` names it, see `Outputs.beside`; `Outputs()`:
    nothing); their folders must exist, and nothing that exists is replaced without `AnnotateConfig(force=True)`.
    config: which part of the video, where to look, what to draw.  classifier: None is the shipped model on the best
    device.  on_progress: gets a `ProgressUpdate` up to ten times a second, in seconds of video.  on_frame: gets each
    frame and what is held on it (only those that were classified, if no copy is saved).  Both are called in the
    caller's thread, and what they raise ends the run; KeyboardInterrupt stops it as Ctrl-C does.
    show: is called once the video is open, and says where else it is shown.

    Raises SourceError where the video cannot be opened, OutputError where an output is of an unknown kind, is taken
    (TakenError) or lies in no folder, OptionError for `blur_faces` without any picture, and what `PoseClassifier`
    raises.  What goes wrong later is in the result's
    `error`, and the outputs hold what was seen before it.  Outputs get their names when they are complete; stopped
    earlier (Ctrl-C, a full disk) they keep the names under which they grew, `NAME.part.mp4` and so on.
    """
    if outputs is not None and not isinstance(outputs, Outputs):
        raise TypeError(f"outputs must be Outputs(...), such as Outputs(save='out.mp4'); got {type(outputs).__name__}")
    with answering():
        check_video_name(path)
        return _annotate(Path(path), outputs, config or AnnotateConfig(), on_frame, show, classifier, on_progress)


def _annotate(
    path: Path,
    outputs: Outputs | None,
    config: AnnotateConfig,
    on_frame: OnFrame | None,
    show: Callable[[Source], Display] | None,
    classifier: PoseClassifier | None,
    on_progress: OnProgress | None,
) -> RunResult:
    outputs = Outputs.beside(path) if outputs is None else outputs
    check_outputs(outputs, path, force=config.force)
    if config.blur_faces and not (outputs.save or show):
        raise OptionError("blur_faces hides faces in pictures, and none is written; give Outputs(save=...), or False")
    classifier = classifier or PoseClassifier()
    with (
        claim_outputs(outputs.paths(), force=config.force, grow=True),
        open_recording(path, time_range=config.time_range, mounting=config.mounting) as source,
    ):
        info = source.info
        chosen = config.roi, config.zoom, info.size_wh, config.people
        cropper = open_cropper(classifier, *chosen, mats=config.mats)
        display = show(source) if show else Display()
        overlay = OverlayConfig(
            show_fps=display.show_fps,
            mirror=config.mirror,
            goals_s=config.goals_s,
            explain=config.explain,
            place=config.overlay,
        )
        drawn = describe_drawn(info, overlay)
        saved = [ThreadedSink(VideoSink(outputs.save, drawn, force=config.force))] if outputs.save else []
        sinks = [*display.sinks, *saved]
        timeline = open_timeline(outputs, info.start_s, cropper, force=config.force)
        with (
            send_progress(on_progress and guard(on_progress)),
            Progress("annotating", info.duration_s, VIDEO_SECONDS) as progress,
        ):
            hand_out = _count_seconds(progress, info.start_s, on_frame and guard(on_frame))
            plan = RunPlan(
                source,
                classifier,
                sinks,
                overlay,
                hand_out,
                cropper,
                timeline,
                pages=display.pages,
                on_tracked=display.on_tracked and guard(display.on_tracked),
                faces=classifier.make_face_finder() if config.blur_faces else None,
            )
            again = partial(open_again, path, config.time_range, source, draws=plan.draws, mounting=config.mounting)
            watched = run_recorded(plan, again)
            result = summarise(watched, outputs, info.name, force=config.force, is_flipped=config.mounting.flip)
            if info.duration_s and result.whole and not result.error:
                progress.finish()
        return replace(result, files=tuple(filter(None, map(find_result, outputs.paths()))))


def _count_seconds(progress: Progress, start_s: float, on_frame: OnFrame | None) -> OnFrame:
    """Count the seconds of video that were seen; hand each frame on."""
    seen_s = start_s

    def hand_out(frame: TimedFrame, hold: Hold) -> None:
        nonlocal seen_s
        progress.advance(frame.time_s - seen_s, hold.pose)
        seen_s = frame.time_s
        if on_frame:
            on_frame(frame, hold)

    return hand_out


def summarise(
    watched: RunResult, outputs: Outputs, title: str, *, force: bool = False, is_flipped: bool = False
) -> RunResult:
    """Draw the summary, if it is wanted; what goes wrong with it is trouble, if there was none before."""
    if outputs.summary is None or not (watched.whole or watched.frames):
        return watched
    try:
        write_summary(
            outputs.summary, watched.segments, title, replace=force, whole=watched.whole, is_flipped=is_flipped
        )
    except (YogaLiveError, OSError) as error:
        return replace(watched, error=watched.error or as_run_error(error))
    return watched


def check_outputs(outputs: Outputs, path: Path | None, *, force: bool = False) -> None:
    """Refuse what is taken, of another kind, or would destroy the video, if it is one.  Raises OutputError."""
    check_apart(outputs.paths(), [path] if path else [])
    if outputs.save:
        check_video_output(outputs.save, force=force)
    if outputs.summary:
        check_summary_output(outputs.summary, force=force)
    if outputs.timeline:
        check_format(outputs.timeline)
        check_growing_output(outputs.timeline, force=force)


def open_timeline(outputs: Outputs, start_s: float, cropper: Cropper, *, force: bool = False) -> TimelineFile | None:
    """The timeline's file.

    start_s: where in the video the saved clip begins; WebVTT is for whom plays that clip.  cropper: one that finds
    people brings columns with it.
    """
    if outputs.timeline is None:
        return None
    fits_clip = outputs.save is not None and outputs.timeline.suffix.lower() == ".vtt"
    columns = find_columns(cropper)
    return TimelineFile(outputs.timeline, start_s if fits_clip else 0.0, force=force, columns=columns)


def find_columns(cropper: Cropper) -> tuple[str, ...]:
    """The columns of person and side that a CSV timeline has, by who is looked for."""
    return choose_columns(finds_people=isinstance(cropper, PersonCropper), is_group=follows_group(cropper))
