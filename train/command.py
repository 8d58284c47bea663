"""`yoga-train`: from URLs to photos, from photos to a run."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from ..runtime.command_line import HelpFormatter, run_command

if TYPE_CHECKING:
    from .download import DownloadSummary

EXAMPLES = """examples:
  yoga-train collect --urls found.csv --pose tree --to lists
  yoga-train download lists --to photos                 lists/tree.csv, ... -> photos/tree/*, ...; again to go on
  yoga-train fit photos --to runs/first                 photos/tree/*.jpg, photos/down_dog/*.jpg, ...
  yoga-train fit photos --to runs/deep --epochs 20      train longer
  yoga-train fit photos --to runs/offline --weights resnet34.safetensors

A folder named `none` may hold what is no pose: people standing about, empty rooms, pets."""


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Define the options; imports nothing heavy, so that --help answers at once."""
    parser = argparse.ArgumentParser(
        "yoga-train",
        description="Teach a computer your poses.",
        epilog=EXAMPLES,
        formatter_class=HelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_collect(commands)
    _add_download(commands)
    _add_fit(commands)
    return parser.parse_args(argv)


def _add_collect(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    collect = commands.add_parser(
        "collect", help="gather URLs of photos into one list per pose", formatter_class=HelpFormatter
    )
    collect.set_defaults(run=_collect)
    collect.add_argument(
        "--urls",
        type=Path,
        required=True,
        metavar="FILE",
        help="one URL a line, a CSV whose header names a url column, or Yoga-82's name<TAB>url",
    )
    collect.add_argument("--pose", required=True, metavar="NAME", help="what the photos show, such as down_dog")
    collect.add_argument("--to", type=Path, required=True, metavar="LISTS", help="folder of the lists; added to")


def _add_download(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    download = commands.add_parser(
        "download",
        help="fetch the photos of URL lists; a second run fetches only what is missing",
        formatter_class=HelpFormatter,
    )
    download.set_defaults(run=_download)
    download.add_argument("lists", type=Path, help="folder with one list per pose (tree.csv, ...), or one list")
    download.add_argument("--to", type=Path, required=True, metavar="PHOTOS", help="folder of the photos; added to")
    download.add_argument("--total", type=_requests, default=64, metavar="N", help="requests at once")
    download.add_argument("--per-host", type=_requests, default=8, metavar="N", help="requests at once to one host")
    download.add_argument(
        "--timeout", type=_seconds, default=10.0, metavar="SECONDS", help="give up after so long without a byte"
    )
    download.add_argument(
        "--allow-private",
        action="store_true",
        help="also fetch from this machine and the local network; only for lists that you wrote yourself",
    )


def _add_fit(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    fit = commands.add_parser(
        "fit",
        help="fine-tune a ResNet-34 on a folder per pose",
        epilog=EXAMPLES,
        formatter_class=HelpFormatter,
    )
    fit.set_defaults(run=_fit)
    fit.add_argument("photos", type=Path, help="folder with one folder of photos per pose")
    fit.add_argument("--to", type=Path, required=True, metavar="RUN", help="new folder for the run, such as runs/first")
    fit.add_argument(
        "--weights",
        default="imagenet",
        metavar="imagenet|none|FILE",
        help="starting weights; imagenet is downloaded once by torchvision",
    )
    fit.add_argument(
        "--epochs-frozen",
        type=_count,
        default=30,
        metavar="N",
        help="epochs of the new head alone, on features computed once",
    )
    fit.add_argument(
        "--epochs",
        type=_count,
        default=12,
        metavar="N",
        help="epochs of the whole network; 0 stops after the frozen phase",
    )
    fit.add_argument(
        "--size",
        type=_size,
        default=224,
        metavar="PIXELS",
        help="side of the network's input, a multiple of 32",
    )
    fit.add_argument("--batch", type=_batch, default=32, metavar="N", help="photos per step")
    fit.add_argument("--seed", type=_seed, default=0, help="same seed, same photos, same machine: same run")
    fit.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:1")
    fit.add_argument(
        "--train-only",
        default="",
        metavar="PATTERN",
        help="files whose name fits, such as 'drawn__*', are never held out for validation or test",
    )


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of epochs, 0 or more")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a seed, a whole number of 0 or more")
    return int(text)


def _batch(text: str) -> int:
    if not text.isdigit() or int(text) < 2:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a batch size; at least 2, because batch norm needs two photos"
        )
    return int(text)


def _requests(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 1000):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of requests, 1 to 1000")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0, such as 10")
    return seconds


def _size(text: str) -> int:
    if not text.isdigit() or int(text) < 32 or int(text) % 32:
        raise argparse.ArgumentTypeError(f"{text!r} is not a multiple of 32, such as 160, 192 or 224")
    return int(text)


def main(argv: list[str] | None = None) -> int:
    """Run `yoga-train`.  Returns the exit code."""
    args = parse_args(argv)
    return run_command("yoga-train", args.run, args)


def _collect(args: argparse.Namespace) -> None:
    from .url_lists import check_pose, merge_list, read_list

    path = args.to / f"{check_pose(args.pose)}.csv"
    refused: Counter[str] = Counter()
    merge = merge_list(read_list(args.urls, refused), path)
    print(f"{path}: {merge.added} URLs added, {merge.known} known already")
    _print_refused_lines(refused)
    print(f"next: yoga-train download {args.to} --to photos")


def _print_refused_lines(refused: Counter[str]) -> None:
    for reason, count in refused.most_common():
        print(f"{count:7d} lines left out: {reason}")


def _download(args: argparse.Namespace) -> None:
    from .download import DownloadConfig, download

    config = DownloadConfig(args.total, args.per_host, args.timeout, args.allow_private)
    _print_outcomes(download(args.lists, args.to, config), args.to)


def _print_outcomes(summary: DownloadSummary, photos: Path) -> None:
    """Say what came of every URL: photos first, then the reasons, the most frequent ones first."""
    if summary.settled_before:
        print(f"{summary.settled_before:7d} done in earlier runs")
    rows = sorted(summary.outcomes.items(), key=lambda row: (row[0][0] != "ok", -row[1], row[0]))
    for (status, kind), count in rows:
        print(f"{count:7d} {status:10} {kind}".rstrip())
    _print_refused_lines(summary.refused_lines)
    print(f"photos: {photos}   every URL and what came of it: {photos / 'manifest.csv'}")
    failed = sum(count for (status, _), count in rows if status == "failed")
    if failed:
        print(f"next: the same command again tries the {failed} failed ones once more")


def _fit(args: argparse.Namespace) -> None:
    from .fit import FitConfig
    from .fitting_run import fit_run

    config = FitConfig(
        args.weights,
        args.epochs_frozen,
        args.epochs,
        args.size,
        args.batch,
        seed=args.seed,
        device=args.device,
        train_only=args.train_only,
    )
    content = fit_run(args.photos, args.to, config)
    metrics = content["metrics"]
    assert isinstance(metrics, dict)
    for phase, title in (("frozen", "frozen"), ("test", f"kept epoch {metrics['best_epoch']}")):
        row = metrics[phase]
        low, high = row["interval"]
        print(
            f"{title:>14}: test accuracy {row['accuracy']:.1%} ({row['photos']} photos, "
            f"95 % interval {low:.1%} to {high:.1%}), mean recall {row['mean_recall']:.1%}, "
            f"after {row['seconds']:.0f} s"
        )
    for truth, answer, count in metrics["test"]["confusions"]:
        print(f"{'':>16}{truth} taken for {answer}: {count}")
    print(f"run: {args.to}   confusion matrix: {args.to / 'report' / 'confusion.png'}")
    print(f"next: yoga-export onnx {args.to} --to yoga.onnx")


if __name__ == "__main__":
    sys.exit(main())
