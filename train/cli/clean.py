"""`yoga-train clean`: look through the photos most likely wrong on a page, or let the surest marks be made."""

from __future__ import annotations

import argparse
import asyncio
import shlex
import signal
import sys
import webbrowser
from collections import Counter
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ...runtime.errors import OptionError, PhotoError, RunError
from ...runtime.system.cli_runner import HelpFormatter
from ...runtime.system.item_failures import Failure, attempt
from ...runtime.system.option_types import quote, read_whole
from ...runtime.system.plain_text import print

if TYPE_CHECKING:
    from ..clean.cleaner import Cleaner
    from ..clean.review_list import CleaningList
    from ..clean.server import CleaningServer

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

CERTAINTY = 0.95
LEAST_ACCURACY = 0.75  # of the run's answers; below, `--auto` would mostly act on the network's mistakes

CLEAN_EXAMPLES = """examples:
  yoga-train clean photos runs/first                    a page in your browser, likely wrong photos first
  yoga-train clean photos runs/first --auto --dry-run   what would be marked without looking
  yoga-train clean photos runs/first --auto 0.98        mark it
  yoga-train clean photos runs/first --undo 12          take the last 12 marks back

Every mark is saved at once, in photos/cleaning.jsonl; removed photos move to photos/_removed. Nothing is deleted.
Cleaning test photos changes what the next run is measured with; --auto leaves them alone. Train the next run with
--split-of runs/first, as the last line says: dealt anew, photos that --auto has cleaned by this network would be
tested on, and the accuracy would look better than it is."""


def add_clean(commands: Commands) -> None:
    """Define the command."""
    clean = commands.add_parser(
        "clean",
        help="keep, remove or relabel the photos that are likely wrong",
        epilog=CLEAN_EXAMPLES,
        formatter_class=HelpFormatter,
    )
    clean.set_defaults(run=_clean)
    clean.add_argument("photos", type=Path, help="folder with one folder of photos per pose")
    clean.add_argument("from_run", type=Path, metavar="RUN", help="a run trained with these photos, such as runs/first")
    clean.add_argument("--port", type=_port, default=0, metavar="N", help="port of the page; 0 is any free one")
    clean.add_argument("--no-browser", action="store_true", help="print the page's address only")
    instead = clean.add_mutually_exclusive_group()
    instead.add_argument(
        "--auto",
        type=_certainty,
        nargs="?",
        const=CERTAINTY,
        default=argparse.SUPPRESS,
        metavar="CERTAINTY",
        help=f"no page: mark what the run is at least so sure of, 0.5 to 1 (without a number: {CERTAINTY})",
    )
    instead.add_argument(
        "--undo",
        type=_count,
        default=argparse.SUPPRESS,
        metavar="N",
        help="no page: take the last N marks back, of any session",
    )
    clean.add_argument("--dry-run", action="store_true", help="with --auto: say what would be marked, mark nothing")


def _port(text: str) -> int:
    return read_whole(text, "a port from 0 to 65535", 0, 65535)


def _certainty(text: str) -> float:
    with suppress(ValueError):
        if 0.5 < float(text) < 1:
            return float(text)
    raise argparse.ArgumentTypeError(f"{quote(text)} is not a certainty between 0.5 and 1, such as {CERTAINTY}")


def _count(text: str) -> int:
    return read_whole(text, "a number of marks, 1 to 1,000,000", 1, 1_000_000)


def _clean(args: argparse.Namespace) -> None:
    from ...calibration.runs import load_run
    from ..clean.cleaner import open_cleaner
    from ..clean.review_list import CleaningList
    from ..photos.folder import read_contents
    from ..run_files.predictions import load_predictions

    if args.dry_run and not hasattr(args, "auto"):
        raise OptionError("--dry-run goes with --auto")
    run = load_run(args.from_run, args.photos)
    predictions = load_predictions(run)
    contents = {} if hasattr(args, "undo") else read_contents(args.photos, run.size)
    by = f"auto {args.auto:g}" if hasattr(args, "auto") else "hand"
    with open_cleaner(args.photos, contents, run.folder.name, by) as cleaner:
        if hasattr(args, "undo"):
            _undo(cleaner, args.undo)
            return
        photos = CleaningList(cleaner, run, predictions)
        _introduce(photos)
        if hasattr(args, "auto"):
            _check_accuracy(photos)
            _mark_automatically(photos, args)
        else:
            _serve(photos, args)


