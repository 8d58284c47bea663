"""`yoga-calibrate`: an honest confidence, a small file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..runtime.system.cli_runner import CommandParser, HelpFormatter, run_command
from ..runtime.system.crashes import report_crashes
from ..runtime.system.option_types import quote, read_whole
from .check_command import run_check
from .confidence_command import run_confidence
from .int8_command import run_int8
from .int8_options import LEAST_AGREEMENT, METHOD_CHOICES, SAMPLE_PER_CLASS

EXAMPLES = """examples:
  yoga-calibrate confidence yoga.onnx --run runs/first --to yoga.calibrated.onnx
  yoga-calibrate int8 yoga.onnx --run runs/first --to yoga.int8.onnx     (calibrates its confidence too)
  yoga-calibrate check yoga.calibrated.onnx yoga.int8.onnx --run runs/first

Temperature and threshold are fitted on the run's validation photos; every number printed comes from its test photos."""


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Define the options; imports nothing heavy, so that --help answers at once."""
    parser = CommandParser(
        "yoga-calibrate",
        description="Make a pose model honest and small, and compare its files.",
        epilog=EXAMPLES,
        formatter_class=HelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    helps = {
        "confidence": "fit temperature and threshold",
        "int8": "quantise to INT8, with a temperature of its own",
        "check": "compare files of one model: accuracy, confidence error, agreement, size, latency",
    }
    for name, text in helps.items():
        command = commands.add_parser(name, help=text, epilog=EXAMPLES, formatter_class=HelpFormatter)
        if name == "check":
            _add_check_options(command)
        else:
            command.add_argument("model", type=Path, help="pose model, .onnx")
            command.add_argument("--to", type=Path, required=True, metavar="FILE.onnx", help="the new model")
        if name == "int8":
            _add_int8_options(command)
        command.add_argument("--run", type=Path, required=True, metavar="RUN", help="the run it was exported from")
        command.add_argument("--photos", type=Path, help="where the run's photos are now, if they were moved")
        command.add_argument("--force", action="store_true", help="replace an output that exists")
    return parser.parse_args(argv)


def _add_int8_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--method",
        choices=METHOD_CHOICES,
        default="auto",
        help="how far activations reach; auto tries all on the validation photos and keeps the nearest to FP32",
    )
    command.add_argument(
        "--per-class",
        type=_read_count,
        default=SAMPLE_PER_CLASS,
        metavar="N",
        help="training photos of each class to look at",
    )
    command.add_argument(
        "--least-agreement",
        type=_read_percent,
        default=LEAST_AGREEMENT,
        metavar="PERCENT",
        help="refuse INT8 that surely agrees with FP32 on fewer of the test photos",
    )


def _add_check_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("models", type=Path, nargs="+", metavar="model", help="pose models; the first is the measure")
    command.add_argument(
        "--device", default="auto", help="auto, cpu, cuda or tensorrt; one asked for by name is never replaced"
    )
    command.add_argument("--to", type=Path, metavar="FILE", help="write the table too, .csv or .json")


def _read_count(text: str) -> int:
    return read_whole(text, "a number of photos, 1 to 1,000,000", 1, 1_000_000)


def _read_percent(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{quote(text)} is not a share in per cent, 0 to 100, such as 98.5")
    return value


@report_crashes("yoga-calibrate")
def main(argv: list[str] | None = None) -> int:
    """Run `yoga-calibrate`.  Returns the exit code."""
    args = parse_args(argv)
    bodies = {"confidence": run_confidence, "int8": run_int8, "check": run_check}
    return run_command("yoga-calibrate", bodies[args.command], args)


if __name__ == "__main__":
    sys.exit(main())
