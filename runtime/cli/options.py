"""The command line of `yoga-live`; imports nothing heavy, so that --help answers at once."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import OptionError
from ..sources.inputs import is_list
from ..system.cli_runner import CommandParser, HelpFormatter, PrintText
from .inputs import place_beside, take_inputs
from .option_groups import (
    add_camera,
    add_display,
    add_input,
    add_model,
    add_older_forms,
    add_output,
    add_timeline_format,
)
from .subcommands import SUBCOMMANDS

if TYPE_CHECKING:
    from ..core.presentation import Mounting
    from ..core.regions import Roi
    from ..drawing.placement import Place
    from ..people.cropper import PeopleMode
    from ..sources.remote import RemoteFile

USAGE = """yoga-live [INPUT ...] [options]
       yoga-live archive | benchmark | poses | cameras, each with --help"""

SHORT_HELP = f"""usage: {USAGE}

Name the yoga pose that a camera or a video shows.

examples:
  yoga-live --demo --save demo.mp4   no camera, display or network needed
  yoga-live class.mp4                writes class.annotated.mp4 and a timeline
  yoga-live 0                        watches the first camera; q quits
  yoga-live a.jpg b.jpg              classifies photos

options:
  --save FILE.mp4      write the annotated video
  --timeline FILE      write which pose was held when: .csv, .json or .vtt
  --summary FILE.png   draw a summary of the class
  --from, --to TIME    use a part of a video, such as --from 12:30 --to 15:00
  --model FILE         use your own model instead of the shipped one
  --device NAME        auto, cpu, cuda, tensorrt or openvino
  --goal POSE=SECONDS  count down a hold, such as tree=30; repeatable
  --serve [HOST:]PORT  show a live page; with a host for your phone too
  --force              replace existing outputs
  --debug, --version   print the traceback of any error; print the version
  --help-all           list every option

The main person is followed; --people all follows each of several."""

EXAMPLES = """examples:
  yoga-live --demo --save demo.mp4                     try it: no camera, display or network needed
  yoga-live class.mp4                                  writes class.annotated.mp4 and class.annotated.poses.csv
  yoga-live class.mp4 --save out.mp4 --timeline out.vtt          a timeline as chapters for a video player
  yoga-live class.mp4 --from 12:30 --to 15:00          a part of a video
  yoga-live monday.mp4 tuesday.mp4                     several videos; or give a folder
  yoga-live 0                                          a camera in a window; q quits, f toggles full screen
  yoga-live 0 --record raw.mp4                         also save the camera's own picture
  yoga-live 0 --model my-poses.onnx                    your own poses
  yoga-live 0 --serve 0.0.0.0:8080                     a page for your phone too; 8080 alone: this machine only
  yoga-live photo.jpg                                  a photo
  yoga-live --images FOLDER --table answers.csv        every photo in a folder, with a table
  yoga-live --video class.mp4 --summary class.png      only the outputs named: a summary, no annotated video

