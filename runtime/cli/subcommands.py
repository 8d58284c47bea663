"""The command lines of `yoga-live archive`, `benchmark`, `poses` and `cameras`; imports nothing heavy."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from ..core.model_metadata import find_model
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
  yoga-live archive classes --to out                   a folder of videos, on every core of this machine
  yoga-live archive classes.txt --to out --cluster 10.0.0.5:6379       a list of videos, on a Ray cluster
  yoga-live archive classes --to out --people all      each of several people in a video, with a timeline of their own
  yoga-live archive s3://studio/2026 --to s3://studio/poses --cluster auto     from a machine of the cluster

Repeat a stopped command to continue. Start a Ray cluster with `ray start`. A folder called archive is ./archive."""

BENCHMARK = """examples:
  yoga-live benchmark                                  a drawn clip, 1280x720
  yoga-live benchmark class.mp4 --device openvino      a video, on another engine
  yoga-live benchmark --model my-poses.onnx --frames 1000              a model of your own"""

POSES = """examples:
  yoga-live poses                                      the shipped model
  yoga-live poses my-poses.onnx                        your own: .onnx, or .engine with its .json beside it"""

CAMERAS = """examples:
  yoga-live cameras                                    list them: device, name, stable path
  yoga-live /dev/video2                                watch one
  yoga-live /dev/v4l/by-id/usb-...                     the same one, even after replugging"""


def _make_archive() -> argparse.ArgumentParser:
    description = "Write a timeline for each of many videos, in parallel with Ray, and one table of all of them."
    parser = _make("archive", description, ARCHIVE)
    parser.add_argument(
        "videos", type=parse_input, nargs="+", metavar="FOLDER", help="folders, videos, lists (.txt, .list) or URLs"
    )
    parser.add_argument("--from", dest="from_", metavar="TIME", help="start here in each video: 90 or 1:30")
    group = parser.add_argument_group("output")
    group.add_argument("--to", required=True, metavar="OUT", help="folder or URL of the timelines")
    group.add_argument("--summary", type=Path, metavar="FOLDER", help="also draw a summary of each class")
    add_timeline_format(group)
    add_force(group)
    add_model(parser, people="off")
    add_mounting(parser.add_argument_group("camera"))
    group = parser.add_argument_group("cluster")
    group.add_argument(
        "--cluster", default="local", metavar="ADDRESS", help="local: this machine; HOST:PORT or auto: a Ray cluster"
    )
    add_workers(group)
    return parser


def _make_benchmark() -> argparse.ArgumentParser:
    parser = _make("benchmark", "Measure how many milliseconds each stage takes on this machine.", BENCHMARK)
    parser.set_defaults(benchmark=True)
    parser.add_argument("video", type=Path, nargs="?", metavar="VIDEO", help="a video; without one, a drawn clip")
    add_frames(parser, default=argparse.SUPPRESS)
    group = parser.add_argument_group("output")
    group.add_argument("--save", type=Path, metavar="FILE.mp4", help="write the annotated video")
    add_force(group)
    add_explain(parser.add_argument_group("display"))
    add_model(parser)
    return parser


def _make_poses() -> argparse.ArgumentParser:
    parser = _make("poses", "List the poses that a model knows, and the confidence it needs to name one.", POSES)
    parser.add_argument(
        "model",
        type=find_model,
        nargs="?",
        metavar="MODEL",
        help="a file, or small (default: the shipped one)",
    )
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
