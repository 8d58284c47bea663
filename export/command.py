"""`yoga-export`: a run to the file that every device reads, and that file to a GPU's engine."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..runtime.command_line import HelpFormatter, run_command
from .engine_command import add_engine_options, run_engine

EXAMPLES = """examples:
  yoga-export onnx runs/first --to yoga.onnx
  yoga-live --camera 0 --model yoga.onnx
  yoga-export engine yoga.fp16.onnx --to yoga.engine    (TensorRT, for the GPU of this machine alone)

Then make its confidence honest and the file small:
  yoga-calibrate int8 yoga.onnx --run runs/first --to yoga.int8.onnx"""


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Define the options; imports nothing heavy, so that --help answers at once."""
    parser = argparse.ArgumentParser(
        "yoga-export", description="Turn a run into one file.", epilog=EXAMPLES, formatter_class=HelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    command = commands.add_parser(
        "onnx",
        help="write the pose model as ONNX, checked against torch",
        epilog=EXAMPLES,
        formatter_class=HelpFormatter,
    )
    command.add_argument("run", type=Path, help="a run folder that yoga-train fit made")
    command.add_argument("--to", type=Path, required=True, metavar="FILE.onnx", help="the new model")
    command.add_argument("--photos", type=Path, help="where the run's photos are now, if they were moved")
    command.add_argument("--force", action="store_true", help="replace an output that exists")
    engine = commands.add_parser(
        "engine",
        help="build a TensorRT engine for this machine's GPU",
        epilog=EXAMPLES,
        formatter_class=HelpFormatter,
    )
    add_engine_options(engine)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run `yoga-export`.  Returns the exit code."""
    args = parse_args(argv)
    return run_command("yoga-export", {"onnx": _onnx, "engine": run_engine}[args.command], args)


def _onnx(args: argparse.Namespace) -> None:
    from ..calibration.runs import load_run
    from ..runtime.files import check_output
    from .onnx_export import export_run

    check_output(args.to, force=args.force)
    parity = export_run(load_run(args.run, args.photos), args.to)
    print(
        f"torch and ONNX Runtime agree on {parity.agreement}; worst difference {parity.worst_difference:.1e} of the "
        f"largest logit, {parity.map_difference:.1e} of the largest map value"
    )
    print(f"written: {args.to}, {args.to.stat().st_size / 1e6:.1f} MB")
    print(f"next: yoga-calibrate int8 {args.to} --run {args.run} --to {args.to.with_suffix('.int8.onnx')}")


if __name__ == "__main__":
    sys.exit(main())
