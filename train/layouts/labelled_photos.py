"""What every layout is read to: photos with their label and their split; and how a data set names its splits."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...runtime.photos.kinds import PHOTO_SUFFIXES
from ...runtime.system.foreign_files import is_inside
from ...runtime.system.plain_text import format_count

SPLITS = ("train", "validation", "test")
SPLIT_NAMES = {
    **{"train": "train", "training": "train", "trainset": "train", "test": "test", "testing": "test"},
    **{"val": "validation", "valid": "validation", "validation": "validation", "dev": "validation"},
    **{"testset": "test", "eval": "validation", "valset": "validation"},
}
"""What data sets call the splits."""
MOST_FILES = 5_000_000
"""Files of one data set."""
MOST_OF_ONE_NAME = 50
"""Files of one name among which a part of a path is looked for; more are told apart by whole paths alone."""
_SPLIT_WORD = re.compile(r"train|valid|val|test", re.IGNORECASE)


@dataclass(frozen=True)
class LabelledPhoto:
    """A photo, what it shows, and its split: train, validation, test or empty."""

    path: Path
    label: str
    split: str = ""


@dataclass(frozen=True)
class Layout:
    """A data set that was read.  name: its layout, for people; left_out: photos without a clear label, by reason."""

    name: str
    photos: tuple[LabelledPhoto, ...]
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def has_splits(self) -> bool:
        """Whether the data set says which photos to test on."""
        return any(photo.split in SPLITS[1:] for photo in self.photos)

    def describe(self) -> str:
        """One line: the layout, its photos and classes, its splits."""
        classes = len({photo.label for photo in self.photos})
        words = (
            f"{self.name}: {format_count(len(self.photos), 'photo')} of {classes} class{'' if classes == 1 else 'es'}"
        )
        counts = Counter(photo.split for photo in self.photos)
        splits = [f"{split} {counts[split]}" for split in SPLITS if counts[split]]
        if splits and counts[""]:
            splits.append(f"without a split {counts['']}")
        return f"{words}; {', '.join(splits)}" if splits else words


def name_split(text: str) -> str:
    """The split that a folder or a cell names; empty if it names none."""
    return SPLIT_NAMES.get(text.strip().lower(), "")


def find_split(path: Path, root: Path) -> str:
    """The split that the folders of a file below the root name, or else the file's own name; empty if none does."""
    *folders, name = path.relative_to(root).parts
    for folder in folders:
        if split := name_split(folder) or name_split(re.sub(r"[^a-z]", "", folder.lower().removesuffix("images"))):
            return split
    found = {name_split(word) for word in _SPLIT_WORD.findall(name)}
    return found.pop() if len(found) == 1 else ""


def list_pictures(folder: Path) -> Iterator[Path]:
    """Every file below a folder that is a photo by its suffix, sorted; without what is hidden."""
    return (path for path in list_files(folder) if path.suffix.lower() in PHOTO_SUFFIXES)


def list_files(folder: Path) -> Iterator[Path]:
    """Every file below a folder, sorted; without what is hidden.  Links to folders are not followed."""
    count = 0
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if is_shown(name))
        for name in sorted(names):
            count += 1
            if count > MOST_FILES:
                return
            if not name.startswith("."):
                yield Path(place) / name


def list_folders(folder: Path) -> list[Path]:
    """The folders in a folder, sorted; without what is hidden."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and is_shown(path.name))


def is_shown(name: str) -> bool:
    """Whether a folder counts: not those of macOS and of this program."""
    return not name.startswith(".") and name not in ("__MACOSX", "_removed")


class PictureIndex:
    """Finds the pictures of a data set as its tables name them: by path, by name, or by name without the suffix."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._by_name: dict[str, list[Path]] = {}
        self._by_stem: dict[str, list[Path]] = {}
        self._paths: set[Path] = set()
        for path in list_pictures(root):
            self._paths.add(path)
            self._by_name.setdefault(path.name, []).append(path)
            self._by_stem.setdefault(path.stem, []).append(path)

    def find(self, named: str, beside: Path, hints: Sequence[str] = ()) -> list[Path]:
        """The pictures that a text may mean; the one that lies at that path, if there is one.

        beside: the folder of the table; hints: words such as `train`, in whose folder one of several is looked for.
        """
        named = named.strip().replace("\\", "/")
        if not named or len(named) > 4096:
            return []
        name = named.rpartition("/")[2]
        found = self._by_name.get(name) or self._by_stem.get(name, [])
        if len(found) > 1 and is_inside(named):
            exact = next((path for path in (beside / named, self._root / named) if path in self._paths), None)
            if exact is not None:
                return [exact]
        if 1 < len(found) <= MOST_OF_ONE_NAME:
            tail = f"/{named}"
            found = [path for path in found if path.as_posix().endswith(tail)] or found
        if 1 < len(found) <= MOST_OF_ONE_NAME:
            found = [path for path in found if path.is_relative_to(beside) and beside != self._root] or found
        if 1 < len(found) <= MOST_OF_ONE_NAME and hints:
            found = [path for path in found if _lies_in(path.relative_to(self._root), hints)] or found
        return found


def _lies_in(path: Path, hints: Sequence[str]) -> bool:
    return any(hint in part.lower() for part in path.parts[:-1] for hint in hints)


def settle(photos: Iterable[LabelledPhoto], left_out: Counter[str]) -> tuple[LabelledPhoto, ...]:
    """Each photo once; one that has several labels is left out and counted, of several splits the test is kept."""
    found: dict[Path, LabelledPhoto] = {}
    several: set[Path] = set()
    for photo in photos:
        before = found.setdefault(photo.path, photo)
        if before.label != photo.label:
            several.add(photo.path)
        elif _rank(photo.split) > _rank(before.split):
            found[photo.path] = photo
    if several:
        left_out["several labels"] += len(several)
    return tuple(photo for path, photo in found.items() if path not in several)


def _rank(split: str) -> int:
    return SPLITS.index(split) if split in SPLITS else -1
