"""Open a pose model, or another network, with the right engine for its file and device."""

from __future__ import annotations

from pathlib import Path

from .base import Engine, Network


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


def open_network(path: Path, device: str = "auto", threads: int | None = None) -> Network:
    """Open an ONNX file that is not a pose model.  Raises YogaLiveError.

    threads: on the CPU; None: the engine's own default, all cores.
    """
    if device == "openvino":
        from .openvino import OpenVINONetwork

        return OpenVINONetwork(path, threads)
    from .onnxruntime import OnnxNetwork

    return OnnxNetwork(path, device, threads)
