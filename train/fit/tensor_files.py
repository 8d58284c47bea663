"""Tensors on the disk: safetensors, plain numbers and text that cannot run code, written in one step."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from ...runtime.errors import OutputError
from ...runtime.system.files import write_then_rename
from ...runtime.system.plain_text import is_utf8


def open_tensors(path: Path) -> Any:
    """A file of tensors as `safe_open` gives it.  Raises SafetensorError, OSError."""
    with name_in_utf8(path) as name:
        return safe_open(name, "pt")


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a file.  Raises SafetensorError, OSError."""
    with name_in_utf8(path) as name:
        return load_file(name)


@contextmanager
def name_in_utf8(path: Path) -> Iterator[Path]:
    """The path, or a link to it for libraries that take names in UTF-8 alone."""
    if is_utf8(str(path)):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="yoga-live-") as folder:
        link = Path(folder) / f"link{path.suffix if is_utf8(path.suffix) else ''}"
        link.symlink_to(path.absolute())
        yield link


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    """Write contiguous tensors on the CPU.  Raises OutputError, e.g. for a full disk; an earlier file is kept."""
    try:
        with write_then_rename(path) as temporary:
            save_file(dict(tensors), temporary, metadata=metadata)
    except (SafetensorError, OSError) as error:  # safetensors wraps the disk's errors
        raise OutputError(f"cannot write {path} ({error}); free some space, or choose another place") from error
