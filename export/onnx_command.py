"""`yoga-export onnx`: a run becomes one file, once ONNX Runtime gives torch's answers."""

from __future__ import annotations

import argparse

from ..runtime.system.plain_text import format_command, print
from ..runtime.system.progress import announce_torch


def run_onnx(args: argparse.Namespace) -> None:
    """Export a run, and print how well torch and ONNX Runtime agree."""
    announce_torch("yoga-export")
    from ..calibration.runs import load_run
    from ..runtime.system.claims import claim_outputs
    from ..train.predict.confidence import read_model_info
    from .onnx_export import export_run

    with claim_outputs([args.to], force=args.force):
        run = load_run(args.run, args.photos)
        parity = export_run(run, args.to, replace=args.force)
    print(
        f"torch and ONNX Runtime agree on {parity.agreement}; worst difference {parity.worst_difference:.1e} of the "
        f"largest logit, {parity.map_difference:.1e} of the largest map value"
    )
    print(f"written: {args.to}, {args.to.stat().st_size / 1e6:.1f} MB")
    info = read_model_info(run)
    if info.calibration:
        print(f"calibrated: temperature {info.temperature:.3f}, threshold {info.threshold:.2f}, from the run")
    int8 = args.to.with_suffix(".int8.onnx")
    photos = ["--photos", args.photos] if args.photos else []
    print(f"next: {format_command('yoga-calibrate', 'int8', args.to, '--run', args.run, *photos, '--to', int8)}")
