"""`yoga-train fit` and `yoga-train lr-find`; imports nothing heavy before one of them runs."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ...runtime.errors import OptionError
from ...runtime.system.cli_runner import add_command
from ...runtime.system.option_types import quote, read_whole
from ...runtime.system.plain_text import format_command, format_count, print
from ...runtime.system.progress import announce_torch
from ..fit.config import ARCHS, NONE_CHOICES, SPLIT_CHOICES, Augmentation, FitConfig
from .option_types import add_mirroring, read_side

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

Configure = Callable[[argparse.Namespace], tuple[Path, FitConfig]]

MOST_EPOCHS, MOST_SEED = 100_000, 2**32 - 1

FIT_EXAMPLES = """examples:
  yoga-train fit photos --to runs/first                 trains on photos/tree/*.jpg, photos/down_dog/*.jpg, ...
  yoga-train fit photos --to runs/first --resume        continues after it was stopped
  yoga-train fit photos --to runs/look --epochs 0       only the frozen phase: a first result in a minute
  yoga-train fit photos --to runs/check --folds 5 --size 160 --epochs 8     for cleaning the labels
  yoga-train fit photos --to runs/honest --folds 5 --by-source              leaves out whole sources of photos
  yoga-train fit cleaned --to runs/second --split-of runs/first             holds out the same photos as the first run
  yoga-train fit photos --to runs/given --split given   keeps the data set's own train, validation and test photos
  yoga-train fit photos --to runs/sides --mirror-swaps left_arm=right_arm   poses that are each other's mirror images
  yoga-train fit photos --to runs/offline --weights resnet34.safetensors    without internet
  yoga-train fit photos --to runs/deep --arch resnet50 --epochs 20 --devices 4
  torchrun --nproc-per-node 4 -m yoga_live.train fit photos --to runs/deep  the same, started by torchrun
  tensorboard --logdir runs                             shows the curves of all runs during training

several machines: run this on each of them, where a is the name of one
  export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1           else torchrun cannot take back a lost machine
  torchrun --nnodes 2 --nproc-per-node 4 --max-restarts 3 --rdzv-backend c10d --rdzv-endpoint a:29400 \\
    -m yoga_live.train fit photos --to runs/deep --resume

  Each machine needs its own copy of the photos, in any folder. Versions, options and photos must be equal; otherwise
  all machines stop with one line that says what differs. One worker writes the run's folder, which need not be shared;
  starting weights and the run of --split-of are only needed there.
  --batch counts the photos of all workers, so the right --rate does not depend on their number. Each worker trains on
  its slice of every batch, and predicts its slice of the held-out photos. (With --weights none, batch norm sees one
  worker's slice at a time.)
  If a machine or process is lost, the others stop within seconds (80 s if it is silent) and say so. With
  --max-restarts, torchrun waits for it to return and restarts all workers; otherwise repeat the command on every
  machine. --resume continues after the last complete epoch. With the same number of workers the weights are the same as
  without the interruption (on CPUs), otherwise they differ by rounding.

A folder named `none` holds photos of no pose: people standing around, empty rooms, pets."""

LR_FIND_EXAMPLES = """examples:
  yoga-train lr-find photos --to lr.png                 writes lr.png and lr.csv, prints a suggestion
  yoga-train fit photos --to runs/first --rate 2e-3     uses it"""


def add_fit_commands(commands: Commands) -> None:
    """Define fit and lr-find."""
    _add_fit(commands)
    _add_lr_find(commands)


def _add_fit(commands: Commands) -> None:
    fit = add_command(commands, "fit", "Train a network on a folder with one folder of photos per pose.", FIT_EXAMPLES)
    fit.set_defaults(run=_fit)
    fit.add_argument("photos", type=Path, help="folder with one folder of photos per pose")
    fit.add_argument("--to", type=Path, required=True, metavar="RUN", help="new folder for the run, such as runs/first")
    fit.add_argument(
        "--resume", action="store_true",
        help="continue a run that was stopped; start it if it does not exist, do nothing if it is finished",
    )  # fmt: skip
    _add_network(fit)
    training = fit.add_argument_group("training")
    add_schedule(training)
    add_mirroring(training)
    training.add_argument(
        "--person-crops", type=_read_chance, default=Augmentation.person, metavar="FRACTION",
        help="how often training sees the crop of the person who is found in place of the whole photo, 0 to 1",
    )  # fmt: skip
    training.add_argument(
        "--none", choices=[choice for choice in NONE_CHOICES if choice], default=argparse.SUPPRESS,
        help="default: draw rooms and people doing nothing into the folder none, where there are no photos of that; "
        "they are only trained on",
    )  # fmt: skip
    fit.add_argument_group("second opinion, from the key points of the people in the photos").add_argument(
        "--no-second-opinion", action="store_true",
        help="train the network alone (default: also a small one on key points, mixed with it where that is better)",
    )  # fmt: skip
    _add_split(fit)


def _add_split(fit: argparse.ArgumentParser) -> None:
    split = fit.add_argument_group("training, validation and test photos")
    split.add_argument(
        "--split", choices=SPLIT_CHOICES, default=FitConfig.split,
        help="auto: near-duplicates stay together, each pose in proportion; given: the training, validation and test "
        "photos of the data set that yoga-train add imported",
    )  # fmt: skip
    add_held_out(split)
    split.add_argument(
        "--split-of", type=Path, default=argparse.SUPPRESS, metavar="RUN",
        help="hold out the same photos as this run, so that the two can be compared",
    )  # fmt: skip
    split.add_argument(
        "--folds", type=_folds, default=FitConfig.folds, metavar="K",
        help="also train K networks that predict photos they have not seen, for report and clean; K times the work",
    )  # fmt: skip
    split.add_argument(
        "--by-source", action="store_true",
        help="with --folds: folds hold whole sources (anna__1.jpg, or tree/anna/1.jpg), and yoga-calibrate fits the "
        "confidence on answers to sources that the network had not seen",
    )  # fmt: skip


def add_held_out(split: argparse._ArgumentGroup) -> None:
    """Define which photos are held out."""
    split.add_argument(
        "--held-out", type=_read_fraction, default=FitConfig.held_out, metavar="FRACTION",
        help="of each pose's photos for validation, and again for test",
    )  # fmt: skip
    split.add_argument(
        "--train-only", default=FitConfig.train_only, metavar="PATTERN",
        help="never hold out files with such a name, such as 'drawn__*'; several patterns with commas",
    )  # fmt: skip


def add_schedule(training: argparse._ArgumentGroup) -> None:
    """Define how long and how strongly to train, and on how many devices."""
    training.add_argument(
        "--epochs-frozen", type=_count, default=FitConfig.epochs_frozen, metavar="N",
        help="epochs of only the new head, on features computed once",
    )  # fmt: skip
    training.add_argument(
        "--epochs", type=_count, default=FitConfig.epochs, metavar="N",
        help="epochs of the whole network; 0 stops after the frozen phase",
    )  # fmt: skip
    training.add_argument(
        "--rate", type=_rate, default=FitConfig.rate,
        help="highest learning rate, scaled down below 400 steps; yoga-train lr-find suggests one",
    )  # fmt: skip
    training.add_argument(
        "--patience", type=_count, default=FitConfig.patience, metavar="N",
        help="in the second half, stop after N epochs without a better validation loss; 0: never",
    )  # fmt: skip
    training.add_argument(
        "--devices",
        type=_devices,
        default=1,
        metavar="N",
        help="GPUs of this machine (or CPU processes) to train on; for several machines see below",
    )


def _add_lr_find(commands: Commands) -> None:
    sentence = "Suggest a learning rate, by raising it step by step until the loss increases."
    find = add_command(commands, "lr-find", sentence, LR_FIND_EXAMPLES)
    find.set_defaults(run=_find_rate)
    find.add_argument("photos", type=Path, help="folder with one folder of photos per pose")
    find.add_argument(
        "--to", type=Path, default=Path("lr.png"), metavar="FILE", help="plot, with its numbers in a .csv beside it"
    )
    find.add_argument("--force", action="store_true", help="replace existing outputs")
    find.add_argument("--steps", type=_steps, default=100, metavar="N", help="learning rates to try, one batch each")
    _add_network(find)
    add_mirroring(find.add_argument_group("training"))


def _add_network(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("network")
    group.add_argument("--arch", choices=ARCHS, default=FitConfig.arch, help="architecture")
    group.add_argument(
        "--weights", default=FitConfig.weights, metavar="imagenet|shipped|none|FILE",
        help="starting weights; torchvision downloads imagenet once, shipped are those of the shipped model",
    )  # fmt: skip
    add_machine(group)


def add_machine(group: argparse._ArgumentGroup, *, size: int | None = FitConfig.size) -> None:
    """Define the size of the input and of the batches, the seed and the device.  size: None: the teacher's."""
    group.add_argument(
        "--size", type=read_side, default=size, metavar="PIXELS",
        help=f"side of the network's input, a multiple of 32{'' if size else ', if not that of the teacher'}",
    )  # fmt: skip
    group.add_argument(
        "--batch",
        type=_batch,
        default=FitConfig.batch,
        metavar="N",
        help="photos per step, over all devices and machines",
    )
    group.add_argument(
        "--seed", type=_seed, default=FitConfig.seed, help="the same seed, photos and machine give the same run"
    )
    group.add_argument("--device", default=FitConfig.device, help="auto, cpu, cuda or cuda:1")


def _count(text: str) -> int:
    return read_whole(text, f"a number of epochs, 0 to {MOST_EPOCHS:,}", 0, MOST_EPOCHS)


def _read_fraction(text: str) -> float:
    try:
        fraction = float(text)
    except ValueError:
        fraction = 0.0
    if not 0 < fraction <= 0.3:
        raise argparse.ArgumentTypeError(
            f"{quote(text)} is not a fraction of the photos from 0.01 to 0.3, such as 0.15"
        )
    return fraction


def _read_chance(text: str) -> float:
    try:
        chance = float(text)
    except ValueError:
        chance = -1.0
    if not 0 <= chance <= 1:
        raise argparse.ArgumentTypeError(f"{quote(text)} is not a fraction of the photos from 0 to 1, such as 0.5")
    return chance


def _seed(text: str) -> int:
    return read_whole(text, f"a seed, a whole number from 0 to {MOST_SEED:,}", 0, MOST_SEED)


def _batch(text: str) -> int:
    return read_whole(text, "a batch size, 2 to 65,536 (batch norm needs at least two photos)", 2, 65_536)


def _rate(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{quote(text)} is not a learning rate, above 0 and at most 1, such as 1e-3")
    return value


def _folds(text: str) -> int:
    return read_whole(text, "a number of folds: 2 to 20 (5 is usual), or 0 for none", 0 if text == "0" else 2, 20)


def _devices(text: str) -> int:
    return read_whole(text, "a number of devices, 1 to 1,024", 1, 1024)


def _steps(text: str) -> int:
    return read_whole(text, "a number of steps, 20 to 100,000", 20, 100_000)


def _fit(args: argparse.Namespace) -> None:
    fit(args, _configure)


def fit(args: argparse.Namespace, configure: Configure) -> None:
    """Train as asked, in as many processes.  configure: makes the photo folder and the settings of the options."""
    from ..distributed.launcher import is_worker, launch_workers, leads_training, run_under_torchrun

    if leads_training():
        announce_torch("yoga-train")
    if args.devices > 1:
        if is_worker():
            raise OptionError("--devices starts its own processes; under torchrun leave it out")
        launch_workers(partial(_fit_here, args, configure), args.device, args.devices)
    elif is_worker():
        run_under_torchrun(partial(_fit_here, args, configure))
    else:
        _fit_here(args, configure)


def _fit_here(args: argparse.Namespace, configure: Configure) -> None:
    from ..fit.run import fit_run
    from ..run_files.left_out import describe_left_out
    from ..run_files.second_opinion import describe_second_opinion
    from ..run_files.verdict import read_verdict

    photos, config = configure(args)
    content = fit_run(photos, args.to, config, resume=args.resume)
    metrics = content["metrics"]
    for phase, title in (("frozen", "frozen"), ("test", f"kept epoch {metrics['best_epoch']}")):
        row = metrics[phase]
        low, high = row["interval"]
        print(
            f"{title:>14}: test accuracy {row['accuracy']:.1%} ({format_count(row['photos'], 'photo')}, "
            f"95 % interval {low:.1%} to {high:.1%}), mean recall {row['mean_recall']:.1%}, "
            f"after {row['seconds']:.0f} s"
        )
    if crops := metrics.get("test_crops"):
        low, high = crops["interval"]
        print(f"{'on crops':>14}: test accuracy {crops['accuracy']:.1%} (95 % interval {low:.1%} to {high:.1%})")
    for truth, answer, count in metrics["test"]["confusions"]:
        print(f"{'':>16}{truth} classified as {answer}: {format_count(count, 'photo')}")
    for line in describe_left_out(content):
        print(line)
    if content.get("second_opinion", {}).get("used"):  # why there is none has been said
        print(*describe_second_opinion(content), sep="\n")
    print(f"run: {args.to}   confusion matrix: {args.to / 'report' / 'confusion.png'}")
    if metrics["interrupted"]:
        print("this is the best epoch so far; to continue, repeat the command with --resume", flush=True)
        raise KeyboardInterrupt  # exit code 130
    verdict = read_verdict(content)
    if line := verdict.describe():
        print(line)
    print(f"report: yoga-train report {format_command(args.to)}")
    if config.folds:
        print(f"clean: yoga-train clean {format_command(photos, args.to)}")
    if not verdict.learned_nothing:
        print(f"next: yoga-export onnx {format_command(args.to)} --to yoga.onnx")


def _configure(args: argparse.Namespace) -> tuple[Path, FitConfig]:
    return args.photos, FitConfig(
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
        split=args.split,
        mirror=args.mirror,
        mirror_swaps=tuple(args.mirror_swaps),
        none=getattr(args, "none", ""),
        augmentation=Augmentation(person=args.person_crops),
        second_opinion=not args.no_second_opinion,
        by_source=args.by_source,
    )


def _find_rate(args: argparse.Namespace) -> None:
    announce_torch("yoga-train")
    from ...runtime.system.claims import claim_outputs
    from ..distributed.launcher import is_worker
    from ..fit.lr_find import find_rate, plot_rates

    if is_worker():
        raise OptionError("lr-find uses one device; start it without torchrun")
    if args.to.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise OptionError(f"--to {args.to} is not the name of a plot; give .png, .svg or .pdf")
    config = FitConfig(
        args.weights,
        size=args.size,
        batch=args.batch,
        arch=args.arch,
        seed=args.seed,
        device=args.device,
        mirror=args.mirror,
        mirror_swaps=tuple(args.mirror_swaps),
    )
    with claim_outputs([args.to, args.to.with_suffix(".csv")], force=args.force):
        test = find_rate(args.photos, config, args.steps)
        plot_rates(test, args.to, replace=args.force)
    print(f"suggested: --rate {test.suggestion:.1e}   ({test.limit:.1e} is too high)")
    print(f"plot: {args.to}   numbers: {args.to.with_suffix('.csv')}")
    print(f"next: yoga-train fit {format_command(args.photos)} --to runs/first --rate {test.suggestion:.1e}")
