"""Rebuild the small model: `small.py SOURCES --strangers FOLDER2 --weights FILE --work FOLDER`.

A MobileNetV2 learns the answers of the shipped model on the shipped model's photos and split, is exported and quantised
with the commands that a user has, and gets a second opinion as `opinion.py` learns it.  What is finished in FOLDER is
not done again, and a killed training goes on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from model import HELD_OUT, TRAIN_ONLY, is_done
from torch import Tensor

from yoga_live.calibration.command import main as calibrate
from yoga_live.export.command import main as export
from yoga_live.runtime.system.cli_runner import CommandParser, HelpFormatter, run_command
from yoga_live.runtime.system.crashes import report_crashes
from yoga_live.train.cli.main import main as train
from yoga_live.train.fit.network import BATCH_NORM_EPSILON, IMAGENET_MEAN, IMAGENET_STD
from yoga_live.train.fit.tensor_files import read_tensors, write_tensors

FIRST, NORM, HEAD = "features.0.0.weight", "features.0.1", "classifier.1"


def take_over(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a MobileNetV2 that was trained on RGB / 127.5 - 1 and 1,001 classes, for torchvision's input.

    The first convolution takes torchvision's scale, and the shift of the mean goes into the bias behind it.
    """
    state = {name: tensor.float() for name, tensor in state.items() if not name.startswith(HEAD)}
    mean, std = (255 * torch.tensor(values) for values in (IMAGENET_MEAN, IMAGENET_STD))
    convolution = state[FIRST]
    scale = state[f"{NORM}.weight"] / (state[f"{NORM}.running_var"] + BATCH_NORM_EPSILON).sqrt()
    shift = (convolution * (mean / 127.5 - 1).view(1, 3, 1, 1)).sum(dim=(1, 2, 3))
    state[FIRST] = convolution * (std / 127.5).view(1, 3, 1, 1)
    state[f"{NORM}.bias"] = state[f"{NORM}.bias"] + shift * scale
    return state


def list_steps(args: argparse.Namespace, options: list[str]) -> list[tuple[Path, Callable[[], int]]]:
    """Each step's output and how to make it.  options: further ones of `yoga-train distill`."""
    from opinion import main as learn_opinion
    from photos import main as gather

    work: Path = args.work
    photos, start, run = work / "photos", work / "start.safetensors", work / "small"
    full, quantized, shipped = work / "small.fp32.onnx", work / "small.int8.onnx", work / "small.onnx"

    def convert() -> int:
        write_tensors(start, take_over(read_tensors(args.weights)), {})
        return 0

    def distill() -> int:
        arguments = ["distill", "default", "--photos", str(photos), "--to", str(run), "--weights", str(start)]
        arguments += ["--train-only", TRAIN_ONLY, "--held-out", HELD_OUT, "--no-second-opinion", *options]
        return train([*arguments, "--resume"] if run.exists() else arguments)

    learning = [str(args.sources), "--strangers", str(args.strangers), "--model", str(quantized), "--run", str(run)]
    return [
        (photos, lambda: gather([str(args.sources), "--to", str(photos)])),
        (start, convert),
        (run / "run.json", distill),
        (full, lambda: export(["onnx", str(run), "--to", str(full)])),
        (quantized, lambda: calibrate(["int8", str(full), "--run", str(run), "--to", str(quantized)])),
        (shipped, lambda: learn_opinion([*learning, "--work", str(work), "--to", str(shipped)])),
    ]


@report_crashes("yoga-export")
def main(argv: list[str] | None = None) -> int:
    """Run the steps that are not done.  Returns the exit code of the first that fails, or 0."""
    parser = CommandParser("small.py", description=__doc__, formatter_class=HelpFormatter)
    parser.add_argument("sources", type=Path, help="as model.py takes them")
    parser.add_argument(
        "--strangers", type=Path, required=True, metavar="FOLDER", help="learn the second opinion on these"
    )
    parser.add_argument(
        "--weights", type=Path, required=True, help="mobilenet_v2_imagenet.safetensors: RGB / 127.5 - 1"
    )
    parser.add_argument("--work", type=Path, required=True, metavar="FOLDER", help="photos, run and models go here")
    args, options = parser.parse_known_args(argv)
    code = run_command("yoga-export", lambda args: args.work.mkdir(parents=True, exist_ok=True), args)
    for output, step in [] if code else list_steps(args, options):
        code = 0 if is_done(output) else step()
        if code:
            break
    return code


if __name__ == "__main__":
    sys.exit(main())
