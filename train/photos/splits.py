"""Near-duplicates into groups, groups into splits: a photo and its copy never sit on both sides."""

from __future__ import annotations

from collections import Counter, defaultdict
from fnmatch import fnmatch

import numpy as np
import numpy.typing as npt

from ...runtime.errors import OptionError, RunError
from .folder import Photo

NEAR_BITS = 8
"""Two photos are near-duplicates when at most this many of the 64 hash bits differ."""

SAME_BITS = 4
"""And surely the same picture up to here: copies scaled, mirrored or compressed again differ in 0 to 2 bits, photos of
two poses (six were looked at) in 6 or more.  Between the two: keep together, but accuse no label."""

HELD_OUT_SHARE = 0.15
"""Share of each pose's photos that go to validation, and again to test."""


def group_photos(photos: tuple[Photo, ...], bits: int = NEAR_BITS) -> npt.NDArray[np.int64]:
    """Group near-duplicates, mirrored ones too, transitively and across poses.  Returns group numbers, int (N,)."""
    hashes = np.array([photo.phash for photo in photos], dtype=np.uint64)
    mirrors = np.array([photo.mirror_phash for photo in photos], dtype=np.uint64)
    return group_hashes(hashes, mirrors, bits)


def group_hashes(
    hashes: npt.NDArray[np.uint64], mirrors: npt.NDArray[np.uint64], bits: int = NEAR_BITS
) -> npt.NDArray[np.int64]:
    """Group photos whose hashes, uint64 (N,), differ in at most `bits` bits, transitively.

    Returns group numbers in order of appearance, int (N,); the partition does not depend on that order.  Each photo is
    compared with all before it, a row at a time, so that memory stays flat; exact copies are compared once.
    """
    pairs, copies = np.unique(np.stack([hashes, mirrors], axis=1), axis=0, return_inverse=True)
    own, mirrored = np.ascontiguousarray(pairs.T)
    groups = np.arange(len(pairs))
    for i in range(1, len(pairs)):
        near = _count_bits(own[:i] ^ own[i]) <= bits
        near |= _count_bits(mirrored[:i] ^ own[i]) <= bits  # a mirror image hashes a little differently each way
        near |= _count_bits(own[:i] ^ mirrored[i]) <= bits
        if near.any():
            found = groups[:i][near]
            groups[i] = found.min()
            joined = found[found != groups[i]]
            if len(joined):
                groups[:i][np.isin(groups[:i], joined)] = groups[i]
    _, firsts, numbers = np.unique(groups[copies.reshape(-1)], return_index=True, return_inverse=True)
    return np.argsort(np.argsort(firsts))[numbers.reshape(-1)]


def _count_bits(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint8]:
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


def split_groups(
    photos: tuple[Photo, ...],
    groups: npt.NDArray[np.int64],
    seed: int,
    train_only: str = "",
    share: float = HELD_OUT_SHARE,
) -> list[str]:
    """Give every photo its split: test, validation or train, whole groups at a time, each pose in its proportion.

    train_only: patterns such as `drawn__*`, separated by commas; photos whose file name fits one, and their groups,
    are never held out.  share: of each pose's photos, goes to validation, and again to test.
    Raises RunError if a pose has fewer than three groups, since then one of the splits would lack it; OptionError for
    a pattern that no file name fits.
    """
    members: dict[int, list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        members[int(group)].append(index)
    by_pose: dict[str, list[int]] = defaultdict(list)
    splits: dict[int, str] = {}
    kept_back = _find_train_only(photos, train_only)
    for group, indices in members.items():
        if not kept_back.isdisjoint(indices):
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
        splits.update(_split_one_pose([own[i] for i in rng.permutation(len(own))], members, share))
    return [splits[int(group)] for group in groups]


def split_as_before(
    photos: tuple[Photo, ...],
    groups: npt.NDArray[np.int64],
    before: dict[str, str],
    seed: int,
    train_only: str = "",
    share: float = HELD_OUT_SHARE,
) -> list[str]:
    """Hold out what an earlier run held out, so that the two can be compared.  before: content hash -> split.

    A group with a photo that was tested on is tested on again; other new photos train, unless their pose is new.
    """
    fresh = split_groups(photos, groups, seed, train_only, share)
    known_poses = {photo.pose for photo in photos if photo.sha256 in before}
    found: dict[int, set[str]] = defaultdict(set)
    for photo, group, split in zip(photos, groups, fresh, strict=True):
        found[int(group)].add(before.get(photo.sha256, "train" if photo.pose in known_poses else split))
    order = ("test", "validation", "train")
    return [min(found[int(group)], key=order.index) for group in groups]


def assign_folds(
    photos: tuple[Photo, ...], groups: npt.NDArray[np.int64], folds: int, seed: int
) -> npt.NDArray[np.int64]:
    """Give every photo its fold, int (N,) in 0 to folds - 1: whole groups, each pose spread evenly.

    Raises RunError if a pose has fewer groups than there are folds: one network would never have seen it.
    """
    members: dict[int, list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        members[int(group)].append(index)
    by_pose: dict[str, list[list[int]]] = defaultdict(list)
    for indices in members.values():
        by_pose[Counter(photos[i].pose for i in indices).most_common(1)[0][0]].append(indices)
    rng = np.random.default_rng(seed)
    result = np.zeros(len(photos), dtype=np.int64)
    for pose, own in sorted(by_pose.items()):
        if len(own) < folds:
            raise RunError(f"pose {pose!r} has {len(own)} independent photos, too few for --folds {folds}; add more")
        filled = rng.permutation(folds) / folds  # ties are broken at random: small poses don't all fill the first fold
        for index in sorted(rng.permutation(len(own)), key=lambda i: -len(own[i])):
            fold = int(filled.argmin())
            result[own[index]] = fold
            filled[fold] += len(own[index])
    return result


def _find_train_only(photos: tuple[Photo, ...], train_only: str) -> set[int]:
    """The photos whose file names fit a pattern.  Raises OptionError for a pattern that none fits."""
    found: set[int] = set()
    for pattern in filter(None, map(str.strip, train_only.split(","))):
        own = {index for index, photo in enumerate(photos) if fnmatch(photo.path.rsplit("/", 1)[-1], pattern)}
        if not own:
            raise OptionError(f"--train-only: no photo's file name fits {pattern!r}; mend the pattern, or leave it out")
        found |= own
    return found


def _split_one_pose(own: list[int], members: dict[int, list[int]], share: float) -> dict[int, str]:
    """Fill test, then validation, first come first served; the rest, and any huge group, trains.

    `kept` groups are left alone each time, so that a pose of one huge group and a few photos still trains.
    """
    total = sum(len(members[group]) for group in own)
    wanted = max(1, round(total * share))
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
