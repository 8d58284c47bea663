"""`yoga-calibrate check`: compares files of one model."""

from __future__ import annotations

import argparse

from ..runtime.system.plain_text import format_count, print


def run_check(args: argparse.Namespace) -> None:
    """Print accuracy, calibration error, agreement, size and latency of each file."""
    from ..runtime.system.claims import claim_outputs
    from .comparison import check_table_name

    if args.to:
        check_table_name(args.to)
    with claim_outputs([args.to] if args.to else [], force=args.force):
        _compare(args)


def _compare(args: argparse.Namespace) -> None:
    from ..runtime.engines.factory import open_engine
    from .comparison import compare_files, format_scores, write_scores
    from .latency import FRAMES, TURNS, count_cores
    from .logits import select_landmarks
    from .runs import check_model_run, load_frames, load_run

    run = load_run(args.run, args.photos)
    engines = []
    for path in args.models:
        engine = open_engine(path, args.device)
        check_model_run(path, engine.info, run)
        engines.append(engine)
    frames, targets, rows = load_frames(run, "test")
    scores = compare_files(args.models, engines, frames, targets, select_landmarks(run, rows))
    devices = ", ".join(dict.fromkeys(engine.device for engine in engines))
    photos, cores = format_count(len(targets), "test photo"), format_count(count_cores(), "CPU core")
    print(f"{photos} of {args.run}; {devices}, {cores}")
    print(f"latency: only the network, batch 1, {TURNS} x {FRAMES} frames per file, in turns")
    print()
    print(*format_scores(scores).split("\n"), sep="\n")
    if args.to:
        write_scores(scores, args.to, replace=args.force)
        print()
        print(f"written: {args.to}")
