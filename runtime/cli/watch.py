"""Watch one source (a camera, the demo or a recording), with a window, a page, events and outputs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from ..errors import DeviceError, OptionError
from ..system.plain_text import print, print_json
from .options import DEFAULT_PLACE, MOUNTING, NOTHING_TO_BLUR, list_given, read_mounting, read_people, read_roi
from .references import check_reference, read_reference_of

if TYPE_CHECKING:
    from pathlib import Path

    from ..classifier import PoseClassifier
    from ..core.frames import TimedFrame
    from ..core.regions import Roi
    from ..cropping.croppers import Cropper
    from ..drawing.placement import Place
    from ..people.reference import Reference
    from ..pipelines.annotate import Display
    from ..pipelines.loop import RunResult
    from ..serve.page import LivePage
    from ..sinks.base import Sink, WindowSink
    from ..sources.base import Source, SourceInfo
    from ..sources.time_range import TimeRange
    from ..system.progress import Progress
    from ..tracking.observer import Tracked


def watch_source(args: argparse.Namespace) -> None:
    """Watch a camera, the demo, or one recording."""
    from ..sources.inputs import name_missing
    from ..sources.time_range import parse_time_range
    from ..system.claims import claim_outputs

    _refuse_useless(args)
    check_reference(args)
    if hasattr(args, "video") and not args.video.exists():  # before its outputs, which may lie beside it
        raise name_missing(args.video)
    roi, time_range = read_roi(args), parse_time_range(args.from_, args.to)
    _place_outputs(args)
    check_outputs_of(args)
    claimed = [] if hasattr(args, "video") else list_outputs(args)  # annotate_video claims those of a recording
    with claim_outputs(claimed, force=args.force, grow=True):
        _watch_source(args, roi, time_range)


def _watch_source(args: argparse.Namespace, roi: Roi | None, time_range: TimeRange | None) -> None:
    """Watch the source; the outputs of a camera are claimed already."""
    from ..classifier import PoseClassifier
    from ..core.allowed_poses import split_poses
    from ..people.cropper import check_sides
    from ..serve.page import open_page
    from ..sinks.events import parse_goals
    from .report import report_run

    classifier = PoseClassifier(args.model, args.device, poses=split_poses(args.poses))
    goals_s = parse_goals(args.goal, classifier.labels, classifier.excluded_poses)
    check_sides(goals_s, read_people(args), zoom=args.zoom != "off")
    reference = read_reference_of(args, classifier)
    with open_page(args.serve, classifier, goals_s) as page:
        with Screen(args, classifier, goals_s, page, reference) as screen:
            watched = (_annotate_video if hasattr(args, "video") else _watch_live)(
                args, classifier, screen, roi, time_range
            )
        report_run(args, watched, reference, goals_s)
        _tell_end(args, watched, screen.info)
        _stay(page, watched)


class Screen:
    """What is shown and said while a source is watched: window, page, events, progress."""

    def __init__(
        self,
        args: argparse.Namespace,
        classifier: PoseClassifier,
        goals_s: Mapping[str, float],
        page: LivePage | None,
        reference: Reference | None,
    ) -> None:
        from ..people.cropper import count_followed
        from ..sinks.events import ClassEvents

        self._args, self._classifier, self._page, self.goals_s = args, classifier, page, goals_s
        is_group = count_followed(read_people(args)) is not None
        compare = reference.describe if reference else None
        self._events = ClassEvents(print_json, goals_s, is_group=is_group, compare=compare) if args.events else None
        self._progress: Progress | None = None
        self._closing = ExitStack()
        self._info: SourceInfo | None = None
        self._seen_s = 0.0

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()
        if self._events and self._info:
            self._events.close(self._seen_s)

    @property
    def info(self) -> SourceInfo:
        """The source's own metadata.  Raises RuntimeError before `open`."""
        if self._info is None:
            raise RuntimeError("no source is open")
        return self._info

    def open(self, source: Source) -> Display:
        """Print what is watched, and open the window and the page's picture."""
        from ..pipelines.annotate import Display
        from ..system.progress import VIDEO_SECONDS, Progress

        args, info = self._args, source.info
        wants_window = _wants_window(args)
        print(_describe_source(source, self._classifier.engine.device), file=sys.stderr)
        paced = not (info.is_live or args.save)
        sinks: list[Sink] = [_open_window(source, paced, args.overlay or DEFAULT_PLACE)] if wants_window else []
        pages: list[Sink] = []
        if self._page:
            _introduce_page(self._page)
            page = self._page.make_sink(info, paced=paced and not wants_window)
            (sinks if args.overlay else pages).append(page)  # the page says itself what the overlay would
        self._info, self._seen_s = info, info.start_s
        progress = Progress("watching", info.duration_s, VIDEO_SECONDS if info.duration_s else "s")
        self._progress = self._closing.enter_context(progress)
        return Display(sinks, show_fps=wants_window or info.is_live, pages=pages, on_tracked=self.show)

    def show(self, frame: TimedFrame, tracked: Tracked) -> None:
        """Report a frame and what is held to the progress line, the events and the page."""
        hold = tracked.hold
        if self._progress:
            self._progress.advance(frame.time_s - self._seen_s, hold.pose)
        self._seen_s = frame.time_s
        if self._events:
            self._events.update(frame.time_s, hold, tracked.holds)
        if self._page:
            self._page.publish(frame.time_s, hold, tracked.holds)


