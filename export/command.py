"""`yoga-export`: exports a run as a model file, and converts that file for GPUs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..calibration.confidence_command import add_on_option
from ..runtime.core.model_metadata import find_model
from ..runtime.system.cli_runner import CommandParser, HelpFormatter, add_command, run_command
from ..runtime.system.crashes import report_crashes
from .engine_command import add_engine_options, run_engine
from .fp16_command import run_fp16
from .info_command import run_info
from .onnx_command import run_onnx

EXAMPLES = """examples:
  yoga-export onnx runs/first --to yoga.onnx                           a model for every machine
  yoga-live 0 --model yoga.onnx
  yoga-export fp16 yoga.onnx --run runs/first --to yoga.fp16.onnx      half the size, for GPUs
  yoga-export engine yoga.fp16.onnx --to yoga.engine                   TensorRT, for this machine's GPU
  yoga-export info yoga.fp16.onnx

Next, calibrate its confidence and make it small:
  yoga-calibrate int8 yoga.onnx --run runs/first --to yoga.int8.onnx"""

ONNX_EXAMPLES = """examples:
  yoga-export onnx runs/first --to yoga.onnx
  yoga-live 0 --model yoga.onnx"""

FP16_EXAMPLES = """examples:
  yoga-export fp16 yoga.onnx --run runs/first --to yoga.fp16.onnx

The command checks on the run's photos that no value overflows and that the predictions stay the same, and calibrates
the confidence of the new file."""

ENGINE_EXAMPLES = """examples:
  yoga-export engine yoga.fp16.onnx --to yoga.engine
  yoga-export engine --people                                          the people finder, once for each machine
  yoga-live 0 --model yoga.engine

An engine only runs with the kind of GPU and the version of TensorRT that it was built with."""

INFO_EXAMPLES = """examples:
  yoga-export info yoga.onnx
  yoga-export info yoga.engine --json                                  from yoga.engine.json beside it"""


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Define the options; imports nothing heavy, so that --help answers at once."""
    parser = CommandParser(
        "yoga-export",
        description="Export a run as a model file, and convert that file for GPUs.",
        epilog=EXAMPLES,
        formatter_class=HelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", dest="command", required=True, metavar="COMMAND")
    sentence = "Export a run as an ONNX model, and check it against torch."
    command = add_command(commands, "onnx", sentence, ONNX_EXAMPLES)
    command.add_argument("run", type=Path, help="run folder of yoga-train fit")
    _add_output_options(command)
    command = add_command(commands, "fp16", "Convert an FP32 model to FP16, for GPUs.", FP16_EXAMPLES)
    command.add_argument("model", type=Path, help="FP32 pose model, .onnx")
    command.add_argument("--run", type=Path, required=True, metavar="RUN", help="run that it was exported from")
    _add_output_options(command)
    add_on_option(command)
    sentence = "Build a TensorRT engine for this machine's GPU."
    add_engine_options(add_command(commands, "engine", sentence, ENGINE_EXAMPLES))
    command = add_command(commands, "info", "Show the metadata of a model or an engine.", INFO_EXAMPLES)
    command.add_argument("model", type=find_model, help="pose model, .onnx, or an engine with its .json beside it")
    command.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args(argv)


def _add_output_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--to", type=Path, required=True, metavar="FILE.onnx", help="model to write")
    command.add_argument(
        "--photos", type=Path, metavar="FOLDER", help="where the run's photos are now, if they were moved"
    )
    command.add_argument("--force", action="store_true", help="replace existing outputs")


@report_crashes("yoga-export")
def main(argv: list[str] | None = None) -> int:
    """Run `yoga-export`.  Returns the exit code."""
    args = parse_args(argv)
    runs = {"onnx": run_onnx, "fp16": run_fp16, "engine": run_engine, "info": run_info}
    return run_command("yoga-export", runs[args.command], args)


if __name__ == "__main__":
    sys.exit(main())
