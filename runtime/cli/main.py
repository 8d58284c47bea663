"""`yoga-live`: watch a camera, a video or the built-in demo."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ..core.opencv_packages import describe_clash
from ..errors import DeviceError, OptionError
from ..system.cli_runner import run_command
from ..system.crashes import report_crashes
from ..system.plain_text import print
from .options import BENCHMARK_FRAMES, MOUNTING, list_given, parse_args, read_mounting, read_roi

if TYPE_CHECKING:
    from pathlib import Path

    from ..core.frames import TimedFrame
    from ..core.regions import Roi
    from ..cropping.croppers import View
    from ..pipelines.live_loop import Watched
    from ..serve.page import LivePage
    from ..sinks.base import Sink, WindowSink
    from ..sources.base import Source, SourceInfo
    from ..sources.time_range import Span


@report_crashes("yoga-live")
def main(argv: list[str] | None = None) -> int:
    """Run `yoga-live`.  Returns the exit code."""
    args = parse_args(argv)
    if clash := describe_clash():
        print(f"yoga-live: {clash}", file=sys.stderr)
    return run_command("yoga-live", _choose_work(args), args)


def _choose_work(args: argparse.Namespace) -> Callable[[argparse.Namespace], None]:
    """What is to be done: measure, classify photos, annotate many videos, or watch one source."""
    if args.benchmark:
        return _benchmark
    if args.cluster is not None:
        from .archive import watch_archive

        return watch_archive
    if hasattr(args, "images"):
        from .photos import classify_images

        return classify_images
    if hasattr(args, "videos"):
        from .batch import annotate_many

        return annotate_many
    return _watch


def _watch(args: argparse.Namespace) -> None:
    from ..sources.time_range import parse_span
    from ..system.claims import claim_outputs

    _refuse_useless(args)
    roi, span = read_roi(args), parse_span(args.from_, args.to)
    _place_outputs(args)
    _check_outputs(args)
    with claim_outputs(_list_outputs(args), force=args.force, grow=True):
        _watch_source(args, roi, span)


def _watch_source(args: argparse.Namespace, roi: Roi | None, span: Span | None) -> None:
    """Watch, with the outputs claimed."""
    from ..classifier import PoseClassifier
    from ..drawing.overlay import OverlayStyle
    from ..pipelines.annotate import Outputs, open_again, open_timeline, summarise
    from ..pipelines.live_loop import watch
    from ..pipelines.recorded_loop import annotate
    from ..serve.page import open_page
    from ..sinks.events import Events, parse_goals
    from ..sinks.video import VideoSink
    from ..system.progress import Progress

    is_camera, outputs = hasattr(args, "camera"), Outputs(args.save, args.timeline, args.summary)
    classifier = PoseClassifier(args.model, args.device)
    goals_s = parse_goals(args.goal, classifier.labels)
    events = Events(partial(print, flush=True), goals_s) if args.events else None
    with open_page(args.serve, classifier, goals_s) as page, _open_source(args, span) as source:
        info = source.info
        timeline = open_timeline(outputs, info.start_s, force=args.force)
        view = _choose_view(args, roi, info.size_wh)
        wants_window = _wants_window(args, is_camera)
        print(_describe_source(source, classifier.engine.device), file=sys.stderr)
        paced = not (info.is_live or args.save)
        sinks: list[Sink] = [_open_window(source, paced)] if wants_window else []
        if page:
            _introduce_page(page)
            sinks.append(page.make_sink(info, paced=paced and not wants_window))
        if args.save:
            sinks.append(_open_saved(args, info))
        is_seen = bool(wants_window or page) and not args.save
        mirror = args.mirror if args.mirror is not None else is_camera and is_seen
        show_fps = wants_window or info.is_live
        style = OverlayStyle(show_fps=show_fps, mirror=mirror, goals_s=goals_s, explain=args.explain)
        with Progress("watching", info.duration_s, "video s" if info.duration_s else "s") as progress:
            seen_s = info.start_s

            def show(frame: TimedFrame, hold: Any) -> None:
                nonlocal seen_s
                progress.advance(frame.time_s - seen_s, hold.pose)
                seen_s = frame.time_s
                if events:
                    events.update(frame.time_s, hold)
                if page:
                    page.tell(frame.time_s, hold)

            if hasattr(args, "video"):
                again = partial(open_again, args.video, span, source, draws=bool(sinks), mounting=read_mounting(args))
                watched = annotate(source, again, classifier, sinks, style, show, view, timeline)
            else:
                raw = VideoSink(args.record, info, force=args.force) if args.record else None
                watched = watch(source, classifier, sinks, style, show, view, timeline, raw=raw)
        if events:
            events.close(seen_s)
        watched = summarise(watched, outputs, info.name, force=args.force)
        _report(args, watched)
        _tell_end(args, watched, info)
        _stay(page, watched)


def _open_saved(args: argparse.Namespace, info: SourceInfo) -> Sink:
    """The annotated video; of a recording it is encoded beside the loop."""
    from ..sinks.threaded import WriteBehind
    from ..sinks.video import VideoSink

    saved = VideoSink(args.save, info, force=args.force)
    return saved if info.is_live else WriteBehind(saved)


def _benchmark(args: argparse.Namespace) -> None:
    from ..system.claims import claim_outputs

    count = _check_benchmark(args)
    roi = read_roi(args)
    _check_outputs(args)
    with claim_outputs(_list_outputs(args), force=args.force, grow=True):
        _measure(args, count, roi)


def _measure(args: argparse.Namespace, count: int, roi: Roi | None) -> None:
    """Measure and print, with the video that is kept claimed."""
    from ..classifier import DEFAULT_MODEL, PoseClassifier
    from ..sources.video import VideoSource
    from ..system.files import find_result
    from .benchmark import DEMO_SIZE_WH, WARM_UP, format_benchmark, run_benchmark

    video = getattr(args, "video", None)
    size_wh = DEMO_SIZE_WH
    if video:
        with VideoSource(video) as source:
            size_wh = source.info.size_wh
    view = _choose_view(args, roi, size_wh)
    classifier = PoseClassifier(args.model, args.device)
    result = run_benchmark(classifier, video, count, args.save, view, force=args.force, explain=args.explain)
    width, height = size_wh
    print(
        f"{(args.model or DEFAULT_MODEL).name} ({classifier.info.precision}, {classifier.info.size} px) on "
        f"{classifier.engine.device}; {result.frames} frames of {width} x {height} after {WARM_UP} to warm up; "
        "milliseconds"
    )
    print(*format_benchmark(result), sep="\n")
    if args.save and (kept := find_result(args.save)):
        print(f"written: {kept}" if kept == args.save else f"not whole: {kept}")
    if result.stopped:
        raise KeyboardInterrupt(f"stopped after {result.frames} of {count} frames")


def _check_benchmark(args: argparse.Namespace) -> int:
    """Refuse what `--benchmark` has no use for.  Returns how many frames count."""
    unused = {
        "--camera": hasattr(args, "camera"),  # it sets the pace
        "--demo": hasattr(args, "demo"),
        "--images": hasattr(args, "images"),
        "--video with several files": hasattr(args, "videos"),
        **{option: True for option in list_given(args, ("--from", "--to", "--record", "--table", "--timeline-format"))},
        "--timeline": args.timeline,
        "--summary": args.summary,
        "--events": args.events,
        "--goal": args.goal,
        "--serve": args.serve,
        "--window": args.window,
        "--mirror": args.mirror,
        **{option: True for option in list_given(args, MOUNTING)},
    }
    given = [name for name, value in unused.items() if value]
    if given:
        raise OptionError(f"--benchmark measures a video file or its own clip; leave {', '.join(given)} out")
    count = getattr(args, "frames", BENCHMARK_FRAMES)
    if count < 1:
        raise OptionError(f"--frames must be at least 1; got {count}")
    return count


def _choose_view(args: argparse.Namespace, roi: Roi | None, size_wh: tuple[int, int]) -> View:
    """Where to look; a region that does not fit in the picture is refused here."""
    from ..cropping.croppers import choose_view

    return choose_view(roi, args.zoom != "off", size_wh)


def _refuse_useless(args: argparse.Namespace) -> None:
    """Refuse options that one source has no use for."""
    if hasattr(args, "frames"):
        raise OptionError("--frames belongs to --benchmark; leave it out")
    if args.table:
        raise OptionError("--table belongs to --images; of a video or camera, --timeline FILE.csv says what was held")
    if hasattr(args, "video"):
        if args.record:
            raise OptionError(f"--record keeps what a camera gives; {args.video} is there already: leave it out")
    elif given := list_given(args, ("--from", "--to")):
        raise OptionError(f"{' and '.join(given)} can be used with --video alone; leave it out")
    if hasattr(args, "demo") and (given := list_given(args, MOUNTING)):
        raise OptionError(f"{' and '.join(given)} can be used with --camera and --video alone; leave it out")


def _place_outputs(args: argparse.Namespace) -> None:
    """Name the outputs of one video that go into a folder, as those of several are."""
    is_placed = args.timeline and args.timeline.is_dir()
    if args.timeline_format and not is_placed:
        raise OptionError("--timeline-format is for timelines in a folder; a file's suffix says it: .csv, .json, .vtt")
    if hasattr(args, "video"):
        suffixes = {"save": ".mp4", "timeline": f".poses.{args.timeline_format or 'csv'}", "summary": ".png"}
        for name, suffix in suffixes.items():
            if (path := getattr(args, name)) and path.is_dir():
                setattr(args, name, path / f"{args.video.stem}{suffix}")


def _list_outputs(args: argparse.Namespace) -> list[Path]:
    """Every file that is wanted."""
    return [path for path in (args.save, args.record, args.timeline, args.summary) if path]


def _check_outputs(args: argparse.Namespace) -> None:
    """Refuse what can't be written before any work is done."""
    from ..pipelines.annotate import Outputs, check_outputs
    from ..sinks.video import check_video_output
    from ..system.files import check_apart

    outputs = Outputs(args.save, args.timeline, args.summary)
    video = getattr(args, "video", None)
    if args.record:
        check_apart([*outputs.paths(), args.record])
        check_video_output(args.record, force=args.force)
    check_outputs(outputs, video, force=args.force)


