"""`yoga-calibrate`: an honest confidence, a small file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..runtime.command_line import HelpFormatter, run_command
from ..runtime.errors import ModelError

if TYPE_CHECKING:
    from ..runtime.model_info import ModelInfo
    from .confidence import ConfidenceReport
    from .runs import Run

EXAMPLES = """examples:
  yoga-calibrate confidence yoga.onnx --run runs/first --to yoga.calibrated.onnx
  yoga-calibrate int8 yoga.onnx --run runs/first --to yoga.int8.onnx     (calibrates its confidence too)

Temperature and threshold are fitted on the run's validation photos; every number printed comes from its test photos."""

LEAST_AGREEMENT = 0.95


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Define the options; imports nothing heavy, so that --help answers at once."""
    parser = argparse.ArgumentParser(
        "yoga-calibrate",
        description="Make a pose model honest and small.",
        epilog=EXAMPLES,
        formatter_class=HelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    helps = {"confidence": "fit temperature and threshold", "int8": "quantise to INT8, with a temperature of its own"}
    for name, text in helps.items():
        command = commands.add_parser(name, help=text, epilog=EXAMPLES, formatter_class=HelpFormatter)
        command.add_argument("model", type=Path, help="pose model, .onnx")
        command.add_argument("--run", type=Path, required=True, metavar="RUN", help="the run it was exported from")
        command.add_argument("--to", type=Path, required=True, metavar="FILE.onnx", help="the new model")
        command.add_argument("--photos", type=Path, help="where the run's photos are now, if they were moved")
        command.add_argument("--force", action="store_true", help="replace an output that exists")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run `yoga-calibrate`.  Returns the exit code."""
    args = parse_args(argv)
    return run_command("yoga-calibrate", {"confidence": _confidence, "int8": _int8}[args.command], args)


def _confidence(args: argparse.Namespace) -> None:
    from ..runtime.onnx_engine import OnnxEngine
    from .confidence import calibrate, load_logits, plot_reliability
    from .onnx_file import read_model, write_model
    from .runs import load_run

    plot = _check(args)
    model, info = read_model(args.model)
    run = load_run(args.run, args.photos)
    _check_run(args, info, run)
    engine = OnnxEngine(args.model, "cpu")
    test = load_logits(engine, run, "test")
    info, report = calibrate(info, load_logits(engine, run, "validation"), test)
    write_model(model, info, args.to)
    plot_reliability(test, report, plot)
    _print_report(report)
    print(f"written: {args.to}   reliability diagram: {plot}")


def _int8(args: argparse.Namespace) -> None:
    import tempfile
    from dataclasses import replace

    from ..runtime.onnx_engine import OnnxEngine
    from .confidence import calibrate, load_logits, plot_reliability
    from .metrics import measure_accuracy
    from .onnx_file import write_model
    from .quantize import draw_sample, quantize_model
    from .runs import load_run

    plot = _check(args)
    run = load_run(args.run, args.photos)
    full = OnnxEngine(args.model, "cpu")
    _check_run(args, full.info, run)
    sample = draw_sample(run)
    print("calibration sample: " + ", ".join(f"{label} {count}" for label, count in sample.counts.items()))
    model, info = quantize_model(args.model, sample)
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder) / "trial.onnx"
        write_model(model, info, trial)
        small = OnnxEngine(trial, "cpu")
        test, validation = load_logits(small, run, "test"), load_logits(small, run, "validation")
    reference = load_logits(full, run, "test")
    agreement = measure_accuracy(test.logits.argmax(axis=1), reference.logits.argmax(axis=1))
    print(f"FP32 test accuracy: {measure_accuracy(reference.logits.argmax(axis=1), reference.targets)}")
    print(f"INT8 agrees with FP32 on {agreement}")
    if agreement.interval[1] < LEAST_AGREEMENT:
        raise ModelError(
            f"INT8 agrees with FP32 on {agreement.value:.1%} of the test photos only, under {LEAST_AGREEMENT:.0%}; "
            "not written"
        )
    info, report = calibrate(info, validation, test)
    info = replace(info, calibration={**info.calibration, "agreement_with_fp32": round(agreement.value, 4)})
    write_model(model, info, args.to)
    plot_reliability(test, report, plot)
    _print_report(report)
    sizes = [path.stat().st_size / 1e6 for path in (args.model, args.to)]
    print(f"written: {args.to}, {sizes[1]:.1f} MB ({args.model.name}: {sizes[0]:.1f} MB)   reliability diagram: {plot}")


def _check(args: argparse.Namespace) -> Path:
    """Refuse what can't be written before any work is done.  Returns the diagram's path."""
    from ..runtime.files import check_output

    check_output(args.to, force=args.force)
    plot = args.to.with_suffix(".reliability.png")
    check_output(plot, force=args.force)
    if args.to.exists() and args.model.exists() and args.to.samefile(args.model):
        raise ModelError(f"--to {args.to} is the input itself; give another name")
    return plot


def _check_run(args: argparse.Namespace, info: ModelInfo, run: Run) -> None:
    """Refuse a run that the model was not exported from: its photos would be held against other labels."""
    if (info.labels, info.size) != (run.labels, run.size):
        raise ModelError(
            f"{args.model} answers {', '.join(info.labels)} at {info.size} px, but the run {args.run} was trained on "
            f"{', '.join(run.labels)} at {run.size} px; give the run that the model was exported from"
        )
    model_from, finished = info.training.get("finished_at"), run.summary.get("finished_at")
    if (
        model_from and model_from != finished
    ):  # other photos were held out: the model may have been trained on this run's test photos
        raise ModelError(
            f"{args.model} comes from a run that was finished at {model_from}, the run {args.run} was finished at "
            f"{finished}; give the run that the model was exported from"
        )


def _print_report(report: ConfidenceReport) -> None:
    print(f"test accuracy: {report.accuracy}")
    print(f"temperature {report.temperature:.3f}, NLL {report.nll_before:.4f} -> {report.nll_after:.4f}")
    print(
        f"ECE {report.ece_before:.1%} -> {report.ece_after:.1%} (a perfectly calibrated model shows "
        f"{report.ece_perfect_mean:.1%} on average, up to {report.ece_perfect_high:.1%}, with as many photos)"
    )
    print(f"threshold {report.threshold:.2f}: poses answered rightly {report.poses_kept}")
    if report.none_rejected:
        print(f"{'':16}`none` answered as none {report.none_rejected}")


if __name__ == "__main__":
    sys.exit(main())
