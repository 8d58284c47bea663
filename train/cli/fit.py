"""`yoga-train fit` and `yoga-train lr-find`: their options; imports nothing heavy before one of them runs."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ...runtime.errors import OptionError
from ...runtime.system.cli_runner import HelpFormatter
from ...runtime.system.option_types import quote, read_whole
from ...runtime.system.plain_text import print
from ...runtime.system.progress import announce_torch
from ..fit.config import ARCHS, FitConfig
from .option_types import read_side

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

MOST_EPOCHS, MOST_SEED = 100_000, 2**32 - 1

FIT_EXAMPLES = """examples:
  yoga-train fit photos --to runs/first                 photos/tree/*.jpg, photos/down_dog/*.jpg, ...
  yoga-train fit photos --to runs/first --resume        go on where it was killed
  yoga-train fit photos --to runs/look --epochs 0       the frozen phase alone: a first look in a minute
  yoga-train fit photos --to runs/check --folds 5 --size 160 --epochs 8     to clean the labels with
  yoga-train fit cleaned --to runs/second --split-of runs/first             the same photos held out as in the first
  yoga-train fit photos --to runs/deep --arch resnet50 --epochs 20 --devices 4
  torchrun --nproc-per-node 4 -m yoga_live.train fit photos --to runs/deep  the same, started by torchrun
  tensorboard --logdir runs                             curves of all runs while they train

several machines: this on each of them, where a is one of them
  export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1           or torchrun cannot take a machine back that was lost
  torchrun --nnodes 2 --nproc-per-node 4 --max-restarts 3 --rdzv-backend c10d --rdzv-endpoint a:29400 \\
    -m yoga_live.train fit photos --to runs/deep --resume

  Each machine needs its own copy of the photos, at any place; versions, options and photos must be equal, or all end
  with one line that says what differs. The run's folder is kept by one worker and need not be shared; weights to start
  from and the run of --split-of are needed there alone.
  --batch counts the photos of all workers, so a step and the --rate that suits it are the same for any number of them.
  An epoch's photos are drawn once for all; each worker trains on its share of every batch and answers for its share of
  the photos that are held out. (With --weights none batch norm sees one worker's share at a time.)
  When a machine or a process is lost, the others end in seconds, or within 80 s if it fell silent, and say so. With
  --max-restarts torchrun waits for it to come back and starts all again, else give the same command on every machine:
  --resume goes on after the last whole epoch, with as many workers as before to the very weights of a run that nothing
  happened to (on CPUs), with more or fewer to weights that differ by rounding.

A folder named `none` may hold what is no pose: people standing about, empty rooms, pets."""

LR_FIND_EXAMPLES = """examples:
  yoga-train lr-find photos --to lr.png                 writes lr.png and lr.csv, prints a suggestion
  yoga-train fit photos --to runs/first --rate 2e-3     and uses it"""


def add_fit_commands(commands: Commands) -> None:
    """Define fit and lr-find."""
    _add_fit(commands)
    _add_lr_find(commands)


def _add_fit(commands: Commands) -> None:
    fit = commands.add_parser(
        "fit", help="fine-tune a network on a folder per pose", epilog=FIT_EXAMPLES, formatter_class=HelpFormatter
    )
    fit.set_defaults(run=_fit)
    fit.add_argument("photos", type=Path, help="folder with one folder of photos per pose")
    fit.add_argument("--to", type=Path, required=True, metavar="RUN", help="new folder for the run, such as runs/first")
    _add_network(fit)
    fit.add_argument(
        "--epochs-frozen", type=_count, default=FitConfig.epochs_frozen, metavar="N",
        help="epochs of the new head alone, on features computed once",
    )  # fmt: skip
    fit.add_argument(
        "--epochs", type=_count, default=FitConfig.epochs, metavar="N",
        help="epochs of the whole network; 0 stops after the frozen phase",
    )  # fmt: skip
    fit.add_argument(
        "--rate", type=_rate, default=FitConfig.rate, help="top learning rate; yoga-train lr-find suggests one"
    )
    fit.add_argument(
        "--patience", type=_count, default=FitConfig.patience, metavar="N",
        help="stop after N epochs of the second half without a better validation loss; 0 never",
    )  # fmt: skip
    fit.add_argument(
        "--folds", type=_folds, default=FitConfig.folds, metavar="K",
        help="also train K networks that answer for photos they have not seen, for report and clean; K times the work",
    )  # fmt: skip
    fit.add_argument(
        "--resume", action="store_true",
        help="go on with a run that was stopped or killed; begin one that is not there yet, leave a finished one alone",
    )  # fmt: skip
    fit.add_argument(
        "--devices",
        type=_devices,
        default=1,
        metavar="N",
        help="GPUs of this machine (or CPU processes) to train on; for several machines see below",
    )
    fit.add_argument(
        "--train-only", default=FitConfig.train_only, metavar="PATTERN",
        help="files whose name fits, such as 'drawn__*', are never held out for validation or test; more with commas",
    )  # fmt: skip
    fit.add_argument(
        "--held-out", type=_share, default=FitConfig.held_out, metavar="SHARE",
        help="of each pose's photos for validation, and again for test",
    )  # fmt: skip
    fit.add_argument(
        "--split-of", type=Path, default=argparse.SUPPRESS, metavar="RUN",
        help="hold out the photos that this run held out, so that the two can be compared",
    )  # fmt: skip


def _add_lr_find(commands: Commands) -> None:
    find = commands.add_parser(
        "lr-find",
        help="find a learning rate: raise it step by step until the loss climbs",
        epilog=LR_FIND_EXAMPLES,
        formatter_class=HelpFormatter,
    )
    find.set_defaults(run=_find_rate)
    find.add_argument("photos", type=Path, help="folder with one folder of photos per pose")
    find.add_argument("--to", type=Path, default=Path("lr.png"), metavar="FILE", help="the plot; a .csv beside it")
    find.add_argument("--force", action="store_true", help="replace an earlier plot and its numbers")
    find.add_argument("--steps", type=_steps, default=100, metavar="N", help="rates to try, one batch each")
    _add_network(find)


def _add_network(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--arch", choices=ARCHS, default=FitConfig.arch, help="the network")
    parser.add_argument(
        "--weights", default=FitConfig.weights, metavar="imagenet|none|FILE",
        help="starting weights; imagenet is downloaded once by torchvision",
    )  # fmt: skip
    parser.add_argument(
        "--size",
        type=read_side,
        default=FitConfig.size,
        metavar="PIXELS",
        help="side of the network's input, a multiple of 32",
    )
    parser.add_argument(
        "--batch",
        type=_batch,
        default=FitConfig.batch,
        metavar="N",
        help="photos per step, over all devices and machines",
    )
    parser.add_argument(
        "--seed", type=_seed, default=FitConfig.seed, help="same seed, same photos, same machine: same run"
    )
    parser.add_argument("--device", default=FitConfig.device, help="auto, cpu, cuda or cuda:1")


def _count(text: str) -> int:
    return read_whole(text, f"a number of epochs, 0 to {MOST_EPOCHS:,}", 0, MOST_EPOCHS)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0 < share <= 0.3:
        raise argparse.ArgumentTypeError(f"{quote(text)} is not a share of the photos; 0.01 to 0.3, such as 0.15")
    return share


def _seed(text: str) -> int:
    return read_whole(text, f"a seed, a whole number from 0 to {MOST_SEED:,}", 0, MOST_SEED)


def _batch(text: str) -> int:
    return read_whole(text, "a batch size, 2 to 65,536; batch norm needs two photos where it is trained", 2, 65_536)


def _rate(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{quote(text)} is not a learning rate, above 0 and at most 1, such as 1e-3")
    return value


def _folds(text: str) -> int:
    return read_whole(text, "a number of folds: 2 to 20, better 5; or 0 for none", 0 if text == "0" else 2, 20)


def _devices(text: str) -> int:
    return read_whole(text, "a number of devices, 1 to 1,024", 1, 1024)


def _steps(text: str) -> int:
    return read_whole(text, "a number of steps, 20 to 100,000; of fewer the curve says little", 20, 100_000)


def _fit(args: argparse.Namespace) -> None:
    from ..distributed.launcher import is_worker, launch_workers, leads_training, run_under_torchrun

    if leads_training():
        announce_torch("yoga-train")
    if args.devices > 1:
        if is_worker():
            raise OptionError("--devices starts processes itself; under torchrun leave it out")
        launch_workers(partial(_fit_here, args), args.device, args.devices)
    elif is_worker():
        run_under_torchrun(partial(_fit_here, args))
    else:
        _fit_here(args)


def _fit_here(args: argparse.Namespace) -> None:
    from ..fit.run import fit_run

    content = fit_run(args.photos, args.to, _configure(args), resume=args.resume)
    metrics = content["metrics"]
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
    if metrics["interrupted"]:
        print("that is the best epoch so far; to go on, give the same command with --resume", flush=True)
        raise KeyboardInterrupt  # who started this is told that it was stopped: exit code 130
    print(f"look: yoga-train report {args.to}")
    if args.folds:
        print(f"clean: yoga-train clean {args.photos} {args.to}")
    print(f"next: yoga-export onnx {args.to} --to yoga.onnx")


def _configure(args: argparse.Namespace) -> FitConfig:

    return FitConfig(
        args.weights,
        args.epochs_frozen,
        args.epochs,
        args.size,
        args.batch,
        rate=args.rate,
        patience=args.patience,
        arch=args.arch,
        seed=args.seed,
        device=args.device,
        train_only=args.train_only,
        held_out=args.held_out,
        split_of=str(getattr(args, "split_of", "")),
        folds=args.folds,
    )


def _find_rate(args: argparse.Namespace) -> None:
    announce_torch("yoga-train")
    from ...runtime.system.claims import claim_outputs
    from ..distributed.launcher import is_worker
    from ..fit.lr_find import find_rate, plot_rates

    if is_worker():
        raise OptionError("lr-find trains on one device; start it without torchrun")
    if args.to.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise OptionError(f"--to {args.to}: a plot is .png, .svg or .pdf")
    config = FitConfig(
        args.weights, size=args.size, batch=args.batch, arch=args.arch, seed=args.seed, device=args.device
    )
    with claim_outputs([args.to, args.to.with_suffix(".csv")], force=args.force):
        test = find_rate(args.photos, config, args.steps)
        plot_rates(test, args.to, replace=args.force)
    print(f"suggested: --rate {test.suggestion:.1e}   (too high from {test.limit:.1e} on)")
    print(f"plot: {args.to}   numbers: {args.to.with_suffix('.csv')}")
    print(f"next: yoga-train fit {args.photos} --to runs/first --rate {test.suggestion:.1e}")
