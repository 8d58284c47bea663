"""The options of `yoga-live` and its subcommands, in titled groups; imports nothing heavy."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..serve.address import ServeAddress, parse_address
from ..sources.camera_config import CameraConfig
from ..sources.inputs import parse_input
from ..system.option_types import quote, read_whole

LEAST_SHARE, MOST_GPUS = 0.01, 64
"""Of GPUs for one worker: a hundredth of one is less than any model takes."""


def add_input(parser: argparse.ArgumentParser) -> None:
    """Where frames come from."""
    group = parser.add_argument_group("input")
    group.add_argument(
        "inputs",
        nargs="*",
        metavar="INPUT",
        help="videos (also a folder of them, or a .txt or .list that names them), photos, or one camera: 0 is the "
        "first, /dev/video2, csi://0 (a Jetson's own), rtsp://..., http://... (MJPEG), @FILE, env:NAME; a file that is "
        "called like a camera or a command is ./0 or ./archive",
    )
    source = group.add_mutually_exclusive_group()
    source.add_argument(
        "--camera",
        metavar="ADDRESS",
        help="watch this camera; an address with a password is safer in a file (@FILE) or an environment variable "
        "(env:NAME)",
        default=argparse.SUPPRESS,
    )
    source.add_argument(
        "--video",
        type=parse_input,
        nargs="+",
        metavar="FILE",
        help="watch recorded videos, every frame of them; nothing is written but what you ask for",
        default=argparse.SUPPRESS,
    )
    source.add_argument(
        "--images",
        type=Path,
        nargs="+",
        metavar="FOLDER",
        help="classify photos, or every photo in a folder, each on its own",
        default=argparse.SUPPRESS,
    )
    source.add_argument(
        "--demo", action="store_true", help="a short clip that the package draws itself", default=argparse.SUPPRESS
    )
    group.add_argument("--from", dest="from_", metavar="TIME", help="where in a video to begin: 90, 1:30, 1:02:03.5")
    group.add_argument("--to", metavar="TIME", help="where in a video to end")


def add_output(parser: argparse.ArgumentParser) -> None:
    """What is written."""
    group = parser.add_argument_group("output")
    group.add_argument(
        "--save",
        type=Path,
        metavar="FILE.mp4",
        help="write the annotated video, with the source's sound; an INPUT's is NAME.annotated.mp4 beside it without "
        "this option",
    )
    group.add_argument(
        "--timeline",
        type=Path,
        metavar="FILE",
        help="write who held what when: .csv, .json or .vtt; of an INPUT: NAME.annotated.poses.csv without this option",
    )
    group.add_argument("--table", type=Path, metavar="FILE", help="write the answers to photos: .csv or .json")
    group.add_argument("--summary", type=Path, metavar="FILE.png", help="draw the class at a glance when it ends")
    group.add_argument(
        "--record", type=Path, metavar="FILE.mp4", help="keep the picture of a camera as it came, without the overlay"
    )
    group.add_argument(
        "--events", action="store_true", help="tell other programs what begins and ends: JSON lines on stdout"
    )
    add_force(group)


def add_force(group: argparse._ActionsContainer) -> None:
    """Whether outputs are replaced."""
    group.add_argument("--force", action="store_true", help="replace outputs that exist")


def add_display(parser: argparse.ArgumentParser) -> None:
    """What is shown."""
    group = parser.add_argument_group("what is shown")
    group.add_argument(
        "--goal", action="append", default=[], metavar="POSE=SECONDS", help="count down, such as tree=30; repeatable"
    )
    add_explain(group)
    group.add_argument(
        "--serve",
        type=_read_serve,
        metavar="[HOST:]PORT",
        help="show it on a web page too, with the timeline growing; without a host for this machine only",
    )
    group.add_argument(
        "--window",
        action=argparse.BooleanOptionalAction,
        help="show a window; by default for a camera, and where nothing is written",
    )
    group.add_argument(
        "--mirror",
        action=argparse.BooleanOptionalAction,
        help="show the picture as a mirror; by default for a camera's window or page, unless it is saved too",
    )


def add_explain(group: argparse._ActionsContainer) -> None:
    """Whether class maps are drawn."""
    group.add_argument("--explain", action="store_true", help="draw where the network sees the pose, as heat")


def add_model(parser: argparse.ArgumentParser) -> None:
    """What names the pose, and where it looks."""
    group = parser.add_argument_group("model")
    group.add_argument("--model", type=Path, metavar="FILE", help="pose model (.onnx, .engine), not the shipped one")
    group.add_argument(
        "--device",
        default="auto",
        metavar="NAME",
        help="auto, cpu, cuda, tensorrt or openvino; one asked for by name is never replaced",
    )
    group.add_argument(
        "--zoom",
        choices=("auto", "off"),
        help="auto, the default: for a person far away, classify a steady crop around what moves; off: the whole frame",
    )
    group.add_argument(
        "--roi",
        metavar="X,Y,W,H",
        help="classify this part of the (unmirrored) picture alone: pixels, or fractions (0.5,0,0.5,1: the right half)",
    )


def add_camera(parser: argparse.ArgumentParser) -> None:
    """What is requested from a camera, and how it hangs."""
    group = parser.add_argument_group("camera")
    group.add_argument(
        "--camera-size",
        type=_read_size,
        default=CameraConfig.size_wh,
        metavar="WxH",
        help="requested from a local camera",
    )
    group.add_argument(
        "--camera-rate",
        type=_read_rate,
        default=CameraConfig.rate,
        metavar="FPS",
        help="requested from a local camera",
    )
    add_mounting(group)


def add_mounting(group: argparse._ActionsContainer) -> None:
    """How a camera hangs, or a recording was made."""
    group.add_argument(
        "--rotate",
        type=int,
        choices=(90, 180, 270),
        metavar="DEGREES",
        help="turn the picture clockwise by 90, 180 or 270 degrees before anything sees it: network, page and files",
    )
    group.add_argument(
        "--flip", action="store_true", help="swap left and right before anything sees it, after --rotate"
    )


def add_timeline_format(group: argparse._ActionsContainer) -> None:
    """Of the timelines of many videos."""
    group.add_argument(
        "--timeline-format", choices=("csv", "json", "vtt"), help="of the timelines of many videos (csv)"
    )


def add_older_forms(parser: argparse.ArgumentParser) -> None:
    """What are subcommands now."""
    group = parser.add_argument_group(
        "older forms, for one more release", "yoga-live archive and yoga-live benchmark take their place"
    )
    group.add_argument("--benchmark", action="store_true", help="measure a video or a drawn clip")
    add_frames(group, default=argparse.SUPPRESS)
    group.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="watch many videos at once with Ray: local, HOST:PORT or auto; timelines go to --to",
    )
    add_workers(group, "of --cluster; ")


def add_frames(group: argparse._ActionsContainer, default: object) -> None:
    """How much is measured."""
    group.add_argument(
        "--frames", type=_read_frames, metavar="N", help="frames of the benchmark that count (300)", default=default
    )


def add_workers(group: argparse._ActionsContainer, who: str = "") -> None:
    """How many do the work of a cluster."""
    group.add_argument(
        "--workers", type=_read_count, metavar="N", help=f"{who}they share the cluster's CPUs (one a CPU)"
    )
    group.add_argument(
        "--gpus-per-worker",
        type=_read_fraction,
        metavar="FRACTION",
        help=f"{who}1, or 0.25 for four workers on one GPU",
    )


def _read_frames(text: str) -> int:
    return read_whole(text, "a number of frames, 1 to 1,000,000", 1, 1_000_000)


def _read_count(text: str) -> int:
    return read_whole(text, "a number of workers, 1 to 10,000", 1, 10_000)


def _read_fraction(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not LEAST_SHARE <= share < 1 and not (1 <= share <= MOST_GPUS and share.is_integer()):
        raise argparse.ArgumentTypeError(
            f"{quote(text)} is no share of GPUs; give a whole number up to {MOST_GPUS}, or a part of one, at least "
            f"{LEAST_SHARE}, such as 0.25"
        )
    return share


def _read_size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (_is_size(width) and _is_size(height)):
        raise argparse.ArgumentTypeError(
            f"{quote(text)} is no size; give WIDTHxHEIGHT, each up to 99,999, such as 1280x720"
        )
    return int(width), int(height)


def _is_size(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20 and 0 < int(text) < 100_000


def _read_rate(text: str) -> int:
    if not (_is_size(text) and int(text) <= 1000):
        raise argparse.ArgumentTypeError(f"{quote(text)} is no rate; give frames per second, 1 to 1000, such as 30")
    return int(text)


def _read_serve(text: str) -> ServeAddress:
    try:
        return parse_address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
