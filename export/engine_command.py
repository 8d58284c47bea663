"""`yoga-export engine`: builds a TensorRT engine for this machine's GPU from an ONNX file."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..runtime.system.option_types import read_whole
from ..runtime.system.plain_text import format_command, print

WORKSPACE_MB = 512
"""Scratch memory for TensorRT's kernels: forty times the largest activation of a batch of 8 in FP16."""


def add_engine_options(command: argparse.ArgumentParser) -> None:
    """Define the options of `yoga-export engine`."""
    command.add_argument("model", type=Path, nargs="?", help="pose model, .onnx: FP16 or INT8")
    command.add_argument("--to", type=Path, metavar="FILE.engine", help="engine to write")
    command.add_argument(
        "--people",
        action="store_true",
        help="instead, build the people finder into the user's cache folder, where --device tensorrt looks for it",
    )
    command.add_argument(
        "--workspace-mb",
        type=_read_workspace,
        default=WORKSPACE_MB,
        metavar="N",
        help="scratch memory on the GPU, in MiB",
    )
    command.add_argument(
        "--timing-cache",
        type=Path,
        metavar="FILE",
        help="file of timings that makes the next build faster (default: in the user's cache folder)",
    )
    command.add_argument("--force", action="store_true", help="replace existing outputs")


def run_engine(args: argparse.Namespace) -> None:
    """Build the engine, or renew the record of an existing one of the same network."""
    from ..runtime.errors import OptionError

    if args.people:
        if args.model or args.to:
            raise OptionError(
                f"--people builds the shipped people finder into the cache folder; leave out {args.model or '--to'}"
            )
        _run_people(args)
    elif args.model is None or args.to is None:
        missing = "a pose model, .onnx" if args.model is None else "--to FILE.engine"
        raise OptionError(f"there is nothing to build: give {missing}, or --people for the people finder")
    else:
        _run_model(args)


def _run_model(args: argparse.Namespace) -> None:
    from ..runtime.engines.tensorrt_bindings import import_bindings
    from ..runtime.engines.tensorrt_sidecar import record_path
    from ..runtime.errors import OptionError
    from ..runtime.system.claims import claim_outputs
    from ..runtime.system.files import check_output
    from .engine import EngineOptions, export_engine

    if args.to.suffix != ".engine":
        raise OptionError(f"--to {args.to} must end in .engine, so that yoga-live recognises it; give such a name")
    check_output(args.to, force=True)  # an existing engine may only need a new record
    if args.timing_cache:
        check_output(args.timing_cache, force=True)
    options = EngineOptions(args.workspace_mb, args.timing_cache)
    with claim_outputs([args.to, record_path(args.to)], force=True):
        built = export_engine(args.model, args.to, options, import_bindings(), force=args.force)
    record = built.record
    if built.was_built:
        print(f"built for {record.gpu} by TensorRT {record.tensorrt}, batches of 1 to 8, {record.model.precision}")
    else:
        print(f"kept: {args.to} has the same network; its labels and calibration are now those of {args.model}")
        print(f"to build it again anyway, remove it first: {format_command('rm', *built.paths)}")
    print(f"written: {args.to}, {args.to.stat().st_size / 1e6:.1f} MB   record: {built.paths[1]}")
    print(f"next: yoga-live 0 --model {format_command(args.to)}")


def _run_people(args: argparse.Namespace) -> None:
    from ..runtime.engines.tensorrt_bindings import import_bindings
    from ..runtime.engines.tensorrt_sidecar import record_path
    from ..runtime.people.finder import find_engine_path
    from ..runtime.system.claims import claim_outputs
    from ..runtime.system.files import check_output
    from .engine import EngineOptions
    from .people_engine import SHAPES, export_people_engine

    path, bindings = find_engine_path(), import_bindings()
    path.parent.mkdir(parents=True, exist_ok=True)
    if args.timing_cache:
        check_output(args.timing_cache, force=True)
    options = EngineOptions(args.workspace_mb, args.timing_cache)
    with claim_outputs([path, record_path(path)], force=True):
        built = export_people_engine(path, options, bindings, force=args.force)
    record = built.record
    if built.was_built:
        least, most = SHAPES[0][1], SHAPES[-1][1]
        print(f"built for {record.gpu} by TensorRT {record.tensorrt}, pictures of {least} to {most} pixels, fp16")
        print(f"written: {path}, {path.stat().st_size / 1e6:.1f} MB   record: {record_path(path)}")
    else:
        print(f"kept: {path} is the people finder for this GPU already")
        print(f"to build it again anyway, remove it first: {format_command('rm', path, record_path(path))}")
    print("next: yoga-live 0 --model FILE.engine   (it finds people with this engine by itself)")


def _read_workspace(text: str) -> int:
    return read_whole(text, "a number of MiB, 1 to 1,000,000", 1, 1_000_000)
