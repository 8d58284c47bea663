"""`yoga-train clean`: check the likely label errors on a page, or mark the surest ones automatically."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import webbrowser
from collections import Counter
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ...runtime.errors import OptionError, PhotoError, RunError
from ...runtime.system.cli_runner import add_command
from ...runtime.system.item_failures import Failure, attempt
from ...runtime.system.option_types import quote, read_whole
from ...runtime.system.plain_text import format_command, format_count, print

if TYPE_CHECKING:
    from ..clean.cleaner import Cleaner
    from ..clean.review_list import CleaningList
    from ..clean.server import CleaningServer

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

CERTAINTY = 0.95

CLEAN_EXAMPLES = """examples:
  yoga-train clean photos runs/first                    opens a page in your browser, likely label errors first
  yoga-train clean photos runs/first --auto --dry-run   shows what --auto would mark
  yoga-train clean photos runs/first --auto 0.98        marks photos without a page
  yoga-train clean photos runs/first --undo 12          takes back the last 12 marks

Every mark is saved at once in photos/cleaning.jsonl. Removed photos move to photos/_removed; nothing is deleted.
Cleaning test photos changes the test of the next run; --auto leaves them alone. Train the next run with --split-of
runs/first: with a new split, photos that --auto has cleaned with this network could become test photos, and the
accuracy would look better than it is."""


def add_clean(commands: Commands) -> None:
    """Define the command."""
    sentence = "Keep, remove or relabel the photos that are likely mislabelled."
    clean = add_command(commands, "clean", sentence, CLEAN_EXAMPLES)
    clean.set_defaults(run=_clean)
    clean.add_argument("photos", type=Path, help="folder with one folder of photos per pose")
    clean.add_argument("from_run", type=Path, metavar="RUN", help="a run trained with these photos, such as runs/first")
    clean.add_argument("--port", type=_port, default=0, metavar="N", help="port of the page; 0: any free one")
    clean.add_argument("--no-browser", action="store_true", help="only print the page's address")
    instead = clean.add_mutually_exclusive_group()
    instead.add_argument(
        "--auto",
        type=_certainty,
        nargs="?",
        const=CERTAINTY,
        default=argparse.SUPPRESS,
        metavar="CERTAINTY",
        help=f"no page: mark photos that the run is at least this sure of, 0.5 to 1 (without a number: {CERTAINTY})",
    )
    instead.add_argument(
        "--undo",
        type=_count,
        default=argparse.SUPPRESS,
        metavar="N",
        help="no page: take back the last N marks, of any session",
    )
    clean.add_argument("--dry-run", action="store_true", help="with --auto: only print what would be marked")


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
        raise OptionError("--dry-run needs --auto; add it, or leave --dry-run out")
    run = load_run(args.from_run, args.photos)
    predictions = load_predictions(run)
    contents = {} if hasattr(args, "undo") else read_contents(args.photos, run.size)
    by = f"auto {args.auto:g}" if hasattr(args, "auto") else "hand"
    with open_cleaner(args.photos, contents, run.folder.name, by, read_only=args.dry_run) as cleaner:
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

    out_of_fold = photos.predictions.out_of_fold
    print(photos.errors.count_among(photos.unseen).describe(out_of_fold=out_of_fold))
    trained = photos.errors.count_among(~photos.unseen)
    if not out_of_fold and trained.is_trusted:
        print(f"and {trained.suspects} of {format_count(trained.photos, 'training photo')}")
    if photos.missing:
        print(f"{format_count(photos.missing, 'photo')} of the run no longer in {photos.cleaner.folder}")
    if photos.replaced:
        print(f"{photos.replaced} of them replaced by another picture, for which the run has no prediction")
    if not out_of_fold:
        print(SEEN_TRAINING)


def _check_accuracy(photos: CleaningList) -> None:
    """Refuse marks by a network that is wrong too often on photos it was not trained on.  Raises RunError."""
    count = photos.errors.count_among(photos.unseen)
    if not count.is_trusted:
        raise RunError(
            f"--auto needs a better network than {photos.run.folder}: {count.describe_doubt()}; train it longer or at "
            "a larger --size, or check the photos on the page (without --auto)"
        )


def _serve(photos: CleaningList, args: argparse.Namespace) -> None:
    """Serve the page until Ctrl-C."""
    from ..clean.server import CleaningServer

    before = photos.cleaner.last_number
    with suppress(KeyboardInterrupt):  # if the loop cannot handle signals (Windows)
        asyncio.run(_serve_until_stopped(CleaningServer(photos), args.port, browser=not args.no_browser))
    counts = photos.cleaner.count_marks(since=before)
    print()
    print(f"{counts['keep']} kept, {counts['remove']} removed, {counts['relabel']} relabelled")
    _report_end(photos.cleaner, args)


async def _serve_until_stopped(server: CleaningServer, port: int, *, browser: bool) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    with suppress(NotImplementedError, ValueError, RuntimeError):  # on Windows, or outside the main thread
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopped.set)
    async with server.serve(port) as address:
        print(f"cleaning page, for this machine only: {address}", flush=True)
        print("Ctrl-C ends it; every mark is saved at once", flush=True)
        if browser and not await asyncio.to_thread(webbrowser.open, address):
            print("yoga-train: could not open a browser; open the address yourself", file=sys.stderr)
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
    print(f"{format_count(made, 'photo')} {would}marked; confidence of the run: at least {args.auto:.1%}")
    if plan.left_test:
        print(f"{format_count(plan.left_test, 'test photo')} left alone; check them on the page")
    if made and not args.dry_run:
        print(f"to undo: {format_command('yoga-train', 'clean', args.photos, args.from_run, '--undo', made)}")
        _report_end(photos.cleaner, args)


def _undo(cleaner: Cleaner, count: int) -> None:
    undone = 0
    while undone < count and (photo := cleaner.undo()):
        undone += 1
        print(f"{photo.path}: restored")
    print(f"{format_count(undone, 'mark')} taken back")


def _report_end(cleaner: Cleaner, args: argparse.Namespace) -> None:
    from ..photos.folder import list_poses

    there = Counter(photo.pose for photo in cleaner.photos if not photo.is_removed)
    for pose in [pose for pose in list_poses(args.photos, least=1) if not there[pose]]:
        print(f"{pose} has no photos left: add some, or remove the folder before training")
    print(f"removed photos: {args.photos / '_removed'}   every mark: {args.photos / 'cleaning.jsonl'}")
    command = ("yoga-train", "fit", args.photos, "--to", "runs/next", "--split-of", args.from_run)
    print(f"next: {format_command(*command)}")
