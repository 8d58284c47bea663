"""The GPU as CUDA shows it: what it is and has free, and one line for each way of not being there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from yoga_live.runtime.engines.cuda import CudaDevice
from yoga_live.runtime.errors import DeviceError

MEMINFO = "MemTotal:        7802580 kB\nMemFree:          301000 kB\nMemAvailable:    5000000 kB\nSwapFree: 1 kB\n"


def test_the_gpu_says_what_it_is(gpu: Any) -> None:
    device = CudaDevice(gpu.cudart)
    assert (device.name, device.compute_capability, device.multiprocessors) == ("Fake GPU", "8.7", 16)


def test_bytes_go_to_the_gpu_and_back_in_the_order_of_the_stream(gpu: Any) -> None:
    device = CudaDevice(gpu.cudart)
    stream, address = device.create_stream(), device.allocate(16)
    there, back = device.allocate_pinned(16), device.allocate_pinned(16)
    there[:] = np.arange(16)
    device.copy_to_gpu(address, there[:12], stream)
    device.copy_from_gpu(back, address, stream)
    assert (back == 0xA5).all()  # nothing has run yet
    device.wait(stream)
    assert back.tolist() == [*range(12), *[0xA5] * 4]
    device.free(address)
    for memory in (there, back):
        device.free_pinned(memory)
    device.destroy_stream(stream)
    assert not gpu.live and not gpu.streams


@pytest.mark.parametrize(
    ("integrated", "free", "expected"),
    [(0, 3_000_000, 3_000_000), (1, 3_000_000, 5_120_000_000), (1, 6_000_000_000, 6_000_000_000)],
)
def test_a_board_counts_what_its_system_would_give_back(
    gpu: Any, tmp_path: Path, integrated: int, free: int, expected: int
) -> None:
    (tmp_path / "meminfo").write_text(MEMINFO)
    gpu.integrated, gpu.free = integrated, free
    assert CudaDevice(gpu.cudart).free_bytes(tmp_path / "meminfo") == expected
    assert CudaDevice(gpu.cudart).free_bytes(tmp_path / "none") == free


@pytest.mark.parametrize(
    ("driver", "count", "message"),
    [
        (0, 0, r"this machine has no NVIDIA driver \(cuda-bindings for CUDA 13.0 found none\)"),
        (12060, 1, r"supports CUDA 12.6, but the installed cuda-bindings need 13.0; .*'cuda-bindings<13'"),
        (13000, 0, "CUDA sees no GPU; .*CUDA_VISIBLE_DEVICES"),
    ],
)
def test_a_gpu_that_can_not_be_used_is_one_line_that_helps(gpu: Any, driver: int, count: int, message: str) -> None:
    gpu.driver, gpu.count = driver, count
    with pytest.raises(DeviceError, match=message):
        CudaDevice(gpu.cudart)


def test_a_driver_library_that_is_missing_is_no_traceback(gpu: Any) -> None:
    def fail() -> None:
        raise RuntimeError("Failed to dlopen libcuda.so.1")  # as cuda-python 12.6.2 does

    gpu.cudart.cudaGetDeviceCount = fail
    with pytest.raises(DeviceError, match=r"cannot load an NVIDIA driver .*libcuda"):
        CudaDevice(gpu.cudart)


def test_other_errors_name_their_code_and_no_memory(gpu: Any) -> None:
    device = CudaDevice(gpu.cudart)
    illegal = gpu.cudart.cudaError_t.cudaErrorIllegalAddress
    gpu.cudart.cudaMemGetInfo = lambda: (illegal, None, None)
    with pytest.raises(DeviceError, match=r"CUDA failed: cudaErrorIllegalAddress .*dmesg"):
        device.free_bytes()
