"""The options of `yoga-live`; imports nothing heavy, so that --help answers at once."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import OptionError
from ..serve.address import ServeAddress, parse_address
from ..sources.camera_config import CameraConfig
from ..sources.inputs import is_list, parse_input
from ..system.cli_runner import CommandParser, HelpFormatter
from ..system.option_types import quote, read_whole

if TYPE_CHECKING:
    from ..core.presentation import Mounting
    from ..core.regions import Roi
    from ..sources.remote import RemoteFile

EXAMPLES = """examples:
  yoga-live --demo --save demo.mp4                     see it work: no camera, display or network needed
  yoga-live --camera 0                                 a window with the overlay; q quits, f is full screen
  yoga-live --video class.mp4 --save annotated.mp4 --timeline class.csv
  yoga-live --video class.mp4 --summary class.png      the class at a glance: what was held when, how often, how long
  yoga-live --video class.mp4 --timeline class.vtt     chapters for a video player (also .csv, .json)
  yoga-live --video class.mp4 --from 12:30 --to 15:00 --save clip.mp4
  yoga-live --video classes --save out --timeline out  every video in a folder, one after the other
  yoga-live --video archive --to out --cluster local   thousands of videos, on all cores or a Ray cluster
  yoga-live --images photos --table answers.csv        every photo in a folder
  yoga-live --camera 0 --record raw.mp4                keep the picture as it came too
  yoga-live --camera 0 --model my-poses.onnx           your own poses
  yoga-live --camera 0 --serve 0.0.0.0:8080            a page for a phone too; 8080 alone: for this machine
  yoga-live --benchmark                                milliseconds of every stage on this machine

One person in view is assumed."""


BENCHMARK_FRAMES = 300
MOUNTING = ("--rotate", "--flip")
LEAST_SHARE, MOST_GPUS = 0.01, 64
"""Of GPUs for one worker: a hundredth of one is less than any model takes."""


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line; a wrong one ends the program with one line and code 2."""
    parser = CommandParser(
        "yoga-live",
        description="Name the yoga pose that a camera or a video shows.",
        epilog=EXAMPLES,
        formatter_class=HelpFormatter,
    )
    _add_sources(parser)
    _add_recognition(parser)
    _add_outputs(parser)
    add_mounting(parser)
    _add_cluster(parser)
    args = parser.parse_args(argv)
    if not (args.benchmark or any(hasattr(args, name) for name in ("camera", "video", "images", "demo"))):
        parser.error("one of the arguments --camera --video --images --demo --benchmark is required")
    if args.cluster is None and (args.workers or args.gpus_per_worker):
        parser.error("--workers and --gpus-per-worker belong to --cluster")
    if hasattr(args, "video"):
        if len(args.video) == 1 and not args.cluster and _is_one_file(args.video[0]):
            args.video = args.video[0]
        else:
            args.videos = args.video
            delattr(args, "video")
    return args


def list_given(args: argparse.Namespace, options: Iterable[str]) -> list[str]:
    """Which of these options the user gave."""
    values = {option: getattr(args, option.lstrip("-").replace("-", "_"), None) for option in options}
    values = {option: args.from_ if option == "--from" else value for option, value in values.items()}
    return [option for option, value in values.items() if value not in (None, False, [])]


def read_roi(args: argparse.Namespace) -> Roi | None:
    """Read `--roi` before any work is done.  Raises OptionError."""
    from ..core.regions import parse_roi

    if args.roi is None:
        return None
    if args.zoom == "auto":
        raise OptionError("--roi and --zoom auto both choose the part to look at; give one of them")
    return parse_roi(args.roi)


def add_mounting(parser: argparse.ArgumentParser) -> None:
    """How a camera hangs, or a recording was made."""
    group = parser.add_argument_group("a camera that hangs sideways, upside down or before a mirror")
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


def read_mounting(args: argparse.Namespace) -> Mounting:
    """What `add_mounting` was given."""
    from ..core.presentation import Mounting

    return Mounting(args.rotate or 0, args.flip)


