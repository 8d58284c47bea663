"""TensorRT as an engine: pinned buffers and one stream, without torch."""

from __future__ import annotations

import hashlib
import weakref
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from ..core.model_metadata import FEATURES, ModelInfo
from ..core.types import Floats, Frame
from ..errors import DeviceError, ModelError
from .base import check_answers, check_features
from .cuda import Bytes, CudaDevice
from .tensorrt_bindings import Bindings, import_bindings, make_logger
from .tensorrt_sidecar import Gpu, check_record, check_source, read_record

DEVICES = ("auto", "cuda", "tensorrt")
OUTPUTS = ("logits", "maps")


class TensorRTEngine:
    """An engine that `yoga-export engine` built on this machine, for one thread at a time."""

    _path: Path | None = None
    """The file; None for an engine that was just built, which `yoga-export` checks itself."""

    def __init__(self, path: Path, device: str = "auto", bindings: Bindings | None = None) -> None:
        """Open an engine.  bindings: stand-ins for TensorRT and CUDA's runtime.

        Raises DeviceError without a GPU; ModelError, with the command that rebuilds it, if its record does not match
        this GPU, this TensorRT, the engine's bytes or the ONNX file beside it; MissingPackageError.
        """
        if device not in DEVICES:
            raise DeviceError(
                f"{path} is a TensorRT engine, which only runs on an NVIDIA GPU, not with --device {device}; leave "
                "--device out, or give the .onnx file that it was built from"
            )
        record = read_record(path)
        bindings = bindings or import_bindings()
        gpu = CudaDevice(bindings.cudart)
        plan = path.read_bytes()
        check_record(path, record, hashlib.sha256(plan).hexdigest(), Gpu.of(gpu), bindings.trt.__version__)
        check_source(path, record)
        self._open(plan, record.model, bindings, gpu, path.name)
        self._path = path

    @classmethod
    def from_plan(cls, plan: bytes, info: ModelInfo, bindings: Bindings) -> TensorRTEngine:
        """Run an engine that was just built, before it has a name.  Raises ModelError, DeviceError."""
        opened = cls.__new__(cls)
        opened._open(plan, info, bindings, CudaDevice(bindings.cudart), "the engine that was built")
        return opened

    def infer(self, frames: Frame) -> Floats:
        """Logits, float32 (N, C)."""
        logits = self._run(frames, OUTPUTS[:1])[0]
        if self._path:
            check_answers(self._path, self.info, len(frames), logits)
        return logits

    def infer_maps(self, frames: Frame) -> tuple[Floats, Floats]:
        """Logits, float32 (N, C), and class maps, float32 (N, C, h, w)."""
        logits, maps = self._run(frames, OUTPUTS)
        if self._path:
            check_answers(self._path, self.info, len(frames), logits, maps)
        return logits, maps

    def infer_features(self, frames: Frame) -> tuple[Floats, Floats]:
        """Logits, float32 (N, C), and features, float32 (N, D)."""
        logits, features = self._run(frames, ("logits", FEATURES))
        if self._path:
            check_answers(self._path, self.info, len(frames), logits)
            check_features(self._path, len(frames), self.feature_size, features)
        return logits, features

    def close(self) -> None:
        """Free the GPU's resources; done at the latest when the engine is garbage-collected."""
        self._context = None
        self._owners.clear()
        self._release()

    def __enter__(self) -> TensorRTEngine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self, plan: bytes, info: ModelInfo, bindings: Bindings, gpu: CudaDevice, name: str) -> None:
        trt = bindings.trt
        logger = make_logger(trt)
        runtime = trt.Runtime(logger)
        engine = runtime.deserialize_cuda_engine(plan)
        if engine is None:
            reason = "; ".join(logger.errors[-2:]) or "no reason given"
            raise ModelError(f"TensorRT cannot load {name}: {reason}; build it again with yoga-export engine")
        shapes = _check_tensors(trt, engine, info, name)
        self.info, self.device, self.feature_size = info, "tensorrt", shapes.get(FEATURES, (0,))[0]
        self._gpu = gpu
        self._batch = int(engine.get_tensor_profile_shape("frames", 0)[2][0])
        self._sent = 0  # batch size that the context is set to
        self._owners = [engine, runtime, logger]  # released in this order
        self._context: Any = engine.create_execution_context()
        context = self._context
        if context is None:
            raise DeviceError(
                f"the GPU has too little memory for {name}: {'; '.join(logger.errors[-2:])}; close other programs"
            )
        with ExitStack() as resources:
            self._stream = gpu.create_stream()
            resources.callback(gpu.destroy_stream, self._stream)
            self._buffers = {
                tensor: Buffer(gpu, resources, (self._batch, *shape), np.uint8 if tensor == "frames" else np.float32)
                for tensor, shape in shapes.items()
            }
            for tensor, buffer in self._buffers.items():
                if not context.set_tensor_address(tensor, buffer.address):
                    raise ModelError(
                        f"TensorRT rejects the buffer for {tensor} of {name}: {'; '.join(logger.errors[-2:])}; build "
                        "it again with yoga-export engine"
                    )
            self._release = weakref.finalize(self, resources.pop_all().close)

    def _run(self, frames: Frame, outputs: tuple[str, ...]) -> list[Floats]:
        shape = (self.info.size, self.info.size, 3)
        if frames.dtype != np.uint8 or frames.shape[1:] != shape:
            raise ValueError(f"frames must be uint8 (N, {shape[0]}, {shape[1]}, 3); got {frames.dtype} {frames.shape}")
        if self._context is None:
            raise ValueError("this engine is closed")
        results = [np.empty((len(frames), *self._buffers[name].array.shape[1:]), np.float32) for name in outputs]
        for start in range(0, len(frames), self._batch):
            part = frames[start : start + self._batch]
            self._run_batch(part, outputs)
            for result, name in zip(results, outputs, strict=True):
                result[start : start + len(part)] = self._buffers[name].array[: len(part)]
        return results

    def _run_batch(self, frames: Frame, outputs: tuple[str, ...]) -> None:
        """Copy to the GPU, run, copy the outputs back; they are in their buffers when this returns."""
        context, count = self._context, len(frames)
        if count != self._sent and not context.set_input_shape("frames", (count, *frames.shape[1:])):
            raise DeviceError(f"TensorRT rejects a batch of {count}; see its messages above")
        self._sent = count
        source = self._buffers["frames"]
        source.array[:count] = frames
        self._gpu.copy_to_gpu(source.address, source.first(count), self._stream)
        if not context.execute_async_v3(int(self._stream)):
            raise DeviceError("TensorRT failed to run the engine; see its messages above")
        for name in outputs:
            buffer = self._buffers[name]
            self._gpu.copy_from_gpu(buffer.first(count), buffer.address, self._stream)
        self._gpu.wait(self._stream)


