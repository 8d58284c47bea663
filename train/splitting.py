"""Near-duplicates into groups, groups into splits: a photo and its copy never sit on both sides."""

from __future__ import annotations

from collections import Counter, defaultdict
from fnmatch import fnmatch

import numpy as np
import numpy.typing as npt

from ..runtime.errors import RunError
from .photo_folder import Photo

NEAR_BITS = 8
"""Two photos are near-duplicates when at most this many of the 64 hash bits differ."""

HELD_OUT_SHARE = 0.15
"""Share of each pose's photos that go to validation, and again to test."""


def group_photos(photos: tuple[Photo, ...]) -> npt.NDArray[np.int64]:
    """Group near-duplicates, mirrored ones too, transitively and across poses.  Returns group numbers, int (N,)."""
    hashes = np.array([photo.phash for photo in photos], dtype=np.uint64)
    mirrors = np.array([photo.mirror_phash for photo in photos], dtype=np.uint64)
    parents = np.arange(len(photos))

    def find(i: int) -> int:
        while parents[i] != i:
            parents[i] = parents[parents[i]]
            i = int(parents[i])
        return i

    for i in range(len(photos)):
        distances = np.minimum(_count_bits(hashes[i] ^ hashes[:i]), _count_bits(hashes[i] ^ mirrors[:i]))
        for j in np.flatnonzero(distances <= NEAR_BITS):
            parents[find(i)] = find(int(j))
    roots = [find(i) for i in range(len(photos))]
    numbers = {root: number for number, root in enumerate(dict.fromkeys(roots))}
    return np.array([numbers[root] for root in roots], dtype=np.int64)


def _count_bits(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    return np.unpackbits(values.view(np.uint8).reshape(len(values), 8), axis=1).sum(axis=1)


def split_groups(
    photos: tuple[Photo, ...], groups: npt.NDArray[np.int64], seed: int, train_only: str = ""
) -> list[str]:
    """Give every photo its split: test, validation or train, whole groups at a time, each pose in its proportion.

    train_only: a pattern such as `drawn__*`; photos whose file name fits it, and their groups, are never held out.
    Raises RunError if a pose has fewer than three groups, since then one of the splits would lack it.
    """
    members: dict[int, list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        members[int(group)].append(index)
    by_pose: dict[str, list[int]] = defaultdict(list)
    splits: dict[int, str] = {}
    for group, indices in members.items():
        if train_only and any(fnmatch(photos[i].path.rsplit("/", 1)[-1], train_only) for i in indices):
            splits[group] = "train"
            continue
        by_pose[Counter(photos[i].pose for i in indices).most_common(1)[0][0]].append(group)
    rng = np.random.default_rng(seed)
    for pose in sorted({photo.pose for photo in photos}):
        own = by_pose[pose]
        if len(own) < 3:
            raise RunError(
                f"pose {pose!r} has {len(own)} independent photos (near-duplicates count once); "
                "add more: at least 3, better 50"
            )
        splits.update(_split_one_pose([own[i] for i in rng.permutation(len(own))], members))
    return [splits[int(group)] for group in groups]


def _split_one_pose(own: list[int], members: dict[int, list[int]]) -> dict[int, str]:
    """Fill test, then validation, first come first served; the rest, and any huge group, trains.

    `kept` groups are left alone each time, so that a pose of one huge group and a few photos still trains.
    """
    total = sum(len(members[group]) for group in own)
    wanted = max(1, round(total * HELD_OUT_SHARE))
    splits, left = dict.fromkeys(own, "train"), len(own)
    for split, kept in (("test", 2), ("validation", 1)):
        filled = 0
        for group in own:
            size = len(members[group])
            fits = filled + size <= wanted or (filled == 0 and size < total / 3)
            if splits[group] == "train" and filled < wanted and fits and left > kept:
                splits[group] = split
                filled, left = filled + size, left - 1
    for split in ("test", "validation"):  # few large groups: each split still gets its smallest
        if split not in splits.values():
            smallest = min((g for g in own if splits[g] == "train"), key=lambda g: len(members[g]))
            splits[smallest] = split
    return splits
