"""Open a pose model with the right engine for its file and device."""

from __future__ import annotations

from pathlib import Path

from .base import Engine


def open_engine(path: Path, device: str = "auto", threads: int | None = None) -> Engine:
    """Open a pose model with the right engine for its file and device.  Raises YogaLiveError.

    threads: on the CPU; None: the engine's own default, all cores.
    """
    if path.suffix == ".engine":
        from .tensorrt import TensorRTEngine

        return TensorRTEngine(path, device)
    if device == "openvino":
        from .openvino import OpenVINOEngine

        return OpenVINOEngine(path, threads)
    from .onnxruntime import OnnxEngine

    return OnnxEngine(path, device, threads)
