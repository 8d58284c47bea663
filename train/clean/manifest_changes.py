"""How a mark changes the manifest: the rows of a photo's content, in the old pose and in the new one.

In the pose that a photo leaves, its rows get a final status, so that neither `download` nor `add` brings it back; in
its new pose it gets rows for the same URLs.  A folder without a manifest gets rows, by content, only for marked photos.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from ..photos.manifest import DUPLICATE, MOVED, OK, REMOVED, WITHDRAWN, Manifest, ManifestRow
from .journal import RowChange, RowState

CLEANED = "cleaned"
THERE = frozenset({OK, DUPLICATE})


class PhotoRows:
    """The manifest's rows with a photo, by pose and content.  Changes are written at once."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._rows: dict[tuple[str, str], ManifestRow] = {}
        self._contents: dict[tuple[str, str], list[str]] = defaultdict(list)
        self._any: dict[str, ManifestRow] = {}
        for row in manifest.read():
            self._rows[_key(row)] = row
            if row.sha256:
                self._contents[row.pose, row.sha256].append(row.url)
                self._any.setdefault(row.sha256, row)

    def find(self, pose: str, sha256: str) -> list[ManifestRow]:
        """Find the rows of one content in one pose, in the order of their URLs."""
        return [self._rows[pose, url or sha256] for url in sorted(self._contents.get((pose, sha256), ()))]

    def get(self, pose: str, url: str, sha256: str) -> ManifestRow | None:
        """Get one row; sha256 identifies rows without a URL."""
        return self._rows.get((pose, url or sha256))

    def has_url(self, pose: str, url: str) -> bool:
        """Whether this URL already has a row, whatever its content."""
        return (pose, url) in self._rows

    def list_photos(self) -> list[ManifestRow]:
        """List the rows whose photo should be in its pose."""
        return [row for row in self._rows.values() if row.status in THERE]

    def change(self, change: RowChange, sha256: str) -> None:
        """Set one row to its state after the mark."""
        key = (change.pose, change.url or sha256)
        row = self._rows.get(key)
        if row is None:
            row = replace(self._any.get(sha256, ManifestRow("", "")), pose=change.pose, url=change.url, sha256=sha256)
        if change.after is None:
            self._withdraw(row)
            return
        row = replace(row, status=change.after.status, path=change.after.path, reason=change.after.reason)
        self._manifest.add(row)
        self._rows[key] = row
        self._any.setdefault(sha256, row)
        if row.url not in self._contents[row.pose, sha256]:
            self._contents[row.pose, sha256].append(row.url)

    def _withdraw(self, row: ManifestRow) -> None:
        if self._rows.pop(_key(row), None) is not None:
            self._contents[row.pose, row.sha256].remove(row.url)
            self._manifest.add(replace(row, status=WITHDRAWN))

    def restore(self, change: RowChange, sha256: str, *, is_there: bool) -> None:
        """At the start, set a row to its state in the journal, unless another command has changed it since.

        is_there: the row's current path is a file, so that a photo that was added again keeps its row.
        """
        row = self._rows.get((change.pose, change.url or sha256))
        wanted, status = change.after, row.status if row else ""
        if wanted is None:
            if row is not None and not is_there:
                self._withdraw(row)
        elif wanted.status in THERE:
            if row is None or status not in THERE or (row.path != wanted.path and not is_there):
                self.change(change, sha256)
        elif row is None or (status, row.path) != (wanted.status, wanted.path):
            self.change(change, sha256)


def _key(row: ManifestRow) -> tuple[str, str]:
    return row.pose, row.url or row.sha256


def plan_leaving(rows: PhotoRows, sha256: str, pose: str, to_path: str, to_pose: str = "") -> list[RowChange]:
    """Plan the changes when a photo leaves a pose, for another one or for `_removed/`.

    A moved photo's old rows name no file, because it may be moved again; its new rows have the path.
    """
    removed = RowState(REMOVED, to_path, f"{CLEANED}: removed")
    after = RowState(MOVED, "", f"{CLEANED}: to {to_pose}") if to_pose else removed
    own = rows.find(pose, sha256)
    if not own:
        return [RowChange(pose, "", None, after)]
    return [RowChange(pose, row.url, _state_of(row), after) for row in own]


def plan_arriving(rows: PhotoRows, sha256: str, pose: str, to_path: str, from_pose: str) -> list[RowChange]:
    """Plan the changes when a photo enters a pose: its rows there are valid again, or it gets rows for its URLs."""
    after = RowState(OK, to_path)
    own = rows.find(pose, sha256)
    if own:
        return [RowChange(pose, row.url, _state_of(row), after) for row in own]
    urls = [row.url for row in rows.find(from_pose, sha256) if row.url and not rows.has_url(pose, row.url)]
    return [RowChange(pose, url, None, after) for url in urls or [""]]


def plan_copy_leaving(rows: PhotoRows, sha256: str, pose: str, path: str, other: str) -> list[RowChange]:
    """Plan the changes when one of two files with the same content leaves a pose: its rows name the other file."""
    named = [row for row in rows.find(pose, sha256) if row.path == path]
    return [RowChange(pose, row.url, _state_of(row), replace(_state_of(row), path=other)) for row in named]


def _state_of(row: ManifestRow) -> RowState:
    return RowState(row.status, row.path, row.reason)
