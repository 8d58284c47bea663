"""The manifest's `group` column: near-duplicates share it, so that whoever splits the photos can keep them together."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from .manifest import DUPLICATE, OK, Manifest, ManifestRow
from .splits import SAME_BITS, group_hashes


@dataclass(frozen=True)
class GroupSummary:
    """photos: different contents per pose, counted once; conflicts: pictures that lie under several poses."""

    photos: int
    groups: int
    conflicts: int


def fill_groups(photos: Path) -> GroupSummary:
    """Give every photo of the manifest its group, across poses.  Raises YogaLiveError.

    A group is named after the smallest hash in it, so that its name stays when others come; only rows that change
    are written.
    """
    with Manifest(photos) as manifest:
        hashes: list[int] = []
        mirrors: list[int] = []
        contents: list[bytes] = []
        poses: list[str] = []
        for row in filter(_has_photo, manifest.read()):
            hashes.append(int(row.phash, 16))
            mirrors.append(int(row.mirror_phash or row.phash, 16))
            contents.append(bytes.fromhex(row.sha256))
            poses.append(row.pose)
        own, mirrored = np.array(hashes, np.uint64), np.array(mirrors, np.uint64)
        groups = group_hashes(own, mirrored).tolist()
        pictures = group_hashes(own, mirrored, SAME_BITS).tolist()
        names: dict[int, bytes] = {}
        poses_of: dict[int, set[str]] = defaultdict(set)
        for group, picture, content, pose in zip(groups, pictures, contents, poses, strict=True):
            names[group] = min(names.get(group, content), content)
            poses_of[picture].add(pose)
        rows = filter(_has_photo, manifest.read())
        for row, group in zip(rows, groups, strict=True):
            name = names[group].hex()[:12]
            if row.group != name:
                manifest.add(replace(row, group=name))
    conflicts = sum(len(poses) > 1 for poses in poses_of.values())
    return GroupSummary(len(set(zip(contents, poses, strict=True))), len(names), conflicts)


def _has_photo(row: ManifestRow) -> bool:
    return row.status in {OK, DUPLICATE} and bool(row.phash and row.sha256)
