"""`yoga-train`: from words and URLs to photos, from photos to a run."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..runtime.command_line import HelpFormatter, run_command
from .clean_command import add_clean
from .data_commands import add_data_commands

EXAMPLES = """examples:
  yoga-train collect "tree pose yoga" --pose tree --to lists
  yoga-train download lists --to photos                 lists/tree.csv, ... -> photos/tree/*, ...; again to go on
  yoga-train add ~/Pictures/class --pose tree --to photos
  yoga-train capture --pose tree --camera 0 --to photos
  yoga-train stats photos                               a table, and photos/stats.html
  yoga-train show photos --to batch.png                 a batch as the network sees it
  yoga-train fit photos --to runs/first                 photos/tree/*.jpg, photos/down_dog/*.jpg, ...
  yoga-train fit photos --to runs/deep --epochs 20      train longer
  yoga-train fit photos --to runs/offline --weights resnet34.safetensors
  yoga-train clean photos runs/first                    look through the photos that are likely wrong

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
    add_data_commands(commands)
    _add_fit(commands)
    add_clean(commands)
    return parser.parse_args(argv)


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
            f"{text!r} is not a batch size; at least 2, because batch norm needs two photos where it is trained"
        )
    return int(text)


def _size(text: str) -> int:
    if not text.isdigit() or int(text) < 32 or int(text) % 32:
        raise argparse.ArgumentTypeError(f"{text!r} is not a multiple of 32, such as 160, 192 or 224")
    return int(text)


def main(argv: list[str] | None = None) -> int:
    """Run `yoga-train`.  Returns the exit code."""
    args = parse_args(argv)
    return run_command("yoga-train", args.run, args)


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
