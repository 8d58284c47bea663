"""The options of `yoga-live` and its subcommands, in titled groups; imports nothing heavy."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..core.model_metadata import find_model
from ..serve.address import ServeAddress, parse_address
from ..sources.camera_config import CameraConfig
from ..sources.inputs import parse_input
from ..system.option_types import quote, read_whole

LEAST_SHARE, MOST_GPUS = 0.01, 64
"""Bounds of the GPUs for one worker: a hundredth of one is less than any model needs."""


def add_input(parser: argparse.ArgumentParser) -> None:
    """Define the options of the input."""
    group = parser.add_argument_group("input")
    group.add_argument(
        "inputs",
        nargs="*",
        metavar="INPUT",
        help="videos (or a folder of them, or a .txt or .list file that lists them), photos, or one camera: 0 (the "
        "first), /dev/video2, csi://0 (Jetson), rtsp://..., http://... (MJPEG), @FILE or env:NAME; write ./0 or "
        "./archive for a file with the name of a camera or a command",
    )
    source = group.add_mutually_exclusive_group()
    source.add_argument(
        "--camera",
        metavar="ADDRESS",
        help="watch this camera; keep an address with a password in a file (@FILE) or an environment variable "
        "(env:NAME)",
        default=argparse.SUPPRESS,
    )
    source.add_argument(
        "--video",
        type=parse_input,
        action="extend",
        nargs="+",
        metavar="FILE",
        help="annotate recorded videos; only the outputs that you name are written",
        default=argparse.SUPPRESS,
    )
    source.add_argument(
        "--images",
        type=Path,
        action="extend",
        nargs="+",
        metavar="FOLDER",
        help="classify photos, or every photo in a folder",
        default=argparse.SUPPRESS,
    )
    source.add_argument(
        "--demo", action="store_true", help="watch a short clip that the program draws", default=argparse.SUPPRESS
    )
    group.add_argument("--from", dest="from_", metavar="TIME", help="start here in a video: 90, 1:30 or 1:02:03.5")
    group.add_argument("--to", metavar="TIME", help="stop here in a video")


def add_output(parser: argparse.ArgumentParser) -> None:
    """Define the options of the outputs."""
    group = parser.add_argument_group("output")
    group.add_argument(
        "--save",
        type=Path,
        metavar="FILE.mp4",
        help="write the annotated video, with its sound (default for an INPUT: NAME.annotated.mp4 beside it); for "
        "photos give a folder",
    )
    group.add_argument(
        "--timeline",
        type=Path,
        metavar="FILE",
        help="write which pose was held from when to when: .csv, .json or .vtt; `none` means no pose (default for an "
        "INPUT: NAME.annotated.poses.csv beside it)",
    )
    group.add_argument(
        "--table",
        type=Path,
        metavar="FILE",
        help="write the predictions for photos: .csv or .json; `none` means no pose, and its confidence is 1 minus the "
        "probability of the likeliest pose",
    )
    group.add_argument("--summary", type=Path, metavar="FILE.png", help="draw a summary of the class when it ends")
    group.add_argument(
        "--record", type=Path, metavar="FILE.mp4", help="save the camera's own picture, without the overlay"
    )
    group.add_argument("--events", action="store_true", help="print a JSON line on stdout when a hold begins or ends")
    add_force(group)


def add_force(group: argparse._ActionsContainer) -> None:
    """Define the option that replaces outputs."""
    group.add_argument("--force", action="store_true", help="replace existing outputs")


def add_display(parser: argparse.ArgumentParser) -> None:
    """Define the options of the display."""
    group = parser.add_argument_group("display")
    group.add_argument(
        "--goal",
        action="append",
        default=[],
        metavar="POSE=SECONDS",
        help="count down the seconds of a hold, such as tree=30, or tree=30/side for each side; repeatable",
    )
    group.add_argument(
        "--reference",
        type=Path,
        metavar="PHOTO|FOLDER",
        help="your own photos of one pose: say how the joints of its holds differ from them; needs --pose",
    )
    group.add_argument("--pose", metavar="POSE", help="the pose that --reference shows")
    group.add_argument(
        "--overlay",
        choices=("corner", "bottom", "below", "none"),
        help="where pose, time and confidence stand: a card in the upper left corner (the default), a line along "
        "the bottom, a strip below the picture, which covers nothing, or nowhere; the page of --serve has them beside "
        "its picture, unless this is given",
    )
    add_explain(group)
    group.add_argument(
        "--blur-faces",
        action="store_true",
        help="hide faces in the saved video, the window and the live page; a timeline is the same as without",
    )
    group.add_argument(
        "--serve",
        type=_read_serve,
        metavar="[HOST:]PORT",
        help="also show the picture and the timeline on a web page; without HOST only for this machine",
    )
    group.add_argument(
        "--window",
        action=argparse.BooleanOptionalAction,
        help="show a window (default: for a camera, or if nothing is written)",
    )
    group.add_argument(
        "--mirror",
        action=argparse.BooleanOptionalAction,
        help="mirror the picture (default: for a camera's window or page, unless the video is saved too)",
    )


def add_explain(group: argparse._ActionsContainer) -> None:
    """Define the option that draws class maps."""
    group.add_argument(
        "--explain",
        action="store_true",
        help="draw a heat map of where the network sees the pose (class map), and the person's key points",
    )


def add_model(parser: argparse.ArgumentParser, *, people: str = "main") -> None:
    """Define the options of the model, and of the part of the picture that it classifies.

    people: whom the command follows where nothing else is asked for.
    """
    group = parser.add_argument_group("model")
    group.add_argument(
        "--model", type=find_model, metavar="FILE|small",
        help="pose model, .onnx or .engine, or small: the small shipped one (default: the large shipped one)",
    )  # fmt: skip
    group.add_argument(
        "--device",
        default="auto",
        metavar="NAME",
        help="auto, cpu, cuda, tensorrt or openvino; a device given by name is used or the command fails",
    )
    group.add_argument(
        "--poses",
        metavar="POSE,...",
        help="answer only these poses, such as tree,warrior_2; all others count as no pose (default: all)",
    )
    group.add_argument(
        "--people",
        metavar="main|all|N|off",
        help="main: find people and follow the largest, most central one; all, or a number: follow each of them; off: "
        f"look for nobody (default: {people})",
    )
    group.add_argument(
        "--mats",
        action="store_true",
        help="with --people all: number people by their places, so that who comes back to a mat is the same row",
    )
    group.add_argument(
        "--zoom",
        choices=("auto", "off"),
        help="auto: classify a steady crop around the person, or, with --people off, around what moves; off: the whole "
        "frame (default: auto for cameras and videos)",
    )
    group.add_argument(
        "--roi",
        metavar="X,Y,W,H",
        help="look only at this part of the unmirrored picture: pixels, or fractions (0.5,0,0.5,1: the right half)",
    )


def add_camera(parser: argparse.ArgumentParser) -> None:
    """Define what is requested from a camera, and how it is mounted."""
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
    """Define how a camera is mounted, or a recording was made."""
    group.add_argument(
        "--rotate",
        type=int,
        choices=(90, 180, 270),
        metavar="DEGREES",
        help="turn the picture clockwise by 90, 180 or 270 degrees, for the network and every output",
    )
    group.add_argument(
        "--flip", action="store_true", help="swap left and right, for the network and every output, after --rotate"
    )


def add_timeline_format(group: argparse._ActionsContainer) -> None:
    """Define the format of many timelines."""
    group.add_argument(
        "--timeline-format", choices=("csv", "json", "vtt"), help="format of the timelines in a folder (default: csv)"
    )


def add_older_forms(parser: argparse.ArgumentParser) -> None:
    """Define the options that have become subcommands."""
    group = parser.add_argument_group(
        "deprecated, removed in the next release", "use yoga-live archive and yoga-live benchmark instead"
    )
    group.add_argument("--benchmark", action="store_true", help="measure a video or a drawn clip")
    add_frames(group, default=argparse.SUPPRESS)
    group.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="annotate many videos at once with Ray: local, HOST:PORT or auto; timelines go to --to",
    )
    add_workers(group, "with --cluster: ")


def add_frames(group: argparse._ActionsContainer, default: object) -> None:
    """Define how many frames are measured."""
    group.add_argument(
        "--frames", type=_read_frames, metavar="N", help="frames to measure (default: 300)", default=default
    )


def add_workers(group: argparse._ActionsContainer, who: str = "") -> None:
    """Define how many workers there are, and what each takes."""
    group.add_argument(
        "--workers", type=_read_count, metavar="N", help=f"{who}processes that share the CPUs (default: one per CPU)"
    )
    group.add_argument(
        "--gpus-per-worker",
        type=_read_fraction,
        metavar="FRACTION",
        help=f"{who}GPUs for each worker: 1, or 0.25 for four workers on one GPU",
    )


def _read_frames(text: str) -> int:
    return read_whole(text, "a number of frames, 1 to 1,000,000", 1, 1_000_000)


def _read_count(text: str) -> int:
    return read_whole(text, "a number of workers, 1 to 10,000", 1, 10_000)


def _read_fraction(text: str) -> float:
    try:
        fraction = float(text)
    except ValueError:
        fraction = 0.0
    if not LEAST_SHARE <= fraction < 1 and not (1 <= fraction <= MOST_GPUS and fraction.is_integer()):
        raise argparse.ArgumentTypeError(
            f"{quote(text)} is not a number of GPUs; give a whole number up to {MOST_GPUS}, or a fraction of at least "
            f"{LEAST_SHARE}, such as 0.25"
        )
    return fraction


def _read_size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (_is_size(width) and _is_size(height)):
        raise argparse.ArgumentTypeError(
            f"{quote(text)} is not a size; give WIDTHxHEIGHT, each up to 99,999, such as 1280x720"
        )
    return int(width), int(height)


def _is_size(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20 and 0 < int(text) < 100_000


def _read_rate(text: str) -> int:
    if not (_is_size(text) and int(text) <= 1000):
        raise argparse.ArgumentTypeError(
            f"{quote(text)} is not a frame rate; give frames per second, 1 to 1000, such as 30"
        )
    return int(text)


def _read_serve(text: str) -> ServeAddress:
    try:
        return parse_address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
