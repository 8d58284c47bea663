"""Splits photos by duplicate group, so that a photo and its copy are never in different splits."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class SourceFolds:
    """Folds of whole sources, for N photos.  folds: int (N,), from 0.  sources: the source of each; empty: of none.

    left_out: bool (N,), whether the photo's source lies in its fold as a whole.  It is False for photos of a pose that
    one source alone has, which are spread over the folds by duplicate groups, and for those of no source.
    """

    folds: npt.NDArray[np.int64]
    sources: tuple[str, ...]
    left_out: npt.NDArray[np.bool_]

    def find_spread_poses(self, photos: Sequence[Photo]) -> list[str]:
        """List the poses that one source alone has."""
        rows = zip(photos, self.sources, self.left_out.tolist(), strict=True)
        return sorted({photo.pose for photo, source, is_left_out in rows if source and not is_left_out})


def assign_sources(
    photos: tuple[Photo, ...], groups: npt.NDArray[np.int64], sources: Sequence[str], folds: int, seed: int
) -> SourceFolds:
    """Assign whole sources to folds, at most `folds`, with each pose spread evenly.

    groups: int (N,), duplicate groups; sources: of each photo, empty for photos that are only trained on.
    Raises RunError for fewer than two sources, where no pose has two, where a pose would be in one fold alone, or where
    a pose of one source has fewer duplicate groups than there are folds.
    """
    names = sorted({*sources} - {""})
    if len(names) < 2:
        raise RunError(
            f"--by-source needs photos of two sources or more; got {', '.join(names) or 'none'}; begin file names with "
            "the source (anna__1.jpg), or give each source a folder of the same name in every pose (tree/anna/1.jpg)"
        )
    sources_of: dict[str, set[str]] = defaultdict(set)
    for photo, source in zip(photos, sources, strict=True):
        if source:
            sources_of[photo.pose].add(source)
    poses = sorted(pose for pose, own in sources_of.items() if len(own) > 1)
    if not poses:
        raise RunError(
            f"--by-source needs a pose with photos of two sources or more; of the {len(names)} sources each pose has "
            "one; add photos of the same poses from another source, or leave out --by-source"
        )
    left_out = np.array([bool(s) and p.pose in poses for p, s in zip(photos, sources, strict=True)])
    counts = Counter((s, p.pose) for p, s, is_own in zip(photos, sources, left_out.tolist(), strict=True) if is_own)
    names = sorted({source for source, _ in counts})
    table = np.array([[counts[name, pose] for pose in poses] for name in names])
    count = min(folds, len(names))
    fold_of = dict(zip(names, _spread_sources(table, count), strict=True))
    for pose in poses:
        if len({fold_of[source] for source in sources_of[pose]}) == 1:
            raise RunError(
                f"with --folds {folds} all sources of {pose!r} would be left out at once; give --folds {len(names)}"
            )
    result = groups % count  # of photos that are only trained on
    result[left_out] = [fold_of[source] for source, is_own in zip(sources, left_out.tolist(), strict=True) if is_own]
    rest = np.flatnonzero([bool(source) and not is_own for source, is_own in zip(sources, left_out, strict=True)])
    result[rest] = assign_folds(tuple(photos[row] for row in rest), groups[rest], count, seed)
    return SourceFolds(result, tuple(sources), left_out)


def _spread_sources(table: npt.NDArray[np.int64], folds: int) -> list[int]:
    """Choose the fold of each source so that the photos of each pose, and all photos, are spread evenly.

    table: int (sources, poses), numbers of photos.  The largest source comes first.
    """
    parts = np.column_stack([table, table.sum(axis=1)])
    shares = parts / parts.sum(axis=0)
    sums, chosen = np.zeros((folds, parts.shape[1])), [0] * len(table)
    for row in np.argsort(-shares.sum(axis=1), kind="stable").tolist():
        cost = ((sums + shares[row]) ** 2 - sums**2).sum(axis=1)
        chosen[row] = int(cost.argmin())
        sums[chosen[row]] += shares[row]
    return chosen


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
