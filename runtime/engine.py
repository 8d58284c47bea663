"""What every engine is: letterboxed frames in, logits and class maps out; the file's name says which one opens it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from .model_info import ModelInfo
from .preprocess import Frame

Floats = npt.NDArray[np.float32]

DEVICES = ("auto", "cpu", "cuda", "tensorrt", "openvino")
"""What `--device` takes: ONNX Runtime's choice, its three by name, and OpenVINO on the CPU."""


class Engine(Protocol):
    """What the live loop needs of any engine."""

    info: ModelInfo
    device: str

    def run(self, frames: Frame) -> Floats:
        """frames: uint8 (N, S, S, 3) BGR.  Returns logits, float32 (N, C)."""
        ...

    def run_maps(self, frames: Frame) -> tuple[Floats, Floats]:
        """Return logits (N, C) and class maps, float32 (N, C, h, w), whose mean plus bias is the logits."""
        ...


def open_engine(path: Path, device: str = "auto", threads: int | None = None) -> Engine:
    """Open a pose model with the engine that its file and the device ask for.  Raises YogaLiveError.

    threads: on the CPU; None: the engine's own choice, all cores.
    """
    if path.suffix == ".engine":
        from .tensorrt_engine import TensorRTEngine

        return TensorRTEngine(path, device)
    if device == "openvino":
        from .openvino_engine import OpenVINOEngine

        return OpenVINOEngine(path, threads)
    from .onnx_engine import OnnxEngine

    return OnnxEngine(path, device, threads)
