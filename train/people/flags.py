"""Photos to look at before training: of nobody, of several people, collages.  They are named, and left alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ...runtime.core.types import NO_POSE
from ...runtime.errors import MissingPackageError
from ...runtime.people import People
from ...runtime.photos.decoding import decode_photo
from ...runtime.system.item_failures import attempt
from ...runtime.system.plain_text import format_count
from .bodies import are_bodies, list_classes_of_bodies, name_class
from .cache import PhotoPeople
from .collage import SIDE, measure_signs
from .finding import FinderConfig, find_people

NOBODY, SEVERAL, COLLAGE = "nobody", "several people", "collage"
KINDS = (NOBODY, SEVERAL, COLLAGE)
FINDER = FinderConfig(min_score=0.2)
"""With 0.25 more drawings and people behind others are missed; a thing taken for a person is of little harm here."""
LEAST_SIZE = 0.3
"""Someone below this fraction of the largest person's size, the square root of the box's area, is in the background."""
MOST_OVERLAP = 0.75
"""A box of which more lies in a surer person's box is taken for a part of that person."""


@dataclass(frozen=True)
class PhotoFlag:
    """Why a photo is worth a look.

    kind: NOBODY, SEVERAL or COLLAGE.  boxes: of the people it is about: left, top, right and bottom as fractions of the
    photo's width and height.
    """

    kind: str
    boxes: tuple[tuple[float, ...], ...] = ()

    def describe(self) -> str:
        """Say it in a few words."""
        if self.kind == NOBODY:
            return "nobody found"
        return f"{len(self.boxes)} people" if self.kind == SEVERAL else f"a collage? {len(self.boxes)} found"


@dataclass(frozen=True)
class FolderFlags:
    """The photos of a folder that are worth a look.

    flags: path in the folder -> why.  note: a sentence where nothing was looked for, or not in all classes; else empty.
    """

    flags: Mapping[str, PhotoFlag] = field(default_factory=dict)
    note: str = ""

    def count(self, name: str, kind: str) -> int:
        """Count the photos of a class that are flagged so."""
        return sum(flag.kind == kind and name_class(path) == name for path, flag in self.flags.items())


def find_flags(
    folder: Path, contents: Mapping[str, str], should_stop: Callable[[], bool] = lambda: False
) -> FolderFlags:
    """Look for the people of a folder's photos and flag photos.  contents, should_stop: as `find_people` takes them.

    Without ONNX Runtime none is flagged, and the note says so.
    """
    try:
        return flag_photos(folder, find_people(folder, contents, FINDER, should_stop=should_stop))
    except MissingPackageError as error:
        return FolderFlags(note=f"photos of nobody, of several people and collages are not looked for: {error}")


def flag_photos(folder: Path, found: Mapping[str, PhotoPeople]) -> FolderFlags:
    """Flag photos of the classes that people's bodies tell; `none` may show anything.

    folder: of the photos.  found: path in it -> people, as `find_people` returns them.  Photos of several people are
    decoded.
    """
    if not are_bodies(found):
        return FolderFlags(
            note="people are found in fewer than half of the photos: nobody, several people, collages are not flagged"
        )
    bodies = list_classes_of_bodies(found)
    own = {path: each for path, each in found.items() if name_class(path) in bodies}
    flags = {path: flag for path, each in own.items() if (flag := flag_photo(folder / path, each))}
    names = sorted({name_class(path) for path in found} - {*bodies, NO_POSE})
    return FolderFlags(flags, _describe_others(names))


def flag_photo(path: Path, found: PhotoPeople) -> PhotoFlag | None:
    """Say why a photo of a pose is worth a look; None where one person is found."""
    people = select_subjects(found.people)
    if not len(people):
        return PhotoFlag(NOBODY)
    if len(people) == 1:
        return None
    shares = people.transform((1 / found.size_wh[0], 1 / found.size_wh[1]), (0, 0))
    is_collage = attempt(path, lambda: _is_collage(path, shares)) is True
    return PhotoFlag(COLLAGE if is_collage else SEVERAL, tuple(map(tuple, shares.boxes.round(4).tolist())))


def _is_collage(path: Path, shares: People) -> bool:
    """Whether people, in fractions of the photo, are one person several times, or in several pictures."""
    frame = decode_photo(path, min_side=SIDE)
    return measure_signs(frame, shares.transform((frame.shape[1], frame.shape[0]), (0, 0))).is_collage


def select_subjects(people: People) -> People:
    """Select whom a photo is about: not the far smaller ones, nor boxes that lie in another one."""
    sizes = np.sqrt((people.boxes[:, 2:] - people.boxes[:, :2]).prod(axis=1))
    counted: list[int] = []
    for row in range(len(people)):  # the surest first
        is_large = sizes[row] >= LEAST_SIZE * sizes.max()
        if is_large and all(_share_inside(people, row, other) <= MOST_OVERLAP for other in counted):
            counted.append(row)
    return people.select(np.array(counted, np.int64))


def _share_inside(people: People, row: int, other: int) -> float:
    """Fraction of the smaller of two boxes that lies in the other one."""
    one, two = people.boxes[row], people.boxes[other]
    shared = np.clip(np.minimum(one[2:], two[2:]) - np.maximum(one[:2], two[:2]), 0, None).prod()
    return float(shared / max(min((box[2:] - box[:2]).prod() for box in (one, two)), 1e-6))


def _describe_others(names: Sequence[str]) -> str:
    if not names:
        return ""
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"people are found in fewer than half of the photos of {shown}: none of these is flagged"


def format_flags(folder_flags: FolderFlags) -> str:
    """Format the counts by class for a terminal; empty where there is nothing to say."""
    counts = Counter((name_class(path), flag.kind) for path, flag in folder_flags.flags.items())
    names = sorted({name for name, _ in counts})
    wide = max([12, *map(len, names)])
    lines = []
    if names:
        lines.append(f"{'worth a look':{wide}} " + " ".join(f"{kind:>14}" for kind in KINDS))
        lines += [f"{name:{wide}} " + " ".join(f"{counts[name, kind]:14d}" for kind in KINDS) for name in names]
        total = format_count(len(folder_flags.flags), "photo")
        lines.append(f"{total} to look at on the page; none is changed (yoga-train clean removes photos)")
    return "\n".join(filter(None, [*lines, folder_flags.note]))
