"""Reads a photo folder: every photo is decoded and letterboxed once; broken ones are listed, and never fatal."""

from __future__ import annotations

import hashlib
import logging
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
from PIL import Image, ImageOps

from ...calibration.runs import is_pose_name
from ...runtime.core.opencv import cv2
from ...runtime.core.preprocess import letterbox
from ...runtime.core.types import NO_POSE, Frame
from ...runtime.errors import PhotoError, RunError
from ...runtime.photos.colours import BAND_PIXELS
from ...runtime.photos.decoding import decode_photo, read_size_wh
from ...runtime.photos.kinds import is_photo
from ...runtime.photos.limits import MAX_FILE_BYTES, check_shown
from ...runtime.system.foreign_files import walk_files
from ...runtime.system.item_failures import Failure, attempt
from ...runtime.system.plain_text import format_command, format_count
from ...runtime.system.progress import Progress, track
from ..layouts.labelled_photos import name_split
from .frame_cache import UNREADABLE, Found, FrameCache, Pixels, drop_unused_caches
from .manifest import check_removed_folder
from .same_picture import SIDE, make_thumbnail

log = logging.getLogger(__name__)
HASH_SIDE = 224
"""Least side for hashing: at another size a hash bit may differ, and splits would depend on --size."""
DCT_SIDE = 32  # pixels; the lowest 8 x 8 frequencies of so small a picture are its hash
PLACES = "backgrounds"
"""Kind of `none` with places and things but no people: training puts them behind the people of other photos."""
AHEAD = 256  # photos decoded ahead of the reader: at 224 pixels 39 MB


@dataclass(frozen=True)
class Photo:
    """One readable photo.  path: relative to the folder, with /; the two hashes are 64-bit perceptual hashes.

    size_wh: width and height in pixels, upright.
    """

    path: str
    pose: str
    sha256: str
    phash: int
    mirror_phash: int
    size_wh: tuple[int, int] = (0, 0)

    @property
    def kind(self) -> str:
        """The folder inside the pose's folder, such as `standing` for `none/standing/1.jpg`; empty if there is none."""
        return self.path.partition("/")[2].rpartition("/")[0]


@dataclass(frozen=True)
class PhotoSet:
    """All photos of a folder.  frames: uint8 (N, S, S, 3) BGR in the order of `photos`, on disk if they are cached.

    thumbnails: uint8 (N, 64, 64), grey, which copies are told with, see `make_thumbnail`; None if there are none.
    """

    folder: Path
    labels: tuple[str, ...]
    photos: tuple[Photo, ...]
    frames: Frame
    broken: tuple[tuple[str, str], ...]
    thumbnails: Frame | None = None


@dataclass(frozen=True)
class PhotoList:
    """All photos of a folder, none of them in memory: 100,000 photos take little.

    thumbnails, frames: as in `PhotoSet`, on disk; frames: None where they could not be cached.
    """

    folder: Path
    labels: tuple[str, ...]
    photos: tuple[Photo, ...]
    broken: tuple[tuple[str, str], ...]
    thumbnails: Frame | None = None
    frames: Frame | None = None


def list_poses(folder: Path, least: int = 2) -> tuple[str, ...]:
    """List the pose folders, sorted, with `none` last.  Hidden folders and `_removed` are not poses.

    least: the fewest allowed; training needs two besides `none`.  Raises RunError.
    """
    if not folder.is_dir():
        raise RunError(f"{folder} is not a folder; give a folder with one folder per pose, such as {folder}/tree/")
    check_removed_folder(folder)
    names = sorted(f.name for f in folder.iterdir() if f.is_dir() and not f.name.startswith((".", "_")))
    for name in names:
        if not is_pose_name(name):  # including undecodable bytes, which no model can hold
            raise RunError(f"{folder} has a folder {name!r}, which cannot be the name of a pose; rename it")
    _refuse_splits(folder, names)
    if len([name for name in names if name != NO_POSE or least < 2]) < least:
        needed = _describe_need(names, least)
        if not names and (loose := sum(is_photo(path) for path in folder.iterdir())):
            raise RunError(
                f"{folder} has {format_count(loose, 'photo')} and no folder; put each pose's photos "
                f"into a folder of its own, such as {folder}/tree/"
            )
        count = format_count(len(names), "pose folder")
        raise RunError(f"{folder} has {count} ({', '.join(names) or 'it is empty'}); {needed}")
    return tuple(sorted(names, key=lambda name: (name == NO_POSE, name)))


def _describe_need(names: list[str], least: int) -> str:
    """Say what a folder of too few poses needs."""
    if least < 2:
        return "make one folder per pose, such as tree/"
    besides = f" besides {NO_POSE}, which is not one" if NO_POSE in names else ""
    if len(names) - bool(besides) == 1:
        return f"at least two poses are needed{besides}; add a second one, or one folder for all other poses together"
    return f"at least two poses are needed{besides}; make one folder per pose, such as tree/"


