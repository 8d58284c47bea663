"""`yoga-calibrate`: calibrates confidence, quantises to INT8, compares files."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..runtime.core.model_metadata import find_model
from ..runtime.system.cli_runner import CommandParser, HelpFormatter, add_command, run_command
from ..runtime.system.crashes import report_crashes
from ..runtime.system.option_types import quote, read_whole
from .check_command import run_check
from .confidence_command import add_on_option, run_confidence
from .int8_command import run_int8
from .int8_options import LEAST_AGREEMENT, METHOD_CHOICES, SAMPLE_PER_CLASS

EXAMPLES = """examples:
  yoga-calibrate confidence yoga.onnx --run runs/first --to yoga.calibrated.onnx
  yoga-calibrate int8 yoga.onnx --run runs/first --to yoga.int8.onnx
  yoga-calibrate check yoga.calibrated.onnx yoga.int8.onnx --run runs/first

Temperature and threshold are fitted on answers to left-out sources of photos where the run has them (yoga-train fit
--folds 5 --by-source), else on its validation photos. Numbers come from its test photos, or say of which source."""

CONFIDENCE_EXAMPLES = """examples:
  yoga-calibrate confidence yoga.onnx --run runs/first --to yoga.calibrated.onnx
  yoga-calibrate confidence yoga.onnx --run runs/first --to yoga.random.onnx --on validation

Writes a copy of the model with a temperature, so that 90 % confidence is right nine times out of ten, and with a
threshold, below which the prediction is `none` (no pose). Also writes a reliability diagram beside it."""

INT8_EXAMPLES = """examples:
  yoga-calibrate int8 yoga.onnx --run runs/first --to yoga.int8.onnx
  yoga-calibrate int8 yoga.onnx --run runs/first --to yoga.int8.onnx --method percentile --per-class 50

The file has a quarter of the size, and its own temperature and threshold."""

CHECK_EXAMPLES = """examples:
  yoga-calibrate check yoga.calibrated.onnx yoga.int8.onnx --run runs/first
  yoga-calibrate check yoga.onnx yoga.fp16.onnx --run runs/first --device cuda --to comparison.csv"""


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Define the options; imports nothing heavy, so that --help answers at once."""
    parser = CommandParser(
        "yoga-calibrate",
        description="Calibrate a model's confidence, quantise it to INT8, and compare its files.",
        epilog=EXAMPLES,
        formatter_class=HelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", dest="command", required=True, metavar="COMMAND")
    helps = {
        "confidence": ("Fit the temperature and the threshold of a model's confidence.", CONFIDENCE_EXAMPLES),
        "int8": ("Quantise a model to INT8, for CPUs, and calibrate its confidence.", INT8_EXAMPLES),
        "check": (
            "Compare files of one model: accuracy, calibration error, agreement, size and latency.",
            CHECK_EXAMPLES,
        ),
    }
    for name, (sentence, examples) in helps.items():
        command = add_command(commands, name, sentence, examples)
        if name == "check":
            _add_check_options(command)
        else:
            command.add_argument("model", type=Path, help="pose model, .onnx")
            command.add_argument("--to", type=Path, required=True, metavar="FILE.onnx", help="model to write")
        if name == "int8":
            _add_int8_options(command)
        command.add_argument("--run", type=Path, required=True, metavar="RUN", help="run that it was exported from")
        command.add_argument(
            "--photos", type=Path, metavar="FOLDER", help="where the run's photos are now, if they were moved"
        )
        command.add_argument("--force", action="store_true", help="replace existing outputs")
        if name != "check":
            add_on_option(command)
    return parser.parse_args(argv)


def _add_int8_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--method",
        choices=METHOD_CHOICES,
        default="auto",
        help="how to choose the activation ranges; auto: all, keeping the one nearest to FP32 on the validation photos",
    )
    command.add_argument(
        "--per-class",
        type=_read_count,
        default=SAMPLE_PER_CLASS,
        metavar="N",
        help="training photos of each class for the activation ranges",
    )
    command.add_argument(
        "--least-agreement",
        type=_read_percent,
        default=LEAST_AGREEMENT,
        metavar="PERCENT",
        help="refuse an INT8 model that agrees with FP32 on fewer test photos (beyond chance)",
    )


def _add_check_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "models",
        type=find_model,
        nargs="+",
        metavar="model",
        help="pose models, the first beside the others",
    )
    command.add_argument(
        "--device",
        default="auto",
        metavar="NAME",
        help="auto, cpu, cuda or tensorrt; a device given by name is used or the command fails",
    )
    command.add_argument("--to", type=Path, metavar="FILE", help="also write the table: .csv or .json")


def _read_count(text: str) -> int:
    return read_whole(text, "a number of photos, 1 to 1,000,000", 1, 1_000_000)


def _read_percent(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{quote(text)} is not a percentage from 0 to 100, such as 98.5")
    return value


@report_crashes("yoga-calibrate")
def main(argv: list[str] | None = None) -> int:
    """Run `yoga-calibrate`.  Returns the exit code."""
    args = parse_args(argv)
    bodies = {"confidence": run_confidence, "int8": run_int8, "check": run_check}
    return run_command("yoga-calibrate", bodies[args.command], args)


if __name__ == "__main__":
    sys.exit(main())
