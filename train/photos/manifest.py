"""`photos/manifest.csv`: one row for every URL, with its outcome and the path of the photo.

During a download, a row is appended for each finished URL; a killed process loses no row, except perhaps an incomplete
last line, which readers drop.  At the end, and first thing at the next start, the file is rewritten in one step: sorted
by pose and URL, one row each.  Of two URLs with the same content in one pose the first is `ok`, the other a
`duplicate`; so the file does not depend on which arrived first, or on interruptions.
"""

from __future__ import annotations

import csv
import io
import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import TracebackType
from typing import IO

from ...runtime.errors import OutputError, RunError
from ...runtime.system.claims import lock_file
from ...runtime.system.files import ODD_NAMES, write_then_rename
from ...runtime.system.foreign_files import is_inside, open_plain, show
from ...runtime.system.plain_text import ADDRESS, is_plain, quote_path, unquote_path

MANIFEST = "manifest.csv"
REMOVED_FOLDER = "_removed"
OK, DUPLICATE = "ok", "duplicate"
REFUSED = "refused"  # permanent: 404, not a picture, too large
FAILED = "failed"  # possibly temporary: time-outs, connections, 429, 5xx
FORBIDDEN = "forbidden"  # a private address: only --allow-private changes that
REMOVED = "removed"  # removed by cleaning; the file is in `_removed/`
MOVED = "moved"  # relabelled by cleaning; the photo has a row in its new pose
WITHDRAWN = "withdrawn"  # cancels a row that an undone mark had added
SAME_CONTENT = "same content"


@dataclass(frozen=True)
class ManifestRow:
    """One URL.  Every status other than ok, duplicate, failed and forbidden is final.

    reason: in a few words, with details of this URL after a colon.  path: relative to the folder, with /.
    phash, mirror_phash: 16 hexadecimal digits.  width, height: pixels, upright.  group: the duplicate group.
    split: what the data set that it came from used it for: train, validation, test, or empty.
    A photo that moves to another pose keeps a row in its old pose, so that its URL is not fetched again.
    """

    pose: str
    url: str
    sha256: str = ""
    phash: str = ""
    width: str = ""
    height: str = ""
    group: str = ""
    status: str = ""
    reason: str = ""
    path: str = ""
    mirror_phash: str = ""
    split: str = ""

    @property
    def kind(self) -> str:
        """The reason without its details, for counting."""
        return self.reason.partition(":")[0]


PLACES = ("pose", "path")
_HASHES = re.compile(r"([0-9a-f]{2})*(,[0-9a-f]{0,16}){2}")
COLUMNS = tuple(field.name for field in fields(ManifestRow))
WITHOUT_SPLIT = COLUMNS[:-1]
"""Those of manifests in which no photo has a split, and of older versions."""


def check_removed_folder(photos: Path) -> None:
    """Refuse a `_removed` that leads out of the photo folder, because photos are moved there.

    Raises RunError.
    """
    removed = photos / REMOVED_FOLDER
    if removed.is_symlink() and not Path(os.path.realpath(removed)).is_relative_to(os.path.realpath(photos)):
        raise RunError(
            f"{removed} is a link that leads out of {photos}, to {os.path.realpath(removed)}; replace it with a folder "
            "of those photos"
        )


def read_manifest(photos: Path) -> Iterator[ManifestRow]:
    """Yield the rows of a photo folder, the newest of each URL; none without a manifest.  Raises RunError."""
    path = photos / MANIFEST
    if path.exists():
        with _open(path) as file:
            newest, first, _ = _index(file, path)
            yield from _settle(file, newest, first, path)


def _open(path: Path) -> IO[bytes]:
    try:
        return open_plain(path)
    except ValueError as error:
        raise RunError(f"{path} cannot be read: {error}; move it away") from error


def _index(file: IO[bytes], path: Path) -> tuple[dict[str, int], dict[tuple[str, str], str], bool]:
    """Find the newest row of each URL; rows stay on disk until they are read.

    Returns offsets by sort key, the URLs by content of the photos that another command settled (removed ones), and
    whether a row has a split.
    """
    line = file.readline()
    header = line.decode("utf-8-sig", "replace").strip()
    if not line:  # the header is written first, so an empty file is left by a crash or a full disk
        raise RunError(
            f"{path} is empty and so damaged: it recorded which photos were refused or removed; restore a copy, or "
            f"start a new one (removed photos may return): rm {shlex.quote(str(path))}"
        )
    if tuple(header.split(",")) not in (COLUMNS, WITHOUT_SPLIT):
        raise RunError(f"{path} has the columns {header[:80]!r} instead of {','.join(COLUMNS)}; move it away")
    newest: dict[str, int] = {}
    settled: dict[str, tuple[str, str]] = {}
    offset, has_split = file.tell(), False
    for line in file:
        if line.endswith(b"\n") and line.strip():
            row = _parse(line, path)
            newest[key := f"{row.pose}\0{row.url or row.sha256}"] = offset
            settled.pop(key, None)
            has_split |= bool(row.split)
            if row.status == WITHDRAWN:
                del newest[key]
            elif row.sha256 and row.status not in {OK, DUPLICATE}:
                settled[key] = (row.pose, row.sha256)
        offset += len(line)
    return newest, {content: key.partition("\0")[2] for key, content in settled.items()}, has_split


