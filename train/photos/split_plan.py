"""Photos into splits, rooms in blocks of time; says which come out far from what was asked, and which share a room."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from . import HELD_OUT_SHARE
from .folder import Photo, PhotoSet
from .near_duplicates import group_photos
from .picture_groups import find_pictures
from .sessions import (
    FEWEST_UNITS,
    Groups,
    divide_rooms,
    divide_still_frames,
    find_large_rooms,
    find_rooms,
    join_captures,
    read_moments,
    read_origins,
)
from .splits import choose_pose, find_train_only, split_groups

NAMED = 8  # poses in a sentence


@dataclass(frozen=True)
class SameRoom:
    """Test photos whose room, burst or capture run is in training too.  poses: those with at least half of them."""

    test_photos: int
    of: int
    poses: tuple[str, ...]

    def describe(self) -> str:
        """One sentence for the log and the report."""
        named = f" (most of those of {', '.join(self.poses)})" if 0 < len(self.poses) <= NAMED else ""
        least = "at least " if self.test_photos < self.of else ""  # hand-held photos of one room may hash differently
        return (
            f"{least}{self.test_photos} of {self.of} test photos are of the same room as training photos{named}: "
            "expect this accuracy there, and less elsewhere"
        )


@dataclass(frozen=True)
class SplitPlan:
    """groups: int (N,), photos that are never split; pictures: int (N,), copies of one picture share a number.

    similar: int (N,), near-duplicates by their hashes, which photos of one room are too.
    splits: of each photo; notes: what came out far from what was asked, a line for each pose.
    """

    groups: Groups
    pictures: Groups
    similar: Groups
    splits: list[str]
    notes: tuple[str, ...] = ()
    same_room: SameRoom | None = None


def plan_split(
    photo_set: PhotoSet, seed: int, train_only: str = "", share: float = HELD_OUT_SHARE, *, mirror: bool = True
) -> SplitPlan:
    """Split photos so that copies, small bursts and small rooms stay whole, and large rooms in blocks of time.

    Sets without large rooms are split by their near-duplicates alone.  mirror: whether mirror images are copies.
    Raises RunError for a pose of too few independent photos, OptionError for a pattern that no file name fits.
    """
    photos, folder = photo_set.photos, photo_set.folder
    origins = read_origins(folder)
    similar = join_captures(photos, group_photos(photos, mirror=mirror), origins)
    pictures = find_pictures(photos, photo_set.thumbnails, mirror=mirror)
    kept = find_train_only(photos, train_only)
    free = Counter(photo.pose for index, photo in enumerate(photos) if index not in kept)
    wanted = {photo.pose: max(1, round(free[photo.pose] * share)) for photo in photos}
    atoms, has_divided = pictures, False
    rooms, different = find_large_rooms(photos, similar, atoms, wanted), find_rooms(similar, atoms)
    while True:
        groups = similar
        if rooms:
            inside = np.flatnonzero(np.isin(similar, sorted(rooms))).tolist()
            moments = read_moments(folder, photos, inside, origins)
            groups = divide_rooms(photos, similar, atoms, rooms, moments, wanted)
        poor, splits = _find_poor_poses(photos, groups, kept), None
        if not poor:
            splits = split_groups(photos, groups, seed, train_only, share)
            poor = {pose for pose, _ in list_far_off(photos, splits, wanted)}
        more = {group for group, photo in zip(similar.tolist(), photos, strict=True) if photo.pose in poor} & different
        if more <= rooms and poor and not has_divided:
            own = [index for index, photo in enumerate(photos) if photo.pose in poor]
            atoms = divide_still_frames(photos, atoms, read_moments(folder, photos, own, origins), poor)
            different, has_divided = find_rooms(similar, atoms), True
            rooms |= find_large_rooms(photos, similar, atoms, wanted)
            more = set(similar[own].tolist()) & different
            if (atoms == pictures).all():
                break
        elif more <= rooms:
            break
        rooms |= more
    if splits is None:
        splits = split_groups(photos, groups, seed, train_only, share)  # says which pose has too few
    joined = _join_copies(groups, atoms)
    moved = _keep_copies_together(photos, joined, splits, kept)
    if _lacks_split(photos, moved):
        moved = split_groups(photos, joined, seed, train_only, share)
    notes = tuple(line for _, line in list_far_off(photos, moved, wanted))
    return SplitPlan(joined, pictures, similar, moved, notes, find_same_room(photos, similar, moved))


def keep_mirror_images_together(photo_set: PhotoSet, plan: SplitPlan, train_only: str = "") -> SplitPlan:
    """Move a picture and its mirror image under another pose to one split, if each pose keeps photos in each.

    A training that mirrors and swaps labels sees both.  They remain different pictures, each in a group of its own: two
    poses of which one was made by mirroring the other would otherwise be one.
    """
    photos = photo_set.photos
    joined = _join_copies(plan.groups, find_pictures(photos, photo_set.thumbnails))
    splits = _keep_copies_together(photos, joined, plan.splits, find_train_only(photos, train_only))
    if _lacks_split(photos, splits):
        return plan
    return replace(plan, splits=splits, same_room=find_same_room(photos, plan.similar, splits))


def _find_poor_poses(photos: tuple[Photo, ...], groups: Groups, kept: set[int]) -> set[str]:
    """Poses that would lack a split."""
    members: dict[int, list[int]] = defaultdict(list)
    for index, group in enumerate(groups.tolist()):
        members[group].append(index)
    counts = Counter(choose_pose(photos, own) for own in members.values() if kept.isdisjoint(own))
    return {photo.pose for photo in photos if counts[photo.pose] < FEWEST_UNITS}


def list_far_off(photos: Sequence[Photo], splits: Sequence[str], wanted: Mapping[str, int]) -> list[tuple[str, str]]:
    """List poses with less than half or more than twice the photos held out that were asked for, and a line on each."""
    counts = Counter((photo.pose, split) for photo, split in zip(photos, splits, strict=True))
    found: list[tuple[str, str]] = []
    for pose, asked in sorted(wanted.items()):
        test, validation = counts[pose, "test"], counts[pose, "validation"]
        if any(abs(count - asked) > max(1, asked / 2 if count < asked else asked) for count in (test, validation)):
            found.append((pose, f"{pose}: {test} test and {validation} validation photos instead of {asked} each"))
    return found


def _lacks_split(photos: Sequence[Photo], splits: Sequence[str]) -> bool:
    return len(set(zip((photo.pose for photo in photos), splits, strict=True))) < 3 * len({p.pose for p in photos})


def _join_copies(groups: Groups, pictures: Groups) -> Groups:
    """Join groups that hold copies of one picture."""
    parents = {int(group): int(group) for group in groups}

    def find(group: int) -> int:
        while parents[group] != group:
            group = parents[group]
        return group

    first: dict[int, int] = {}
    for group, picture in zip(groups.tolist(), pictures.tolist(), strict=True):
        one, other = sorted((find(first.setdefault(picture, group)), find(group)))
        parents[other] = one
    roots = np.array([find(group) for group in groups.tolist()], np.int64)
    _, firsts, numbers = np.unique(roots, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(firsts))[numbers.reshape(-1)]


def _keep_copies_together(photos: Sequence[Photo], joined: Groups, splits: list[str], kept: set[int]) -> list[str]:
    """Move a joined group that straddles splits to the one that holds most of it; all other photos stay.

    kept: photos that are never held out.
    """
    members: dict[int, list[int]] = defaultdict(list)
    for index, group in enumerate(joined.tolist()):
        members[group].append(index)
    result = list(splits)
    counts = Counter((photo.pose, split) for photo, split in zip(photos, splits, strict=True))
    for indices in members.values():
        found = [split for split, _ in Counter(splits[i] for i in indices).most_common()]
        if len(found) == 1:
            continue
        leaving = {
            split: Counter((photos[i].pose, splits[i]) for i in indices if splits[i] != split) for split in found
        }
        fine = [split for split in found if all(counts[key] > count for key, count in leaving[split].items())]
        best = "train" if not kept.isdisjoint(indices) else (fine or found)[0]
        for i in indices:
            counts[photos[i].pose, result[i]] -= 1
            counts[photos[i].pose, best] += 1
            result[i] = best
    return result


def find_same_room(photos: Sequence[Photo], similar: Groups, splits: Sequence[str]) -> SameRoom | None:
    """Count the test photos whose room is in training too; None if there are none.  similar: int (N,), rooms."""
    trained = {group for group, split in zip(similar.tolist(), splits, strict=True) if split == "train"}
    tested = [i for i, split in enumerate(splits) if split == "test"]
    inside = [i for i in tested if int(similar[i]) in trained]
    if not inside:
        return None
    of, own = Counter(photos[i].pose for i in tested), Counter(photos[i].pose for i in inside)
    poses = tuple(sorted(pose for pose, count in of.items() if 2 * own[pose] >= count))
    return SameRoom(len(inside), len(tested), poses)
