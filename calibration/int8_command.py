"""`yoga-calibrate int8`: the small file, its ranges chosen by measurement, its confidence its own."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..runtime.errors import ModelError
from ..runtime.system.plain_text import print
from .confidence_command import claim_model, print_report

if TYPE_CHECKING:
    from .fidelity import Candidate
    from .metrics import Accuracy


def run_int8(args: argparse.Namespace) -> None:
    """Quantise with every method asked for, keep the nearest to FP32, calibrate it, and write it if it agrees."""
    with claim_model(args) as plot:
        _quantise(args, plot)


def _quantise(args: argparse.Namespace, plot: Path) -> None:
    from dataclasses import replace

    import numpy as np

    from ..runtime.engines.onnxruntime import OnnxEngine
    from .confidence import calibrate, plot_reliability
    from .fidelity import choose_candidate, run_model, score_methods
    from .logits import SplitLogits, compute_logits, number_groups
    from .metrics import measure_accuracy
    from .onnx_file import write_model
    from .quantize import draft_quantisation, draw_sample
    from .runs import check_model_run, load_frames, load_run

    run = load_run(args.run, args.photos)
    full = OnnxEngine(args.model, "cpu")
    check_model_run(args.model, full.info, run)
    sample = draw_sample(run, args.per_class)
    counts = ", ".join(f"{label} {count}" for label, count in sample.counts.items())
    print(f"calibration sample: {len(sample.frames)} training photos: {counts}")
    frames, targets, rows = load_frames(run, "validation")
    reference = SplitLogits(compute_logits(full, frames, "validation, fp32"), targets)
    if not np.isfinite(reference.logits).all():
        raise ModelError(f"{args.model} gives logits that are not finite on the validation photos; train it again")
    draft = draft_quantisation(args.model, sample)
    methods = _list_methods(args.method)
    candidates = list(score_methods(draft, methods, frames, reference, full.info.temperature))
    best = choose_candidate(candidates)
    _print_candidates(candidates, best)
    validation = SplitLogits(best.logits, targets, number_groups(rows))
    frames, targets, _ = load_frames(run, "test")
    reference = SplitLogits(compute_logits(full, frames, "test, fp32"), targets)
    test = SplitLogits(run_model(best.model, draft.info, frames, "test, int8"), targets)
    agreement = measure_accuracy(test.logits.argmax(axis=1), reference.logits.argmax(axis=1))
    print(f"FP32 test accuracy: {measure_accuracy(reference.logits.argmax(axis=1), targets)}")
    print(f"INT8 agrees with FP32 on {agreement}")
    check_agreement(agreement, args.least_agreement / 100)
    info, report = calibrate(draft.info, validation, test)
    details = {"agreement_with_fp32": round(agreement.value, 4), "method": best.method, "sample": sample.counts}
    info = replace(info, calibration={**info.calibration, **details})
    write_model(best.model, info, args.to, replace=args.force)
    plot_reliability(test, report, plot, replace=args.force)
    print_report(report)
    sizes = [path.stat().st_size / 1e6 for path in (args.model, args.to)]
    print(f"written: {args.to}, {sizes[1]:.1f} MB ({args.model.name}: {sizes[0]:.1f} MB)   reliability diagram: {plot}")


def check_agreement(agreement: Accuracy, least: float) -> None:
    """Refuse INT8 that the photos show to be under the limit; say so where it is under it by chance, perhaps.

    The limit is held against the upper end of the 95 % interval: a file whose true agreement is at the limit is
    refused once in forty times, however few photos the run has, and not half the time, as the share itself would.
    Raises ModelError.
    """
    if agreement.interval[1] < least:
        raise ModelError(
            f"INT8 agrees with FP32 on {agreement} of the test photos, under {least:.1%}; not written. Give "
            "--per-class more photos or another --method, stay with FP32 or FP16, or accept it with "
            f"--least-agreement {int(100 * agreement.value)}"
        )
    if agreement.value < least:
        print(f"that is under {least:.1%}, but {agreement.total} photos are too few to tell it from chance")


def _list_methods(asked: str) -> list[str]:
    from .activation_ranges import METHODS

    return [name for name in METHODS if asked in ("auto", name.split()[0])]


def _print_candidates(candidates: list[Candidate], best: Candidate) -> None:
    photos = best.fidelity.agreement.total
    print(f"beside FP32 on {photos} validation photos (KL divergence of the probabilities decides):")
    print(f"  {'method':<18} {'agreement':>9} {'divergence':>11} {'worst logit':>12} {'NLL':>8}")
    for candidate in candidates:
        row, mark = candidate.fidelity, "  <- taken" if candidate is best else ""
        numbers = f"{row.agreement.value:>9.1%} {row.divergence:>11.5f} {row.worst_difference:>12.3f} {row.nll:>8.4f}"
        print(f"  {candidate.method:<18} {numbers}{mark}")