def _annotate_video(
    args: argparse.Namespace, classifier: PoseClassifier, screen: Screen, roi: Roi | None, time_range: TimeRange | None
) -> RunResult:
    """Annotate a single recording, as each of several is annotated, and show it as well."""
    from ..pipelines.annotate import AnnotateConfig, Outputs, annotate_video

    outputs = Outputs(args.save, args.timeline, args.summary)
    zoom, mounting, mirror = args.zoom != "off", read_mounting(args), bool(args.mirror)
    place = args.overlay or DEFAULT_PLACE
    people = read_people(args)
    config = AnnotateConfig(
        time_range,
        roi,
        zoom,
        screen.goals_s,
        args.explain,
        args.force,
        mounting,
        mirror,
        place,
        people,
        args.mats,
        args.blur_faces,
    )
    return annotate_video(classifier, args.video, outputs, config, show=screen.open)


def _watch_live(
    args: argparse.Namespace, classifier: PoseClassifier, screen: Screen, roi: Roi | None, _: TimeRange | None
) -> RunResult:
    """Watch a camera; or the demo, known to its end as a recording is unless its frames are recorded."""
    from ..drawing.overlay import OverlayConfig
    from ..pipelines.annotate import Outputs, open_timeline, summarise
    from ..pipelines.live_loop import run_live
    from ..pipelines.loop import RunPlan, describe_drawn
    from ..pipelines.recorded_loop import run_recorded
    from ..sinks.video import VideoSink
    from ..sources.demo import DemoSource

    is_camera, outputs = hasattr(args, "camera"), Outputs(args.save, args.timeline, args.summary)
    with _open_source(args) as source:
        info = source.info
        cropper = choose_part(args, classifier, roi, info.size_wh)
        timeline = open_timeline(outputs, info.start_s, cropper, force=args.force)
        display = screen.open(source)
        is_seen = bool(display.sinks or display.pages) and not args.save
        mirror = args.mirror if args.mirror is not None else is_camera and is_seen
        overlay = OverlayConfig(
            show_fps=display.show_fps,
            mirror=mirror,
            goals_s=screen.goals_s,
            explain=args.explain,
            place=args.overlay or DEFAULT_PLACE,
        )
        sinks = [*display.sinks, *([_open_saved(args, describe_drawn(info, overlay))] if args.save else [])]
        record = VideoSink(args.record, info, force=args.force) if args.record else None
        faces = classifier.make_face_finder() if args.blur_faces else None
        shown = {"record": record, "pages": display.pages, "on_tracked": display.on_tracked, "faces": faces}
        plan = RunPlan(source, classifier, sinks, overlay, None, cropper, timeline, **shown)
        watched = run_live(plan) if is_camera or record else run_recorded(plan, DemoSource)
        return summarise(watched, outputs, info.name, force=args.force, is_flipped=args.flip)


def _open_saved(args: argparse.Namespace, info: SourceInfo) -> Sink:
    """Open the annotated video; that of a recording is encoded on another thread."""
    from ..sinks.threaded import ThreadedSink
    from ..sinks.video import VideoSink

    saved = VideoSink(args.save, info, force=args.force)
    return saved if info.is_live else ThreadedSink(saved)


def choose_part(
    args: argparse.Namespace, classifier: PoseClassifier, roi: Roi | None, size_wh: tuple[int, int]
) -> Cropper:
    """Choose the cropper.  Raises OptionError for a region that does not fit in the picture."""
    from ..tracking.observer import open_cropper

    return open_cropper(classifier, roi, args.zoom != "off", size_wh, read_people(args), mats=args.mats)


def _refuse_useless(args: argparse.Namespace) -> None:
    """Refuse options that do not apply to this source."""
    if hasattr(args, "frames"):
        raise OptionError("--frames only applies to yoga-live benchmark; leave it out")
    if args.record and args.blur_faces:
        raise OptionError("--record saves the camera's own picture, faces included; use --save with --blur-faces")
    if args.blur_faces and not _makes_pictures(args):
        raise OptionError(NOTHING_TO_BLUR)
    if args.table:
        raise OptionError("--table only applies to photos; for a video or camera use --timeline FILE.csv")
    if hasattr(args, "video"):
        if args.record:
            raise OptionError(f"--record saves a camera's picture, and {args.video} is a file already; leave it out")
    elif given := list_given(args, ("--from", "--to")):
        raise OptionError(f"{' and '.join(given)} can only be used with videos; leave it out")
    if hasattr(args, "demo") and (given := list_given(args, MOUNTING)):
        raise OptionError(f"{' and '.join(given)} can only be used with cameras and videos; leave it out")


