"""Reading a folder per pose: every photo decoded and letterboxed once, broken ones listed, never fatal."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import imagehash
import numpy as np
from PIL import Image, ImageOps

from ..runtime.classifier import NO_POSE
from ..runtime.errors import PhotoError, RunError
from ..runtime.photos import decode_photo, read_size_wh
from ..runtime.preprocess import Frame, letterbox
from ..runtime.progress import Progress

AHEAD = 256  # photos decoded before the reader takes them: at 224 pixels 39 MB


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


@dataclass(frozen=True)
class PhotoSet:
    """All photos of a folder, decoded.  frames: uint8 (N, S, S, 3) BGR in the order of `photos`."""

    folder: Path
    labels: tuple[str, ...]
    photos: tuple[Photo, ...]
    frames: Frame
    broken: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class PhotoList:
    """All photos of a folder, their frames let go of: 100,000 photos take little memory."""

    folder: Path
    labels: tuple[str, ...]
    photos: tuple[Photo, ...]
    broken: tuple[tuple[str, str], ...]


def list_poses(folder: Path, least: int = 2) -> tuple[str, ...]:
    """Names of the pose folders, sorted, `none` last.  Hidden folders and `_removed` are no poses.

    least: how many there must be; to tell poses apart it takes two, `none` aside.  Raises RunError.
    """
    if not folder.is_dir():
        raise RunError(f"{folder} is no folder; expected one folder per pose inside it, such as {folder}/tree/")
    names = sorted(f.name for f in folder.iterdir() if f.is_dir() and not f.name.startswith((".", "_")))
    if len([name for name in names if name != NO_POSE or least < 2]) < least:
        needed = "at least two poses are needed" if least > 1 else "expected one folder per pose, such as tree/"
        raise RunError(f"{folder} holds {len(names)} pose folders ({', '.join(names) or 'nothing'}); {needed}")
    return tuple(sorted(names, key=lambda name: (name == NO_POSE, name)))


def list_files(folder: Path, labels: tuple[str, ...]) -> list[tuple[str, Path]]:
    """Every file below the pose folders with its pose, sorted; hidden ones are left out."""
    return [
        (pose, path)
        for pose in labels
        for path in sorted((folder / pose).rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    ]


def read_photos(folder: Path, size: int) -> PhotoSet:
    """Decode every file below the pose folders.  Raises RunError if it is no folder per pose, or one is empty."""
    labels = list_poses(folder)
    files = list_files(folder, labels)
    photos: list[Photo] = []
    broken: list[tuple[str, str]] = []
    frames = np.empty((len(files), size, size, 3), np.uint8)
    for path, result in _read_files(folder, files, size):
        if isinstance(result, PhotoError):
            broken.append((path, str(result)))
            continue
        photo, frames[len(photos)] = result
        photos.append(photo)
    for pose in labels:
        if not any(photo.pose == pose for photo in photos):
            raise RunError(f"{folder / pose} holds no readable photo; add some, or take the folder away")
    return PhotoSet(folder, labels, tuple(photos), frames[: len(photos)], tuple(broken))


def inspect_photos(folder: Path, size: int) -> PhotoList:
    """Decode every file below the pose folders, and keep what was found out.  Raises RunError."""
    labels = list_poses(folder, least=1)
    results = list(
        (path, result if isinstance(result, PhotoError) else result[0])
        for path, result in _read_files(folder, list_files(folder, labels), size)
    )
    photos = tuple(result for _, result in results if isinstance(result, Photo))
    broken = tuple((path, str(result)) for path, result in results if isinstance(result, PhotoError))
    return PhotoList(folder, labels, photos, broken)


def _read_files(
    folder: Path, files: list[tuple[str, Path]], size: int
) -> Iterator[tuple[str, tuple[Photo, Frame] | PhotoError]]:
    """Decode in threads, a few photos ahead of the reader.  Yields relative paths and what came of them."""
    with ThreadPoolExecutor() as pool, Progress("reading photos", len(files), "photos") as progress:
        for start in range(0, len(files), AHEAD):
            part = files[start : start + AHEAD]
            results = pool.map(lambda item: _read_one(folder, item[0], item[1], size), part)
            for (_, path), result in zip(part, results, strict=True):
                yield path.relative_to(folder).as_posix(), result
                progress.advance()


def _read_one(folder: Path, pose: str, path: Path, size: int) -> tuple[Photo, Frame] | PhotoError:
    try:
        content = path.read_bytes()
        frame = decode_photo(content, min_side=size)
    except OSError as error:
        return PhotoError(f"can't be read: {error.strerror}")
    except PhotoError as error:
        return error
    phash, mirror_phash = hash_photo(frame)
    digest = hashlib.sha256(content).hexdigest()
    name, size_wh = path.relative_to(folder).as_posix(), read_size_wh(content)
    return Photo(name, pose, digest, phash, mirror_phash, size_wh), letterbox(frame, size)


def hash_photo(frame_bgr: Frame) -> tuple[int, int]:
    """64-bit perceptual hash (DCT; Zauner 2010) of a photo and of its mirror image.  frame_bgr: uint8 (H, W, 3)."""
    grey = Image.fromarray(np.ascontiguousarray(frame_bgr[:, :, ::-1])).convert("L")
    small = grey.resize((32, 32), Image.Resampling.LANCZOS)  # what imagehash shrinks to; mirrored it stays the same
    return int(str(imagehash.phash(small)), 16), int(str(imagehash.phash(ImageOps.mirror(small))), 16)
