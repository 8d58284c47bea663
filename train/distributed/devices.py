"""Chooses the device that a process trains on."""

from __future__ import annotations

import os

import torch

from ...runtime.errors import DeviceError
from ...runtime.system.plain_text import format_count


def choose_device(name: str) -> torch.device:
    """Choose a device: `auto` uses a GPU if there is one; a device given by name must exist.  Raises DeviceError."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise DeviceError(
            f"--device {name}: torch {torch.__version__} sees no GPU; use --device cpu, or fix the driver"
        )
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"--device {name} is not a torch device; use auto, cpu, cuda or cuda:1") from error
    if device.type not in ("cpu", "cuda"):
        raise DeviceError(f"--device {name} is not supported; use cpu or cuda")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        count = format_count(torch.cuda.device_count(), "GPU")
        raise DeviceError(f"--device {name}: torch sees {count}, counted from cuda:0; give one of them")
    return device


def choose_own_device(name: str) -> torch.device:
    """Choose the device of one of a machine's workers: the GPU of its local rank.  Raises DeviceError."""
    device = choose_device(name)
    if device.type != "cuda":
        return device
    own, local = int(os.environ.get("LOCAL_RANK", "0")), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if device.index is not None and local > 1:
        raise DeviceError(f"--device {name}: {local} workers of this machine cannot share a GPU; give --device cuda")
    if device.index is None and own >= torch.cuda.device_count():
        raise DeviceError(
            f"{local} workers on a machine where torch sees {format_count(torch.cuda.device_count(), 'GPU')}; "
            "start at most one per GPU (--nproc-per-node)"
        )
    return torch.device("cuda", own) if device.index is None else device
