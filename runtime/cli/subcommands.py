"""The command lines of `yoga-live archive`, `benchmark`, `poses` and `cameras`; imports nothing heavy."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from ..sources.inputs import parse_input
from ..system.cli_runner import CommandParser, HelpFormatter
from .option_groups import (
    add_explain,
    add_force,
    add_frames,
    add_model,
    add_mounting,
    add_timeline_format,
    add_workers,
)

ARCHIVE = """examples:
  yoga-live archive classes --to out                             every core of this machine
  yoga-live archive classes.txt --to out --cluster 10.0.0.5:6379     a list; a Ray cluster (`ray start`)
  yoga-live archive s3://studio/2026 --to s3://studio/poses --cluster auto     on one of the cluster's machines

The same command goes on after it was stopped. A folder that is itself called archive is ./archive."""

BENCHMARK = """examples:
  yoga-live benchmark                                  a clip that is drawn, 1280x720
  yoga-live benchmark class.mp4 --device openvino
  yoga-live benchmark --model my-poses.onnx --frames 1000"""

POSES = """examples:
  yoga-live poses                                      of the shipped model
  yoga-live poses my-poses.onnx                        an .onnx file, or an .engine with its .json beside it"""

CAMERAS = """examples:
  yoga-live cameras
  yoga-live /dev/video2
  yoga-live /dev/v4l/by-id/usb-...                     the same camera, whatever else is plugged in"""


def _make_archive() -> argparse.ArgumentParser:
    parser = _make("archive", "Write a timeline of each of many videos, all at once with Ray, and one table.", ARCHIVE)
    parser.add_argument(
        "videos", type=parse_input, nargs="+", metavar="FOLDER", help="folders, videos, lists (.txt, .list) or URLs"
    )
    parser.add_argument("--from", dest="from_", metavar="TIME", help="where in each video to begin: 90, 1:30")
    group = parser.add_argument_group("output")
    group.add_argument("--to", required=True, metavar="OUT", help="folder or URL of the timelines")
    group.add_argument("--summary", type=Path, metavar="FOLDER", help="draw a picture of each class too")
    add_timeline_format(group)
    add_force(group)
    add_model(parser)
    add_mounting(parser.add_argument_group("camera"))
    group = parser.add_argument_group("many videos")
    group.add_argument(
        "--cluster", default="local", metavar="ADDRESS", help="local is this machine; HOST:PORT or auto a Ray cluster"
    )
    add_workers(group)
    return parser


def _make_benchmark() -> argparse.ArgumentParser:
    parser = _make("benchmark", "Measure the milliseconds of every stage on this machine.", BENCHMARK)
    parser.set_defaults(benchmark=True)
    parser.add_argument(
        "video", type=Path, nargs="?", default=argparse.SUPPRESS, metavar="VIDEO", help="a video, not the drawn clip"
    )
    add_frames(parser, default=argparse.SUPPRESS)
    group = parser.add_argument_group("output")
    group.add_argument("--save", type=Path, metavar="FILE.mp4", help="keep the annotated video")
    add_force(group)
    add_explain(parser.add_argument_group("what is shown"))
    add_model(parser)
    return parser


def _make_poses() -> argparse.ArgumentParser:
    parser = _make("poses", "List the poses that a model knows, and the confidence from which on it names them.", POSES)
    parser.add_argument("model", type=Path, nargs="?", metavar="MODEL", help="pose model, not the shipped one")
    return parser


def _make_cameras() -> argparse.ArgumentParser:
    return _make("cameras", "List the cameras of this machine (Linux).", CAMERAS)


def _make(name: str, description: str, epilog: str) -> CommandParser:
    return CommandParser(f"yoga-live {name}", description=description, epilog=epilog, formatter_class=HelpFormatter)


SUBCOMMANDS: dict[str, Callable[[], argparse.ArgumentParser]] = {
    "archive": _make_archive,
    "benchmark": _make_benchmark,
    "poses": _make_poses,
    "cameras": _make_cameras,
}