def _settle(
    file: IO[bytes], newest: dict[str, int], first: dict[tuple[str, str], str], path: Path
) -> Iterator[ManifestRow]:
    """Yield rows in order; of the same content in one pose only the first is `ok`."""
    for key in sorted(newest):
        file.seek(newest[key])
        row = _parse(file.readline(), path)
        if row.status in {OK, DUPLICATE}:
            content = (row.pose, row.sha256)
            if content in first:
                row = replace(row, status=DUPLICATE, reason=f"{SAME_CONTENT}: {first[content]}")
            else:
                first[content] = row.url
                row = replace(row, status=OK, reason="")
        yield row


def _parse(line: bytes, path: Path) -> ManifestRow:
    try:
        cells = next(csv.reader([line.decode("utf-8", ODD_NAMES)]), [])
    except csv.Error as error:
        raise RunError(f"{path} has a damaged row, {line[:60]!r}: {error}; delete that line") from error
    if len(cells) not in (len(COLUMNS), len(WITHOUT_SPLIT)):
        count = f"{len(cells)} cells instead of {len(COLUMNS)}"
        raise RunError(f"{path} has a row of {count}, {line[:60]!r}; delete that line")
    row = ManifestRow(*cells)
    if any(getattr(row, name).startswith(ADDRESS) for name in PLACES):
        row = replace(row, **{name: unquote_path(getattr(row, name)) for name in PLACES})
    if row.path and not is_inside(row.path):
        raise RunError(f"{path} names {show(row.path)}, which leads out of the folder; delete that line")
    if not _HASHES.fullmatch(f"{row.sha256},{row.phash},{row.mirror_phash}"):
        raise RunError(f"{path} has a row with invalid hashes, {line[:60]!r}; delete that line")
    return row


def _format(row: ManifestRow, columns: tuple[str, ...] = COLUMNS) -> str:
    """Format a row as one line, so that an incomplete one is detected: line breaks in cells become spaces.

    Path and pose are kept exactly; line breaks in them are percent-encoded (`file:tree/a%0Ab.jpg`).
    """
    text = io.StringIO()
    cells = (
        _quote_place(getattr(row, name))
        if name in PLACES
        else " ".join(str(getattr(row, name)).replace("\0", "").split())
        for name in columns
    )
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def _quote_place(path: str) -> str:
    """Quote a path if needed; bytes that are not UTF-8 are written as they are."""
    is_line = is_plain(path.encode("utf-8", "replace").decode())
    return path if is_line and not path.startswith(ADDRESS) else quote_path(path)


class Manifest:
    """The manifest of a photo folder, locked while a command adds to it.

    Raises OutputError if another command has locked it, RunError if it cannot be read.
    """

    def __init__(self, photos: Path) -> None:
        self._photos = photos

    def __enter__(self) -> Manifest:
        try:
            self._photos.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot create the folder {self._photos}: {error.strerror}; choose another") from error
        self._lock = _lock(self._photos)
        try:
            check_removed_folder(self._photos)
            for left_over in self._photos.glob(f".{Path(MANIFEST).stem}.part*"):
                left_over.unlink()
            self._compact()
            self._file = (self._photos / MANIFEST).open("a", encoding="utf-8", errors=ODD_NAMES, newline="")
        except BaseException:
            self._lock.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._file.close()
        try:
            self._compact()
        finally:
            self._lock.close()

    def _compact(self) -> None:
        path = self._photos / MANIFEST
        with (
            write_then_rename(path) as temporary,
            temporary.open("w", encoding="utf-8", errors=ODD_NAMES, newline="") as file,
        ):
            if not path.exists():
                file.write(",".join(WITHOUT_SPLIT) + "\n")
                return
            with _open(path) as old:
                newest, first, has_split = _index(old, path)
                columns = COLUMNS if has_split else WITHOUT_SPLIT
                file.write(",".join(columns) + "\n")
                file.writelines(_format(row, columns) for row in _settle(old, newest, first, path))

    def read(self) -> Iterator[ManifestRow]:
        """Yield the rows so far."""
        return read_manifest(self._photos)

    def add(self, row: ManifestRow) -> None:
        """Append one row, which is on the disk when this returns."""
        self._file.write(_format(row, COLUMNS if row.split else WITHOUT_SPLIT))
        self._file.flush()


def _lock(photos: Path) -> IO[bytes]:
    """Lock a photo folder for this process; the system releases the lock when the process ends."""
    file = (photos / ".lock").open("ab")
    try:
        lock_file(file.fileno())
    except OSError as error:
        file.close()
        raise OutputError(f"another command is changing {photos}; wait for it to end, or end it") from error
    return file
