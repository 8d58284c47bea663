"""`yoga-live`: watch a camera, a video or the built-in demo."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from .command_line import run_command
from .errors import DeviceError, OptionError
from .options import BENCHMARK_FRAMES, parse_args

if TYPE_CHECKING:
    from .live import Watched
    from .regions import Roi
    from .sources import Source, TimedFrame
    from .views import View


def main(argv: list[str] | None = None) -> int:
    """Run `yoga-live`.  Returns the exit code."""
    args = parse_args(argv)
    return run_command("yoga-live", _benchmark if args.benchmark else _watch, args)


def _watch(args: argparse.Namespace) -> None:
    from .classifier import PoseClassifier
    from .events import Events, parse_goals
    from .live import watch
    from .overlay import OverlayStyle
    from .progress import Progress
    from .recorded import LOOKS_PER_S, annotate
    from .sinks import Sink, WindowSink
    from .sources import VideoSource
    from .timeline import TimelineFile
    from .video_sink import VideoSink

    if hasattr(args, "frames"):
        raise OptionError("--frames belongs to --benchmark; leave it out")
    roi = _read_roi(args)
    _check_outputs(args)
    timeline = TimelineFile(args.timeline) if args.timeline else None
    is_camera = hasattr(args, "camera")
    classifier = PoseClassifier(args.model, args.device)
    goals_s = parse_goals(args.goal, classifier.labels)
    events = Events(partial(print, flush=True), goals_s) if args.events else None
    with _open_source(args) as source:
        info = source.info
        view = _choose_view(args, roi, info.size_wh)
        wants_window = _wants_window(args, is_camera)
        print(_describe_source(source, classifier.engine.device), file=sys.stderr)
        sinks: list[Sink] = [WindowSink(info.size_wh, paced=not (info.is_live or args.save))] if wants_window else []
        if args.save:
            sinks.append(VideoSink(args.save, info, force=args.force))
        mirror = args.mirror if args.mirror is not None else is_camera and wants_window and not args.save
        style = OverlayStyle(
            show_fps=wants_window or info.is_live, mirror=mirror, goals_s=goals_s, explain=args.explain
        )
        with Progress("watching", info.duration_s, "video s" if info.duration_s else "s") as progress:
            seen_s = 0.0

            def show(frame: TimedFrame, hold: Any) -> None:
                nonlocal seen_s
                progress.advance(frame.time_s - seen_s, hold.pose)
                seen_s = frame.time_s
                if events:
                    events.update(frame.time_s, hold)

            if hasattr(args, "video"):
                again = partial(VideoSource, args.video, LOOKS_PER_S)
                watched = annotate(source, again, classifier, sinks, style, show, view, timeline)
            else:
                watched = watch(source, classifier, sinks, style, show, view, timeline)
        if events:
            events.close(seen_s)
    _report(args, watched, info.name)


def _benchmark(args: argparse.Namespace) -> None:
    from .benchmark import DEMO_SIZE_WH, WARM_UP, format_benchmark, run_benchmark
    from .classifier import DEFAULT_MODEL, PoseClassifier
    from .sources import VideoSource

    count = _check_benchmark(args)
    roi = _read_roi(args)
    _check_outputs(args)
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
    if args.save:
        print(f"written: {args.save}")


def _check_benchmark(args: argparse.Namespace) -> int:
    """Refuse what `--benchmark` has no use for.  Returns how many frames count."""
    unused = {
        "--camera": hasattr(args, "camera"),  # it sets the pace
        "--demo": hasattr(args, "demo"),
        "--timeline": args.timeline,
        "--summary": args.summary,
        "--events": args.events,
        "--goal": args.goal,
        "--window": args.window,
        "--mirror": args.mirror,
    }
    given = [name for name, value in unused.items() if value]
    if given:
        raise OptionError(f"--benchmark measures a video file or its own clip; leave {', '.join(given)} out")
    count = getattr(args, "frames", BENCHMARK_FRAMES)
    if count < 1:
        raise OptionError(f"--frames must be at least 1; got {count}")
    return count


def _read_roi(args: argparse.Namespace) -> Roi | None:
    """Read `--roi` before any work is done."""
    from .regions import parse_roi

    if args.roi is None:
        return None
    if args.zoom == "auto":
        raise OptionError("--roi and --zoom auto both choose the part to look at; give one of them")
    return parse_roi(args.roi)


def _choose_view(args: argparse.Namespace, roi: Roi | None, size_wh: tuple[int, int]) -> View:
    """Where to look; a region that does not fit in the picture is refused here."""
    from .views import FixedView, WholeView, ZoomView

    if roi:
        roi.to_region(size_wh)
        return FixedView(roi)
    return WholeView() if args.zoom == "off" else ZoomView()


def _check_outputs(args: argparse.Namespace) -> None:
    """Refuse what can't be written before any work is done."""
    from .files import check_growing_output
    from .summary import check_summary_output
    from .timeline import check_format
    from .video_sink import check_video_output

    if args.save:
        check_video_output(args.save, force=args.force)
        if hasattr(args, "video") and args.video.exists() and args.save.exists() and args.save.samefile(args.video):
            raise OptionError(f"--save {args.save} is the video itself; give another name")
    if args.summary:
        check_summary_output(args.summary, force=args.force)
    if args.timeline:
        check_format(args.timeline)
        check_growing_output(args.timeline, force=args.force)


def _wants_window(args: argparse.Namespace, is_camera: bool) -> bool:
    """Decide on the window; where none was asked for and a file is written, a missing display is no error."""
    from .sinks import check_display

    writes = bool(args.save or args.timeline or args.summary or args.events)
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


def _open_source(args: argparse.Namespace) -> Source:
    if hasattr(args, "camera"):
        from .captures import CameraWishes, open_camera

        return open_camera(args.camera, CameraWishes(args.camera_size, args.camera_rate))
    if hasattr(args, "video"):
        from .sources import VideoSource

        return VideoSource(args.video)
    from .demo import DemoSource

    return DemoSource()


def _describe_source(source: Source, device: str) -> str:
    width, height = source.info.size_wh
    return f"yoga-live: {source.info.name}, {width} x {height} at {float(source.info.rate):.4g} FPS, engine on {device}"


def _report(args: argparse.Namespace, watched: Watched, name: str) -> None:
    """Say what was seen when, draw the summary, say where everything lies."""
    from .classifier import NO_POSE
    from .pose_names import display_name
    from .progress import format_duration
    from .summary import add_up, write_summary

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
    if args.summary:
        write_summary(args.summary, watched.segments, name)
    rate = watched.frames / max(watched.wall_s, 1e-9)
    say(f"{watched.frames} frames in {watched.wall_s:.1f} s ({rate:.0f} a second)")
    for path in (args.save if watched.frames else None, args.timeline, args.summary):
        if path and path.exists():
            say(f"written: {path}")
    if watched.trouble:
        raise watched.trouble


if __name__ == "__main__":
    sys.exit(main())
