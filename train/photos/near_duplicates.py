"""Finds duplicate groups and fills in the manifest's `group` column, so that splits keep near-duplicates together."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .folder import Photo
from .manifest import DUPLICATE, OK, Manifest, ManifestRow

NEAR_BITS = 8
"""Two photos are near-duplicates if at most this many of the 64 hash bits differ."""
SAME_BITS = 4
"""Up to this many bits they are certainly the same picture: copies that were scaled, mirrored or compressed again
differ in 0 to 2 bits, photos of two poses (six were checked) in 6 or more.  In between, photos are kept together, but
no label counts as wrong."""


@dataclass(frozen=True)
class GroupSummary:
    """photos: different contents per pose; conflicts: pictures under more than one pose."""

    photos: int
    groups: int
    conflicts: int


def fill_groups(photos: Path) -> GroupSummary:
    """Find the duplicate group of every photo of the manifest, across poses.  Raises YogaLiveError.

    A group is named after its smallest hash, so that the name stays when photos are added; only changed rows are
    written.
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


def group_photos(photos: tuple[Photo, ...], bits: int = NEAR_BITS, *, mirror: bool = True) -> npt.NDArray[np.int64]:
    """Group near-duplicates transitively and across poses, photos of one room too.  Returns group numbers, int (N,).

    mirror: mirror images too.
    """
    hashes = np.array([photo.phash for photo in photos], dtype=np.uint64)
    mirrors = np.array([photo.mirror_phash for photo in photos], dtype=np.uint64)
    return group_hashes(hashes, mirrors if mirror else hashes, bits)


def group_hashes(
    hashes: npt.NDArray[np.uint64], mirrors: npt.NDArray[np.uint64], bits: int = NEAR_BITS
) -> npt.NDArray[np.int64]:
    """Group photos whose hashes, uint64 (N,), differ in at most `bits` bits, transitively.

    Returns group numbers in order of appearance, int (N,); the groups do not depend on that order.  Each photo is
    compared with all before it, one row at a time, so that memory use is constant; exact copies are compared once.
    """
    pairs, copies = np.unique(np.stack([hashes, mirrors], axis=1), axis=0, return_inverse=True)
    own, mirrored = np.ascontiguousarray(pairs.T)
    groups = np.arange(len(pairs))
    for i in range(1, len(pairs)):
        near = count_bits(own[:i] ^ own[i]) <= bits
        near |= count_bits(mirrored[:i] ^ own[i]) <= bits  # a mirror image hashes a little differently each way
        near |= count_bits(own[:i] ^ mirrored[i]) <= bits
        if near.any():
            found = groups[:i][near]
            groups[i] = found.min()
            joined = found[found != groups[i]]
            if len(joined):
                groups[:i][np.isin(groups[:i], joined)] = groups[i]
    _, firsts, numbers = np.unique(groups[copies.reshape(-1)], return_index=True, return_inverse=True)
    return np.argsort(np.argsort(firsts))[numbers.reshape(-1)]


def count_bits(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint8]:
    """Count the bits that are set, one number for each value."""
    if hasattr(np, "bitwise_count"):  # numpy 2: the processor's own instruction
        return np.bitwise_count(values)
    return _add_bits(values)


def _add_bits(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint8]:
    """Add neighbouring bits, pairs, then fours, inside the 64-bit words (Warren, Hacker's Delight, 5-1)."""
    ones, pairs, fours, eights = (np.uint64(0x0101010101010101 * mask) for mask in (0x01, 0x55, 0x33, 0x0F))
    values = values - ((values >> np.uint64(1)) & pairs)
    values = (values & fours) + ((values >> np.uint64(2)) & fours)
    values = (values + (values >> np.uint64(4))) & eights
    return ((values * ones) >> np.uint64(56)).astype(np.uint8)
