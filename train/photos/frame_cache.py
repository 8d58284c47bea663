"""Caches decoded photos on disk, so that later runs, resumed runs and epochs need not decode them again.

There is one cache for each photo folder and input size, in the user's cache folder: `frames-*.bin` holds letterboxed
frames one after the other, `thumbnails-*.bin` the small grey pictures that copies are found with, `index.csv` names the
photo and the facts of each.  The index is written last and names its frames file, so an interruption leaves the old
cache or the new one.  A photo whose size or modification time differs is decoded again.
"""

from __future__ import annotations

import csv
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...runtime.core.types import Frame
from ...runtime.photos.decoding import HEIC_HELP
from ...runtime.system.files import ODD_NAMES, find_cache_folder, make_csv_writer, write_then_rename
from ...runtime.system.foreign_files import open_plain, open_plain_text
from .same_picture import SIDE

VERSION = "4"  # increase it when decoding, letterboxing or hashing changes
UNUSED_DAYS = 30  # after which a cache is deleted
UNREADABLE = (
    "cannot be read"  # how a reason begins that may pass: a file that cannot be opened, an unforeseen exception
)
COLUMNS = ("path", "bytes", "changed_ns", "sha256", "phash", "mirror_phash", "width", "height", "error")
LEFT_OVER_S = 86400  # age of frames without an index: left by a killed process, not in use by another


@dataclass(frozen=True)
class Found:
    """Facts about one file.  error: why it is not a readable photo; the rest is then empty."""

    sha256: str = ""
    phash: int = 0
    mirror_phash: int = 0
    size_wh: tuple[int, int] = (0, 0)
    error: str = ""


class Pixels(NamedTuple):
    """One photo.  frame: uint8 (S, S, 3) BGR, letterboxed; thumbnail: uint8 (SIDE, SIDE), see `make_thumbnail`."""

    frame: Frame
    thumbnail: Frame


class FrameCache:
    """Cached frames, uint8 (S, S, 3) BGR, and facts of a folder's photos."""

    def __init__(self, folder: Path, size: int) -> None:
        name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
        self._place = find_cache_folder("frames") / f"{name}-{size}"
        self._size, self._frames_name = size, ""
        self._known: dict[tuple[str, int, int], tuple[Found, int]] = {}
        self.frames: Frame = np.empty((0, size, size, 3), np.uint8)
        self.thumbnails: Frame = np.empty((0, SIDE, SIDE), np.uint8)
        try:
            self._read()
        except (OSError, ValueError, IndexError, StopIteration, csv.Error):  # none yet, or damaged: decode again
            self._known.clear()

    def _read(self) -> None:
        with open_plain_text(self._place / "index.csv", ODD_NAMES) as file:
            rows = csv.reader(file)
            version, frames_name = next(rows)
            if version != VERSION or "/" in frames_name or next(rows) != list(COLUMNS):
                return
            count = 0
            for path, length, changed, sha256, phash, mirror, width, height, error in rows:
                size_wh = int(width), int(height)
                hashes = int(phash, 16), int(mirror, 16)
                if max(hashes) >= 2**64 or min(hashes) < 0:
                    raise ValueError(f"{path} has a hash of more than 64 bits")
                found = Found(sha256, *hashes, size_wh, error)
                self._known[path, int(length), int(changed)] = found, -1 if error else count
                count += not error
        frames = self._map(frames_name, (count, self._size, self._size, 3))
        self.thumbnails = self._map(_name_thumbnails(frames_name), (count, SIDE, SIDE))
        self.frames, self._frames_name = frames, frames_name
        os.utime(self._place)

    def _map(self, name: str, shape: tuple[int, ...]) -> Frame:
        with open_plain(self._place / name) as file:
            if os.fstat(file.fileno()).st_size != int(np.prod(shape)):
                raise ValueError(f"{name} has another length")
            return np.memmap(file, np.uint8, "r", shape=shape) if shape[0] else np.empty(shape, np.uint8)

    def covers(self, files: list[tuple[str, Path]]) -> bool:
        """Whether the cache holds exactly these files, (path in the folder, path), unchanged and in this order."""
        return [name for name, _, _ in self._known] == [name for name, _ in files] and all(
            self.find(name, path) for name, path in files
        )

    def find(self, name: str, path: Path) -> tuple[Found, Pixels | None] | None:
        """Find the facts and pixels of a file; None if it is new or has changed."""
        try:
            status = path.stat()
        except OSError:
            return None
        known = self._known.get((name, status.st_size, status.st_mtime_ns))
        if known is None:
            return None
        found, row = known
        return found, None if row < 0 else Pixels(self.frames[row], self.thumbnails[row])

    def replace(self, items: Iterable[tuple[str, Path, Found, Pixels | None]]) -> Iterator[None]:
        """Write everything anew while it is read: (path in the folder, path, facts, pixels).  Raises OSError.

        Yields after each item; afterwards `frames` is the new cache, in the order of the readable photos.
        """
        self._place.mkdir(parents=True, exist_ok=True)
        old = self._frames_name
        frames_path = self._place / f"frames-{secrets.token_hex(4)}.bin"
        thumbnails_path = self._place / _name_thumbnails(frames_path.name)
        try:
            with (
                write_then_rename(self._place / "index.csv") as temporary,
                frames_path.open("xb") as frames_file,
                thumbnails_path.open("xb") as thumbnails_file,
                temporary.open("w", newline="", encoding="utf-8", errors=ODD_NAMES) as index_file,
            ):
                index = make_csv_writer(index_file)
                index.writerows([(VERSION, frames_path.name), COLUMNS])
                for name, path, found, pixels in items:
                    if pixels is not None:
                        frames_file.write(pixels.frame.tobytes())
                        thumbnails_file.write(pixels.thumbnail.tobytes())
                    index.writerow(_format(name, path, found))
                    yield
        except BaseException:
            frames_path.unlink(missing_ok=True)
            thumbnails_path.unlink(missing_ok=True)
            raise
        self._known.clear()
        self._read()
        for other in [*self._place.glob("frames-*.bin"), *self._place.glob("thumbnails-*.bin")]:
            is_left_over = other.stat().st_mtime < time.time() - LEFT_OVER_S
            is_old = bool(old) and other.name in (old, _name_thumbnails(old))
            if other not in (frames_path, thumbnails_path) and (is_old or is_left_over):
                other.unlink(missing_ok=True)


def _name_thumbnails(frames_name: str) -> str:
    return frames_name.replace("frames-", "thumbnails-", 1)


def _format(name: str, path: Path, found: Found) -> tuple[object, ...]:
    may_change = found.error.startswith(UNREADABLE) or found.error.endswith(HEIC_HELP)  # permissions, packages
    status = None if may_change else path.stat()
    length, changed_ns = (status.st_size, status.st_mtime_ns) if status else (0, 0)
    hashes = found.sha256, f"{found.phash:x}", f"{found.mirror_phash:x}"
    return (name, length, changed_ns, *hashes, *found.size_wh, found.error)


def drop_unused_caches() -> None:
    """Delete the caches that were not used for a month."""
    oldest_s = time.time() - UNUSED_DAYS * 86400
    folder = find_cache_folder("frames")
    for place in folder.iterdir() if folder.is_dir() else ():
        if place.is_dir() and place.stat().st_mtime < oldest_s:
            shutil.rmtree(place, ignore_errors=True)