def _place_outputs(args: argparse.Namespace) -> None:
    """Name the outputs of one video that go into a folder, as the outputs of several videos are named."""
    is_placed = args.timeline and args.timeline.is_dir()
    if args.timeline_format and not is_placed:
        raise OptionError(
            "--timeline-format only applies to timelines in a folder; for one file give its suffix: .csv, .json or .vtt"
        )
    if hasattr(args, "video"):
        suffixes = {"save": ".mp4", "timeline": f".poses.{args.timeline_format or 'csv'}", "summary": ".png"}
        for name, suffix in suffixes.items():
            if (path := getattr(args, name)) and path.is_dir():
                setattr(args, name, path / f"{args.video.stem}{suffix}")


def list_outputs(args: argparse.Namespace) -> list[Path]:
    """List the files that the options name."""
    return [path for path in (args.save, args.record, args.timeline, args.summary) if path]


def check_outputs_of(args: argparse.Namespace) -> None:
    """Refuse outputs that cannot be written, before any work is done."""
    from ..pipelines.annotate import Outputs, check_outputs
    from ..sinks.video import check_video_output
    from ..system.files import check_apart

    outputs = Outputs(args.save, args.timeline, args.summary)
    video = getattr(args, "video", None)
    if args.record:
        check_apart([*outputs.paths(), args.record])
        check_video_output(args.record, force=args.force)
    check_outputs(outputs, video, force=args.force)


def _writes(args: argparse.Namespace) -> bool:
    return bool(args.save or args.record or args.timeline or args.summary or args.events or args.serve)


def _goes_without_window(args: argparse.Namespace) -> bool:
    return args.window is False or (args.window is None and _writes(args) and not hasattr(args, "camera"))


def _makes_pictures(args: argparse.Namespace) -> bool:
    """Whether any picture is written or shown; True where a missing display is an error of its own."""
    from ..sinks.base import check_display

    if args.save or args.serve or _goes_without_window(args):
        return bool(args.save or args.serve)
    if _writes(args) and not args.window:
        try:
            check_display()
        except DeviceError:
            return False
    return True


def _wants_window(args: argparse.Namespace) -> bool:
    """Decide whether to open a window.  A missing display is an error only where nothing is written without one."""
    from ..sinks.base import check_display

    if _goes_without_window(args):
        return False
    try:
        check_display()
    except DeviceError as error:
        if args.window or not _writes(args):
            raise
        print(f"yoga-live: continuing without a window: {error}", file=sys.stderr)
        return False
    return True


def _open_window(source: Source, paced: bool, place: Place) -> WindowSink:
    """Open a window that also reacts to its keys while a camera delivers nothing."""
    from ..drawing.overlay import OverlayConfig
    from ..pipelines.loop import describe_drawn
    from ..sinks.base import WindowSink
    from ..sources.live import LiveSource

    drawn = describe_drawn(source.info, OverlayConfig(place=place))
    window = WindowSink(drawn.size_wh, paced=paced, is_checked=True)
    if isinstance(source, LiveSource):
        source.idle = window.idle
    return window


def _introduce_page(page: LivePage) -> None:
    """Print the page's address, and a QR code for a phone."""
    from ..serve.qr_code import draw_qr_code

    who = "for anyone on your network who has this address" if page.is_public else "for this machine only"
    print(f"yoga-live: live page, {who}: {'  '.join(page.addresses)}", file=sys.stderr, flush=True)
    if page.is_public and sys.stderr.isatty() and (code := draw_qr_code(page.addresses[0])):
        sys.stderr.writelines(f"\x1b[97;40m{line}\x1b[0m\n" for line in code.splitlines())


def _stay(page: LivePage | None, watched: RunResult) -> None:
    """Keep the page up after the source has ended."""
    if page and not watched.stopped:
        with suppress(KeyboardInterrupt):  # that ends it well, from the moment on that it is said
            print("yoga-live: the source has ended; the page stays up until Ctrl-C", file=sys.stderr, flush=True)
            page.stay()


def _open_source(args: argparse.Namespace) -> Source:
    if hasattr(args, "camera"):
        from ..sources.camera_config import CameraConfig
        from ..sources.cameras import open_camera

        return open_camera(args.camera, CameraConfig(args.camera_size, args.camera_rate, read_mounting(args)))
    from ..sources.demo import DemoSource

    return DemoSource()


def _describe_source(source: Source, device: str) -> str:
    width, height = source.info.size_wh
    return f"yoga-live: {source.info.name}, {width} x {height} at {float(source.info.rate):.4g} FPS, engine on {device}"


def _tell_end(args: argparse.Namespace, watched: RunResult, source: SourceInfo) -> None:
    """Raise the error that ended the pass, or KeyboardInterrupt if the user stopped it and an output is incomplete."""
    from ..pipelines.loop import describe_stop
    from .report import is_complete

    if watched.error:
        raise watched.error
    outputs = list_outputs(args)
    is_only_shown = not (outputs or args.events) and (watched.by_key or args.serve)  # stopping that is no failure
    if watched.stopped and not (is_only_shown or is_complete(watched, outputs)):
        raise KeyboardInterrupt(describe_stop(watched, source.start_s, source.duration_s))
