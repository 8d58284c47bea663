"""`yoga-live benchmark`: milliseconds per stage, on a video or on the built-in clip."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..errors import OptionError
from ..system.plain_text import format_count, print
from .options import BENCHMARK_FRAMES, MOUNTING, list_given, read_roi
from .watch import check_outputs_of, choose_part, list_outputs

if TYPE_CHECKING:
    from ..core.regions import Roi


def measure(args: argparse.Namespace) -> None:
    """Measure, and print the milliseconds of each stage."""
    from ..system.claims import claim_outputs

    count = _check_benchmark(args)
    roi = read_roi(args)
    check_outputs_of(args)
    with claim_outputs(list_outputs(args), force=args.force, grow=True):
        _measure(args, count, roi)


def _measure(args: argparse.Namespace, count: int, roi: Roi | None) -> None:
    """Measure and print; the output video is claimed already."""
    from ..classifier import DEFAULT_MODEL, PoseClassifier
    from ..core.allowed_poses import split_poses
    from ..pipelines.benchmark import DEMO_SIZE_WH, WARM_UP, format_benchmark, run_benchmark
    from ..sources.video import VideoSource
    from ..system.files import find_result

    video = getattr(args, "video", None)
    size_wh = DEMO_SIZE_WH
    if video:
        with VideoSource(video) as source:
            size_wh = source.info.size_wh
    classifier = PoseClassifier(args.model, args.device, poses=split_poses(args.poses))
    cropper = choose_part(args, classifier, roi, size_wh)
    result = run_benchmark(classifier, video, count, args.save, cropper, force=args.force, explain=args.explain)
    width, height = size_wh
    print(
        f"{(args.model or DEFAULT_MODEL).name} ({classifier.info.precision}, {classifier.info.size} px) on "
        f"{classifier.engine.device}; {format_count(result.frames, 'frame')} of {width} x {height} after {WARM_UP} "
        "warm-up frames; milliseconds"
    )
    print(*format_benchmark(result), sep="\n")
    if args.save and (kept := find_result(args.save)):
        print(f"written: {kept}" if kept == args.save else f"incomplete: {kept}")
    if result.stopped:
        raise KeyboardInterrupt(f"stopped after {result.frames} of {format_count(count, 'frame')}")


def _check_benchmark(args: argparse.Namespace) -> int:
    """Refuse options that do not apply to a benchmark.  Returns the number of frames to measure."""
    unused = {
        "--camera": hasattr(args, "camera"),  # its frame rate would set the pace
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
        "--blur-faces": args.blur_faces,
        "--reference": args.reference,
        "--pose": args.pose,
        **{option: True for option in list_given(args, MOUNTING)},
    }
    given = [name for name, value in unused.items() if value]
    if given:
        raise OptionError(f"yoga-live benchmark measures one video file or its own clip; leave {', '.join(given)} out")
    return getattr(args, "frames", BENCHMARK_FRAMES)
