"""Cuts a fragmented MP4 from a full disk back to its last complete fragment."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

Box = tuple[bytes, int, int]
"""Kind, start and end (bytes)."""


def drop_torn_fragment(path: Path) -> int:
    """Cut off a fragment (`moof`, `mdat`) that was not written completely.  Returns the number of complete ones."""
    size = path.stat().st_size
    with path.open("rb+") as file:
        pairs = pairwise(_read_boxes(file, size))
        whole = [end for (kind, _, _), (_, _, end) in pairs if kind == b"moof" and end <= size]
        if whole and whole[-1] < size:
            file.truncate(whole[-1])
    return len(whole)


def _read_boxes(file: BinaryIO, size: int) -> Iterator[Box]:
    """Read the top-level boxes (ISO 14496-12, 4.2), as far as their headers are complete."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        length, kind = struct.unpack(">I4s", file.read(8))
        if length == 1:
            long = file.read(8)
            length = int.from_bytes(long, "big") if len(long) == 8 else size + 1
        if length < 8:  # 0: up to the end of the file; FFmpeg fills it in when the box is complete
            length = size - at + 1
        yield kind, at, at + length
        at += length
