"""Finds the people of a folder's photos, each photo once."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from queue import SimpleQueue

import numpy as np

from ...runtime.core.types import Frame
from ...runtime.errors import PhotoError
from ...runtime.people import People, PeopleFinder
from ...runtime.people.finder import MOST_PEOPLE, PEOPLE_MODEL, SIDE
from ...runtime.photos.decoding import decode_photo, read_photo, read_size_wh
from ...runtime.system.item_failures import Failure, attempt
from ...runtime.system.progress import Progress
from ..photos.folder import Photo
from .cache import PeopleCache, PhotoPeople, drop_unused

AHEAD = 64  # photos handed to the threads at once
CACHED_SCORE = 0.15
"""People from this score on are cached, so that another `min_score` is no reason to look again."""
MOST_FINDERS = 16
"""One a core; each holds the network, 30 MB."""


@dataclass(frozen=True)
class FinderConfig:
    """Settings of `PeopleFinder` for photos.

    A scraped photo often ends where the person ends: with a margin fewer are missed (runtime/models/people/README.md).
    """

    side: int = SIDE
    margin: float = 0.08
    most: int = MOST_PEOPLE
    min_score: float = 0.25


def find_people(
    folder: Path,
    contents: Mapping[str, str],
    config: FinderConfig | None = None,
    device: str = "auto",
    should_stop: Callable[[], bool] = lambda: False,
) -> dict[str, PhotoPeople]:
    """Find the people of a folder's photos: from the cache, and for the others in threads, with progress.

    contents: path in the folder -> SHA-256 of the photo in hexadecimal, as `list_contents` and `read_contents` make it.
    device: of the finder; what was found on one device is taken from the cache on another.  should_stop: is asked
    again and again; once it says so, the photos that were not looked at are left out.

    Returns path -> its people, in pixels of the upright photo at its full size.  A file that is no readable photo, or
    has changed, is left out.  What was found before Ctrl-C, or before an error, is cached.

    Raises MissingPackageError without ONNX Runtime, and what `PeopleFinder` raises.
    """
    config = config or FinderConfig()
    drop_unused()
    looking = replace(config, min_score=min(config.min_score, CACHED_SCORE))
    cache = PeopleCache(folder, f"{_read_network()} {asdict(looking)}")
    missing: dict[str, list[str]] = defaultdict(list)
    for path, digest in contents.items():
        if digest and digest not in cache.known:
            missing[digest].append(path)
    if missing:
        found: dict[str, PhotoPeople] = {}
        try:
            found.update(_look_at(folder, missing, looking, device, should_stop))
        finally:
            if found:
                cache.add(found, contents.values())
    known = {path: cache.known[digest] for path, digest in contents.items() if digest in cache.known}
    return {path: _select_sure(each, config.min_score) for path, each in known.items()}


def _select_sure(photo: PhotoPeople, min_score: float) -> PhotoPeople:
    return replace(photo, people=photo.people.select(photo.people.scores >= min_score))


def list_contents(photos: Iterable[Photo]) -> dict[str, str]:
    """List the SHA-256 of photos by their paths, as `find_people` takes them."""
    return {photo.path: photo.sha256 for photo in photos}


def choose_person(people: People) -> int | None:
    """Choose whom a photo is about: the largest of those that are found, a sure one rather than a doubtful one.

    Returns the index, None where there is nobody.
    """
    if not len(people):
        return None
    lengths = np.sqrt((people.boxes[:, 2:] - people.boxes[:, :2]).prod(axis=1))
    return int((lengths * people.scores).argmax())


def _read_network() -> str:
    return hashlib.sha256(PEOPLE_MODEL.read_bytes()).hexdigest()


def _look_at(
    folder: Path,
    missing: Mapping[str, list[str]],
    config: FinderConfig,
    device: str,
    should_stop: Callable[[], bool],
) -> Iterator[tuple[str, PhotoPeople]]:
    """Yield the content and the people of each readable photo.  missing: content -> the paths that have it."""
    finders, first = SimpleQueue[PeopleFinder](), PeopleFinder(device, 1, **asdict(config))
    finders.put(first)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    cores = min(cores, MOST_FINDERS)
    for _ in range(cores - 1 if first.device == "cpu" else 0):
        finders.put(PeopleFinder("cpu", 1, **asdict(config)))

    def look(item: tuple[str, list[str]]) -> PhotoPeople | None:
        digest, paths = item
        tries = (attempt(path, partial(_read_one, folder / path, digest, config.side)) for path in paths)
        read = next((each for each in tries if not isinstance(each, Failure)), None)
        if read is None:
            return None
        frame, size_wh = read
        finder = finders.get()
        try:
            people = finder.find(frame)
        finally:
            finders.put(finder)
        scale = size_wh[0] / frame.shape[1], size_wh[1] / frame.shape[0]
        return PhotoPeople(people.transform(scale, (0, 0)).clip(size_wh), size_wh)

    items = list(missing.items())
    with ThreadPoolExecutor(cores) as pool, Progress("looking for people", len(items), "photos") as progress:
        for start in range(0, len(items), AHEAD):
            if should_stop():
                return
            part = items[start : start + AHEAD]
            for (digest, _), people in zip(part, pool.map(look, part), strict=True):
                if people is not None:
                    yield digest, people
                progress.advance()


def _read_one(path: Path, digest: str, side: int) -> tuple[Frame, tuple[int, int]]:
    """Decode a photo, uint8 (H, W, 3) BGR, no smaller than the finder's input, and read its full width and height."""
    content = read_photo(path)
    if hashlib.sha256(content).hexdigest() != digest:
        raise PhotoError(f"{path} has changed")
    return decode_photo(content, min_side=side), read_size_wh(content)
