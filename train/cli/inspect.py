"""`yoga-train stats` and `show`, which inspect a photo folder; imports nothing heavy before one of them runs."""

from __future__ import annotations

import argparse
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ...runtime.errors import MissingPackageError, OptionError, OutputError
from ...runtime.system.cli_runner import add_command
from ...runtime.system.plain_text import format_count, print
from ...runtime.system.progress import announce_torch
from .option_types import add_copies, add_mirroring, read_index, read_sheet_count, read_side

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

STATS_EXAMPLES = """examples:
  yoga-train stats photos                               a table, and photos/stats.html with pictures"""

SHOW_EXAMPLES = """examples:
  yoga-train show photos --to batch.png                 as the network sees them in training
  yoga-train show photos --to plain.png --plain         as it sees them in validation and live"""


def add_view_commands(commands: Commands) -> None:
    """Define stats and show."""
    _add_stats(commands)
    _add_show(commands)


def _add_stats(commands: Commands) -> None:
    sentence = "Count photos, near-duplicates, pictures under more than one pose, photos worth a look, and failures."
    stats = add_command(commands, "stats", sentence, STATS_EXAMPLES)
    stats.set_defaults(run=_stats)
    stats.add_argument("photos", type=Path, help="folder with one folder of photos per pose")
    stats.add_argument(
        "--html",
        type=Path,
        default=argparse.SUPPRESS,
        metavar="FILE",
        help="page with pictures (default: PHOTOS/stats.html, which is always replaced)",
    )
    stats.add_argument("--force", action="store_true", help="replace the file of --html")
    stats.add_argument(
        "--no-people", action="store_false", dest="people",
        help="do not look for photos of nobody, of several people and collages, which takes a while the first time",
    )  # fmt: skip
    add_copies(stats)


def _add_show(commands: Commands) -> None:
    sentence = "Draw a labelled contact sheet of photos as the network sees them."
    show = add_command(commands, "show", sentence, SHOW_EXAMPLES)
    show.set_defaults(run=_show)
    show.add_argument("photos", type=Path, help="folder with one folder of photos per pose")
    show.add_argument("--to", type=Path, required=True, metavar="FILE", help="sheet to write, .png or .jpg")
    show.add_argument("--count", type=read_sheet_count, default=48, metavar="N", help="photos on the sheet")
    show.add_argument("--size", type=read_side, default=224, metavar="PIXELS", help="side of the network's input")
    show.add_argument("--seed", type=read_index, default=0, help="another seed shows other photos")
    show.add_argument("--plain", action="store_true", help="without augmentation")
    show.add_argument("--force", action="store_true", help="replace an existing sheet")
    add_mirroring(show.add_argument_group("training"))


def _stats(args: argparse.Namespace) -> None:
    from ...runtime.system.claims import claim_outputs

    if hasattr(args, "html"):
        with claim_outputs([args.html], force=args.force):
            _measure(args, args.html, replace=args.force)
    else:
        _measure(args, args.photos / "stats.html", replace=True)


def _measure(args: argparse.Namespace, page: Path, *, replace: bool) -> None:
    from ..people.finding import list_contents
    from ..people.flags import KINDS, FolderFlags, find_flags, format_flags
    from ..photos.stats import format_table, measure_folder, write_page

    photos, stats = measure_folder(args.photos, args.mirror)
    print(*format_table(stats).split("\n"), sep="\n")
    found = find_flags(args.photos, list_contents(photos.photos)) if args.people else FolderFlags()
    if lines := format_flags(found):
        print(*lines.split("\n"), sep="\n")
    kinds = {path: flag.kind for path, flag in found.flags.items()}
    review = {kind: [n for n, photo in enumerate(photos.photos) if kinds.get(photo.path) == kind] for kind in KINDS}
    try:
        write_page(stats, photos, page, replace=replace, review=review)
    except OSError as error:
        raise OutputError(f"cannot write {page}: {error.strerror}; give another file with --html") from error
    print(f"page: {page}")


def _show(args: argparse.Namespace) -> None:
    from ...runtime.system.claims import claim_outputs

    if args.to.suffix.lower() not in {".png", ".jpg", ".jpeg"}:
        raise OptionError(f"--to {args.to} is not a picture; give a name that ends in .png or .jpg")
    with claim_outputs([args.to], force=args.force):
        _draw(args)


def _draw(args: argparse.Namespace) -> None:
    if not args.plain:
        if find_spec("torch") is None:
            raise MissingPackageError(
                "show varies photos as training does, with torch, which is not installed; give --plain, "
                'or run in the folder of yoga-live: pip install ".[train]"'
            )
        announce_torch("yoga-train")
    from ..fit.config import Augmentation
    from ..photos.folder import list_poses
    from ..photos.mirroring import choose_mirroring
    from ..report.contact_sheet import (
        AUGMENTED,
        MIRRORED,
        PLAIN,
        augment_batch,
        draw_batch,
        swap_labels,
        write_contact_sheet,
    )

    batch, labels = draw_batch(args.photos, args.count, args.size, args.seed)
    frames, notes, legend = batch.frames[: len(labels)], None, PLAIN
    if not args.plain:
        mirroring = choose_mirroring(list_poses(args.photos, least=1), args.mirror, tuple(args.mirror_swaps))
        if mirroring.reason:
            print(mirroring.reason)
        ranges, legend = Augmentation(), AUGMENTED
        if not mirroring.is_on:
            ranges, legend = replace(ranges, mirror=0.0), tuple(line.replace(MIRRORED, "") for line in legend)
        frames, notes = augment_batch(batch, len(labels), ranges, args.seed)
        labels = swap_labels(labels, notes, mirroring)
    legend = tuple(line.format(size=args.size) for line in legend)
    write_contact_sheet(frames, labels, args.to, notes, legend, replace=args.force)
    print(f"written: {args.to}, {format_count(len(labels), 'photo')} of {', '.join(dict.fromkeys(labels))}")
