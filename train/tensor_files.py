"""Tensors on the disk: safetensors, plain numbers and text that can't run code, written in one step."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from ..runtime.errors import OutputError
from ..runtime.files import write_then_rename


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    """Write contiguous tensors on the CPU.  Raises OutputError for a full disk: what lay there stays."""
    try:
        with write_then_rename(path) as temporary:
            save_file(dict(tensors), temporary, metadata=metadata)
    except (SafetensorError, OSError) as error:  # safetensors tells the disk's errors as its own
        raise OutputError(f"{path} can't be written ({error}); make room, or give another place") from error
