"""`yoga-calibrate check`: files of one model side by side."""

from __future__ import annotations

import argparse

from ..runtime.system.plain_text import print


def run_check(args: argparse.Namespace) -> None:
    """Print, for each file, how right, honest, alike, small and fast it is."""
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
    from .runs import check_model_run, load_frames, load_run

    run = load_run(args.run, args.photos)
    engines = []
    for path in args.models:
        engine = open_engine(path, args.device)
        check_model_run(path, engine.info, run)
        engines.append(engine)
    frames, targets, _ = load_frames(run, "test")
    scores = compare_files(args.models, engines, frames, targets)
    devices = ", ".join(dict.fromkeys(engine.device for engine in engines))
    print(f"{len(targets)} test photos of {args.run}; {devices}, {count_cores()} CPU cores")
    print(f"latency: the network alone, batch 1, {TURNS} turns of {FRAMES} frames each, taken in turns")
    print()
    print(*format_scores(scores).split("\n"), sep="\n")
    if args.to:
        write_scores(scores, args.to, replace=args.force)
        print()
        print(f"written: {args.to}")
