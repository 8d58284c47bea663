"""`yoga-calibrate confidence`, and what the commands share: checks of outputs and the report of confidence."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..runtime.errors import ModelError
from ..runtime.system.claims import claim_outputs
from ..runtime.system.files import check_output
from ..runtime.system.plain_text import format_count, print

if TYPE_CHECKING:
    from .confidence import ConfidenceReport, SourceCalibration

ON_CHOICES = ("auto", "left-out", "validation")
MOST_LISTED = 12
"""Left-out sources that are printed one by one."""
HALF = 0.5
"""Of the poses: a model that classifies fewer correctly is said to be of little use."""


def run_confidence(args: argparse.Namespace) -> None:
    """Fit temperature and threshold of one file."""
    with claim_model(args) as plot:
        _calibrate(args, plot)


def _calibrate(args: argparse.Namespace, plot: Path) -> None:
    from ..runtime.engines.onnxruntime import OnnxEngine
    from .confidence import calibrate, calibrate_together, plot_reliability
    from .logits import choose_left_out, load_logits
    from .onnx_file import read_model, write_model
    from .runs import check_model_run, load_run

    model, info = read_model(args.model)
    run = load_run(args.run, args.photos)
    check_model_run(args.model, info, run)
    left_out = choose_left_out(run, args.on)
    engine = OnnxEngine(args.model, "cpu")
    validation, test = (load_logits(engine, run, split) for split in ("validation", "test"))
    info, report = calibrate(info, validation, test, left_out)
    info, together = calibrate_together(info, validation, test, left_out)
    write_model(model, info, args.to, replace=args.force)
    plot_reliability(test, report, plot, replace=args.force)
    print_report(report)
    print_together(together, report)
    print_missing_none(info.labels, is_tested=report.none_rejected is not None)
    print(f"written: {args.to}   reliability diagram: {plot}")


def add_on_option(command: argparse.ArgumentParser) -> None:
    """Define --on, in a group of its own."""
    command.add_argument_group("confidence").add_argument(
        "--on",
        choices=ON_CHOICES,
        default=ON_CHOICES[0],
        help="what to fit temperature and threshold on: answers to left-out sources (yoga-train fit --by-source) or "
        "validation photos; auto: left-out where the run has them",
    )


def check_outputs(args: argparse.Namespace) -> Path:
    """Refuse outputs that cannot be written, before any work.  Returns the diagram's path."""
    check_output(args.to, force=args.force)
    plot = args.to.with_suffix(".reliability.png")
    check_output(plot, force=args.force)
    if args.to.exists() and args.model.exists() and args.to.samefile(args.model):
        raise ModelError(f"--to {args.to} is the input itself; give another name")
    return plot


@contextmanager
def claim_model(args: argparse.Namespace) -> Iterator[Path]:
    """Lock the model's file and its diagram during the block, after refusing outputs that cannot be written.

    Yields the diagram's path.
    """
    plot = check_outputs(args)
    with claim_outputs([args.to, plot], force=args.force):
        yield plot


def print_missing_none(labels: tuple[str, ...], *, is_tested: bool) -> None:
    """Print what a threshold without photos of `none` is worth, if there are none.  is_tested: on photos of `none`."""
    from ..runtime.core.none_class import UNTESTED_NONE, describe_missing_none

    remedy = "the threshold only keeps 95 % of the correct predictions. Train with photos of these in a folder `none`"
    if line := describe_missing_none(labels, remedy):
        print(line)
    elif not is_tested:
        print(UNTESTED_NONE)


def print_together(together: ConfidenceReport | None, alone: ConfidenceReport) -> None:
    """Print the same of network and key points together, where the model has a second opinion."""
    if together is not None:
        print("with the second opinion, the key points of people:")
        if together.fitted_on != alone.fitted_on:
            print("(the run has no answers of key points to left-out sources: this is fitted on validation photos)")
        print_report(together)


def print_report(report: ConfidenceReport) -> None:
    """Print accuracy and calibration on the test photos, and what they were fitted on where that is other photos."""
    from .confidence import ENOUGH

    if report.sources:
        _print_sources(report.sources)
    print(f"test accuracy: {report.accuracy}")
    print(f"temperature {report.temperature:.3f}, NLL {report.nll_before:.4f} -> {report.nll_after:.4f}")
    if report.trust < 1:
        photos = format_count(
            report.validation_groups, f"independent {'photo' if report.sources else 'validation photo'}"
        )
        print(
            f"from {photos}: temperature and threshold go only {report.trust:.0%} of the way that these ask for, "
            f"because so few may mislead; the whole way from {ENOUGH} on. Add photos, and train again"
        )
    verdict = "within" if report.ece_after <= report.ece_perfect_high else "ABOVE"
    print(
        f"ECE {report.ece_before:.1%} -> {report.ece_after:.1%} (a perfectly calibrated model has "
        f"{report.ece_perfect_mean:.1%} on average, up to {report.ece_perfect_high:.1%}, with as many photos: "
        f"{verdict})"
    )
    print(f"threshold {report.threshold:.2f}: poses classified correctly {report.poses_kept}")
    if report.poses_kept.value < HALF:
        print(
            "this model misses more poses than it names: before you use it, train it with more photos, other starting "
            "weights or more epochs"
        )
    if report.none_rejected:
        print(f"{'':16}`none` (no pose) classified correctly {report.none_rejected}")


def _print_sources(sources: dict[str, SourceCalibration]) -> None:
    print(
        "temperature and threshold are fitted on predictions for left-out sources of photos (with --on validation: for "
        "the validation photos); each source below is judged at the temperature fitted on the other sources:"
    )
    wide = max(map(len, list(sources)[:MOST_LISTED]))
    for name, row in list(sources.items())[:MOST_LISTED]:
        print(f"  {name:<{wide}}  {describe_source(row)}")
    if len(sources) > MOST_LISTED:
        print(f"  and {format_count(len(sources) - MOST_LISTED, 'smaller source')}, in the model's metadata")


def describe_source(row: SourceCalibration) -> str:
    """Describe how a model does on one left-out source; that a few photos do not contradict it says nothing."""
    from .confidence import ENOUGH

    is_within = row.ece <= row.ece_perfect_high
    judged = f"a perfectly calibrated model has up to {row.ece_perfect_high:.1%}: {'within' if is_within else 'ABOVE'}"
    if is_within and row.accuracy.total < ENOUGH:
        judged = "too few photos to judge it"
    photos = format_count(row.accuracy.total, "photo")
    return f"{photos}, accuracy {row.accuracy.value:.1%}, ECE {row.ece:.1%} ({judged})"