class Buffer:
    """One tensor for the largest batch: on the GPU at `address`, and in pinned memory as `array`."""

    def __init__(self, gpu: CudaDevice, resources: ExitStack, shape: tuple[int, ...], dtype: type) -> None:
        self._row_bytes = int(np.prod(shape[1:])) * np.dtype(dtype).itemsize
        size = shape[0] * self._row_bytes
        self.address = gpu.allocate(size)
        resources.callback(gpu.free, self.address)
        self._memory: Bytes = gpu.allocate_pinned(size)
        resources.callback(gpu.free_pinned, self._memory)
        self.array = self._memory.view(dtype).reshape(shape)

    def first(self, count: int) -> Bytes:
        """The bytes of the first `count` items of the batch."""
        return self._memory[: count * self._row_bytes]


def _check_tensors(trt: Any, engine: Any, info: ModelInfo, name: str) -> dict[str, tuple[int, ...]]:
    """Refuse an engine whose tensors are not a pose model's.  Returns each one's shape without the batch."""
    tensors = {}
    for index in range(engine.num_io_tensors):
        tensor = engine.get_tensor_name(index)
        is_input = engine.get_tensor_mode(tensor) == trt.TensorIOMode.INPUT
        tensors[tensor] = is_input, engine.get_tensor_dtype(tensor), tuple(engine.get_tensor_shape(tensor))
    frames = True, trt.DataType.UINT8, (-1, info.size, info.size, 3)
    outputs = [tensors.get(output, (True, None, ())) for output in OUTPUTS]
    are_right = all(
        not is_input and dtype == trt.DataType.FLOAT and len(shape) == dimensions and shape[1] == len(info.labels)
        for (is_input, dtype, shape), dimensions in zip(outputs, (2, 4), strict=True)
    )
    is_input, dtype, shape = tensors.get(FEATURES, (False, trt.DataType.FLOAT, (-1, 0)))
    are_right = are_right and not is_input and dtype == trt.DataType.FLOAT and len(shape) == 2
    if tensors.get("frames") != frames or not {*tensors} <= {"frames", *OUTPUTS, FEATURES} or not are_right:
        seen = "; ".join(f"{tensor} {dtype} {shape}" for tensor, (_, dtype, shape) in tensors.items())
        raise ModelError(
            f"{name} should have the input `frames` (N, {info.size}, {info.size}, 3), uint8, and float32 outputs "
            f"`logits` and `maps` for {len(info.labels)} labels, and perhaps `features`; it has {seen}; build it again "
            "with yoga-export engine"
        )
    return {tensor: shape[1:] for tensor, (_, _, shape) in tensors.items()}
