"""ONNX Runtime as an engine, on the CPU or through its CUDA and TensorRT providers."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from ..core.model_metadata import FEATURES, METADATA_KEY, ModelInfo, read_feature_size, read_pose_model
from ..core.types import Floats, Frame
from ..errors import DeviceError, MissingPackageError, ModelError
from ..system.plain_text import is_utf8
from ..system.telemetry import silence_telemetry
from .base import DEVICES, check_answers, check_features
from .onnx_guard import check_file
from .onnxruntime_providers import (
    GPU_HELP,
    PROVIDERS,
    choose_providers,
    load_gpu_libraries,
    make_session_options,
    name_reason,
    name_run_error,
    name_start_error,
)

log = logging.getLogger(__name__)


class OnnxNetwork:
    """Any ONNX file in ONNX Runtime.

    A device requested by name is used or is an error; `auto` logs when it falls back to the CPU.
    """

    def __init__(self, path: Path, device: str = "auto", threads: int | None = None) -> None:
        onnxruntime = import_onnxruntime()
        wanted = _choose_device(device, onnxruntime.get_available_providers())
        check_file(path)
        try:
            session = _start_session(onnxruntime, path, wanted, threads, quiet=device == "auto")
        except DeviceError:
            if device != "auto":
                raise
            session = _start_session(onnxruntime, path, "cpu", threads, quiet=True)
        if device == "auto" and PROVIDERS[wanted] not in session.get_providers():
            log.warning("this ONNX Runtime supports CUDA but no GPU is usable; continuing on the CPU")
            wanted = "cpu"
        if PROVIDERS[wanted] not in session.get_providers():
            raise DeviceError(
                f"ONNX Runtime started with {session.get_providers()} instead of {PROVIDERS[wanted]}; "
                f"{GPU_HELP[wanted]}"
            )
        self.device, self._path = wanted, path
        self._session: Any = session

    def infer_outputs(self, outputs: Sequence[str], frames: Frame) -> list[Floats]:
        """Run the network.  Raises DeviceError for errors inside ONNX Runtime, such as a lost GPU."""
        try:
            return self._session.run(outputs, {"frames": frames})
        except Exception as error:  # ONNX Runtime's exceptions have no common public base but Exception
            if isinstance(error, RuntimeError) or type(error).__module__.startswith("onnxruntime"):
                raise name_run_error(self.device, error) from error
            raise


class OnnxEngine(OnnxNetwork):
    """A pose model in ONNX Runtime."""

    def __init__(self, path: Path, device: str = "auto", threads: int | None = None) -> None:
        super().__init__(path, device, threads)
        self.info, self.feature_size = _read_info(self._session, path)
        if self.device != "cpu":
            self._warm_up(path)

    def _warm_up(self, path: Path) -> None:
        """Infer one empty frame, so that engines are built and convolutions chosen now, not during the live loop."""
        if self.info.precision == "int8":
            log.warning("%s is an INT8 model for CPUs; for a GPU use FP32, or FP16 from yoga-export fp16", path)
        try:
            self._session.run(["logits"], {"frames": np.zeros((1, self.info.size, self.info.size, 3), np.uint8)})
        except Exception as error:  # ONNX Runtime's exceptions have no common public base but Exception
            raise name_start_error(path, self.device, error) from error

    def infer(self, frames: Frame) -> Floats:
        """Logits, float32 (N, C)."""
        logits = self.infer_outputs(["logits"], frames)[0]
        check_answers(self._path, self.info, len(frames), logits)
        return logits

    def infer_maps(self, frames: Frame) -> tuple[Floats, Floats]:
        """Logits, float32 (N, C), and class maps, float32 (N, C, h, w)."""
        logits, maps = self.infer_outputs(["logits", "maps"], frames)
        check_answers(self._path, self.info, len(frames), logits, maps)
        return logits, maps

    def infer_features(self, frames: Frame) -> tuple[Floats, Floats]:
        """Logits, float32 (N, C), and features, float32 (N, D)."""
        logits, features = self.infer_outputs(["logits", FEATURES], frames)
        check_answers(self._path, self.info, len(frames), logits)
        check_features(self._path, len(frames), self.feature_size, features)
        return logits, features


def import_onnxruntime() -> Any:
    """Import ONNX Runtime.  Raises MissingPackageError if it is missing, or both of its packages are installed."""
    installed = {dist.metadata["Name"] for dist in metadata.distributions(name="onnxruntime")}
    both = installed and any(metadata.distributions(name="onnxruntime-gpu"))
    if both:
        raise MissingPackageError(
            "onnxruntime and onnxruntime-gpu are both installed, so only the CPU works; run: "
            "pip uninstall -y onnxruntime onnxruntime-gpu, then pip install the one you want"
        )
    silence_telemetry()
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingPackageError(
            f"no engine is installed ({error}); run: pip install onnxruntime (with an NVIDIA GPU: onnxruntime-gpu)"
        ) from error
    return onnxruntime


def _start_session(onnxruntime: Any, path: Path, device: str, threads: int | None, *, quiet: bool) -> Any:
    """Open the file on a device.  ONNX Runtime may still have chosen the CPU instead, which the caller checks."""
    if device != "cpu":
        load_gpu_libraries(onnxruntime, device)
    options, providers = make_session_options(onnxruntime, quiet=quiet, threads=threads), choose_providers(device, path)
    try:
        # ONNX Runtime only accepts UTF-8 names
        model = str(path) if is_utf8(str(path)) else path.read_bytes()
        session = onnxruntime.InferenceSession(model, options, providers=providers, enable_fallback=0)
    except Exception as error:  # ONNX Runtime's exceptions have no common public base but Exception
        if device != "cpu" and "Load model" not in str(error):
            raise name_start_error(path, device, error) from error
        reason = name_reason(error, first=True)
        raise ModelError(
            f"{path} cannot be loaded as an ONNX model: {reason}; export it again with yoga-export"
        ) from error
    session.disable_fallback()  # a provider that fails later is an error as well
    return session


def _choose_device(device: str, available: list[str]) -> str:
    if device != "auto" and device not in PROVIDERS:
        raise DeviceError(f"unknown device {device!r}; choose one of {', '.join(DEVICES)}")
    if device == "auto":
        return "cuda" if PROVIDERS["cuda"] in available else "cpu"
    if PROVIDERS[device] not in available:
        raise DeviceError(
            f"--device {device} needs {PROVIDERS[device]}, but this ONNX Runtime only has {', '.join(available)}; "
            "run: pip uninstall -y onnxruntime, then pip install onnxruntime-gpu; or use --device cpu"
        )
    return device


def _read_info(session: Any, path: Path) -> tuple[ModelInfo, int]:
    document = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    inputs, outputs = (
        {item.name: (_name_type(item.type), list(item.shape or ())) for item in items}
        for items in (session.get_inputs(), session.get_outputs())
    )
    return read_pose_model(path, document, inputs, outputs), read_feature_size(outputs)


def _name_type(name: str) -> str:
    """Translate ONNX Runtime's name of an element type into NumPy's."""
    name = name.removeprefix("tensor(").removesuffix(")")
    return {"float": "float32", "double": "float64"}.get(name, name)