def _add_sources(parser: argparse.ArgumentParser) -> None:
    """Where frames come from."""
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--camera",
        metavar="ADDRESS",
        help="watch a camera: 0 is the first, /dev/video2, csi://0 (a Jetson's own), rtsp://..., http://... (MJPEG); "
        "an address with a password is safer in a file (@FILE) or an environment variable (env:NAME)",
        default=argparse.SUPPRESS,
    )
    source.add_argument(
        "--video",
        type=parse_input,
        nargs="+",
        metavar="FILE",
        help="annotate a recorded video, every frame of it; several, all in a folder, or those that a .txt or .list "
        "names (one a line), into folders",
        default=argparse.SUPPRESS,
    )
    source.add_argument(
        "--images",
        type=Path,
        nargs="+",
        metavar="FOLDER",
        help="classify every photo in a folder, each for itself",
        default=argparse.SUPPRESS,
    )
    source.add_argument(
        "--demo", action="store_true", help="a short clip that the package draws itself", default=argparse.SUPPRESS
    )
    parser.add_argument("--from", dest="from_", metavar="TIME", help="where in --video to begin: 90, 1:30, 1:02:03.5")
    parser.add_argument(
        "--to", metavar="TIME", help="where in --video to end; with --cluster: the folder or URL of the results"
    )
    parser.add_argument(
        "--camera-size",
        type=_read_size,
        default=CameraConfig.size_wh,
        metavar="WxH",
        help="asked of a camera of this machine",
    )
    parser.add_argument(
        "--camera-rate",
        type=_read_rate,
        default=CameraConfig.rate,
        metavar="FPS",
        help="asked of a camera of this machine",
    )
    parser.add_argument(
        "--benchmark",
        action="store_true",
        help="measure every stage, on a drawn 720p clip or on --video",
    )
    parser.add_argument(
        "--frames", type=_read_frames, metavar="N", help="how many --benchmark counts (300)", default=argparse.SUPPRESS
    )


def _add_recognition(parser: argparse.ArgumentParser) -> None:
    """What names the pose, and where it looks."""
    parser.add_argument("--model", type=Path, metavar="FILE", help="pose model (.onnx, .engine), not the shipped one")
    parser.add_argument(
        "--device",
        default="auto",
        help="auto, cpu, cuda, tensorrt or openvino; one asked for by name is never replaced",
    )
    parser.add_argument(
        "--zoom",
        choices=("auto", "off"),
        help="auto, the default: for a person far away, classify a steady crop around what moves; off: the whole frame",
    )
    parser.add_argument(
        "--roi",
        metavar="X,Y,W,H",
        help="classify this part of the (unmirrored) picture alone: pixels, or shares; 0.5,0,0.5,1 is the right half",
    )


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    """What is shown, written and told."""
    parser.add_argument(
        "--save", type=Path, metavar="FILE.mp4", help="write the annotated video, with the source's sound"
    )
    parser.add_argument("--timeline", type=Path, metavar="FILE", help="write who held what when: .csv, .json or .vtt")
    parser.add_argument(
        "--timeline-format", choices=("csv", "json", "vtt"), help="of the timelines of several videos (csv)"
    )
    parser.add_argument("--table", type=Path, metavar="FILE", help="write what --images shows: .csv or .json")
    parser.add_argument(
        "--record", type=Path, metavar="FILE.mp4", help="keep the picture of a camera as it came, without the overlay"
    )
    parser.add_argument("--summary", type=Path, metavar="FILE.png", help="draw the class at a glance when it ends")
    parser.add_argument(
        "--events", action="store_true", help="tell other programs what begins and ends: JSON lines on stdout"
    )
    parser.add_argument(
        "--goal", action="append", default=[], metavar="POSE=SECONDS", help="count down, such as tree=30; repeatable"
    )
    parser.add_argument("--explain", action="store_true", help="draw where the network sees the pose, as heat")
    parser.add_argument(
        "--serve",
        type=_read_serve,
        metavar="[HOST:]PORT",
        help="show it on a web page too, with the timeline growing; without a host for this machine only",
    )
    parser.add_argument("--force", action="store_true", help="replace outputs that exist")
    parser.add_argument(
        "--window",
        action=argparse.BooleanOptionalAction,
        help="show a window; by default for a camera, and where nothing is written",
    )
    parser.add_argument(
        "--mirror",
        action=argparse.BooleanOptionalAction,
        help="show the picture as a mirror; by default for a camera's window or page, unless it is saved too",
    )


def _add_cluster(parser: argparse.ArgumentParser) -> None:
    """Who does the work, where it is much."""
    parser.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="watch many videos at once with Ray: local is this machine, HOST:PORT or auto a cluster; timelines go to "
        "--to, videos and --to may be URLs (s3://, gs://, https://), what is done is not done again",
    )
    parser.add_argument(
        "--workers", type=_read_count, metavar="N", help="of --cluster; they share its CPUs (one a CPU)"
    )
    parser.add_argument(
        "--gpus-per-worker", type=_read_share, metavar="SHARE", help="of --cluster: 1, or 0.25 for four on one GPU"
    )


def _is_one_file(path: Path | RemoteFile) -> bool:
    return isinstance(path, Path) and not path.is_dir() and not is_list(path)


def _read_frames(text: str) -> int:
    return read_whole(text, "a number of frames, 1 to 1,000,000", 1, 1_000_000)


def _read_count(text: str) -> int:
    return read_whole(text, "a number of workers, 1 to 10,000", 1, 10_000)


def _read_share(text: str) -> float:
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