"94% sure", confidence in files: the probability that the model gives to the pose it names.
"no pose", `none` in files: none of its poses reaches the model's threshold, which yoga-live poses shows; the confidence
of that is 1 minus the probability of the likeliest pose.
The main person is followed; --people all follows each of several."""

BENCHMARK_FRAMES = 300
MOUNTING = ("--rotate", "--flip")
DEFAULT_PLACE: Place = "corner"
"""Of the overlay: a person's feet and mat are at the bottom, the middle of the picture is theirs too."""
NOTHING_TO_BLUR = (
    "--blur-faces hides faces in pictures, and none is written or shown: add --save or --serve, or leave it out"
)
SOURCES = ("camera", "video", "images", "demo")
OLDER_FORMS = {
    "cluster": "yoga-live: --cluster is deprecated and will be removed in the next release; use: yoga-live archive "
    "FOLDER --to OUT (with --cluster ADDRESS for a cluster)",
    "benchmark": "yoga-live: --benchmark is deprecated and will be removed in the next release; use: yoga-live "
    "benchmark [VIDEO]",
}


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line.  A wrong one ends the program with one line and exit code 2."""
    words = sys.argv[1:] if argv is None else argv
    parser = _make_parser()
    if words and words[0] in SUBCOMMANDS:  # a folder of that name is written ./archive
        args = SUBCOMMANDS[words[0]]().parse_args(words[1:])
        if getattr(args, "video", "") is None:  # SUPPRESS, as the options have it, would be a Path of that name
            delattr(args, "video")
        return argparse.Namespace(**{**vars(parser.parse_args([])), **vars(args), "command": words[0]})
    args, rest = parser.parse_known_args(words)
    end = rest.index("--") if "--" in rest else len(rest)
    if args.inputs and not any(word.startswith("-") for word in rest[:end]):  # `a.mp4 --force b.mp4 -- -c.mp4`
        args.inputs, rest = [*args.inputs, *rest[:end], *rest[end + 1 :]], []
    if rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    args.command = None
    try:
        _check_source(args)
    except OptionError as error:
        parser.error(str(error))
    return args


def name_new_form(args: argparse.Namespace) -> str:
    """Return a one-line notice if a deprecated form was used, else an empty string."""
    return "" if args.command else next((OLDER_FORMS[name] for name in OLDER_FORMS if getattr(args, name)), "")


def list_given(args: argparse.Namespace, options: Iterable[str]) -> list[str]:
    """List which of these options the user gave."""
    values = {option: getattr(args, option.lstrip("-").replace("-", "_"), None) for option in options}
    values = {option: args.from_ if option == "--from" else value for option, value in values.items()}
    return [option for option, value in values.items() if value not in (None, False, [])]


def read_roi(args: argparse.Namespace) -> Roi | None:
    """Read `--roi` before any work is done.  Raises OptionError."""
    from ..core.regions import parse_roi

    if args.roi is None:
        return None
    if args.zoom == "auto" and read_people(args) == "off":
        raise OptionError("--roi and --zoom auto both choose the part to classify; give only one, or --people main")
    return parse_roi(args.roi)


def read_people(args: argparse.Namespace, default: PeopleMode = "main") -> PeopleMode:
    """Read `--people`.  Raises OptionError."""
    from ..people.cropper import check_group, parse_people

    people = default if args.people is None else parse_people(args.people)
    mats, explain = (getattr(args, name, False) for name in ("mats", "explain"))
    check_group(people, mats=mats, explain=explain, zoom=args.zoom != "off")
    return people


def read_mounting(args: argparse.Namespace) -> Mounting:
    """Read `--rotate` and `--flip`."""
    from ..core.presentation import Mounting

    return Mounting(args.rotate or 0, args.flip)


def _make_parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        "yoga-live",
        usage=USAGE,
        description="Name the yoga pose that a camera or a video shows.",
        epilog=EXAMPLES,
        formatter_class=HelpFormatter,
        add_help=False,
    )
    add_input(parser)
    add_output(parser)
    add_display(parser)
    add_model(parser)
    add_camera(parser)
    add_timeline_format(
        parser.add_argument_group("many videos", "for thousands of videos, or videos at URLs: yoga-live archive --help")
    )
    add_older_forms(parser)
    group = parser.add_argument_group("help")
    group.add_argument("-h", "--help", action=PrintText, text=lambda _: SHORT_HELP, help="show the commonest options")
    group.add_argument("--help-all", action="help", help="show every option (this text)")
    return parser


def _check_source(args: argparse.Namespace) -> None:
    """Set the source from INPUT or the options.  Raises OptionError."""
    named = [name for name in SOURCES if hasattr(args, name)]
    if args.inputs and named:
        raise OptionError(f"--{named[0]} cannot be combined with the INPUT {args.inputs[0]}; give only one of them")
    if args.inputs:
        take_inputs(args)
    elif not (args.benchmark or named):
        raise OptionError("no INPUT given; give a video, a folder, a photo, a camera such as 0, or --demo")
    if args.cluster is None and (args.workers or args.gpus_per_worker):
        raise OptionError("--workers and --gpus-per-worker only apply to yoga-live archive; leave them out")
    if hasattr(args, "video"):
        if len(args.video) == 1 and not args.cluster and _is_one_file(args.video[0]):
            args.video = args.video[0]
        else:
            args.videos = args.video
            delattr(args, "video")
    if args.inputs and not args.benchmark and args.cluster is None:
        place_beside(args)


def _is_one_file(path: Path | RemoteFile) -> bool:
    return isinstance(path, Path) and not path.is_dir() and not is_list(path)