def _wants_window(args: argparse.Namespace, is_camera: bool) -> bool:
    """Decide on the window; where none was asked for and a file is written, a missing display is no error."""
    from ..sinks.base import check_display

    writes = bool(args.save or args.record or args.timeline or args.summary or args.events or args.serve)
    if args.window is False or (args.window is None and writes and not is_camera):
        return False
    try:
        check_display()
    except DeviceError as error:
        if args.window or not writes:
            raise
        print(f"yoga-live: going on without a window: {error}", file=sys.stderr)
        return False
    return True


def _open_window(source: Source, paced: bool) -> WindowSink:
    """A window that hears its keys also while a camera gives nothing to show in it."""
    from ..sinks.base import WindowSink
    from ..sources.live import LiveSource

    window = WindowSink(source.info.size_wh, paced=paced, is_checked=True)
    if isinstance(source, LiveSource):
        source.idle = window.idle
    return window


def _introduce_page(page: LivePage) -> None:
    """Say where the page is; a phone takes the address from the terminal by its camera."""
    from ..serve.qr_code import draw_qr_code

    who = "for whoever has this address, in your network" if page.is_public else "for this machine only"
    print(f"yoga-live: live page, {who}: {'  '.join(page.addresses)}", file=sys.stderr, flush=True)
    if page.is_public and sys.stderr.isatty() and (code := draw_qr_code(page.addresses[0])):
        sys.stderr.writelines(f"\x1b[97;40m{line}\x1b[0m\n" for line in code.splitlines())


