"""`yoga-train distill`: a small network that learns from a large one; imports nothing heavy before it runs."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...runtime.core.model_metadata import SHIPPED_MODELS, find_model
from ...runtime.errors import OptionError
from ...runtime.system.cli_runner import add_command
from ...runtime.system.suggestions import explain_absence
from ..fit.config import ARCHS, FitConfig
from .fit import add_held_out, add_machine, add_schedule, fit

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

ARCH = "mobilenet_v2"

EXAMPLES = """examples:
  yoga-train distill runs/first --to runs/small         its photos and split, a MobileNetV2 of the same size
  yoga-train distill runs/first --to runs/small --size 160 --arch resnet18
  yoga-train distill yoga.onnx --photos photos --to runs/small    from an exported model, in INT8 fastest
  yoga-train distill default --photos photos --to runs/small      from the shipped model, of whose poses photos are

A small network answers several times as fast as a large one, and its INT8 file has 2.5 MB. It sees each photo as its
teacher does, and learns the teacher's doubts beside the labels. What comes out is a run as any other: report, export,
calibrate it. The teacher must know every pose that there are photos of."""


def add_distill(commands: Commands) -> None:
    """Define distill."""
    sentence = "Train a small network on the answers of a large one, for small machines."
    command = add_command(commands, "distill", sentence, EXAMPLES)
    command.set_defaults(run=_distill)
    command.add_argument("teacher", metavar="TEACHER", help="a run, a model file, or default (the shipped one)")
    command.add_argument("--to", type=Path, required=True, metavar="RUN", help="new folder for the small network's run")
    command.add_argument(
        "--resume", action="store_true", help="continue a run that was stopped; start it if it does not exist"
    )
    command.add_argument(
        "--photos", type=Path, metavar="FOLDER", help="photos to learn on; those of the teacher's run if not given"
    )
    network = command.add_argument_group("network")
    network.add_argument("--arch", choices=ARCHS, default=ARCH, help="architecture")
    network.add_argument(
        "--weights", default=FitConfig.weights, metavar="imagenet|none|FILE",
        help="starting weights; torchvision downloads imagenet once",
    )  # fmt: skip
    add_machine(network, size=None)
    training = command.add_argument_group("training")
    add_schedule(training)
    add_held_out(command.add_argument_group("photos held out, where the teacher is a file"))
    command.add_argument_group("second opinion, from the key points of the people in the photos").add_argument(
        "--no-second-opinion", action="store_true", help="train the network alone"
    )


def _distill(args: argparse.Namespace) -> None:
    fit(args, _configure)


def _configure(args: argparse.Namespace) -> tuple[Path, FitConfig]:
    """Photos and settings: those of the teacher's run where it is one."""
    from ...calibration.runs import load_run
    from ..fit.run_folder import read_config

    config = FitConfig(train_only=args.train_only, held_out=args.held_out)
    photos, size = args.photos, args.size
    if args.teacher not in SHIPPED_MODELS and Path(args.teacher).is_dir():
        if (args.train_only, args.held_out) != (FitConfig.train_only, FitConfig.held_out):
            raise OptionError("the teacher's run says which photos are held out; leave out --train-only and --held-out")
        run = load_run(Path(args.teacher), photos)
        photos, size = run.photo_folder, size or run.size
        config = replace(read_config(run.summary["config"]), split_of=args.teacher, split="auto", folds=0)
        config = replace(config, by_source=False)
    else:
        path = find_model(args.teacher)
        if not path.is_file():
            absence = explain_absence(path, f"give a finished run, a model file, or {' or '.join(SHIPPED_MODELS)}")
            raise OptionError(f"the teacher {args.teacher} {absence}")
        if photos is None:
            raise OptionError(f"--photos is missing: the teacher {args.teacher} is a file, which knows no photos")
        size = size or _read_size(path)
    return photos, replace(
        config,
        teacher=args.teacher,
        weights=args.weights,
        arch=args.arch,
        size=size,
        batch=args.batch,
        seed=args.seed,
        device=args.device,
        epochs_frozen=args.epochs_frozen,
        epochs=args.epochs,
        rate=args.rate,
        patience=args.patience,
        second_opinion=not args.no_second_opinion,
    )


def _read_size(path: Path) -> int:
    """Read the side of a model's input in pixels.  Raises ModelError."""
    if path.suffix == ".engine":
        from ...runtime.engines.tensorrt_sidecar import read_record

        return read_record(path).model.size
    from ...runtime.engines.onnx_guard import read_bytes, read_info

    return read_info(read_bytes(path), path).size
