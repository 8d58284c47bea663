"""Rooms into sessions: photos of one room or one burst in blocks of time, which lie in one split as a whole.

And the source of each photo, for folds that leave whole sources out.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from ...runtime.core.types import NO_POSE
from ...runtime.system.item_failures import Failure, attempt
from ...runtime.system.plain_text import format_count
from .folder import Photo
from .manifest import DUPLICATE, OK, read_manifest

PAUSE_S = 600.0
"""A pause of ten minutes between two photos of a camera begins another session."""
MOST_SHARE = 2.0
"""A room stays whole while it holds at most this many times the photos of a pose that a split is to get."""
FEWEST_UNITS = 3  # one for each split
UNNAMED = "unnamed"
"""Source of all photos that nothing names a source of: together they count as one."""
MOSTLY = 0.9
"""EXIF times name sources where so many of the photos have one that nothing else names a source of."""
_CAPTURED = re.compile(r"^(?P<origin>.+)#t=(?P<time>\d+(\.\d+)?)$")
_EXIF_IFD, _TAKEN_AT = 0x8769, 0x9003
_DIGITS = re.compile(r"(\d+)")

Groups = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Moment:
    """When a photo was taken, as far as is known.  session: photos of different ones are never in one block.

    order: to sort by inside a session: seconds, or the parts of the file's name; is_timed: which of the two.
    """

    session: str
    order: tuple[tuple[int, float, str], ...]
    is_timed: bool = False


def read_origins(folder: Path) -> dict[str, tuple[str, float]]:
    """The capture run and the time in it, in seconds, of each photo of `yoga-train capture`, by its path."""
    found: dict[str, tuple[str, float]] = {}
    for row in read_manifest(folder):
        if row.status in {OK, DUPLICATE} and (match := _CAPTURED.match(row.url)):
            found.setdefault(row.path, (match["origin"], float(match["time"])))
    return found


def join_captures(photos: Sequence[Photo], groups: Groups, origins: dict[str, tuple[str, float]]) -> Groups:
    """Join the groups of each capture run: one room, though the hashes may differ.  groups: int (N,)."""
    joined, first = groups.copy(), dict[str, int]()
    for index, photo in enumerate(photos):
        if photo.path in origins:
            start = first.setdefault(origins[photo.path][0], index)
            joined[joined == joined[index]] = joined[start]
    return joined


def read_moments(
    folder: Path, photos: Sequence[Photo], indices: Sequence[int], origins: dict[str, tuple[str, float]]
) -> dict[int, Moment]:
    """When some photos were taken: from their capture run, else their EXIF, else the order of their file names.

    The time of change of a file says nothing: copying and unpacking set it.
    """
    moments: dict[int, Moment] = {}
    dated: list[tuple[float, str, int]] = []
    for index in indices:
        path = photos[index].path
        if path in origins:
            origin, time_s = origins[path]
            moments[index] = Moment(f"capture {origin}", ((0, time_s, ""),), is_timed=True)
        elif (taken_s := read_exif_time(folder / path)) is not None:
            dated.append((taken_s, path, index))
        else:
            parent, _, name = path.rpartition("/")
            parts = [(0, float(p), "") if p.isdecimal() and len(p) < 300 else (1, 0.0, p) for p in _DIGITS.split(name)]
            moments[index] = Moment(f"folder {parent}", tuple(parts))
    session, last_s = 0, -np.inf
    for taken_s, path, index in sorted(dated):
        session, last_s = session + (taken_s - last_s > PAUSE_S), taken_s
        moments[index] = Moment(f"exif {session:09d}", ((0, taken_s, path),), is_timed=True)
    return moments


def read_exif_time(path: Path) -> float | None:
    """Seconds since 1970 of a photo's EXIF `DateTimeOriginal`, as if in UTC; None if it has none that can be read."""

    def read() -> float | None:
        with Image.open(path) as picture:
            text = str(picture.getexif().get_ifd(_EXIF_IFD).get(_TAKEN_AT, ""))
        try:
            taken = datetime.strptime(text.strip("\0 "), "%Y:%m:%d %H:%M:%S")
        except ValueError:
            return None
        return (taken - datetime(1970, 1, 1)).total_seconds()

    found = attempt(path, read)
    return None if isinstance(found, Failure) else found


@dataclass(frozen=True)
class Sources:
    """Where photos come from.  names: the source of each of N photos, empty for one that belongs to none.

    ways: how many sources were recognised in each way, by its description.
    """

    names: tuple[str, ...]
    ways: Mapping[str, int]

    def describe(self) -> str:
        """Say how many there are, and what they were recognised by."""
        ways = ", ".join(f"{count} by {way}" for way, count in self.ways.items())
        loose = sum(name == UNNAMED for name in self.names)
        rest = f'{format_count(loose, "photo")} of no recognised source count as one, "{UNNAMED}"' if loose else ""
        return f"{format_count(len({*self.names} - {''}), 'source')} of photos: {', '.join(filter(None, (ways, rest)))}"


