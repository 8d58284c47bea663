"""`yoga-live poses`: the poses a model knows, from its metadata; no engine is loaded."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.labels import SANSKRIT, display_name
from ..system.plain_text import format_count, print

if TYPE_CHECKING:
    from ..core.model_metadata import ModelInfo

NO_POSE_NOTE = "no pose"
ONE_COLLECTION = "one collection"


def list_poses(args: argparse.Namespace) -> None:
    """Print each label with its display name, and the threshold.  Raises ModelError."""
    from ..core.model_metadata import DEFAULT_MODEL
    from ..core.types import NO_POSE

    path = args.model or DEFAULT_MODEL
    info = _read_info(path)
    width = max(len(label) for label in info.labels)
    shown = max(len(display_name(label)) for label in info.labels)
    single = info.training.get("one_collection")
    of_one = [label for label in info.labels if label in single] if isinstance(single, list) else []
    print(f"{path.name}: {len(info.labels)} labels, {info.precision}, {info.size} px")
    for label in info.labels:
        note = NO_POSE_NOTE if label == NO_POSE else SANSKRIT.get(label, "")
        note += (", " if note else "") + ONE_COLLECTION if label in of_one else ""
        print(f"  {label:{width}}  {display_name(label):{shown}}  {note}".rstrip())
    if of_one:
        print(
            f"{ONE_COLLECTION}: {format_count(len(of_one), 'pose')} whose photos are of one collection, "
            "so nobody has measured how well strangers are recognised in them"
        )
    fitted = "" if info.calibration else " (not calibrated; run: yoga-calibrate confidence)"
    print(
        f"threshold {info.threshold:.2f}{fitted}: below this confidence the prediction is `{NO_POSE}` (no pose), "
        "with 1 minus the probability of the likeliest pose as its confidence"
    )
    together = info.second_opinion.get("threshold")  # the rest of it is not read, which would need OpenCV
    if isinstance(together, float):
        print(f"threshold {together:.2f} together with its second opinion, from the key points of people")


def _read_info(path: Path) -> ModelInfo:
    """Read the metadata of an ONNX file, or of an engine from the .json beside it."""
    if path.suffix in (".engine", ".plan"):
        from ..engines.tensorrt_sidecar import read_record

        return read_record(path).model
    from ..engines.onnx_guard import read_bytes, read_info

    return read_info(read_bytes(path), path)
