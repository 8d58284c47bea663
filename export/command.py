"""`yoga-export`: a run to the file that every device reads, and that file to what a GPU wants."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..runtime.system.cli_runner import CommandParser, HelpFormatter, run_command
from ..runtime.system.crashes import report_crashes
from .engine_command import add_engine_options, run_engine
from .fp16_command import run_fp16
from .info_command import run_info
from .onnx_command import run_onnx

EXAMPLES = """examples:
  yoga-export onnx runs/first --to yoga.onnx
  yoga-live --camera 0 --model yoga.onnx
  yoga-export fp16 yoga.onnx --run runs/first --to yoga.fp16.onnx     (half the size, for GPUs; its own confidence)
  yoga-export engine yoga.fp16.onnx --to yoga.engine                  (TensorRT, for the GPU of this machine alone)
  yoga-export info yoga.fp16.onnx

Then make its confidence honest and the file small:
  yoga-calibrate int8 yoga.onnx --run runs/first --to yoga.int8.onnx"""


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Define the options; imports nothing heavy, so that --help answers at once."""
    parser = CommandParser(
        "yoga-export", description="Turn a run into one file.", epilog=EXAMPLES, formatter_class=HelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, epilog=EXAMPLES, formatter_class=HelpFormatter)

    command = add("onnx", "write the pose model as ONNX, checked against torch")
    command.add_argument("run", type=Path, help="a run folder that yoga-train fit made")
    _add_output_options(command)
    command = add("fp16", "float16 inside, for GPUs; overflow and answers checked on the run's photos")
    command.add_argument("model", type=Path, help="FP32 pose model, .onnx")
    command.add_argument("--run", type=Path, required=True, metavar="RUN", help="the run it was exported from")
    _add_output_options(command)
    add_engine_options(add("engine", "a TensorRT engine for this machine's GPU"))
    command = add("info", "what a file says of itself")
    command.add_argument("model", type=Path, help="pose model, .onnx, or an engine with its .json beside it")
    command.add_argument("--json", action="store_true", help="as JSON, for programs")
    return parser.parse_args(argv)


def _add_output_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--to", type=Path, required=True, metavar="FILE.onnx", help="the new model")
    command.add_argument("--photos", type=Path, help="where the run's photos are now, if they were moved")
    command.add_argument("--force", action="store_true", help="replace an output that exists")


@report_crashes("yoga-export")
def main(argv: list[str] | None = None) -> int:
    """Run `yoga-export`.  Returns the exit code."""
    args = parse_args(argv)
    runs = {"onnx": run_onnx, "fp16": run_fp16, "engine": run_engine, "info": run_info}
    return run_command("yoga-export", runs[args.command], args)


if __name__ == "__main__":
    sys.exit(main())
