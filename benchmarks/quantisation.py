"""What INT8 should leave in floating point, and how far its activations reach: each choice measured on a real run.

`python benchmarks/quantisation.py yoga.onnx --run runs/NAME` quantises with every method and every treatment of the
first convolution and the head, then with samples of other sizes, and holds each against FP32 on
the run's validation photos.  The times are of files side by side, in turns, as ratios to FP32.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

from yoga_live.calibration.activation_ranges import METHODS
from yoga_live.calibration.fidelity import Candidate, choose_candidate, score_methods
from yoga_live.calibration.int8_options import SAMPLE_PER_CLASS, Treatment
from yoga_live.calibration.latency import count_cores, time_engines
from yoga_live.calibration.logits import SplitLogits, compute_logits
from yoga_live.calibration.onnx_file import write_model
from yoga_live.calibration.quantize import draft_quantisation, draw_sample
from yoga_live.calibration.runs import Run, check_model_run, load_frames, load_run
from yoga_live.runtime.core.types import Frame
from yoga_live.runtime.engines.onnxruntime import OnnxEngine

TREATMENTS = {
    "all but the head": Treatment(first=True, head=False),
    "the head too": Treatment(first=True, head=True),
    "first convolution float": Treatment(first=False, head=False),
}
SIZES = (1, 4, 8, 24, 64)


def score_treatments(args: argparse.Namespace, run: Run, frames: Frame, reference: SplitLogits, folder: Path) -> None:
    """Print every method under every treatment, each with its time as a ratio to FP32's."""
    sample, scores = draw_sample(run, args.per_class), {}
    paths = {"FP32": args.model}
    for name, treatment in TREATMENTS.items():
        draft = draft_quantisation(args.model, sample, treatment)
        scores[name] = list(score_methods(draft, METHODS, frames, reference))
        paths[name] = folder / f"{len(paths)}.onnx"
        write_model(choose_candidate(scores[name]).model, draft.info, paths[name])
    times = time_engines([OnnxEngine(path, "cpu") for path in paths.values()], frames[:32], args.turns)
    medians = {name: float(np.median(times_ms)) for name, times_ms in zip(paths, times, strict=True)}
    print(f"\nsample: {len(sample.frames)} photos, {args.per_class} a class at most; {count_cores()} cores")
    print(f"FP32: {medians['FP32']:.1f} ms; the time is one of the best method's file\n")
    print("| INT8 | method | agreement | KL divergence | worst logit | NLL | time / FP32 |\n" + "|---" * 7 + "|")
    for name, candidates in scores.items():
        for candidate in candidates:
            print(f"| {name} | {format_candidate(candidate)} | {medians[name] / medians['FP32']:.3f} |")


def score_sizes(args: argparse.Namespace, run: Run, frames: Frame, reference: SplitLogits) -> None:
    """Print every method for samples of other sizes."""
    print("\n| photos | method | agreement | KL divergence | worst logit | NLL |\n" + "|---" * 6 + "|")
    for per_class in SIZES:
        sample = draw_sample(run, per_class)
        draft = draft_quantisation(args.model, sample)
        for candidate in score_methods(draft, METHODS, frames, reference):
            print(f"| {len(sample.frames)} | {format_candidate(candidate)} |", flush=True)


def format_candidate(candidate: Candidate) -> str:
    """Cells of one candidate's fidelity."""
    row = candidate.fidelity
    numbers = f"{row.divergence:.5f} | {row.worst_difference:.2f} | {row.nll:.4f}"
    return f"{candidate.method} | {row.agreement.right} of {row.agreement.total} | {numbers}"


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="FP32 pose model, .onnx")
    parser.add_argument("--run", type=Path, required=True, help="the run it was exported from")
    parser.add_argument("--photos", type=Path, help="where the run's photos are now, if they were moved")
    parser.add_argument("--per-class", type=int, default=SAMPLE_PER_CLASS, help="training photos of each class")
    parser.add_argument("--turns", type=int, default=20, help="turns of ten frames that each file is timed for")
    args = parser.parse_args()
    run, full = load_run(args.run, args.photos), OnnxEngine(args.model, "cpu")
    check_model_run(args.model, full.info, run)
    frames, targets, _ = load_frames(run, "validation")
    reference = SplitLogits(compute_logits(full, frames, "FP32"), targets)
    with tempfile.TemporaryDirectory() as folder:
        score_treatments(args, run, frames, reference, Path(folder))
    score_sizes(args, run, frames, reference)
    return 0


if __name__ == "__main__":
    sys.exit(main())
