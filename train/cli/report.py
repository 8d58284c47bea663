"""`yoga-train report`, which writes a page about a run; imports nothing heavy before it runs."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ...runtime.errors import OptionError, OutputError
from ...runtime.system.cli_runner import add_command
from ...runtime.system.option_types import read_whole
from ...runtime.system.plain_text import format_count, print
from ...runtime.system.progress import announce_torch

if TYPE_CHECKING:
    from ..report.comparison import Comparison
    from ..report.measure import Report
    from ..report.pictures import RunPictures

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

EXAMPLES = """examples:
  yoga-train report runs/first                          writes runs/first/report/report.html, replacing an earlier one
  yoga-train report runs/deep --against runs/first      also compares the two, photo by photo
  yoga-train report runs/first --photos /new/place      if the photo folder was moved

Open the page in any browser. It is one file, and needs neither a server nor the internet."""


def add_report(commands: Commands) -> None:
    """Define report."""
    sentence = "Write one page about a run: accuracy, confusions, class maps, likely label errors."
    report = add_command(commands, "report", sentence, EXAMPLES)
    report.set_defaults(run=_report)
    report.add_argument("folder", type=Path, metavar="RUN", help="a finished run, such as runs/first")
    report.add_argument(
        "--against", type=Path, default=argparse.SUPPRESS, metavar="RUN", help="another run to compare with"
    )
    report.add_argument(
        "--photos",
        type=Path,
        default=argparse.SUPPRESS,
        metavar="FOLDER",
        help="where the photos are now (default: where they were at the training)",
    )
    report.add_argument(
        "--top", type=_top, default=24, metavar="N", help="photos with the highest loss to show, for each split"
    )


def _top(text: str) -> int:
    return read_whole(text, "a number of photos, 0 to 500", 0, 500)


def _report(args: argparse.Namespace) -> None:
    announce_torch("yoga-train")
    from ...calibration.runs import load_run
    from ..fit.network import load_network
    from ..report.measure import measure_report
    from ..report.pictures import make_pictures

    photos = getattr(args, "photos", None)
    if photos is not None and not photos.is_dir():
        raise OptionError(f"--photos {photos} is not a folder; give the one that now holds the run's photos")
    run = load_run(args.folder, photos)
    against = getattr(args, "against", None)
    if against is not None and against.resolve() == args.folder.resolve():
        raise OptionError(f"--against {against} is the run itself; give another one")
    other = load_run(against) if against is not None else None
    network = load_network(run.folder / "weights.safetensors", len(run.labels))
    page = run.folder / "report" / "report.html"
    with _claim(page):
        report = measure_report(run, other, args.top)
        pictures = make_pictures(run, network, report.list_pictured(), report.list_mapped())
        _write(report, pictures, page)
    _print_report(report)
    if pictures.missing:
        print(f"{format_count(pictures.missing, 'photo')} of the page not found in {run.photo_folder}; see --photos")
    print(f"page: {page} ({page.stat().st_size / 1e6:.1f} MB)")


@contextmanager
def _claim(page: Path) -> Iterator[None]:
    """Lock the page, which is always replaced, against another report of this run."""
    from ...runtime.system.claims import hold, name_lock

    try:
        page.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {page}: {error.strerror}; fix this and try again") from error
    with hold(name_lock(page), page):
        yield


def _write(report: Report, pictures: RunPictures, page: Path) -> None:
    from ..report.page import write_report

    try:
        write_report(report, pictures, page)
    except OSError as error:
        raise OutputError(f"cannot write {page}: {error.strerror}; fix this and try again") from error


def _print_report(report: Report) -> None:
    print(f"test accuracy {report.test}, mean recall {report.mean_recall:.1%}")
    if report.frozen:
        print(f"frozen        {report.frozen}")
    for line in (*report.left_out, *report.second_opinion):
        print(line)
    if report.same_room:
        print(report.same_room)
    print(*report.cautions, sep="\n", end="\n" if report.cautions else "")
    for truth, answer, count in report.pairs[:5]:
        print(f"{'':>14}{truth} classified as {answer}: {format_count(count, 'photo')}")
    print(report.suspects.total.describe(out_of_fold=report.suspects.out_of_fold))
    if report.comparison:
        _print_comparison(report, report.comparison)


def _print_comparison(report: Report, both: Comparison) -> None:
    names = [report.run.folder.resolve().name, both.other.folder.resolve().name]
    rows = [("own test photos", report.test, both.test)]
    if both.shared:
        rows.append((format_count(both.shared, "shared test photo"), both.ours, both.theirs))
        rows += [(f"  {row.pose} ({row.ours.total})", row.ours, row.theirs) for row in both.recalls if row.ours.total]
    wide = max(len(row[0]) for row in rows)
    columns = [max(8, len(name)) for name in names]
    print()
    print(f"{'accuracy':{wide}}  {names[0]:>{columns[0]}}  {names[1]:>{columns[1]}}")
    for title, ours, theirs in rows:
        print(f"{title:{wide}}  {ours.value:>{columns[0]}.1%}  {theirs.value:>{columns[1]}.1%}")
    if both.shared:
        verdict = f"McNemar's exact p = {both.p_value:.3g}"
        print(
            f"{format_count(len(both.won), 'photo')} now right, {len(both.lost)} now wrong, compared with {names[1]}; "
            f"{verdict}"
        )
    else:
        print("the two runs share no test photo, so they cannot be compared photo by photo")
    if both.left_out.trained_by_other:
        count = format_count(both.left_out.trained_by_other, "test photo")
        print(f"{count} left out, because {names[1]} used them in training or validation")
    print()
