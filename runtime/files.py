"""Writing files so that nothing the user had is lost or half-written."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import OutputError


ODD_NAMES = "surrogateescape"
"""How text files with names of files are written and read (PEP 383): a name need not be UTF-8, its bytes come back."""


def check_output(path: Path, *, force: bool = False) -> None:
    """Refuse early an output that exists or whose folder doesn't.  Raises OutputError."""
    if path.is_dir():
        raise OutputError(f"{path} is a folder; give the name of a file")
    if path.exists() and not force:
        raise OutputError(f"{path} exists already; give another name, or --force to replace it")
    if not path.parent.is_dir():
        raise OutputError(f"the folder {path.parent} does not exist; make it first: mkdir -p {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise OutputError(f"the folder {path.parent} can't be written to; choose another place")


def name_part(path: Path) -> Path:
    """Where an output is kept while it grows; what a power cut leaves there can be read."""
    return path.with_name(f"{path.stem}.part{path.suffix}")


def check_growing_output(path: Path, *, force: bool = False) -> None:
    """Refuse early an output that exists, or what an interrupted run left of one.  Raises OutputError."""
    check_output(path, force=force)
    if (part := name_part(path)).exists() and not force:
        raise OutputError(f"{part} is what an interrupted run left; move it away, or --force to replace it")


@contextmanager
def write_then_rename(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; it takes the real name when the block ends without an error.

    The suffix is kept, because encoders choose their format by it.
    """
    temporary = path.with_name(f".{path.stem}.part{os.getpid()}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text in one step: the old content or the new, never half of it."""
    with write_then_rename(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors=ODD_NAMES)


def write_json(path: Path, content: Any) -> None:
    """Write JSON for people: indented, Unicode as it is; what is none in a file name by JSON's own escapes."""
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    write_text(path, text.encode("utf-8", "backslashreplace").decode())


def find_cache_folder(kind: str) -> Path:
    """`$XDG_CACHE_HOME/yoga-live/<kind>`, by default below ~/.cache; it may not exist yet."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "yoga-live" / kind
