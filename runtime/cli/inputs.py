"""What the INPUTs of `yoga-live` are (a camera, photos or videos), and which outputs go beside a video."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import OptionError
from ..photos.kinds import PHOTO_SUFFIXES, is_photo
from ..sources.inputs import VIDEO_SUFFIXES, add_suffix, name_beside, parse_input
from ..system.suggestions import suggest_word

if TYPE_CHECKING:
    from ..sources.remote import RemoteFile

CAMERA = re.compile(r"[0-9]{1,4}|/dev/video[0-9]{1,4}|/dev/v4l/.+|(?i:csi|rtsps?|https?)://.*|(@|env:).+", re.DOTALL)
COMMANDS = ("archive", "benchmark", "poses", "cameras")
PROGRAMS = {
    "yoga-train": ("train", "fit", "collect", "download", "add", "capture", "stats", "show", "report", "clean"),
    "yoga-export": ("export", "onnx", "engine", "info"),
    "yoga-calibrate": ("calibrate", "confidence", "check"),
}
"""The commands that belong to the other programs, by program, and what one would call them."""
EITHER = frozenset((".gif", ".webp", ".apng"))
"""Suffixes that photos and videos share."""


def take_inputs(args: argparse.Namespace) -> None:
    """Set the arguments that --camera, --images or --video would have set.  Raises OptionError."""
    if "" in args.inputs:
        raise OptionError("an INPUT is empty; give a file, a folder or a camera")
    _refuse_commands(args.inputs)
    cameras = [word for word in args.inputs if CAMERA.fullmatch(word)]
    if cameras and len(args.inputs) > 1:
        rest = [*args.inputs]
        rest.remove(cameras[0])
        raise OptionError(f"{cameras[0]} is a camera, which cannot be combined with other inputs; leave {rest[0]} out")
    if cameras:
        args.camera = cameras[0]
        return
    paths = [parse_input(word) for word in args.inputs]
    photos = [path for path in paths if _holds_photos(path)]
    if photos and len(photos) < len(paths):
        video = next(path for path in paths if path not in photos)
        raise OptionError(
            f"photos and videos cannot be mixed; {photos[0]} holds photos, {video} does not: give two commands"
        )
    if photos:
        args.images = photos
    else:
        args.video = paths


def _refuse_commands(words: list[str]) -> None:
    """Refuse a command after an option, and a first word that is another program's or misspelt.  Raises OptionError."""
    if late := next((word for word in words if word in COMMANDS and not os.path.lexists(word)), None):
        raise OptionError(f"{late} is a command, which comes first: yoga-live {late}, then its options")
    word = words[0]
    if os.path.lexists(word) or not word.isascii() or not word.isalpha():
        return
    if word == "help":
        raise OptionError("help is not a command of yoga-live; did you mean --help?")
    if program := next((name for name, known in PROGRAMS.items() if word in known), None):
        raise OptionError(f"{word} is not a command of yoga-live; did you mean {program}?")
    if meant := suggest_word(word, COMMANDS):
        raise OptionError(f"{word} does not exist, and is not a command{meant}")


def place_beside(args: argparse.Namespace) -> None:
    """Name the outputs of an INPUT video that --save and --timeline do not name.

    With several videos, they are named where the videos are listed (`args.beside`).  A video that is watched in a
    window or on the page is shown in its own time, and only what is asked for is written.
    """
    if hasattr(args, "images") or hasattr(args, "camera"):
        return
    if args.save and not args.timeline and (hasattr(args, "videos") or args.save.is_dir()):
        args.timeline = args.save
    if hasattr(args, "videos"):
        args.beside = True
    elif hasattr(args, "video") and (args.save or not (args.serve or args.window)):
        args.save = args.save or add_suffix(name_beside([args.video])[0], ".mp4")
        if not args.timeline:
            args.timeline = args.save.with_suffix(f".poses.{args.timeline_format or 'csv'}")
            args.timeline_format = None


def _holds_photos(path: Path | RemoteFile) -> bool:
    """Whether a file is a photo, or a folder holds photos but no video."""
    if not isinstance(path, Path):
        return False
    if path.is_dir():
        return _holds_photos_alone(path)
    if path.suffix.lower() in EITHER - {".gif"}:
        from ..sources.animated_webp import is_animated_webp

        return not is_animated_webp(path)
    return path.suffix.lower() not in VIDEO_SUFFIXES and is_photo(path)


def _holds_photos_alone(folder: Path) -> bool:
    """Decide by file names, hidden files left out, as `list_files` does; GIFs count as videos."""
    found = False
    for _, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        suffixes = {Path(name).suffix.lower() for name in files if not name.startswith(".")}
        if suffixes & (VIDEO_SUFFIXES - EITHER):
            return False
        found = found or bool(suffixes & (PHOTO_SUFFIXES - {".gif"}))
    return found
