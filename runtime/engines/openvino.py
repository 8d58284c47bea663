"""OpenVINO as an engine: the same ONNX file on an x86 CPU, if requested by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..core.model_metadata import FEATURES, METADATA_KEY, ModelInfo, read_feature_size, read_pose_model
from ..core.types import Floats, Frame
from ..errors import MissingPackageError, ModelError
from ..system.telemetry import silence_telemetry
from .base import check_answers, check_features
from .onnx_guard import check_file
from .onnxruntime_providers import name_run_error
from .signal_stack import keep_signal_stack

NUMPY_TYPES = {"u8": "uint8", "i8": "int8", "f16": "float16", "f32": "float32"}  # OpenVINO's names of element types


class OpenVINONetwork:
    """Any ONNX file in OpenVINO's CPU plugin.  One frame at a time has the lowest latency; other batch sizes work too.

    The precision is the file's: on CPUs with BF16, OpenVINO would compute FP32 layers in BF16, which changes
    confidences that were calibrated in FP32 (by up to 0.014, and 1 of 582 predictions; in FP32 by 1e-6 and none).
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self._start(path, _load_model(path), threads)

    def _start(self, path: Path, model: Any, threads: int | None) -> None:
        self.device, self._path = "openvino", path
        settings: dict[str, str | int] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        if threads:
            settings["INFERENCE_NUM_THREADS"] = threads
        try:
            with keep_signal_stack():
                compiled = _import_openvino().Core().compile_model(model, "CPU", settings)
                self._request: Any = compiled.create_infer_request()
        except RuntimeError as error:
            raise _name_error(path, error) from error

    def infer_outputs(self, outputs: Sequence[str], frames: Frame) -> list[Floats]:
        """Run the network.  Raises DeviceError for errors inside OpenVINO."""
        try:
            with keep_signal_stack():
                results = self._request.infer({"frames": frames}, share_inputs=True)
        except RuntimeError as error:
            raise name_run_error(self.device, error) from error
        return [results[name] for name in outputs]


class OpenVINOEngine(OpenVINONetwork):
    """A pose model in OpenVINO."""

    def __init__(self, path: Path, threads: int | None = None) -> None:
        model = _load_model(path)
        self.info, self.feature_size = _read_info(model, path)
        self._start(path, model, threads)

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


def _load_model(path: Path) -> Any:
    """Read an ONNX file with OpenVINO.  Raises ModelError, MissingPackageError."""
    openvino = _import_openvino()
    check_file(path)
    try:
        # Only the ONNX front end: read_model tries every front end, and TensorFlow's prints messages about ONNX.
        frontend = openvino.frontend.FrontEndManager().load_by_framework("onnx")
        return frontend.convert(frontend.load(str(path)))
    except Exception as error:  # the front ends' exceptions have no common base but Exception
        raise _name_error(path, error) from error


def _import_openvino() -> Any:
    silence_telemetry()
    try:
        import openvino
        import openvino.frontend
    except ImportError as error:
        raise MissingPackageError(
            f"--device openvino needs the package openvino ({error}); run: pip install openvino; or use --device cpu"
        ) from error
    return openvino


def _name_error(path: Path, error: Exception) -> ModelError:
    """Report OpenVINO's reason in one line: its last line, because those before it name source files."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or ["no reason given"]
    return ModelError(f"{path} cannot be loaded as an ONNX model: {lines[-1]}; export it again with yoga-export")


def _read_info(model: Any, path: Path) -> tuple[ModelInfo, int]:
    key = ["framework", METADATA_KEY]  # where OpenVINO keeps an ONNX file's metadata
    document = str(model.get_rt_info(key).value) if model.has_rt_info(key) else None
    inputs = {name: (_name_type(port), _read_shape(port)) for port in model.inputs for name in port.get_names()}
    outputs = {name: (_name_type(port), _read_shape(port)) for port in model.outputs for name in port.get_names()}
    return read_pose_model(path, document, inputs, outputs), read_feature_size(outputs)


def _name_type(port: Any) -> str:
    name = str(port.get_element_type().get_type_name())
    return NUMPY_TYPES.get(name, name)


def _read_shape(port: Any) -> list[int | str]:
    """Read the sizes: "?" for a dynamic one, an empty list if even their number is dynamic."""
    if port.get_partial_shape().rank.is_dynamic:
        return []
    return [size.get_length() if size.is_static else "?" for size in port.get_partial_shape()]
