"""`photos/cleaning.jsonl`, the journal of cleaning: one JSON line per mark, append-only.

A mark describes what it will do: which file goes where, and how rows of the manifest change.  Its line is on the disk
before anything moves.  So an interrupted mark is completed at the next start, and a mark is undone by a mark that
reverses it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePath
from types import TracebackType
from typing import Any

from ...runtime.errors import RunError
from ...runtime.system.foreign_files import check_whole, open_plain, parse_json, show
from ..photos.manifest import REMOVED_FOLDER

JOURNAL = "cleaning.jsonl"
KEEP, REMOVE, RELABEL, UNDO = "keep", "remove", "relabel", "undo"
ACTIONS = (KEEP, REMOVE, RELABEL, UNDO)


@dataclass(frozen=True)
class RowState:
    """The columns of a manifest row that a mark changes."""

    status: str
    path: str
    reason: str = ""


@dataclass(frozen=True)
class RowChange:
    """One row of the manifest before and after a mark; None: there is no such row."""

    pose: str
    url: str
    before: RowState | None
    after: RowState | None

    def reverse(self) -> RowChange:
        """Make the change that takes it back."""
        return RowChange(self.pose, self.url, self.after, self.before)


@dataclass(frozen=True)
class Mark:
    """One mark.  path, to_path: the photo's path before and after, relative to the folder, with /.

    number: counted from 1.  undoes: the number of the mark that an `undo` takes back.  run: name of the run used.
    by: `hand`, or `auto` with its certainty.
    """

    number: int
    action: str
    sha256: str
    pose: str
    to_pose: str
    path: str
    to_path: str
    rows: tuple[RowChange, ...] = ()
    undoes: int = 0
    run: str = ""
    by: str = "hand"
    time: str = ""


@dataclass
class TrackedPhoto:
    """One file of the folder and its history.  Only marks change it.

    sha256: empty until it is needed.  places: all its paths so far.  marks: those in effect, without undone ones.
    """

    path: str
    pose: str
    sha256: str = ""
    places: list[str] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.path not in self.places:
            self.places.append(self.path)

    @property
    def action(self) -> str:
        """The newest mark's action; empty if there is none."""
        return self.marks[-1].action if self.marks else ""

    @property
    def is_removed(self) -> bool:
        return self.path.startswith(f"{REMOVED_FOLDER}/")

    def follow(self, mark: Mark) -> None:
        """Apply a mark."""
        self.path, self.pose, self.sha256 = mark.to_path, mark.to_pose, mark.sha256
        if self.path not in self.places:
            self.places.append(self.path)
        if mark.action == UNDO:
            self.marks.pop()
        else:
            self.marks.append(mark)


@dataclass
class History:
    """The result of all marks.  photos: every file that was ever marked; done: what can be undone, newest last."""

    photos: list[TrackedPhoto] = field(default_factory=list)
    done: list[tuple[Mark, TrackedPhoto]] = field(default_factory=list)
    last_number: int = 0

    def record(self, mark: Mark, photo: TrackedPhoto) -> None:
        """Add the next mark, of this photo.  Raises ValueError if it undoes another mark than the newest."""
        if mark.action == UNDO:
            if not self.done or self.done[-1][0].number != mark.undoes or self.done[-1][1] is not photo:
                raise ValueError(f"mark {mark.number} undoes mark {mark.undoes}, which is not the newest one")
            self.done.pop()
        else:
            self.done.append((mark, photo))
        photo.follow(mark)
        self.last_number = mark.number


def trace_photos(marks: list[Mark]) -> History:
    """Follow every photo from mark to mark.  Raises ValueError if the marks do not fit together."""
    history = History()
    by_path: dict[str, TrackedPhoto] = {}
    for mark in marks:
        photo = by_path.pop(mark.path, None)
        if photo is not None and photo.sha256 != mark.sha256:  # another file was put in its place
            history.photos.remove(photo)
            photo = None
        if photo is None:
            photo = TrackedPhoto(mark.path, mark.pose, mark.sha256)
            history.photos.append(photo)
        history.record(mark, photo)
        by_path[photo.path] = photo
    return history


class Journal:
    """The journal of a photo folder, open for adding.  Raises RunError if it cannot be understood.

    Whoever opens it holds the folder's manifest, so that there is never a second one.
    """

    def __init__(self, photos: Path) -> None:
        self.path, self.marks = photos / JOURNAL, list[Mark]()

    def __enter__(self) -> Journal:
        self.marks = read_journal(self.path)
        self._file = self.path.open("ab", buffering=0)  # a buffer would write what failed a second time, on closing
        torn = _find_torn_end(self.path)
        if torn is not None:  # killed while writing it: nobody was told that this mark is saved
            self._file.truncate(torn)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._file.close()

    def append(self, mark: Mark) -> None:
        """Write one mark; when this returns it is on the disk.  If it cannot be written, none of it stays."""
        end = self.path.stat().st_size
        rest = json.dumps(asdict(mark), ensure_ascii=False).encode("utf-8", "surrogateescape") + b"\n"
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
            os.fsync(self._file.fileno())
        except OSError:
            os.truncate(self.path, end)
            raise


def read_journal(path: Path) -> list[Mark]:
    """Read the marks, without an incomplete last line.  Raises RunError."""
    try:
        with open_plain(path) as file:
            content = file.read()
    except FileNotFoundError:
        return []
    except ValueError as error:
        raise RunError(f"{path} cannot be read: {error}; fix it, or move it away") from error
    lines = content[: content.rfind(b"\n") + 1].splitlines()
    return [_parse_line(line, f"{path}, line {number}") for number, line in enumerate(lines, 1)]


def _parse_line(line: bytes, place: str) -> Mark:
    try:
        return _parse(parse_json(line.decode("utf-8", "surrogateescape")))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"{place}, is not a mark ({error}); fix or delete that line") from error


def _find_torn_end(path: Path) -> int | None:
    """Find the end of the last complete line, if something follows it."""
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    return whole if whole < len(content) else None


def _parse(cells: Mapping[str, Any]) -> Mark:
    rows = tuple(
        RowChange(str(row["pose"]), str(row["url"]), _parse_state(row["before"]), _parse_state(row["after"]))
        for row in cells["rows"]
    )
    mark = Mark(**{**cells, "rows": rows})
    for name in ("number", "undoes"):
        check_whole(getattr(mark, name), name, 0, 2**53)
    for name in ("sha256", "pose", "to_pose", "path", "to_path", "run", "by", "time"):
        if not isinstance(getattr(mark, name), str):
            raise ValueError(f"{name} is {show(getattr(mark, name))}")
    if mark.action not in ACTIONS:
        raise ValueError(f"{mark.action!r} is not an action")
    for path in (mark.path, mark.to_path):
        if not is_inside(path):
            raise ValueError(f"{path!r} leads out of the folder")
    return mark


def _parse_state(cells: Mapping[str, str] | None) -> RowState | None:
    if cells is not None and not all(isinstance(value, str) for value in cells.values()):
        raise ValueError("a row of the manifest holds a value that is not text")
    return None if cells is None else RowState(**cells)


def is_inside(path: str) -> bool:
    """Whether a relative path is a file of a pose or a removed one: a journal may come from elsewhere, like photos."""
    pure = PurePath(path)
    inside = not pure.is_absolute() and not pure.drive and ".." not in pure.parts and "\0" not in path
    return inside and len(pure.parts) > 1 and (pure.parts[0] == REMOVED_FOLDER or not path.startswith((".", "_")))
