"""`yoga-live benchmark`: milliseconds by stage of a video or of the built-in clip."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..errors import OptionError
from ..system.plain_text import print
from .options import BENCHMARK_FRAMES, MOUNTING, list_given, read_roi
from .watch import check_outputs_of, choose_part, list_outputs

if TYPE_CHECKING:
    from ..core.regions import Roi


def measure(args: argparse.Namespace) -> None:
    """Measure, and print milliseconds by stage."""
    from ..system.claims import claim_outputs

    count = _check_benchmark(args)
    roi = read_roi(args)
    check_outputs_of(args)
    with claim_outputs(list_outputs(args), force=args.force, grow=True):
        _measure(args, count, roi)


def _measure(args: argparse.Namespace, count: int, roi: Roi | None) -> None:
    """Measure and print, with the video that is kept claimed."""
    from ..classifier import DEFAULT_MODEL, PoseClassifier
    from ..pipelines.benchmark import DEMO_SIZE_WH, WARM_UP, format_benchmark, run_benchmark
    from ..sources.video import VideoSource
    from ..system.files import find_result

    video = getattr(args, "video", None)
    size_wh = DEMO_SIZE_WH
    if video:
        with VideoSource(video) as source:
            size_wh = source.info.size_wh
    cropper = choose_part(args, roi, size_wh)
    classifier = PoseClassifier(args.model, args.device)
    result = run_benchmark(classifier, video, count, args.save, cropper, force=args.force, explain=args.explain)
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
    return getattr(args, "frames", BENCHMARK_FRAMES)
