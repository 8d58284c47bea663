"""The people finder's network in TensorRT: pictures of any size up to the largest that the engine was built for."""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from ..core.types import Floats, Frame
from ..errors import DeviceError, ModelError
from .cuda import CudaDevice
from .tensorrt import Buffer
from .tensorrt_bindings import Bindings, import_bindings, make_logger
from .tensorrt_sidecar import REBUILD_PEOPLE, Gpu, check_people_record, read_people_record


class TensorRTNetwork:
    """An engine with one input `frames` and float32 outputs, for one thread at a time."""

    device = "tensorrt"

    def __init__(self, plan: bytes, bindings: Bindings, name: str) -> None:
        """plan: the engine's bytes.  name: said in errors.  Raises ModelError, DeviceError."""
        trt, self._name = bindings.trt, name
        self._gpu = CudaDevice(bindings.cudart)
        logger = make_logger(trt)
        runtime = trt.Runtime(logger)
        engine = runtime.deserialize_cuda_engine(plan)
        if engine is None:
            raise ModelError(f"TensorRT cannot load {name}: {'; '.join(logger.errors[-2:])}; {REBUILD_PEOPLE}")
        self._outputs = _check_tensors(trt, engine, name)
        self._least, _, self._largest = (tuple(shape) for shape in engine.get_tensor_profile_shape("frames", 0))
        self._owners = [engine, runtime, logger]  # released in this order
        self._context: Any = engine.create_execution_context()
        context = self._context
        if context is None:
            raise DeviceError(f"the GPU has too little memory for {name}; close other programs")
        self._set_shape(self._largest)
        shapes = {output: tuple(context.get_tensor_shape(output)) for output in self._outputs}
        with ExitStack() as resources:
            self._stream = self._gpu.create_stream()
            resources.callback(self._gpu.destroy_stream, self._stream)
            self._buffers = {"frames": Buffer(self._gpu, resources, (1, int(np.prod(self._largest))), np.uint8)}
            for output, shape in shapes.items():
                self._buffers[output] = Buffer(self._gpu, resources, (1, 4 * int(np.prod(shape))), np.uint8)
            for tensor, buffer in self._buffers.items():
                if not context.set_tensor_address(tensor, buffer.address):
                    raise ModelError(f"TensorRT rejects the buffer for {tensor} of {name}; {REBUILD_PEOPLE}")
            self._release = weakref.finalize(self, resources.pop_all().close)

    def infer_outputs(self, outputs: Sequence[str], frames: Frame) -> list[Floats]:
        """frames: uint8 (N, H, W, 3).  Returns the named outputs, float32.

        Raises ValueError for frames that the engine does not take, DeviceError where TensorRT fails.
        """
        if frames.dtype != np.uint8 or frames.ndim != 4 or not self._takes(frames.shape):
            raise ValueError(
                f"{self._name} takes uint8 {self._least} to {self._largest}; got {frames.dtype} {frames.shape}"
            )
        context = self._context
        if context is None:
            raise ValueError("this engine is closed")
        self._set_shape(frames.shape)
        source = self._buffers["frames"]
        source.array[0, : frames.size] = frames.reshape(-1)
        self._gpu.copy_to_gpu(source.address, source.array[0, : frames.size], self._stream)
        if not context.execute_async_v3(int(self._stream)):
            raise DeviceError("TensorRT failed to run the people finder; see its messages above")
        filled = []
        for output in outputs:
            shape, buffer = tuple(context.get_tensor_shape(output)), self._buffers[output]
            memory = buffer.array[0, : 4 * int(np.prod(shape))]
            self._gpu.copy_from_gpu(memory, buffer.address, self._stream)
            filled.append(memory.view(np.float32).reshape(shape))
        self._gpu.wait(self._stream)
        return [output.copy() for output in filled]  # the next call fills the same memory

    def close(self) -> None:
        """Free the GPU's resources; done at the latest when the network is garbage-collected."""
        self._context = None
        self._owners.clear()
        self._release()

    def _takes(self, shape: tuple[int, ...]) -> bool:
        return all(low <= n <= high for low, n, high in zip(self._least, shape, self._largest, strict=True))

    def _set_shape(self, shape: tuple[int, ...]) -> None:
        context = self._context
        if not context.set_input_shape("frames", shape):
            raise DeviceError(f"TensorRT rejects frames of {shape}; see its messages above")


def open_people_engine(path: Path, source_sha256: str, bindings: Bindings | None = None) -> TensorRTNetwork:
    """Open the engine that `yoga-export engine --people` built on this machine.

    source_sha256: of the network that it must have been built from.  bindings: stand-ins for TensorRT and CUDA's
    runtime.  Raises ModelError where it is missing, damaged, or built from or for something else; DeviceError without a
    GPU; MissingPackageError.
    """
    record = read_people_record(path)
    bindings = bindings or import_bindings()
    plan, gpu = path.read_bytes(), Gpu.of(CudaDevice(bindings.cudart))
    engine_sha256 = hashlib.sha256(plan).hexdigest()
    check_people_record(path, record, engine_sha256, source_sha256, gpu, bindings.trt.__version__)
    return TensorRTNetwork(plan, bindings, path.name)


def _check_tensors(trt: Any, engine: Any, name: str) -> list[str]:
    """Refuse an engine whose tensors are of other types.  Returns the names of its outputs."""
    outputs, is_right = [], False
    for index in range(engine.num_io_tensors):
        tensor = engine.get_tensor_name(index)
        dtype, shape = engine.get_tensor_dtype(tensor), tuple(engine.get_tensor_shape(tensor))
        if engine.get_tensor_mode(tensor) == trt.TensorIOMode.INPUT:
            is_right = (tensor, dtype, len(shape)) == ("frames", trt.DataType.UINT8, 4)
        else:
            outputs.append(tensor)
            is_right = is_right and dtype == trt.DataType.FLOAT and len(shape) == 4
    if not is_right:
        raise ModelError(f"{name} is no engine of the people finder; {REBUILD_PEOPLE}")
    return outputs
