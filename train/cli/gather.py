"""`yoga-train collect`, `download`, `add` and `capture`; imports nothing heavy before one of them runs."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...runtime.cli.option_groups import add_mounting
from ...runtime.cli.options import read_mounting
from ...runtime.errors import DeviceError, OptionError
from ...runtime.system.cli_runner import add_command
from ...runtime.system.plain_text import format_command, format_count, print
from ..gather.config import CaptureConfig, DownloadConfig
from ..gather.image_search import ENGINES, SearchError, SearchOutcome
from .option_types import add_copies, read_count, read_requests, read_seconds, read_wait

if TYPE_CHECKING:
    from ...runtime.sinks.base import Sink
    from ..gather.download import DownloadSummary

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

COLLECT_EXAMPLES = """examples:
  yoga-train collect "down dog pose yoga" "adho mukha svanasana" --pose down_dog --to lists
  yoga-train collect --urls found.csv --pose tree --to lists            import URLs instead of searching
  yoga-train collect --urls found.jsonl --to lists                      a list with a label: one list for each

Search engines have terms of use, and photographers have rights. Check what you may do with the photos."""

DOWNLOAD_EXAMPLES = """examples:
  yoga-train download lists --to photos                 lists/tree.csv, ... -> photos/tree/*, ...; repeat to continue"""

ADD_EXAMPLES = """examples:
  yoga-train add ~/Pictures/class --pose tree --to photos               copies them to photos/tree
  yoga-train add dataset.zip --to photos                                a data set with labels: to photos/LABEL

Without --pose the labels come from the data set's layout: a folder per class, also inside train/, val/ and test/; a CSV
with a column of files and a column label, class, category or pose; Roboflow's _classes.csv; Hugging Face's metadata.csv
or metadata.jsonl; COCO and YOLO where all boxes of a photo are of one category. What the data set tests on is kept in
manifest.csv: yoga-train fit photos --to RUN --split given trains and tests on the same photos."""

CAPTURE_EXAMPLES = """examples:
  yoga-train capture --pose tree --camera 0 --to photos                 after a countdown of 5 s
  yoga-train capture --pose none --to photos --count 60 --every 1       no pose: you at rest, and the empty room
  yoga-train capture --pose tree --video practice.mp4 --to photos       from a recording"""


def add_gather_commands(commands: Commands) -> None:
    """Define collect, download, add and capture."""
    _add_collect(commands)
    _add_download(commands)
    _add_add(commands)
    _add_capture(commands)


def _add_collect(commands: Commands) -> None:
    sentence = "Search the web for photos, or import URLs, into one list per pose."
    collect = add_command(commands, "collect", sentence, COLLECT_EXAMPLES)
    collect.set_defaults(run=_collect)
    collect.add_argument("queries", nargs="*", metavar="WORDS", help='what to search for, such as "tree pose yoga"')
    collect.add_argument(
        "--to", type=Path, required=True, metavar="LISTS", help="folder of the lists; existing ones are extended"
    )
    collect.add_argument(
        "--pose",
        default=argparse.SUPPRESS,
        metavar="NAME",
        help="pose in the photos, such as down_dog; may be left out where --urls has a column label, class, category "
        "or pose, which then makes one list for each of its values",
    )
    importing = collect.add_argument_group("import a list instead of searching")
    importing.add_argument(
        "--urls",
        type=Path,
        default=argparse.SUPPRESS,
        metavar="FILE",
        help="text with one URL per line, CSV, TSV, JSON, JSON Lines, Parquet (needs pyarrow), a saved web page or "
        "Markdown, also packed with gzip; or a folder of them. Which column or key was taken is printed",
    )
    search = collect.add_argument_group("search")
    search.add_argument("--max", type=read_count, default=400, metavar="N", help="most URLs from each search")
    search.add_argument(
        "--engine",
        action="append",
        choices=ENGINES,
        default=argparse.SUPPRESS,
        help=f"search engine; repeatable (default: {' and '.join(ENGINES)})",
    )


def _add_download(commands: Commands) -> None:
    sentence = "Download the photos of URL lists; repeat the command to fetch what is missing."
    download = add_command(commands, "download", sentence, DOWNLOAD_EXAMPLES)
    download.set_defaults(run=_download)
    download.add_argument(
        "lists",
        type=Path,
        help="folder with one list per pose (tree.csv, ...), or one list, whose column label, class, category or pose "
        "names the poses if it has one; all forms that collect --urls reads",
    )
    download.add_argument(
        "--to", type=Path, required=True, metavar="PHOTOS", help="photo folder; an existing one is extended"
    )
    requests = download.add_argument_group("requests")
    requests.add_argument(
        "--total", type=read_requests, default=DownloadConfig.total, metavar="N", help="simultaneous requests"
    )
    requests.add_argument(
        "--per-host",
        type=read_requests,
        default=DownloadConfig.per_host,
        metavar="N",
        help="simultaneous requests to one host",
    )
    requests.add_argument(
        "--timeout",
        type=read_seconds,
        default=DownloadConfig.timeout_s,
        metavar="SECONDS",
        help="give up after this time without data",
    )
    requests.add_argument(
        "--allow-private",
        action="store_true",
        help="also fetch from this machine and the local network; only for lists that you trust",
    )


def _add_add(commands: Commands) -> None:
    add = add_command(commands, "add", "Copy photos that you already have into a photo folder.", ADD_EXAMPLES)
    add.set_defaults(run=_add)
    add.add_argument(
        "folder",
        type=Path,
        help="folder of photos, with the folders in it; a data set with labels; its zip file; or one photo",
    )
    add.add_argument(
        "--pose",
        default=argparse.SUPPRESS,
        metavar="NAME",
        help="pose in all of the photos, such as tree (default: the labels of the data set, see below)",
    )
    add.add_argument(
        "--to", type=Path, required=True, metavar="PHOTOS", help="photo folder; an existing one is extended"
    )
    add_copies(add)


def _add_capture(commands: Commands) -> None:
    capture = add_command(commands, "capture", "Take photos with a camera, after a countdown.", CAPTURE_EXAMPLES)
    capture.set_defaults(run=_capture)
    capture.add_argument("--pose", required=True, metavar="NAME", help="pose that you will hold, such as tree")
    capture.add_argument(
        "--to", type=Path, required=True, metavar="PHOTOS", help="photo folder; an existing one is extended"
    )
    source = capture.add_mutually_exclusive_group()
    source.add_argument(
        "--camera",
        default=argparse.SUPPRESS,
        metavar="ADDRESS",
        help="as for yoga-live: a number, csi://0, rtsp://... (default: 0)",
    )
    source.add_argument(
        "--video", type=Path, default=argparse.SUPPRESS, metavar="FILE", help="a recording instead of a camera"
    )
    capture.add_argument("--count", type=read_count, default=CaptureConfig.count, metavar="N", help="photos to take")
    capture.add_argument(
        "--every", type=read_seconds, default=CaptureConfig.every_s, metavar="SECONDS", help="time between photos"
    )
    capture.add_argument(
        "--countdown",
        type=read_wait,
        default=argparse.SUPPRESS,
        metavar="SECONDS",
        help="time to get into the pose (default: 5; 0 for a video)",
    )
    add_mounting(capture.add_argument_group("a camera that is mounted sideways, upside down or in front of a mirror"))


def _collect(args: argparse.Namespace) -> None:
    from ..gather.url_lists import check_pose

    pose = check_pose(args.pose) if hasattr(args, "pose") else ""
    if bool(args.queries) == hasattr(args, "urls"):
        raise OptionError('give either words to search for, such as "tree pose yoga", or --urls FILE, not both')
    refused: Counter[str] = Counter()
    if not args.queries:
        _import(args.urls, args.to, pose, refused)
    elif pose:
        _search(args, args.to / f"{pose}.csv", refused)
    else:
        raise OptionError("the pose in the photos that are searched for is required: --pose NAME, such as down_dog")
    _print_refused(refused)
    print(f"next: yoga-train download {format_command(args.to)} --to photos")


def _import(urls: Path, to: Path, pose: str, refused: Counter[str]) -> None:
    """Add the URLs of a list, or of a folder of lists, to the list of their pose."""
    from ..gather.url_import import import_urls

    for imported in import_urls(urls, to, pose, refused):
        print(imported.describe())
        for path, merge in imported.merges.items():
            print(f"{path}: {format_count(merge.added, 'URL')} added, {merge.known} already known")


def _print_refused(refused: Counter[str]) -> None:
    for reason, count in refused.most_common():
        print(f"{count:7d} {'line' if count == 1 else 'lines'} ignored: {reason}")


def _search(args: argparse.Namespace, path: Path, refused: Counter[str]) -> None:
    """Search, and merge each engine's results at once, so that an interruption loses nothing."""
    from ...runtime.system.progress import Progress
    from ..gather.image_search import DdgsSearcher, ImageSearch
    from ..gather.url_lists import merge_list, parse_list

    engines = tuple(dict.fromkeys(getattr(args, "engine", ENGINES)))
    searchers = {name: DdgsSearcher(name) for name in engines}
    outcomes: list[SearchOutcome] = []
    added = known = 0
    try:
        with Progress("searching", None, "addresses") as progress:
            search = ImageSearch(searchers, args.max, progress.advance)
            for outcome in search.run(args.queries):
                outcomes.append(outcome)
                if outcome.urls:
                    merge = merge_list(parse_list(outcome.urls, refused), path)
                    added, known = added + merge.added, known + merge.known
    finally:
        for outcome in outcomes:
            print(_describe_search(outcome))
        if added or known:
            print(f"{path}: {format_count(added, 'URL')} added, {known} already known")
    if not any(outcome.pages for outcome in outcomes):
        raise SearchError(f"no search succeeded: {outcomes[0].reason}; {path} is unchanged")


def _describe_search(outcome: SearchOutcome) -> str:
    words = f"{len(outcome.urls):7d} found by {outcome.engine}: {outcome.query}"
    if outcome.reason:
        return f"{words} ({outcome.reason})"
    return words if outcome.urls else f"{words} (nothing new; try other words)"


def _download(args: argparse.Namespace) -> None:
    from ..gather.download import download

    config = DownloadConfig(args.total, args.per_host, args.timeout, args.allow_private)
    summary = download(args.lists, args.to, config)
    _print_summary(summary, args.to)
    _group(args.to)
    failed = sum(count for (status, _), count in summary.outcomes.items() if status == "failed")
    if failed:
        print(f"next: repeat the command to try {format_count(failed, 'failed URL')} again")


def _print_summary(summary: DownloadSummary, photos: Path) -> None:
    for taken, lists in summary.taken.items():
        print(f"{lists[0]}{f' and {len(lists) - 1} more' if len(lists) > 1 else ''}: {taken}")
    if summary.settled_before:
        print(f"{summary.settled_before:7d} done earlier")
    _print_outcomes(summary.outcomes)
    _print_refused(summary.refused_lines)
    print(f"photos: {photos}   every URL and its outcome: {photos / 'manifest.csv'}")


def _print_outcomes(outcomes: Counter[tuple[str, str]]) -> None:
    """Print the outcomes: photos first, then the reasons by frequency."""
    for (status, kind), count in sorted(outcomes.items(), key=lambda row: (row[0][0] != "ok", -row[1], row[0])):
        print(f"{count:7d} {status:10} {kind}".rstrip())


def _group(photos: Path, mirror: bool | None = None) -> None:
    """Fill in the manifest's duplicate groups, and report pictures under several poses."""
    from ..photos.manifest_groups import fill_groups

    summary = fill_groups(photos, mirror)
    alike = f", {summary.groups} if those that look alike count once" if summary.groups < summary.photos else ""
    print(f"{format_count(summary.photos, 'photo')} in manifest.csv{alike}")
    if summary.conflicts:
        pictures = format_count(summary.conflicts, "picture")
        print(
            f"{pictures} under more than one pose, so a label is wrong; see: yoga-train stats {format_command(photos)}"
        )


def _add(args: argparse.Namespace) -> None:
    from ..gather.add_files import add_folder
    from ..gather.add_layout import add_layout
    from ..layouts.zip_files import is_zip

    pose = getattr(args, "pose", "")
    if pose and not is_zip(args.folder):
        _print_outcomes(add_folder(args.folder, pose, args.to))
        added = None
    else:
        added = add_layout(args.folder, args.to, pose)
        print(f"{args.folder}: {added.layout.describe()}")
        _print_outcomes(added.outcomes)
        for reason, count in added.layout.left_out.most_common():
            print(f"{count:7d} left out   {reason}")
    print(f"photos: {args.to / pose}   every photo and its outcome: {args.to / 'manifest.csv'}")
    _group(args.to, args.mirror)
    _ask_about_none([pose] if pose else added.poses if added else [], args.to)
    if added is not None and added.layout.has_splits:
        print(f"next: yoga-train fit {format_command(args.to)} --to runs/first --split given")


def _ask_about_none(poses: Sequence[str], photos: Path) -> None:
    """Ask about poses whose name seems to mean `none`."""
    from ...runtime.core.none_class import describe_lookalike, find_none_lookalikes
    from ...runtime.core.types import NO_POSE

    for pose in find_none_lookalikes(poses):
        print(describe_lookalike(pose, has_none=(photos / NO_POSE).is_dir()))


def _capture(args: argparse.Namespace) -> None:
    from contextlib import ExitStack
    from datetime import datetime

    from ...runtime.sources.camera_config import CameraConfig
    from ...runtime.sources.cameras import open_camera
    from ...runtime.sources.video import VideoSource
    from ...runtime.system.addresses import hide_credentials
    from ..gather.capture import capture_photos
    from ..gather.url_lists import check_pose

    check_pose(args.pose)
    is_camera = not hasattr(args, "video")
    mounting = read_mounting(args)
    config = CaptureConfig(
        getattr(args, "countdown", CaptureConfig.countdown_s if is_camera else 0.0), args.count, args.every
    )
    with ExitStack() as stack:
        if is_camera:
            address = getattr(args, "camera", "0")
            source = stack.enter_context(open_camera(address, CameraConfig(mounting=mounting)))
            origin = f"camera:{hide_credentials(address)}/{datetime.now():%Y-%m-%dT%H:%M:%S}"
        else:
            source = stack.enter_context(VideoSource(args.video, mounting=mounting))
            origin = args.video.resolve().as_uri()
        window = _open_window(source.info.size_wh) if is_camera else None
        if window is not None:
            stack.callback(window.close)
        on_words = _Announcer().say if is_camera and window is None else lambda words: None
        captured = capture_photos(source, origin, args.pose, args.to, config, on_words, window)
    taken = sum(captured.outcomes.values())
    _print_outcomes(captured.outcomes)
    print(f"{taken} of {format_count(args.count, 'photo')} taken: {args.to / args.pose}")
    if taken:
        _group(args.to)
    if captured.error:
        raise captured.error
    if captured.stopped and not is_camera:  # stopping a camera is its normal end
        raise KeyboardInterrupt(f"stopped after {taken} of {format_count(args.count, 'photo')}")
    if not taken and not is_camera:
        raise OptionError(f"{args.video} ends before the countdown of {config.countdown_s:g} s; give --countdown 0")


def _open_window(size_wh: tuple[int, int]) -> Sink | None:
    """Open a window if there is a display."""
    from ...runtime.sinks.base import WindowSink

    try:
        return WindowSink(size_wh)
    except DeviceError:
        print("yoga-train: no display for a window; the countdown is printed instead", file=sys.stderr)
        return None


class _Announcer:
    """Prints the countdown on stderr, each number once."""

    def __init__(self) -> None:
        self._said = ""

    def say(self, words: str) -> None:
        if words != self._said:
            self._said = words
            print(words, file=sys.stderr, flush=True)
