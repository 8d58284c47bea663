"""Marks in a photo folder: keep, remove, relabel, undo.  Writes the journal first, then the file, then the manifest."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path, PurePath

from ...runtime.errors import OptionError, PhotoError, RunError
from ...runtime.system.plain_text import format_count
from ..photos.folder import list_files, list_poses
from ..photos.manifest import REMOVED_FOLDER, Manifest
from .journal import (
    KEEP,
    RELABEL,
    REMOVE,
    UNDO,
    Journal,
    Mark,
    RowChange,
    TrackedPhoto,
    is_inside,
    read_journal,
    trace_photos,
)
from .manifest_changes import PhotoRows, plan_arriving, plan_copy_leaving, plan_leaving

log = logging.getLogger(__name__)


@contextmanager
def open_cleaner(
    folder: Path,
    contents: Mapping[str, str] | None = None,
    run_name: str = "",
    by: str = "hand",
    *,
    read_only: bool = False,
) -> Iterator[Cleaner]:
    """Lock a photo folder for cleaning, and complete what a killed command had started.  Raises YogaLiveError.

    contents: path -> SHA-256, as far as the caller has read them.  run_name, by: who decides, for the journal.
    read_only: neither lock nor change the folder; the cleaner then lists photos and takes no marks.
    """
    list_poses(folder, least=1)
    manifest, journal = Manifest(folder), Journal(folder)
    with ExitStack() as held:
        if read_only:
            journal.marks = read_journal(journal.path)
        else:
            held.enter_context(manifest)
            held.enter_context(journal)
        yield Cleaner(folder, manifest, journal, contents or {}, run_name, by, read_only=read_only)


class Cleaner:
    """Tracks the photos of a folder, and is the only one to move them.

    photos: every file, including the removed ones in the journal.
    """

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        journal: Journal,
        contents: Mapping[str, str],
        run_name: str = "",
        by: str = "hand",
        *,
        read_only: bool = False,
    ) -> None:
        self.folder, self.run_name, self._by = folder, run_name, by
        self._root = folder.resolve()
        self._journal = journal
        self.rows = PhotoRows(manifest)
        try:
            self._history = trace_photos(journal.marks)
        except ValueError as error:
            raise RunError(f"{journal.path} is inconsistent: {error}; fix it, or move it away") from error
        if not read_only:
            self._complete_marks()
        self.photos = self._list_photos(contents)
        self._marked = {id(photo): photo for photo in self.photos if photo.marks or photo.is_removed}
        self._copies: dict[str, list[TrackedPhoto]] = defaultdict(list)
        for photo in self.photos:
            if photo.sha256:
                self._copies[photo.sha256].append(photo)

    def _list_photos(self, contents: Mapping[str, str]) -> list[TrackedPhoto]:
        known = {photo.path for photo in self._history.photos}
        photos = [photo for photo in self._history.photos if (self.folder / photo.path).is_file()]
        for photo in photos:  # a marked file may have been replaced by another one
            photo.sha256 = contents.get(photo.path, photo.sha256)
        for photo in self._history.photos:  # marked, but not yet moved: the command was killed
            if not (self.folder / photo.path).is_file():
                known.update(place for place in photo.places if self._holds(place, photo.sha256))
        contents = {**{row.path: row.sha256 for row in self.rows.list_photos()}, **contents}
        for pose, file in list_files(self.folder, list_poses(self.folder, least=1)):
            path = file.relative_to(self.folder).as_posix()
            if path not in known and is_inside(path):
                photos.append(TrackedPhoto(path, pose, contents.get(path, "")))
        return photos

    def _complete_marks(self) -> None:
        """Replay the journal: carry out what is missing, files first."""
        completed = 0
        for photo in self._history.photos:
            if (self.folder / photo.path).exists():
                continue
            for place in reversed(photo.places):
                if self._holds(place, photo.sha256):
                    self._check_place(photo.path)
                    self._move(place, photo.path)
                    completed += 1
                    break
        if completed:
            log.info("carried out %s that an interrupted command had left", format_count(completed, "mark"))
        newest = {(row.pose, row.url or mark.sha256): (row, mark) for mark in self._journal.marks for row in mark.rows}
        for change, mark in newest.values():
            current = self.rows.get(change.pose, change.url, mark.sha256)
            is_there = current is not None and (self.folder / current.path).is_file()
            self.rows.restore(change, mark.sha256, is_there=is_there)

    def _holds(self, path: str, sha256: str) -> bool:
        try:
            return self._read_sha256(path) == sha256
        except PhotoError:
            return False

    def locate(self, photo: TrackedPhoto) -> Path:
        """Find the file of a photo.  Raises PhotoError if it is missing, or a link that leads out of the folder."""
        return self._locate(photo.path)

    def _locate(self, path: str) -> Path:
        place = self.folder / path
        if not place.is_file():
            raise PhotoError(f"{path} is missing; was it moved or deleted?")
        if not place.resolve().is_relative_to(self._root):
            raise PhotoError(f"{path} is a link that leads out of the folder; it is left alone")
        return place

    def _read_sha256(self, path: str) -> str:
        try:
            return hashlib.sha256(self._locate(path).read_bytes()).hexdigest()
        except OSError as error:
            raise PhotoError(f"{path} cannot be read: {error.strerror}") from error

    def check_content(self, photo: TrackedPhoto) -> None:
        """Raise PhotoError if the content of a photo has changed."""
        if self._read_sha256(photo.path) != photo.sha256:
            raise PhotoError(f"{photo.path} is no longer the photo that the run predicted; it is left alone")

    def mark(self, photo: TrackedPhoto, action: str, pose: str = "") -> Mark:
        """Mark one photo; the mark is saved when this returns.  pose: the new one, for relabel.

        `keep` restores a removed photo.  Raises PhotoError if the photo is not accessible, OSError for a full disk.
        """
        if action not in (KEEP, REMOVE, RELABEL):
            raise OptionError(f"{action!r} is not a mark; use keep, remove or relabel")
        if (action == RELABEL) != bool(pose):
            raise OptionError("relabel needs a pose, and other marks have none")
        if pose == photo.pose:
            action = KEEP
        if (self.folder / photo.path).is_symlink():
            raise PhotoError(f"{photo.path} is a link; put a copy of the photo in its place to clean it")
        sha256, to_pose = self._read_sha256(photo.path), pose or photo.pose
        if sha256 != photo.sha256:
            self._copies[sha256].append(photo)
            photo.sha256 = sha256
        to_path, rows = self._plan(photo, action, to_pose)
        if not is_inside(to_path):
            raise PhotoError(f"{photo.path} cannot be moved to {to_path!r}, outside of the poses; it is left alone")
        self._check_place(to_path)
        mark = Mark(
            number=self._history.last_number + 1,
            action=action,
            sha256=sha256,
            pose=photo.pose,
            to_pose=to_pose,
            path=photo.path,
            to_path=to_path,
            rows=tuple(rows),
            run=self.run_name,
            by=self._by,
            time=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        )
        self._carry_out(mark, photo)
        return mark

    def _plan(self, photo: TrackedPhoto, action: str, pose: str) -> tuple[str, list[RowChange]]:
        """Plan where the photo goes, and how the manifest changes."""
        stays = photo.path, []
        if action == REMOVE:
            if photo.is_removed:
                return stays
            to_path = self._find_free(f"{REMOVED_FOLDER}/{photo.path}")
            return to_path, self._plan_leaving(photo, to_path)
        if action == KEEP and not photo.is_removed:
            return stays
        # Folders inside a pose are kinds of that pose only.
        parts = photo.path.removeprefix(f"{REMOVED_FOLDER}/").split("/")
        inner = "/".join(parts[1:]) if pose == photo.pose else parts[-1]
        if self._find_copy(photo, pose) or self._holds(f"{pose}/{inner}", photo.sha256):
            if action == KEEP:
                return stays
            # The new pose already has this picture: one file of it is enough.
            to_path = photo.path if photo.is_removed else self._find_free(f"{REMOVED_FOLDER}/{photo.path}")
            return to_path, self._plan_leaving(photo, to_path, pose)
        to_path = self._find_free(f"{pose}/{inner}")
        leaving = self._plan_leaving(photo, to_path, pose) if pose != photo.pose else []
        return to_path, [*leaving, *plan_arriving(self.rows, photo.sha256, pose, to_path, photo.pose)]

    def _plan_leaving(self, photo: TrackedPhoto, to_path: str, to_pose: str = "") -> list[RowChange]:
        other = self._find_copy(photo, photo.pose)
        if other:
            return plan_copy_leaving(self.rows, photo.sha256, photo.pose, photo.path, other.path)
        return plan_leaving(self.rows, photo.sha256, photo.pose, to_path, to_pose)

    def _find_copy(self, photo: TrackedPhoto, pose: str) -> TrackedPhoto | None:
        """Find another file with the same content in a pose."""
        copies = self._copies.get(photo.sha256, [])
        return next((c for c in copies if self._is_copy(c, photo, pose)), None)

    @staticmethod
    def _is_copy(other: TrackedPhoto, photo: TrackedPhoto, pose: str) -> bool:
        same = other is not photo and other.sha256 == photo.sha256
        return same and other.pose == pose and not other.is_removed

    def _find_free(self, path: str) -> str:
        """Return this path, with a number added if another file has it."""
        stem, dot, suffix = path.rpartition(".")
        candidate, number = path, 1
        while (self.folder / candidate).exists() or (self.folder / candidate).is_symlink():
            number += 1
            candidate = f"{stem}-{number}.{suffix}" if dot and "/" not in suffix else f"{path}-{number}"
        return candidate

    def undo(self) -> TrackedPhoto | None:
        """Take back the newest mark, also of an earlier session.  Returns its photo, or None if there is none.

        A file that was deleted meanwhile does not return, but `download` may fetch it again.
        """
        if not self._history.done:
            return None
        mark, photo = self._history.done[-1]
        if (self.folder / photo.path).exists() and self._read_sha256(photo.path) != mark.sha256:
            raise PhotoError(f"{photo.path} was changed after it was marked; restore the old file, then undo")
        to_path = photo.path if mark.path == mark.to_path else self._find_free(mark.path)
        self._check_place(to_path)
        again = replace(mark, number=self._history.last_number + 2)
        self._carry_out(self._reverse(mark, photo, to_path), photo, again)
        return photo

    def _reverse(self, mark: Mark, photo: TrackedPhoto, to_path: str) -> Mark:
        """Make the mark that takes one back.  to_path: where the photo goes, because its old name may be taken."""
        rows = [row.reverse() for row in mark.rows]
        rows = [
            replace(row, after=replace(row.after, path=to_path)) if row.after and row.after.path == mark.path else row
            for row in rows
        ]
        return replace(
            mark,
            number=self._history.last_number + 1,
            action=UNDO,
            pose=photo.pose,
            to_pose=mark.pose,
            path=photo.path,
            to_path=to_path,
            rows=tuple(reversed(rows)),
            undoes=mark.number,
            by=self._by,
            time=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        )

    def _carry_out(self, mark: Mark, photo: TrackedPhoto, otherwise: Mark | None = None) -> None:
        """Write the journal, move the file, change the manifest.

        otherwise: the mark to record if the file cannot be moved; None: the reverse of `mark`.
        """
        self._record(mark, photo)
        try:
            self._move(mark.path, mark.to_path)
        except OSError:
            self._record(otherwise or self._reverse(mark, photo, mark.path), photo)
            raise
        for change in mark.rows:
            self.rows.change(change, mark.sha256)

    def _record(self, mark: Mark, photo: TrackedPhoto) -> None:
        self._journal.append(mark)
        self._history.record(mark, photo)
        self._marked[id(photo)] = photo

    def _check_place(self, path: str) -> None:
        """Raise PhotoError if a photo would be moved through a link that leads out of the folder."""
        if not (self.folder / path).parent.resolve().is_relative_to(self._root):
            raise PhotoError(f"{PurePath(path).parent} is a link that leads out of the folder; no photo is moved there")

    def _move(self, path: str, to_path: str) -> None:
        if path != to_path and (self.folder / path).exists():
            (self.folder / to_path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / path).rename(self.folder / to_path)

    def can_undo(self) -> bool:
        """Whether there is a mark to take back."""
        return bool(self._history.done)

    def count_marks(self, since: int = 0) -> Counter[str]:
        """Count the marks in effect by action.  since: only marks after this number."""
        return Counter(mark.action for mark, _ in self._history.done if mark.number > since)

    def count_removed(self) -> int:
        """Count the removed files."""
        return sum(photo.is_removed for photo in self._marked.values())

    @property
    def last_number(self) -> int:
        """The number of the newest mark."""
        return self._history.last_number
