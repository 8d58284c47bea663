"""The pictures of a report: small photos as data URLs, found even if they were moved; some with class maps."""

from __future__ import annotations

import base64
import hashlib
import io
import logging
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from ...calibration.runs import Run, RunPhoto
from ...runtime.core.preprocess import letterbox
from ...runtime.core.types import Frame
from ...runtime.photos.decoding import decode_photo
from ...runtime.system.item_failures import Failure, attempt
from ...runtime.system.progress import track
from ..clean.previews import shrink_photo
from ..fit.network import PoseNetwork
from .class_maps import compute_class_maps, draw_class_map

log = logging.getLogger(__name__)

SMALL, LARGE = 128, 226  # longest side in pixels; large where a class map goes with it
BATCH = 16  # class maps at once
NAME_DIGITS = 16  # of a photo's sha256, as `download` names files


@dataclass(frozen=True)
class RunPictures:
    """Data URLs.  photos: by number in `run.photos`; maps: by number and pose.  missing: number of photos not found."""

    photos: dict[int, str]
    maps: dict[tuple[int, int], str]
    missing: int


class PhotoFinder:
    """Finds a run's photos in a folder, also those that were moved to another pose or to `_removed`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, photo: RunPhoto) -> bytes | None:
        """Read the photo's bytes as the run was trained with; None if they are missing or changed."""
        content = _read_if_same(self.folder / photo.path, photo.sha256)
        if content is not None:
            return content
        names = dict.fromkeys((photo.sha256[:NAME_DIGITS], Path(photo.path).stem))
        found = (_read_if_same(path, photo.sha256) for name in names for path in self._files_by_stem.get(name, []))
        return next((content for content in found if content is not None), None)

    @cached_property
    def _files_by_stem(self) -> dict[str, list[Path]]:
        files: dict[str, list[Path]] = defaultdict(list)
        for path in sorted(self.folder.rglob("*")):
            files[path.stem].append(path)
        return files


def _read_if_same(path: Path, sha256: str) -> bytes | None:
    try:
        content = path.read_bytes()
    except (OSError, ValueError):  # ValueError: a name that no file can have
        return None
    return content if hashlib.sha256(content).hexdigest() == sha256 else None


@dataclass(frozen=True)
class _Prepared:
    """One photo for the page and, if a class map is wanted, for the network."""

    url: str
    picture: Frame
    square: Frame | None


def make_pictures(
    run: Run, network: PoseNetwork, photos: Iterable[int], mapped: Iterable[tuple[int, int]]
) -> RunPictures:
    """Encode these photos of a run, and the class maps of (photo, answer) pairs."""
    answers: dict[int, list[int]] = defaultdict(list)
    for photo, answer in dict.fromkeys(mapped):
        answers[photo].append(answer)
    wanted = list(dict.fromkeys([*answers, *photos]))
    finder = PhotoFinder(run.photo_folder)
    with ThreadPoolExecutor() as pool:  # a photo leaves its thread small: thousands of decoded ones fill the memory
        results = pool.map(lambda photo: _try_prepare(finder, run, photo, photo in answers), wanted)
        found = dict(zip(wanted, track(results, "pictures", len(wanted), "photos"), strict=True))
    prepared = {photo: result for photo, result in found.items() if result is not None}
    maps: dict[tuple[int, int], str] = {}
    seen = [(photo, got.picture, got.square) for photo, got in prepared.items() if got.square is not None]
    for start in range(0, len(seen), BATCH):
        batch = seen[start : start + BATCH]
        _, class_maps = compute_class_maps(network, np.stack([square for _, _, square in batch]))
        for (photo, picture, _), of_photo in zip(batch, class_maps, strict=True):
            for answer in answers[photo]:
                maps[photo, answer] = encode_picture(draw_class_map(picture, of_photo[answer]))
    urls = {photo: result.url for photo, result in prepared.items()}
    return RunPictures(urls, maps, len(wanted) - len(prepared))


def _try_prepare(finder: PhotoFinder, run: Run, photo: int, is_mapped: bool) -> _Prepared | None:
    """Encode one photo; None if it is missing or cannot be decoded, which is logged."""
    path = run.photos[photo].path
    prepared = attempt(path, lambda: _prepare(finder, run, photo, is_mapped))
    if isinstance(prepared, Failure):
        log.warning("%s is not shown: %s", path, prepared.reason)
        return None
    return prepared


def _prepare(finder: PhotoFinder, run: Run, photo: int, is_mapped: bool) -> _Prepared | None:
    content = finder.read(run.photos[photo])
    if content is None:
        return None
    side = LARGE if is_mapped else SMALL
    picture = shrink_photo(decode_photo(content, min_side=side), side)
    square = letterbox(decode_photo(content, min_side=run.size), run.size) if is_mapped else None
    return _Prepared(encode_picture(picture), picture, square)


def encode_picture(frame_bgr: Frame) -> str:
    """Encode a JPEG data URL."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(frame_bgr[:, :, ::-1])).save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