def _refuse_splits(folder: Path, names: list[str]) -> None:
    """Refuse `train/`, `val/`, `test/`: splits of a data set, no poses.  Raises RunError."""
    splits = [name for name in names if name_split(name)]
    if "train" in map(name_split, splits) and len(splits) == len(names):
        raise RunError(
            f"{folder} holds {', '.join(f'{name}/' for name in splits)}: splits, not poses; import it: "
            f"yoga-train add {format_command(folder)} --to photos"
        )


def list_files(folder: Path, labels: tuple[str, ...]) -> list[tuple[str, Path]]:
    """List every file in the pose folders with its pose, sorted, without hidden files and folders.

    Raises RunError for a folder that cannot be read: its photos would be missing, and nothing would say so.
    """
    return [
        (pose, path)
        for pose in labels
        for path in sorted(walk_files(folder / pose, refuse_unreadable))
        if path.is_file()
    ]


def refuse_unreadable(folder: Path, reason: str) -> NoReturn:
    """Raise RunError for a folder that cannot be read."""
    raise RunError(f"the folder {folder} cannot be read: {reason}; fix this, or move it elsewhere")


def read_contents(folder: Path, size: int) -> dict[str, str]:
    """Read the SHA-256 of every file in the pose folders, by its path in the folder, without unreadable files.

    size: input size whose frame cache holds most of them.  Raises RunError.
    """
    files, cache = _name_files(folder, list_poses(folder, least=1)), FrameCache(folder, size)
    with ThreadPoolExecutor() as pool:
        digests = pool.map(lambda item: _read_digest(item[0], item[1], cache), files)
        named = zip(files, track(digests, "photos' contents", len(files), "files"), strict=True)
        return {name: digest for (name, _), digest in named if digest}


def _read_digest(name: str, path: Path, cache: FrameCache) -> str:
    known = cache.find(name, path)
    if known and known[0].sha256:
        return known[0].sha256
    digest = attempt(path, lambda: hashlib.sha256(path.read_bytes()).hexdigest())
    return "" if isinstance(digest, Failure) else digest


def read_photos(folder: Path, size: int, *, cached: bool = True) -> PhotoSet:
    """Read every file in the pose folders, and decode what the cache does not hold.

    Raises RunError if there is not one folder per pose, or a pose has no readable photo.
    """
    labels = list_poses(folder)
    files = _name_files(folder, labels)
    read = _read_through_cache(folder, files, size) if cached else None
    found, pixels = read if read is not None else _read_into_memory(files, size)
    photos, broken = _sort_out(files, found)
    for pose in labels:
        if not any(photo.pose == pose for photo in photos):
            is_empty = all(path.name.startswith((".", "_")) for path in (folder / pose).iterdir())
            drawn = ", or let fit draw some with --none default" if pose == NO_POSE and is_empty else ""
            raise RunError(f"{folder / pose} has no readable photo; add some, or remove the folder{drawn}")
    return PhotoSet(folder, labels, photos, pixels.frame, broken, pixels.thumbnail)


def _read_through_cache(folder: Path, files: list[tuple[str, Path]], size: int) -> tuple[list[Found], Pixels] | None:
    """What was found out about the files, and the pixels of all photos, one after the other; None without a cache."""
    drop_unused_caches()
    cache = FrameCache(folder, size)
    if not cache.covers(files):
        results: list[Found] = []
        try:
            for _ in cache.replace(_keep_facts(_read_files(files, size, cache), results)):
                pass
        except OSError as error:
            log.warning("cannot cache the decoded photos for the next time: %s", error)
            return None
        return results, Pixels(cache.frames, cache.thumbnails)
    known = [cache.find(name, path) for name, path in files]
    return [item[0] for item in known if item], Pixels(cache.frames, cache.thumbnails)


def _keep_facts(
    items: Iterator[tuple[str, Path, Found, Pixels | None]], kept: list[Found]
) -> Iterator[tuple[str, Path, Found, Pixels | None]]:
    for item in items:
        kept.append(item[2])
        yield item


def _read_into_memory(files: list[tuple[str, Path]], size: int) -> tuple[list[Found], Pixels]:
    found: list[Found] = []
    frames = np.empty((len(files), size, size, 3), np.uint8)
    thumbnails = np.empty((len(files), SIDE, SIDE), np.uint8)
    count = 0
    for _, _, facts, pixels in _read_files(files, size, None):
        found.append(facts)
        if pixels is not None:
            frames[count], thumbnails[count] = pixels
            count += 1
    return found, Pixels(frames[:count], thumbnails[:count])


def inspect_photos(folder: Path, size: int) -> PhotoList:
    """Read every file in the pose folders through the cache that `read_photos` has for this size.  Raises RunError."""
    labels = list_poses(folder, least=1)
    files = _name_files(folder, labels)
    if (read := _read_through_cache(folder, files, size)) is not None:
        found, pixels = read
        return PhotoList(folder, labels, *_sort_out(files, found), pixels.thumbnail, pixels.frame)
    found, thumbnails = _read_thumbnails(files, size)
    return PhotoList(folder, labels, *_sort_out(files, found), thumbnails)


