"""Caches the people of a folder's photos on disk, so that they are looked for once.

There is one file for each photo folder, network and settings of the finder, in the user's cache folder.  Inside, a
photo is known by its content: a file that was renamed, or that lies there twice, is looked at once.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
import zipfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...runtime.people import People
from ...runtime.system.files import find_cache_folder, write_then_rename
from ...runtime.system.foreign_files import open_plain
from ..photos.frame_cache import UNUSED_DAYS

log = logging.getLogger(__name__)
VERSION = "1"  # increase it when decoding or decoding the heads changes
KIND = "people"
DAMAGE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, NotImplementedError)
"""What reading a damaged file raises; one that is not there is no damage."""

Arrays = Mapping[str, npt.NDArray[np.generic]]


@dataclass(frozen=True)
class PhotoPeople:
    """The people of one photo, the surest first.

    people: in pixels of the upright photo at its full size, however small it was decoded.  size_wh: its width and
    height.
    """

    people: People
    size_wh: tuple[int, int]


class PeopleCache:
    """The people that were found in a folder's photos, by the SHA-256 of their content in hexadecimal."""

    def __init__(self, folder: Path, key: str) -> None:
        """Read what there is.  key: of the network and the settings; with another one there is another file."""
        name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
        self._path = find_cache_folder(KIND) / f"{name}-{hashlib.sha256((VERSION + key).encode()).hexdigest()[:16]}.npz"
        self.known: dict[str, PhotoPeople] = self._read()

    def _read(self) -> dict[str, PhotoPeople]:
        try:
            with open_plain(self._path) as file, np.load(file, allow_pickle=False) as arrays:
                known = _unpack(arrays)
            with suppress(OSError):
                os.utime(self._path)
        except FileNotFoundError:
            return {}
        except DAMAGE as error:
            log.warning("the people of the photos are looked for again: %s is damaged (%s)", self._path, error)
            return {}
        return known

    def add(self, found: Mapping[str, PhotoPeople], used: Iterable[str]) -> None:
        """Write what was found beside what is known; of that, only what is used, so that the file does not grow.

        Another process may have written meanwhile: what it found is kept too.  used: contents of the folder's photos.
        """
        wanted = set(used)
        self.known = {**self._read(), **self.known, **found}
        kept = {digest: each for digest, each in self.known.items() if digest in wanted}
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with write_then_rename(self._path) as temporary, temporary.open("wb") as file:
                np.savez(file, **_pack(kept))  # type: ignore[arg-type]
        except OSError as error:
            log.warning("cannot cache the people of the photos for the next time: %s", error)


def _pack(photos: Mapping[str, PhotoPeople]) -> Arrays:
    people = [each.people for each in photos.values()] or [People.nobody()]
    digests = b"".join(bytes.fromhex(digest) for digest in photos)
    return {
        "sha256": np.frombuffer(digests, np.uint8).reshape(-1, 32),
        "size_wh": np.array([each.size_wh for each in photos.values()], np.int64).reshape(-1, 2),
        "count": np.array([len(each.people) for each in photos.values()], np.int64),
        **{
            name: np.concatenate([getattr(each, name) for each in people])
            for name in ("boxes", "keypoints", "keypoint_scores", "scores")
        },
    }


def _unpack(arrays: Arrays) -> dict[str, PhotoPeople]:
    """Read what `_pack` made.  Raises ValueError or KeyError where it is something else."""
    everybody = People(*(arrays[name] for name in ("boxes", "keypoints", "keypoint_scores", "scores")))  # type: ignore[arg-type]
    digests, sizes_wh, counts = (arrays[name] for name in ("sha256", "size_wh", "count"))
    total = len(counts)
    if digests.shape != (total, 32) or sizes_wh.shape != (total, 2) or counts.shape != (total,):
        raise ValueError("its arrays do not fit together")
    if counts.min(initial=0) < 0 or counts.sum() != len(everybody) or sizes_wh.min(initial=1) < 1:
        raise ValueError("its numbers do not fit together")
    if not all(np.isfinite(each).all() for each in (everybody.boxes, everybody.keypoints, everybody.scores)):
        raise ValueError("it holds values that are not finite")
    ends = np.cumsum(counts)
    return {
        digest.tobytes().hex(): PhotoPeople(
            everybody.select(np.arange(end - count, end)), (int(size_wh[0]), int(size_wh[1]))
        )
        for digest, size_wh, count, end in zip(digests, sizes_wh, counts, ends, strict=True)
    }


def drop_unused() -> None:
    """Delete the files that were not used for a month."""
    oldest_s = time.time() - UNUSED_DAYS * 86400
    folder = find_cache_folder(KIND)
    for path in folder.glob("*.npz") if folder.is_dir() else ():
        with suppress(OSError):
            if path.stat().st_mtime < oldest_s:
                path.unlink()