def find_sources(folder: Path, photos: Sequence[Photo], left_aside: Collection[int] = ()) -> Sources:
    """Recognise the source of each photo: a person, a room, a collection.

    It is what stands before `__` in the file's name (`anna__1.jpg`), else the folder in the pose's folder where several
    poses have one of that name (`tree/anna/1.jpg`, `chair/anna/2.jpg`; of `none` too, if poses have it), else the run
    of `yoga-train capture`, else the session by EXIF times, where most have these.  A source has two photos or more.
    left_aside: photos that belong to no source.
    """
    poses_of: dict[str, set[str]] = defaultdict(set)
    for photo in photos:
        if photo.pose != NO_POSE and photo.kind:
            poses_of[photo.kind.partition("/")[0]].add(photo.pose)
    origins, apart = read_origins(folder), set(left_aside)
    own = [index for index in range(len(photos)) if index not in apart]
    found: dict[int, tuple[str, str]] = {}
    for index in own:
        photo = photos[index]
        prefix, mark, _ = photo.path.rpartition("/")[2].partition("__")
        part = photo.kind.partition("/")[0]
        if prefix and mark:
            found[index] = (prefix, "what stands before `__` in file names")
        elif len(poses_of.get(part, ())) > 1:
            found[index] = (part, "folders that several poses have")
        elif photo.path in origins:
            found[index] = (f"capture {origins[photo.path][0]}", "capture runs")
    loose = [index for index in own if index not in found]
    timed = {i: moment.session for i, moment in read_moments(folder, photos, loose, origins).items() if moment.is_timed}
    if timed and len(timed) >= MOSTLY * len(loose):
        found |= {index: (session, "sessions of EXIF times") for index, session in timed.items()}
    counts = Counter(name for name, _ in found.values())
    way_of = {name: way for name, way in found.values() if counts[name] > 1}
    names = [found[index][0] if index in found else UNNAMED for index in range(len(photos))]
    names = ["" if i in apart else name if name in way_of else UNNAMED for i, name in enumerate(names)]
    return Sources(tuple(names), dict(Counter(way_of.values())))


def find_large_rooms(photos: Sequence[Photo], groups: Groups, pictures: Groups, wanted: Mapping[str, int]) -> set[int]:
    """Groups of different pictures that no split could take whole.  wanted: photos of each pose that a split gets."""
    counts: dict[int, Counter[str]] = defaultdict(Counter)
    for photo, group in zip(photos, groups.tolist(), strict=True):
        counts[group][photo.pose] += 1
    return {
        group
        for group in find_rooms(groups, pictures)
        if any(count > MOST_SHARE * wanted[pose] for pose, count in counts[group].items())
    }


def find_rooms(groups: Groups, pictures: Groups) -> set[int]:
    """Groups that hold different pictures."""
    found: dict[int, set[int]] = defaultdict(set)
    for group, picture in zip(groups.tolist(), pictures.tolist(), strict=True):
        found[group].add(picture)
    return {group for group, own in found.items() if len(own) > 1}


def divide_still_frames(
    photos: Sequence[Photo], pictures: Groups, moments: Mapping[int, Moment], poses: set[str]
) -> Groups:
    """Number the frames of people who hold still each for itself, int (N,): of one pose, at known and different times.

    Copies of a photo have its time, or none.  pictures: int (N,); poses: the others keep their numbers.
    """
    members: dict[int, list[int]] = defaultdict(list)
    for index, picture in enumerate(pictures.tolist()):
        members[picture].append(index)
    result, next_picture = pictures.copy(), int(pictures.max(initial=0)) + 1
    for own in members.values():
        known = [moments[i] for i in own if i in moments and moments[i].is_timed]
        times = {(moment.session, *(part[:2] for part in moment.order)) for moment in known}
        if len(times) == len(own) and len({photos[i].pose for i in own}) == 1 and photos[own[0]].pose in poses:
            result[own] = np.arange(next_picture, next_picture + len(own))
            next_picture += len(own)
    return result


def divide_rooms(
    photos: Sequence[Photo],
    groups: Groups,
    pictures: Groups,
    rooms: set[int],
    moments: dict[int, Moment],
    wanted: Mapping[str, int],
) -> Groups:
    """Divide some groups into blocks of time of one pose each; copies of a picture stay together.

    groups, pictures: int (N,).  A block holds at most `wanted` photos where it can.  Returns group
    numbers, int (N,); those of other groups are what they were.
    """
    result, next_group = groups.copy(), int(groups.max(initial=0)) + 1
    for room in sorted(rooms):
        members: dict[int, list[int]] = defaultdict(list)
        for index in np.flatnonzero(groups == room).tolist():
            members[int(pictures[index])].append(index)
        sessions: dict[tuple[str, str], list[list[int]]] = defaultdict(list)
        for own in members.values():
            own.sort(key=lambda i: (moments[i].session, moments[i].order))
            pose = Counter(photos[i].pose for i in own).most_common(1)[0][0]
            sessions[pose, moments[own[0]].session].append(own)
        for (pose, _), items in sorted(sessions.items()):
            items.sort(key=lambda own: moments[own[0]].order)
            for block in _cut(items, wanted[pose]):
                result[block] = next_group
                next_group += 1
    return result


def _cut(items: list[list[int]], most: int) -> list[list[int]]:
    """Cut pictures in order of time into blocks of about the same size, of at most so many photos where possible."""
    total = sum(map(len, items))
    count = -(-total // most)
    blocks: list[list[int]] = [[]]
    done = 0
    for own in items:
        if blocks[-1] and (done + len(own) / 2) * count / total >= len(blocks):
            blocks.append([])
        blocks[-1] += own
        done += len(own)
    return blocks
