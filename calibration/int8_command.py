"""`yoga-calibrate int8`: quantises a model, chooses its activation ranges by measurement, calibrates its confidence."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..runtime.errors import ModelError
from ..runtime.system.plain_text import format_count, print
from .confidence_command import claim_model, print_missing_none, print_report, print_together

if TYPE_CHECKING:
    from .fidelity import Candidate
    from .metrics import Accuracy
    from .quantize import CalibrationSample
    from .runs import Run


def run_int8(args: argparse.Namespace) -> None:
    """Quantise with every requested method, keep the nearest to FP32, calibrate it, and write it if it agrees."""
    with claim_model(args) as plot:
        _quantise(args, plot)


def _quantise(args: argparse.Namespace, plot: Path) -> None:
    from dataclasses import replace

    import numpy as np

    from ..runtime.engines.onnxruntime import OnnxEngine
    from .confidence import calibrate, calibrate_together, plot_reliability
    from .fidelity import choose_candidate, run_model, score_methods
    from .logits import SplitLogits, choose_left_out, compute_logits, number_groups, select_landmarks
    from .metrics import measure_accuracy
    from .onnx_file import write_model
    from .quantize import draft_quantisation, draw_sample
    from .runs import check_model_run, load_frames, load_run

    run = load_run(args.run, args.photos)
    left_out = choose_left_out(run, args.on)
    full = OnnxEngine(args.model, "cpu")
    check_model_run(args.model, full.info, run)
    sample = draw_sample(run, args.per_class)
    counts = ", ".join(f"{label} {count}" for label, count in sample.counts.items())
    print(f"calibration sample: {format_count(len(sample.frames), 'training photo')}: {counts}")
    frames, targets, rows = load_frames(run, "validation")
    reference = SplitLogits(compute_logits(full, frames, "validation, fp32"), targets)
    if not np.isfinite(reference.logits).all():
        raise ModelError(f"{args.model} has logits that are not finite on the validation photos; train it again")
    draft = draft_quantisation(args.model, sample)
    methods = _list_methods(args.method)
    candidates = list(score_methods(draft, methods, frames, reference, full.info.temperature))
    best = choose_candidate(candidates)
    _print_candidates(candidates, best)
    validation = SplitLogits(best.logits, targets, number_groups(rows), select_landmarks(run, rows))
    frames, targets, rows = load_frames(run, "test")
    reference = SplitLogits(compute_logits(full, frames, "test, fp32"), targets)
    logits = run_model(best.model, draft.info, frames, "test, int8")
    test = SplitLogits(logits, targets, landmarks=select_landmarks(run, rows))
    agreement = measure_accuracy(test.logits.argmax(axis=1), reference.logits.argmax(axis=1))
    print(f"FP32 test accuracy: {measure_accuracy(reference.logits.argmax(axis=1), targets)}")
    print(f"INT8 agrees with FP32 on {agreement}")
    check_agreement(agreement, args.least_agreement / 100, _advise(methods, sample, run))
    info, report = calibrate(draft.info, validation, test, left_out)
    info, together = calibrate_together(info, validation, test, left_out)
    details = {"agreement_with_fp32": round(agreement.value, 4), "method": best.method, "sample": sample.counts}
    info = replace(info, calibration={**info.calibration, **details})
    write_model(best.model, info, args.to, replace=args.force)
    plot_reliability(test, report, plot, replace=args.force)
    print_report(report)
    print_together(together, report)
    print_missing_none(info.labels, is_tested=report.none_rejected is not None)
    sizes = [path.stat().st_size / 1e6 for path in (args.model, args.to)]
    print(f"written: {args.to}, {sizes[1]:.1f} MB ({args.model.name}: {sizes[0]:.1f} MB)   reliability diagram: {plot}")


def check_agreement(agreement: Accuracy, least: float, advice: str) -> None:
    """Refuse an INT8 model below the limit; print a line if it is below the limit possibly by chance.

    The limit is compared with the upper end of the 95 % interval: a file whose true agreement is at the limit is
    refused once in forty times, however few photos the run has; comparing the fraction itself would refuse it half the
    time.  advice: what was not tried yet.  Raises ModelError.
    """
    if agreement.interval[1] < least:
        raise ModelError(
            f"INT8 agrees with FP32 on {agreement} of the test photos, below {least:.1%}; not written. {advice}use "
            f"FP32 or FP16, or accept it with --least-agreement {int(100 * agreement.value)}"
        )
    if agreement.value < least:
        photos = format_count(agreement.total, "photo")
        print(f"this is below {least:.1%}, but with {photos} it may be chance")


def _advise(tried: list[str], sample: CalibrationSample, run: Run) -> str:
    """Name what was not tried yet: other methods, more training photos."""
    untried = [name for name in _list_methods("auto") if name not in tried]
    options = [f"--method auto, which also tries {', '.join(untried)}"] if untried else []
    if sum(photo.split == "train" for photo in run.photos) > len(sample.frames):
        options.append("a larger --per-class")
    start = "" if untried else f"All {len(tried)} methods were tried. "
    return f"{start}Give {' or '.join(options)}, " if options else f"{start}Train with more photos, "


def _list_methods(asked: str) -> list[str]:
    from .activation_ranges import METHODS

    return [name for name in METHODS if asked in ("auto", name.split()[0])]


def _print_candidates(candidates: list[Candidate], best: Candidate) -> None:
    photos = format_count(best.fidelity.agreement.total, "validation photo")
    print(f"compared with FP32 on {photos} (the lowest KL divergence of the probabilities is chosen):")
    print(f"  {'method':<18} {'agreement':>9} {'divergence':>11} {'worst logit':>12} {'NLL':>8}")
    for candidate in candidates:
        row, mark = candidate.fidelity, "  <- chosen" if candidate is best else ""
        numbers = f"{row.agreement.value:>9.1%} {row.divergence:>11.5f} {row.worst_difference:>12.3f} {row.nll:>8.4f}"
        print(f"  {candidate.method:<18} {numbers}{mark}")
