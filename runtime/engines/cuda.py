"""The GPU through CUDA's runtime: its properties, free memory, buffers and one stream."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DeviceError

Bytes = npt.NDArray[np.uint8]


class CudaDevice:
    """The first GPU that CUDA sees (CUDA_VISIBLE_DEVICES chooses among several)."""

    def __init__(self, cudart: Any) -> None:
        """cudart: cuda.bindings.runtime, or a stand-in.  Raises DeviceError if no GPU is usable."""
        self._cudart = cudart
        try:
            error, count = cudart.cudaGetDeviceCount()
        except RuntimeError as reason:  # of cuda-python 12.6, where the driver's library is missing
            raise DeviceError(f"cannot load an NVIDIA driver ({reason}); install one, then try again") from reason
        if error == cudart.cudaError_t.cudaErrorInsufficientDriver:
            raise DeviceError(self._describe_versions())
        if error == cudart.cudaError_t.cudaErrorNoDevice or (self._is_success(error) and count == 0):
            raise DeviceError("CUDA sees no GPU; check nvidia-smi (on a Jetson: tegrastats) and CUDA_VISIBLE_DEVICES")
        self._check(error)
        self._check(*cudart.cudaSetDevice(0))
        properties = self._check(*cudart.cudaGetDeviceProperties(0))
        self.name: str = properties.name.decode(errors="replace").rstrip("\0")
        self.compute_capability = f"{properties.major}.{properties.minor}"
        self.multiprocessors = int(properties.multiProcessorCount)
        self.shares_memory = bool(properties.integrated)

    def free_bytes(self, meminfo: Path = Path("/proc/meminfo")) -> int:
        """Memory that can be allocated now.

        If CPU and GPU share it (Jetson), CUDA leaves out what the system would free from its caches; NVIDIA then
        refers to /proc/meminfo (CUDA for Tegra, "Estimating Total Allocatable Device Memory").
        """
        free, _ = self._check(*self._cudart.cudaMemGetInfo())
        if not (self.shares_memory and meminfo.is_file()):
            return int(free)
        lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
        return max(int(free), int(lines.get("MemAvailable", "0 kB").split()[0]) * 1024)

    def allocate(self, size: int) -> int:
        """Allocate bytes on the GPU.  Returns the address.  Raises DeviceError."""
        return self._check(*self._cudart.cudaMalloc(size))

    def free(self, address: int) -> None:
        self._check(*self._cudart.cudaFree(address))

    def allocate_pinned(self, size: int) -> Bytes:
        """Allocate page-locked memory, which the GPU copies from and to directly.  Returns uint8 (size,)."""
        address = self._check(*self._cudart.cudaMallocHost(size))
        return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(int(address)))

    def free_pinned(self, memory: Bytes) -> None:
        self._check(*self._cudart.cudaFreeHost(memory.ctypes.data))

    def create_stream(self) -> Any:
        """Create a stream: a queue of GPU work that runs in order while Python continues."""
        return self._check(*self._cudart.cudaStreamCreate())

    def destroy_stream(self, stream: Any) -> None:
        self._check(*self._cudart.cudaStreamDestroy(stream))

    def copy_to_gpu(self, address: int, memory: Bytes, stream: Any) -> None:
        """Enqueue a copy from pinned memory to the GPU."""
        kind = self._cudart.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._check(*self._cudart.cudaMemcpyAsync(address, memory.ctypes.data, memory.nbytes, kind, stream))

    def copy_from_gpu(self, memory: Bytes, address: int, stream: Any) -> None:
        """Enqueue a copy from the GPU to pinned memory."""
        kind = self._cudart.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._check(*self._cudart.cudaMemcpyAsync(memory.ctypes.data, address, memory.nbytes, kind, stream))

    def wait(self, stream: Any) -> None:
        """Wait until all work in the stream is done."""
        self._check(*self._cudart.cudaStreamSynchronize(stream))

    def _check(self, error: Any, *values: Any) -> Any:
        """Return a call's results without its error code.  Raises DeviceError."""
        if not self._is_success(error):
            _, text = self._cudart.cudaGetErrorString(error)
            what = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
            is_full = error == self._cudart.cudaError_t.cudaErrorMemoryAllocation
            hint = "close other programs that use the GPU" if is_full else "see dmesg for the driver's reason"
            raise DeviceError(f"CUDA failed: {what} ({error}); {hint}, then try again")
        return values[0] if len(values) == 1 else values

    def _is_success(self, error: Any) -> bool:
        return error == self._cudart.cudaError_t.cudaSuccess

    def _describe_versions(self) -> str:
        (_, driver), (_, bindings) = self._cudart.cudaDriverGetVersion(), self._cudart.cudaRuntimeGetVersion()
        wants = f"{bindings // 1000}.{bindings % 1000 // 10}"
        if driver == 0:
            return f"this machine has no NVIDIA driver (cuda-bindings for CUDA {wants} found none); install one"
        return (
            f"the NVIDIA driver supports CUDA {driver // 1000}.{driver % 1000 // 10}, but the installed cuda-bindings "
            f"need {wants}; update the driver, or run: pip install 'cuda-bindings<{driver // 1000 + 1}'"
        )