def _stay(page: LivePage | None, watched: Watched) -> None:
    """Leave the page up after a source that came to its end."""
    if page and not watched.stopped:
        print("yoga-live: the source has ended, the page stays; Ctrl-C ends it", file=sys.stderr, flush=True)
        page.stay()


def _open_source(args: argparse.Namespace, span: Span | None) -> Source:
    if hasattr(args, "camera"):
        from ..sources.cameras import CameraWishes, open_camera

        return open_camera(args.camera, CameraWishes(args.camera_size, args.camera_rate, read_mounting(args)))
    if hasattr(args, "video"):
        from ..pipelines.annotate import open_recording

        return open_recording(args.video, span=span, mounting=read_mounting(args))
    from ..sources.demo import DemoSource

    return DemoSource()


def _describe_source(source: Source, device: str) -> str:
    width, height = source.info.size_wh
    return f"yoga-live: {source.info.name}, {width} x {height} at {float(source.info.rate):.4g} FPS, engine on {device}"


def _report(args: argparse.Namespace, watched: Watched) -> None:
    """Say what was seen when, and where everything lies."""
    from ..core.labels import display_name
    from ..core.types import NO_POSE
    from ..drawing.summary import add_up
    from ..system.files import find_result
    from ..system.progress import format_duration

    say = partial(print, file=sys.stderr if args.events else sys.stdout)
    poses = [segment for segment in watched.segments if segment.pose != NO_POSE]
    say("  from    to      pose             held   confidence" if poses else "no pose was seen")
    for segment in poses:
        say(
            f"  {format_duration(segment.start_s):7} {format_duration(segment.end_s):7} "
            f"{display_name(segment.pose):16} {segment.duration_s:4.1f} s  {segment.confidence:.0%}"
        )
    for total in add_up(watched.segments):
        times = "once" if total.holds == 1 else f"{total.holds} times"
        say(f"{display_name(total.pose)}: {times}, {total.total_s:.1f} s, at best {total.best_s:.1f} s")
    rate = watched.frames / max(watched.wall_s, 1e-9)
    say(f"{watched.frames} frames in {watched.wall_s:.1f} s ({rate:.0f} a second)")
    videos = (args.save, args.record) if watched.frames else ()
    others = (args.timeline, args.summary) if watched.frames or watched.whole else ()
    for path in (*videos, *others):
        if path and (result := find_result(path)):
            say(f"written: {path}" if result == path else f"not whole: {result}")


def _tell_end(args: argparse.Namespace, watched: Watched, source: SourceInfo) -> None:
    """End as the run did.  Raises its trouble, or KeyboardInterrupt where somebody stopped what is not whole now."""
    from ..pipelines.live_loop import describe_stop
    from ..system.files import name_part

    if watched.trouble:
        raise watched.trouble
    outputs = _list_outputs(args)
    is_left = not watched.whole or any(name_part(path).exists() for path in outputs)
    is_only_shown = not (outputs or args.events) and (watched.by_key or args.serve)  # to end that is no failure
    if watched.stopped and is_left and not is_only_shown:
        raise KeyboardInterrupt(describe_stop(watched, source.start_s, source.duration_s))


if __name__ == "__main__":
    sys.exit(main())
