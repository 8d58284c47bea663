"""The manifest's `group` column: photos that look alike share it; and the pictures that lie under several poses."""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...runtime.core.types import Frame
from ...runtime.photos.decoding import decode_photo
from ...runtime.system.item_failures import Failure, attempt
from .folder import HASH_SIDE
from .manifest import DUPLICATE, OK, Manifest, ManifestRow
from .mirroring import find_sides
from .near_duplicates import SAME_BITS, group_hashes
from .picture_groups import group_pictures
from .same_picture import SIDE, make_thumbnail


@dataclass(frozen=True)
class GroupSummary:
    """photos: different contents per pose, counted once; conflicts: pictures that lie under several poses.

    groups: of photos that look alike, which one room may be; `count_photos` counts different pictures.
    """

    photos: int
    groups: int
    conflicts: int


def fill_groups(photos: Path, mirror: bool | None = None) -> GroupSummary:
    """Give every photo of the manifest its group, across poses.  Raises YogaLiveError.

    mirror: whether mirror images are copies; None: unless the names of two poses differ only by left and right.
    A group is named after the smallest hash in it, so that its name stays when others come; only rows that change
    are written.  Conflicts are looked for among photos that the hashes call copies; those are decoded.
    """
    with Manifest(photos) as manifest:
        rows = list(filter(_has_photo, manifest.read()))
        is_copy = not find_sides({row.pose for row in rows}) if mirror is None else mirror
        hashes = np.array([int(row.phash, 16) for row in rows], np.uint64)
        mirrors = np.array([int((is_copy and row.mirror_phash) or row.phash, 16) for row in rows], np.uint64)
        groups = group_hashes(hashes, mirrors).tolist()
        names: dict[int, bytes] = {}
        for row, group in zip(rows, groups, strict=True):
            content = bytes.fromhex(row.sha256)
            names[group] = min(names.get(group, content), content)
        for row, group in zip(rows, groups, strict=True):
            name = names[group].hex()[:12]
            if row.group != name:
                manifest.add(replace(row, group=name))
    alike = group_hashes(hashes, mirrors, SAME_BITS).tolist()
    conflicts = _count_conflicts(photos, rows, hashes, mirrors, alike, mirror=is_copy)
    return GroupSummary(len({(row.sha256, row.pose) for row in rows}), len(names), conflicts)


def _has_photo(row: ManifestRow) -> bool:
    return row.status in {OK, DUPLICATE} and bool(row.phash and row.sha256)


def _count_conflicts(
    photos: Path,
    rows: list[ManifestRow],
    hashes: np.ndarray[tuple[int], np.dtype[np.uint64]],
    mirrors: np.ndarray[tuple[int], np.dtype[np.uint64]],
    alike: list[int],
    *,
    mirror: bool,
) -> int:
    """Count pictures under several poses.  alike: group of each row, of photos that may be copies."""
    poses_of: dict[int, set[str]] = defaultdict(set)
    for row, number in zip(rows, alike, strict=True):
        poses_of[number].add(row.pose)
    suspects = [index for index, number in enumerate(alike) if len(poses_of[number]) > 1]
    paths = sorted({rows[index].path for index in suspects})
    with ThreadPoolExecutor() as pool:
        made = dict(zip(paths, pool.map(lambda path: _read_thumbnail(photos / path), paths), strict=True))
    found = [(index, made[rows[index].path]) for index in suspects if made[rows[index].path] is not None]
    own = [index for index, _ in found]
    thumbnails = np.array([small for _, small in found], np.uint8).reshape(-1, SIDE, SIDE)
    pictures: dict[int, set[str]] = defaultdict(set)
    numbers = group_pictures(hashes[own], mirrors[own], thumbnails, mirror=mirror).tolist()
    for index, picture in zip(own, numbers, strict=True):
        pictures[picture].add(rows[index].pose)
    return sum(len(poses) > 1 for poses in pictures.values())


def _read_thumbnail(path: Path) -> Frame | None:
    small = attempt(path, lambda: make_thumbnail(decode_photo(path, min_side=HASH_SIDE)))
    return None if isinstance(small, Failure) else small
