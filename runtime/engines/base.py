"""What every engine is: letterboxed frames in, logits and class maps out; the file's name says which one opens it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from ..core.model_metadata import ModelInfo
from ..core.types import Floats, Frame
from ..errors import ModelError

DEVICES = ("auto", "cpu", "cuda", "tensorrt", "openvino")
"""What `--device` takes: ONNX Runtime's choice, its three by name, and OpenVINO on the CPU."""


class Engine(Protocol):
    """What the live loop needs of any engine."""

    info: ModelInfo
    device: str

    def infer(self, frames: Frame) -> Floats:
        """frames: uint8 (N, S, S, 3) BGR.  Returns logits, float32 (N, C)."""
        ...

    def infer_maps(self, frames: Frame) -> tuple[Floats, Floats]:
        """Return logits (N, C) and class maps, float32 (N, C, h, w), whose mean plus bias is the logits."""
        ...


def check_answers(path: Path, info: ModelInfo, count: int, logits: Floats, maps: Floats | None = None) -> None:
    """Refuse what is no answer to `count` frames: other shapes, numbers that are not finite.  Raises ModelError.

    Costs 0.02 ms a frame.  A network in FP16 may overflow on one picture alone, so that opening it tells nothing.
    """
    is_whole = logits.shape == (count, len(info.labels)) and bool(np.isfinite(logits).all())
    if maps is not None and is_whole:
        is_whole = maps.shape[:2] == logits.shape and bool(np.isfinite(maps).all())
    if not is_whole:
        raise ModelError(
            f"{path} gives no answer to a picture: numbers that are not finite, or not one for each of "
            f"{len(info.labels)} labels; export it again, or stay with FP32"
        )
