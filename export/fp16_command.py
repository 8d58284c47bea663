"""`yoga-export fp16`: converts a model for GPUs, if its values fit FP16 and its predictions stay the same."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..calibration.confidence_command import claim_model, print_report, print_together
from ..runtime.errors import ModelError
from ..runtime.system.plain_text import format_command, format_count, print

if TYPE_CHECKING:
    from ..calibration.fidelity import Fidelity
    from ..runtime.core.types import Floats

LEAST_AGREEMENT = 0.99
"""Limit for the upper end of the 95 % interval: a photo between two poses may change."""

WORST_DIFFERENCE = 0.01
"""Limit for any logit, relative to the largest.  FP16 rounds by 0.0005; the shipped model's logits move by 0.0011."""


def run_fp16(args: argparse.Namespace) -> None:
    """Convert to FP16, check overflow and predictions on the run's photos, calibrate the confidence, and write it."""
    with claim_model(args) as plot:
        _convert(args, plot)


def _convert(args: argparse.Namespace, plot: Path) -> None:
    from dataclasses import replace

    import numpy as np

    from ..calibration.confidence import calibrate, calibrate_together, plot_reliability
    from ..calibration.fidelity import measure_fidelity, run_model
    from ..calibration.logits import SplitLogits, choose_left_out, compute_logits, number_groups, select_landmarks
    from ..calibration.metrics import measure_accuracy
    from ..calibration.onnx_file import read_model, write_model
    from ..calibration.runs import check_model_run, load_frames, load_run
    from ..runtime.engines.onnxruntime import OnnxEngine
    from ..runtime.system.files import write_then_rename
    from .fp16 import convert_to_fp16, weigh_subnormals
    from .fp16_check import check_headroom, measure_magnitudes, round_activations

    model, info = read_model(args.model)
    if info.precision != "fp32":
        raise ModelError(f"{args.model} is already {info.precision.upper()}; give the FP32 model that it was made from")
    run = load_run(args.run, args.photos)
    check_model_run(args.model, info, run)
    left_out = choose_left_out(run, args.on)
    full = OnnxEngine(args.model, "cpu")
    (frames, targets, rows), (test_frames, test_targets, test_rows) = (
        load_frames(run, name) for name in ("validation", "test")
    )
    full.infer_maps(frames[:1])  # reports an unusable model by its name
    half = convert_to_fp16(model)
    frames, targets = np.concatenate([frames, test_frames]), np.concatenate([targets, test_targets])
    tests = slice(len(rows), None)
    measured = measure_magnitudes(model, frames)
    nearest = check_headroom(measured)
    print(
        f"largest value on {format_count(len(frames), 'photo')}: {nearest.largest:,.1f} ({nearest.node}); FP16's "
        f"limit is {nearest.headroom:,.0f} times that; {weigh_subnormals(model):.1%} of the weights lose digits in FP16"
    )
    rounded = run_model(round_activations(half), info, frames, "rounded to fp16")
    known = select_landmarks(run, rows)
    validation = SplitLogits(rounded[: tests.start], targets[: tests.start], number_groups(rows), known)
    test = SplitLogits(rounded[tests], targets[tests], landmarks=select_landmarks(run, test_rows))
    reference = measured.logits[tests]
    print(f"FP32 test accuracy: {measure_accuracy(reference.argmax(axis=1), test.targets)}")
    fidelity = measure_fidelity(reference, test)
    print(f"FP16 with a GPU's rounding: {describe_fidelity(fidelity, reference)}")
    check_fidelity(fidelity, reference)
    info, report = calibrate(replace(info, precision="fp16"), validation, test, left_out)
    info, together = calibrate_together(info, validation, test, left_out)
    details = {"agreement_with_fp32": round(fidelity.agreement.value, 4), "headroom": round(nearest.headroom, 1)}
    info = replace(info, calibration={**info.calibration, **details})
    with write_then_rename(args.to, replace=args.force) as temporary:
        write_model(half, info, temporary)
        logits = compute_logits(OnnxEngine(temporary, "cpu"), frames[tests], "test, fp16")
        on_cpu = measure_fidelity(reference, SplitLogits(logits, test.targets))
        print(f"the file with ONNX Runtime on the CPU: {describe_fidelity(on_cpu, reference)}")
        check_fidelity(on_cpu, reference)
    plot_reliability(test, report, plot, replace=args.force)
    print_report(report)
    print_together(together, report)
    sizes = [path.stat().st_size / 1e6 for path in (args.model, args.to)]
    print(f"written: {args.to}, {sizes[1]:.1f} MB ({args.model.name}: {sizes[0]:.1f} MB)   reliability diagram: {plot}")
    command = format_command("yoga-export", "engine", args.to, "--to", args.to.with_suffix(".engine"))
    print(f"next, on the machine with the GPU: {command}")


def describe_fidelity(fidelity: Fidelity, reference: Floats) -> str:
    """Describe how near FP16 is to FP32.  reference: logits of FP32, float (N, C)."""
    fraction = fidelity.worst_difference / float(abs(reference).max())
    return (
        f"agrees with FP32 on {fidelity.agreement}; worst logit off by {fidelity.worst_difference:.4f}, "
        f"{fraction:.1e} of the largest"
    )


def check_fidelity(fidelity: Fidelity, reference: Floats) -> None:
    """Refuse FP16 that differs too much from FP32, or is not finite.  Raises ModelError."""
    near = fidelity.worst_difference <= WORST_DIFFERENCE * float(abs(reference).max())
    if not near or fidelity.agreement.interval[1] < LEAST_AGREEMENT:
        raise ModelError(
            f"FP16 is too coarse for this model: it {describe_fidelity(fidelity, reference)} (limits: "
            f"{LEAST_AGREEMENT:.0%}, {WORST_DIFFERENCE:g}); not written. Use FP32"
        )