def _read_thumbnails(files: list[tuple[str, Path]], size: int) -> tuple[list[Found], Frame]:
    """Decode all files and keep the facts, and the thumbnails in a temporary file."""
    found: list[Found] = []
    count = 0
    with tempfile.TemporaryFile() as thumbnails:
        for _, _, facts, pixels in _read_files(files, size, None):
            found.append(facts)
            if pixels is not None:
                thumbnails.write(pixels.thumbnail.tobytes())
                count += 1
        thumbnails.flush()
        shape = (count, SIDE, SIDE)
        return found, np.memmap(thumbnails, np.uint8, "r", shape=shape) if count else np.empty(shape, np.uint8)


def _name_files(folder: Path, labels: tuple[str, ...]) -> list[tuple[str, Path]]:
    """List every file with its path in the folder, which starts with its pose."""
    return [(path.relative_to(folder).as_posix(), path) for _, path in list_files(folder, labels)]


def _sort_out(
    files: list[tuple[str, Path]], found: list[Found]
) -> tuple[tuple[Photo, ...], tuple[tuple[str, str], ...]]:
    """Separate the photos from the broken files with their reasons."""
    photos = tuple(
        Photo(name, name.partition("/")[0], facts.sha256, facts.phash, facts.mirror_phash, facts.size_wh)
        for (name, _), facts in zip(files, found, strict=True)
        if not facts.error
    )
    broken = tuple((name, facts.error) for (name, _), facts in zip(files, found, strict=True) if facts.error)
    return photos, broken


def _read_files(
    files: list[tuple[str, Path]], size: int, cache: FrameCache | None
) -> Iterator[tuple[str, Path, Found, Pixels | None]]:
    """Decode what the cache does not hold, in threads, a few photos ahead of the reader."""
    with ThreadPoolExecutor() as pool, Progress("reading photos", len(files), "photos") as progress:
        for start in range(0, len(files), AHEAD):
            part = files[start : start + AHEAD]
            results = pool.map(
                lambda item: (cache and cache.find(*item)) or _read_one(item[1], size, item[0].partition("/")[0]), part
            )
            for (name, path), (found, pixels) in zip(part, results, strict=True):
                yield name, path, found, pixels
                progress.advance()


def _read_one(path: Path, size: int, pose: str) -> tuple[Found, Pixels | None]:
    read = attempt(path, lambda: _decode_one(path, size, pose))
    if not isinstance(read, Failure):
        return read
    return Found(error=read.reason if read.is_foreseen else f"{UNREADABLE}: {read.reason}"), None


def _decode_one(path: Path, size: int, pose: str) -> tuple[Found, Pixels]:
    try:
        if (length := path.stat().st_size) > MAX_FILE_BYTES:
            raise PhotoError(f"too large: {length:,} bytes, more than {MAX_FILE_BYTES:,}")
        content = path.read_bytes()
    except OSError as error:
        raise PhotoError(f"{UNREADABLE}: {error.strerror}") from error
    frame = decode_photo(content, min_side=size)
    check_shown(frame, blank_is_fine=pose == NO_POSE)
    digest = hashlib.sha256(content).hexdigest()
    to_hash = frame if size == HASH_SIDE else decode_photo(content, min_side=HASH_SIDE)
    found = Found(digest, *hash_photo(to_hash), read_size_wh(content))
    return found, Pixels(letterbox(frame, size), make_thumbnail(to_hash))


def hash_photo(frame_bgr: Frame) -> tuple[int, int]:
    """Hash a photo and its mirror image perceptually, 64 bits (DCT; Zauner 2010).  frame_bgr: uint8 (H, W, 3)."""
    height, width = frame_bgr.shape[:2]
    grey, rows = Image.new("L", (width, height)), max(1, BAND_PIXELS // width)
    for top in range(0, height, rows):  # in bands: an RGB copy of a large photo takes seven times the memory
        band = np.ascontiguousarray(frame_bgr[top : top + rows, :, ::-1])
        grey.paste(Image.fromarray(band).convert("L"), (0, top))
    small = grey.resize((DCT_SIDE, DCT_SIDE), Image.Resampling.LANCZOS)  # mirrored it stays the same
    return _hash_small(small), _hash_small(ImageOps.mirror(small))


def _hash_small(grey: Image.Image) -> int:
    """Hash a grey picture of 32 x 32 pixels to the bits of `imagehash.phash`, which stand in users' manifests.

    Rounded, so that coefficients that are equal stay equal, whatever the processor makes of their last digits.
    """
    spectrum = cv2.dct(np.asarray(grey, np.float64))
    spectrum[0] *= np.sqrt(2)  # OpenCV's DCT is orthonormal, ImageHash's is not
    spectrum[:, 0] *= np.sqrt(2)
    low = np.round(spectrum[:8, :8], 6)
    return int.from_bytes(np.packbits(low > np.median(low)).tobytes(), "big")
