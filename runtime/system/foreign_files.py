"""Reads untrusted files: only regular files, of bounded size, JSON of bounded depth, paths that stay inside a folder.

A run, an engine's record or a list from elsewhere may name a device that never ends or a named pipe that hangs, or hold
JSON that is nested until the stack is full.  Besides OSError, all functions raise ValueError with only the reason.
"""

from __future__ import annotations

import io
import json
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, BinaryIO, TextIO

MOST_DOCUMENT_BYTES = 64_000_000
"""Limit for a JSON document: a run of 100,000 photos writes less than 1 MB, a checkpoint's notes a few."""
MOST_DEPTH = 32
HALF_CHARACTERS = re.compile("[\ud800-\udc7f\udd00-\udfff]")
"""Surrogates that UTF-8 cannot encode; U+DC80 to U+DCFF stand for the bytes of odd file names (PEP 383)."""
KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a folder",
}


def open_plain(path: Path) -> BinaryIO:
    """Open a regular file for reading.  Nothing else is opened: a pipe would hang, a device may never end."""
    _check_kind(path.stat().st_mode)
    number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        _check_kind(os.fstat(number).st_mode)  # it may have been replaced meanwhile
        return os.fdopen(number, "rb")
    except BaseException:
        os.close(number)
        raise


def walk_files(
    folder: Path, report: Callable[[Path, str], object], is_entered: Callable[[Path], bool] = lambda _: True
) -> Iterator[Path]:
    """Iterate over the files in a folder and in the folders below it, sorted, without hidden ones and links to folders.

    report: takes each folder that cannot be read, and why; what it raises ends the walk.  is_entered: filters folders.
    """

    def tell(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):  # what is not there, or no longer, holds nothing
            report(Path(error.filename), error.strerror or str(error))

    for name, folders, files in os.walk(folder, onerror=tell):
        here = Path(name)
        folders[:] = sorted(inner for inner in folders if not inner.startswith(".") and is_entered(here / inner))
        yield from (here / file for file in sorted(files) if not file.startswith("."))


def open_plain_text(path: Path, errors: str = "strict", encoding: str = "utf-8") -> TextIO:
    """Open a regular text file; line ends are kept, as `csv` requires."""
    return io.TextIOWrapper(open_plain(path), encoding=encoding, errors=errors, newline="")


def _check_kind(mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise ValueError(f"it is {KINDS.get(stat.S_IFMT(mode), 'something else')}, not a file")


def read_document(path: Path) -> Any:
    """Read a JSON document."""
    with open_plain(path) as file:
        return parse_json(file.read(MOST_DOCUMENT_BYTES + 1))


def parse_json(content: str | bytes) -> Any:
    """Parse JSON of bounded size and depth, with only encodable text."""
    if len(content) > MOST_DOCUMENT_BYTES:
        raise ValueError(f"it is larger than {MOST_DOCUMENT_BYTES // 1_000_000} MB")
    try:
        document = json.loads(content)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    _check_values(document)
    return document


def _check_values(document: Any) -> None:
    """Refuse values that later code cannot copy or write: deep nesting, unpaired surrogates."""
    level = [document]
    for _ in range(MOST_DEPTH):
        if not level:
            return
        inner: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                inner += [*value.keys(), *value.values()]
            elif isinstance(value, list):
                inner += value
            elif isinstance(value, str) and HALF_CHARACTERS.search(value):
                raise ValueError(f"it holds an unpaired surrogate (half a character): {show(value)}")
        level = inner
    raise ValueError(f"it is nested deeper than {MOST_DEPTH} levels")


def is_inside(path: str) -> bool:
    """Whether a path is relative and without `..`, so that it stays inside its folder."""
    pure = PurePath(path)
    stays = not (pure.is_absolute() or pure.drive or pure.root or PurePosixPath(path).is_absolute())
    return bool(path) and stays and ".." not in pure.parts and "\0" not in path


def check_whole(value: Any, what: str, least: int, most: int) -> int:
    """Check a whole number in a range; True and 32.0 are refused."""
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{what} should be a whole number from {least} to {most}; it is {show(value)}")
    return value


def check_number(value: Any, what: str, least: float, most: float) -> float:
    """Check a finite number in a range; True is refused."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise ValueError(f"{what} should be a number from {least:g} to {most:g}; it is {show(value)}")
    return float(value)


def check_text(value: Any, what: str, longest: int = 1000) -> str:
    """Check text of bounded length without control characters."""
    if not isinstance(value, str) or len(value) > longest or any(ord(letter) < 32 for letter in value):
        raise ValueError(f"{what} should be text of at most {longest} characters; it is {show(value)}")
    return value


def show(value: Any) -> str:
    """Format a value for a message: short, printable."""
    text = f"{value!r}" if isinstance(value, str | int | float | bool | None) else f"a {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:57]}..."