def _introduce(photos: CleaningList) -> None:
    from ..clean.review_list import SEEN_TRAINING

    print(f"{photos.errors.count} of {len(photos.run.photos)} labels are likely wrong, by {photos.run.folder}")
    if photos.missing:
        print(f"{photos.missing} photos of the run are no longer in {photos.cleaner.folder}")
    if photos.replaced:
        print(f"in the place of {photos.replaced} of them lies another picture now, which the run was not asked about")
    if not photos.predictions.out_of_fold:
        print(SEEN_TRAINING)


def _check_accuracy(photos: CleaningList) -> None:
    """Refuse marks by a network that is wrong more often than labels are, on photos it never saw.  Raises RunError."""
    from ...calibration.metrics import measure_accuracy

    answers = photos.predictions.probabilities.argmax(axis=1)
    accuracy = measure_accuracy(answers[photos.unseen], photos.targets[photos.unseen])
    if not accuracy.value >= LEAST_ACCURACY:  # nor where there is none
        raise RunError(
            f"{photos.run.folder} agrees with only {accuracy.right} of the {accuracy.total} labels of photos it never "
            f"saw ({LEAST_ACCURACY:.0%} are asked), too few for --auto; train it longer or at a larger --size, or look "
            "at the photos on the page (without --auto)"
        )


def _serve(photos: CleaningList, args: argparse.Namespace) -> None:
    """Show the page until Ctrl-C."""
    from ..clean.server import CleaningServer

    before = photos.cleaner.last_number
    with suppress(KeyboardInterrupt):  # where signals cannot be handled on the loop (Windows)
        asyncio.run(_serve_until_stopped(CleaningServer(photos), args.port, browser=not args.no_browser))
    counts = photos.cleaner.count_marks(since=before)
    print()
    print(f"{counts['keep']} kept, {counts['remove']} removed, {counts['relabel']} relabelled")
    _report_end(photos.cleaner, args)


async def _serve_until_stopped(server: CleaningServer, port: int, *, browser: bool) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    with suppress(NotImplementedError, ValueError, RuntimeError):  # Windows; not in the main thread
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopped.set)
    async with server.serve(port) as address:
        print(f"cleaning page, for this machine only: {address}", flush=True)
        print("Ctrl-C ends it; every mark is saved at once", flush=True)
        if browser and not await asyncio.to_thread(webbrowser.open, address):
            print("yoga-train: no browser could be opened; open the address yourself", file=sys.stderr)
        await stopped.wait()


def _mark_automatically(photos: CleaningList, args: argparse.Namespace) -> None:
    from ..clean.automatic import plan_marks

    plan = plan_marks(photos, args.auto)
    changes: Counter[tuple[str, str]] = Counter()
    made = 0
    for planned in plan.marks:
        pose = planned.photo.pose
        if not args.dry_run:
            try:
                checked = attempt(planned.photo.path, partial(photos.cleaner.check_content, planned.photo))
                if isinstance(checked, Failure):
                    raise PhotoError(checked.reason)
                photos.cleaner.mark(planned.photo, planned.action, planned.to_pose)
            except PhotoError as error:
                print(f"yoga-train: {error}", file=sys.stderr)
                continue
        made += 1
        changes[pose, f"relabelled to {planned.to_pose}" if planned.to_pose else "removed"] += 1
    would = "would be " if args.dry_run else ""
    for (pose, words), count in sorted(changes.items()):
        print(f"{count:7d} {pose}: {would}{words}")
    print(f"{made} photos {would}marked, those the run is at least {args.auto:.1%} sure of")
    if plan.left_test:
        print(f"{plan.left_test} more are test photos, left alone: look at them on the page")
    if made and not args.dry_run:
        print(f"take it back with: yoga-train clean {args.photos} {args.from_run} --undo {made}")
        _report_end(photos.cleaner, args)


def _undo(cleaner: Cleaner, count: int) -> None:
    undone = 0
    while undone < count and (photo := cleaner.undo()):
        undone += 1
        print(f"{photo.path}: as before")
    print(f"{undone} marks taken back")


def _report_end(cleaner: Cleaner, args: argparse.Namespace) -> None:
    from ..photos.folder import list_poses

    there = Counter(photo.pose for photo in cleaner.photos if not photo.is_removed)
    for pose in [pose for pose in list_poses(args.photos, least=1) if not there[pose]]:
        print(f"{pose} has no photo left: add some, or take the folder away before training")
    print(f"removed photos lie in {args.photos / '_removed'}; every mark: {args.photos / 'cleaning.jsonl'}")
    command = ("yoga-train", "fit", args.photos, "--to", "runs/next", "--split-of", args.from_run)
    print(f"next: {shlex.join(map(str, command))}")
