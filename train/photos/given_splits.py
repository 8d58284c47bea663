"""fit --split given: train, validate and test on what the data set itself did, as manifest.csv records it."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...runtime.errors import RunError
from ...runtime.system.plain_text import format_count
from . import HELD_OUT_SHARE
from .folder import Photo
from .manifest import DUPLICATE, OK, read_manifest
from .splits import split_groups

log = logging.getLogger(__name__)
SPLITS = ("train", "validation", "test")
"""A photo that a data set has in two splits belongs to the later of these."""


def read_given_splits(folder: Path) -> dict[str, str]:
    """The split of each photo whose data set gave one, by its path in the photo folder.  Raises RunError."""
    found: dict[str, str] = {}
    for row in read_manifest(folder):
        if row.status in {OK, DUPLICATE} and row.split in SPLITS:
            found[row.path] = max(row.split, found.get(row.path, "train"), key=SPLITS.index)
    return found


def split_as_given(
    photos: tuple[Photo, ...],
    groups: npt.NDArray[np.int64],
    given: dict[str, str],
    seed: int,
    share: float = HELD_OUT_SHARE,
) -> list[str]:
    """Give every photo the split of its data set: train, validation or test.

    given: photo's path -> split.  Photos without one train.  If the data set has no validation photos, or no test
    photos, they are held out of its training photos, `share` of each pose, whole groups.  Warnings say so, and name
    poses that a split lacks and near-duplicates on both sides.
    Raises RunError if no photo has a split, or a pose no training photo.
    """
    splits = [given.get(photo.path, "train") for photo in photos]
    named = sum(photo.path in given for photo in photos)
    if not named:
        raise RunError(
            "--split given: no photo has a split in manifest.csv; import the data set with its train/, val/ and test/: "
            "yoga-train add FOLDER --to photos; or leave --split out"
        )
    if named < len(photos):
        log.warning("%s without a given split: used for training", format_count(len(photos) - named, "photo"))
    missing = [name for name in ("validation", "test") if name not in splits]
    if missing:
        _hold_out(photos, groups, splits, missing, seed, share)
    _check_poses(photos, splits)
    _warn_of_crossing(groups, splits)
    return splits


def _hold_out(
    photos: tuple[Photo, ...],
    groups: npt.NDArray[np.int64],
    splits: list[str],
    missing: list[str],
    seed: int,
    share: float,
) -> None:
    """Take the missing splits out of the training photos, in place."""
    rows = [row for row, split in enumerate(splits) if split == "train"]
    if rows:
        drawn = split_groups(tuple(photos[row] for row in rows), groups[rows], seed, share=share)
        for row, split in zip(rows, drawn, strict=True):
            if split in missing:
                splits[row] = split
    log.warning(
        "--split given: the data set has no photos for %s; %.0f %% of its training photos are held out for that",
        " and ".join(missing), 100 * share * len(missing),
    )  # fmt: skip


def _check_poses(photos: Sequence[Photo], splits: list[str]) -> None:
    """Refuse poses that have no training photo; warn of those that are not tested."""
    found: dict[str, set[str]] = {name: set() for name in SPLITS}
    for photo, split in zip(photos, splits, strict=True):
        found[split].add(photo.pose)
    poses = {photo.pose for photo in photos}
    if lacking := sorted(poses - found["train"]):
        raise RunError(
            f"--split given: no training photos of {_list(lacking)}; add some, take those folders away, or leave "
            "--split out"
        )
    for name in SPLITS[1:]:
        if lacking := sorted(poses - found[name]):
            log.warning("--split given: no %s photos of %s", name, _list(lacking))


def _list(poses: list[str]) -> str:
    return ", ".join(poses[:8]) + (f" and {len(poses) - 8} more" if len(poses) > 8 else "")


def _warn_of_crossing(groups: npt.NDArray[np.int64], splits: list[str]) -> None:
    sides: dict[int, set[str]] = defaultdict(set)
    for group, split in zip(groups.tolist(), splits, strict=True):
        sides[group].add(split)
    crossing = {group for group, own in sides.items() if "train" in own and len(own) > 1}
    if crossing:
        tested = sum(
            split != "train" and group in crossing for group, split in zip(groups.tolist(), splits, strict=True)
        )
        log.warning(
            "--split given: near-duplicates of %s are also in training, so its numbers are too good; without --split "
            "given they stay on one side",
            format_count(tested, "validation or test photo"),
        )
