"""`yoga-export info`: what a file says of itself."""

from __future__ import annotations

import argparse
import json

from ..runtime.system.plain_text import escape_json, format_command, print


def run_info(args: argparse.Namespace) -> None:
    """Print the metadata of a pose model or an engine, as text or JSON."""
    from .file_info import format_info, read_file_info

    document = read_file_info(args.model)
    if args.json:
        print(*escape_json(json.dumps(document, indent=2, ensure_ascii=False)).split("\n"), sep="\n")
        return
    for line in format_info(document):
        print(line)
    if not document.get("calibration", True):
        print(f"not calibrated; run: yoga-calibrate confidence {format_command(args.model)} --run RUN --to FILE.onnx")
