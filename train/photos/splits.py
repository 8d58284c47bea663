"""Splits photos by duplicate group, so that a photo and its copy are never in different splits."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from fnmatch import fnmatch

import numpy as np
import numpy.typing as npt

from ...runtime.errors import OptionError, RunError
from ...runtime.system.plain_text import format_count
from . import HELD_OUT_SHARE
from .folder import Photo


def split_groups(
    photos: tuple[Photo, ...],
    groups: npt.NDArray[np.int64],
    seed: int,
    train_only: str = "",
    share: float = HELD_OUT_SHARE,
) -> list[str]:
    """Assign every photo to test, validation or train, by whole duplicate groups, with each pose in proportion.

    train_only: patterns such as `drawn__*`, separated by commas; photos whose file name matches one, and their groups,
    are never held out.  share: fraction of each pose's photos for validation, and again for test.
    Raises RunError if a pose has fewer than three groups, so that a split would lack it; OptionError for a pattern that
    no file name matches.
    """
    members: dict[int, list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        members[int(group)].append(index)
    by_pose: dict[str, list[int]] = defaultdict(list)
    splits: dict[int, str] = {}
    kept_back = find_train_only(photos, train_only)
    for group, indices in members.items():
        if not kept_back.isdisjoint(indices):
            splits[group] = "train"
            continue
        by_pose[choose_pose(photos, indices)].append(group)
    rng = np.random.default_rng(seed)
    for pose in sorted({photo.pose for photo in photos}):
        own = by_pose[pose]
        if len(own) < 3:
            raise RunError(
                f"pose {pose!r} has {format_count(len(own), 'independent photo')} (near-duplicates count once); "
                "add more: at least 3, better 50"
            )
        splits.update(_split_one_pose([own[i] for i in rng.permutation(len(own))], members, share))
    return [splits[int(group)] for group in groups]


def choose_pose(photos: Sequence[Photo], indices: Sequence[int]) -> str:
    """The pose that most photos of a group have."""
    return Counter(photos[i].pose for i in indices).most_common(1)[0][0]


def split_as_before(
    photos: tuple[Photo, ...], groups: npt.NDArray[np.int64], before: dict[str, str], fresh: Sequence[str]
) -> list[str]:
    """Hold out the same photos as an earlier run, so that the two can be compared.  before: content hash -> split.

    A group with a test photo of that run is in test again; other new photos are in train, unless their pose is new:
    then they are where `fresh` puts them.
    """
    known_poses = {photo.pose for photo in photos if photo.sha256 in before}
    found: dict[int, set[str]] = defaultdict(set)
    for photo, group, split in zip(photos, groups, fresh, strict=True):
        found[int(group)].add(before.get(photo.sha256, "train" if photo.pose in known_poses else split))
    order = ("test", "validation", "train")
    return [
        before.get(photo.sha256) or min(found[int(group)], key=order.index)
        for photo, group in zip(photos, groups, strict=True)
    ]


def assign_folds(
    photos: tuple[Photo, ...], groups: npt.NDArray[np.int64], folds: int, seed: int
) -> npt.NDArray[np.int64]:
    """Assign every photo to a fold, int (N,) in 0 to folds - 1, by whole groups, with each pose spread evenly.

    Raises RunError if a pose has fewer groups than folds: a network would be trained without it.
    """
    members: dict[int, list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        members[int(group)].append(index)
    by_pose: dict[str, list[list[int]]] = defaultdict(list)
    for indices in members.values():
        by_pose[choose_pose(photos, indices)].append(indices)
    rng = np.random.default_rng(seed)
    result = np.zeros(len(photos), dtype=np.int64)
    for pose, own in sorted(by_pose.items()):
        if len(own) < folds:
            count = format_count(len(own), "independent photo")
            raise RunError(f"pose {pose!r} has {count}, too few for --folds {folds}; add more, or give fewer folds")
        filled = rng.permutation(folds) / folds  # random tie-breaking, or small poses would all fill the first fold
        for index in sorted(rng.permutation(len(own)), key=lambda i: -len(own[i])):
            fold = int(filled.argmin())
            result[own[index]] = fold
            filled[fold] += len(own[index])
    return result


def find_train_only(photos: tuple[Photo, ...], train_only: str) -> set[int]:
    """Find the photos whose file names match a pattern.  Raises OptionError for a pattern without matches."""
    found: set[int] = set()
    for pattern in filter(None, map(str.strip, train_only.split(","))):
        own = {index for index, photo in enumerate(photos) if fnmatch(photo.path.rsplit("/", 1)[-1], pattern)}
        if not own:
            raise OptionError(f"--train-only: no file name matches {pattern!r}; change the pattern, or leave it out")
        found |= own
    return found


def _split_one_pose(own: list[int], members: dict[int, list[int]], share: float) -> dict[int, str]:
    """Fill test, then validation, in order; the rest, and any huge group, goes to train.

    `kept` groups are left each time, so that a pose of one huge group and a few photos still has training photos.
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
    for split in ("test", "validation"):  # with few large groups, each split gets the smallest
        if split not in splits.values():
            smallest = min((g for g in own if splits[g] == "train"), key=lambda g: len(members[g]))
            splits[smallest] = split
    return splits
