"""Reading a folder per pose: every photo decoded and letterboxed once, broken ones listed, never fatal."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import imagehash
import numpy as np
from PIL import Image, ImageOps

from ..runtime.errors import PhotoError, RunError
from ..runtime.photos import decode_photo
from ..runtime.preprocess import Frame, letterbox
from ..runtime.progress import track

NO_POSE = "none"


@dataclass(frozen=True)
class Photo:
    """One readable photo.  path: relative to the folder, with /; the two hashes are 64-bit perceptual hashes."""

    path: str
    pose: str
    sha256: str
    phash: int
    mirror_phash: int


@dataclass(frozen=True)
class PhotoSet:
    """All photos of a folder, decoded.  frames: uint8 (N, S, S, 3) BGR in the order of `photos`."""

    folder: Path
    labels: tuple[str, ...]
    photos: tuple[Photo, ...]
    frames: Frame
    broken: tuple[tuple[str, str], ...]


def list_poses(folder: Path) -> tuple[str, ...]:
    """Names of the pose folders, sorted, `none` last.  Hidden folders and `_removed` are no poses."""
    if not folder.is_dir():
        raise RunError(f"{folder} is no folder; expected one folder per pose inside it, such as {folder}/tree/")
    names = sorted(f.name for f in folder.iterdir() if f.is_dir() and not f.name.startswith((".", "_")))
    if len([name for name in names if name != NO_POSE]) < 2:
        raise RunError(
            f"{folder} holds {len(names)} pose folders ({', '.join(names) or 'nothing'}); at least two poses are needed"
        )
    return tuple(sorted(names, key=lambda name: (name == NO_POSE, name)))


def read_photos(folder: Path, size: int) -> PhotoSet:
    """Decode every file below the pose folders.  Raises RunError if it is no folder per pose, or one is empty."""
    labels = list_poses(folder)
    files = [
        (pose, path)
        for pose in labels
        for path in sorted((folder / pose).rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    ]
    photos: list[Photo] = []
    broken: list[tuple[str, str]] = []
    frames = np.empty((len(files), size, size, 3), np.uint8)
    with ThreadPoolExecutor() as pool:
        results = pool.map(lambda item: _read_one(folder, item[0], item[1], size), files)
        for (_, path), result in zip(files, track(results, "reading photos", len(files), "photos"), strict=True):
            if isinstance(result, PhotoError):
                broken.append((path.relative_to(folder).as_posix(), str(result)))
                continue
            photo, frames[len(photos)] = result
            photos.append(photo)
    for pose in labels:
        if not any(photo.pose == pose for photo in photos):
            raise RunError(f"{folder / pose} holds no readable photo; add some, or take the folder away")
    return PhotoSet(folder, labels, tuple(photos), frames[: len(photos)], tuple(broken))


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
    return Photo(path.relative_to(folder).as_posix(), pose, digest, phash, mirror_phash), letterbox(frame, size)


def hash_photo(frame_bgr: Frame) -> tuple[int, int]:
    """64-bit perceptual hash (DCT; Zauner 2010) of a photo and of its mirror image.  frame_bgr: uint8 (H, W, 3)."""
    grey = Image.fromarray(np.ascontiguousarray(frame_bgr[:, :, ::-1])).convert("L")
    small = grey.resize((32, 32), Image.Resampling.LANCZOS)  # what imagehash shrinks to; mirrored it stays the same
    return int(str(imagehash.phash(small)), 16), int(str(imagehash.phash(ImageOps.mirror(small))), 16)
