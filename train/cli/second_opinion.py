"""`yoga-train second-opinion`: adds one to a finished run; imports nothing heavy before it runs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ...runtime.system.cli_runner import add_command
from ...runtime.system.plain_text import format_command, print
from ...runtime.system.progress import announce_torch

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

EXAMPLES = """examples:
  yoga-train second-opinion runs/first                  as yoga-train fit does at its end, on the run's own split
  yoga-train second-opinion runs/first --photos moved   where its photos are now

The network stays as it is. Export the run again, and calibrate the exported file again."""


def add_second_opinion_command(commands: Commands) -> None:
    """Define second-opinion."""
    sentence = "Train a second opinion, from people's key points, for a run that has none."
    command = add_command(commands, "second-opinion", sentence, EXAMPLES)
    command.set_defaults(run=_run)
    command.add_argument("folder", type=Path, metavar="RUN", help="a finished run, such as runs/first")
    command.add_argument("--photos", type=Path, metavar="FOLDER", help="the run's photos, if they were moved")
    command.add_argument("--device", default="auto", metavar="NAME", help="auto, cpu, cuda or cuda:1")
    command.add_argument("--force", action="store_true", help="train it anew where the run has one")


def _run(args: argparse.Namespace) -> None:
    announce_torch("yoga-train")
    from ...calibration.runs import load_run
    from ..predict.late_opinion import add_late_opinion, check_photos
    from ..run_files.second_opinion import describe_second_opinion

    run = load_run(args.folder, args.photos)
    check_photos(run)
    content = add_late_opinion(run, args.device, force=args.force)
    if content["second_opinion"]["used"]:  # why there is none has been said
        print(*describe_second_opinion(content), sep="\n")
        print(f"next: {format_export(args.folder, args.photos)}")


def format_export(folder: Path, photos: Path | None) -> str:
    """Write the command that exports a run, whose photos may have been moved."""
    moved = ["--photos", photos] if photos else []
    return format_command("yoga-export", "onnx", folder, *moved, "--to", "yoga.onnx")
