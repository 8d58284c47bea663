"""`yoga-live`: watch a camera, a video or the built-in demo."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .command_line import HelpFormatter, run_command
from .errors import DeviceError, OptionError

if TYPE_CHECKING:
    from .live import Watched
    from .regions import Roi
    from .sources import Source, TimedFrame
    from .views import View

EXAMPLES = """examples:
  yoga-live --demo --save demo.mp4                     see it work: no camera, display or network needed
  yoga-live --camera 0                                 a window with the overlay; q quits, f is full screen
  yoga-live --video class.mp4 --save annotated.mp4 --timeline class.csv
  yoga-live --video class.mp4 --timeline class.vtt     chapters for a video player (also .csv, .json)
  yoga-live --camera 0 --model my-poses.onnx           your own poses
  yoga-live --benchmark                                milliseconds of every stage on this machine

One person in view is assumed."""


BENCHMARK_FRAMES = 300


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Define the options; imports nothing heavy, so that --help answers at once."""
    parser = argparse.ArgumentParser(
        "yoga-live",
        description="Name the yoga pose that a camera or a video shows.",
        epilog=EXAMPLES,
        formatter_class=HelpFormatter,
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--camera", type=int, metavar="N", help="watch a camera, 0 is the first", default=argparse.SUPPRESS
    )
    source.add_argument(
        "--video",
        type=Path,
        metavar="FILE",
        help="annotate a recorded video, every frame of it",
        default=argparse.SUPPRESS,
    )
    source.add_argument(
        "--demo", action="store_true", help="a short clip that the package draws itself", default=argparse.SUPPRESS
    )
    parser.add_argument(
        "--benchmark",
        action="store_true",
        help="measure every stage, on a drawn 720p clip or on --video",
    )
    parser.add_argument(
        "--frames", type=int, metavar="N", help="how many --benchmark counts (300)", default=argparse.SUPPRESS
    )
    parser.add_argument("--model", type=Path, metavar="FILE", help="pose model (.onnx) instead of the shipped one")
    parser.add_argument(
        "--device",
        default="auto",
        help="auto, cpu, cuda, tensorrt or openvino; one asked for by name is never replaced",
    )
    parser.add_argument(
        "--zoom",
        choices=("auto", "off"),
        default="off",
        help="auto: for a person far away, classify a steady crop around what moves",
    )
    parser.add_argument(
        "--roi",
        metavar="X,Y,W,H",
        help="classify this part of the (unmirrored) picture alone: pixels, or shares; 0.5,0,0.5,1 is the right half",
    )
    parser.add_argument(
        "--save", type=Path, metavar="FILE.mp4", help="write the annotated video, with the source's sound"
    )
    parser.add_argument("--timeline", type=Path, metavar="FILE", help="write who held what when: .csv, .json or .vtt")
    parser.add_argument("--force", action="store_true", help="replace outputs that exist")
    parser.add_argument(
        "--window",
        action=argparse.BooleanOptionalAction,
        help="show a window; by default for a camera, and where nothing is written",
    )
    parser.add_argument(
        "--mirror",
        action=argparse.BooleanOptionalAction,
        help="show the picture as a mirror; by default for a camera's window, unless it is saved too",
    )
    args = parser.parse_args(argv)
    if not (args.benchmark or any(hasattr(args, name) for name in ("camera", "video", "demo"))):
        parser.error("one of the arguments --camera --video --demo --benchmark is required")
    return args


def main(argv: list[str] | None = None) -> int:
    """Run `yoga-live`.  Returns the exit code."""
    args = parse_args(argv)
    return run_command("yoga-live", _benchmark if args.benchmark else _watch, args)


def _watch(args: argparse.Namespace) -> None:
    from .classifier import PoseClassifier
    from .live import watch
    from .overlay import OverlayStyle
    from .progress import Progress
    from .sinks import Sink, VideoSink, WindowSink

    if hasattr(args, "frames"):
        raise OptionError("--frames belongs to --benchmark; leave it out")
    roi = _read_roi(args)
    _check_outputs(args)
    is_camera = hasattr(args, "camera")
    classifier = PoseClassifier(args.model, args.device)
    with _open_source(args) as source:
        info = source.info
        view = _choose_view(args, roi, info.size_wh)
        wants_window = _wants_window(args, is_camera)
        print(_describe_source(source, classifier.engine.device), file=sys.stderr)
        sinks: list[Sink] = [WindowSink(info.size_wh, paced=not (info.is_live or args.save))] if wants_window else []
        if args.save:
            sinks.append(VideoSink(args.save, info, force=args.force))
        mirror = args.mirror if args.mirror is not None else is_camera and wants_window and not args.save
        style = OverlayStyle(show_fps=wants_window or info.is_live, mirror=mirror)
        with Progress("watching", info.duration_s, "video s" if info.duration_s else "s") as progress:
            seen_s = 0.0

            def show(frame: TimedFrame, hold: Any) -> None:
                nonlocal seen_s
                progress.advance(frame.time_s - seen_s, hold.pose)
                seen_s = frame.time_s

            watched = watch(source, classifier, sinks, style, show, view)
    _report(args, watched)


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
    result = run_benchmark(classifier, video, count, args.save, view, force=args.force)
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
    return ZoomView() if args.zoom == "auto" else WholeView()


def _check_outputs(args: argparse.Namespace) -> None:
    """Refuse what can't be written before any work is done."""
    from .files import check_output
    from .sinks import check_video_output
    from .timeline import check_format

    if args.save:
        check_video_output(args.save, force=args.force)
        if hasattr(args, "video") and args.video.exists() and args.save.exists() and args.save.samefile(args.video):
            raise OptionError(f"--save {args.save} is the video itself; give another name")
    if args.timeline:
        check_format(args.timeline)
        check_output(args.timeline, force=args.force)


def _wants_window(args: argparse.Namespace, is_camera: bool) -> bool:
    """Decide on the window; where none was asked for and a file is written, a missing display is no error."""
    from .sinks import check_display

    writes = bool(args.save or args.timeline)
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
        from .sources import open_camera

        return open_camera(args.camera)
    if hasattr(args, "video"):
        from .sources import VideoSource

        return VideoSource(args.video)
    from .demo import DemoSource

    return DemoSource()


def _describe_source(source: Source, device: str) -> str:
    width, height = source.info.size_wh
    return f"yoga-live: {source.info.name}, {width} x {height} at {float(source.info.rate):.4g} FPS, engine on {device}"


def _report(args: argparse.Namespace, watched: Watched) -> None:
    """Write the timeline, then say what was seen when and where everything lies."""
    from .classifier import NO_POSE
    from .pose_names import display_name
    from .progress import format_duration
    from .timeline import write_timeline

    if args.timeline:
        write_timeline(args.timeline, watched.segments)
    poses = [segment for segment in watched.segments if segment.pose != NO_POSE]
    print("  from    to      pose             held   confidence" if poses else "no pose was seen")
    for segment in poses:
        print(
            f"  {format_duration(segment.start_s):7} {format_duration(segment.end_s):7} "
            f"{display_name(segment.pose):16} {segment.duration_s:4.1f} s  {segment.confidence:.0%}"
        )
    rate = watched.frames / max(watched.wall_s, 1e-9)
    print(f"{watched.frames} frames in {watched.wall_s:.1f} s ({rate:.0f} a second)")
    for path in (args.save if watched.frames else None, args.timeline):
        if path and path.exists():
            print(f"written: {path}")
    if watched.trouble:
        raise watched.trouble


if __name__ == "__main__":
    sys.exit(main())
