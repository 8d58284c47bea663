"""The recordings of an archive: which there are, what each is called in the results, and when one has changed."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import quote_from_bytes, urlsplit

from ..errors import OutputError, SourceError
from ..pipelines.annotate import is_video
from ..sources.inputs import VIDEO_SUFFIXES, is_annotated, is_list, list_files, name_missing, read_list
from ..sources.remote import RemoteFile, find_file_system, read_version
from ..system.files import resolve
from ..system.plain_text import is_plain
from ..system.progress import track

ASKED_AT_ONCE = 16
"""Remote files that are asked for their size at the same time."""


@dataclass(frozen=True)
class Recorded:
    """A recording.

    place: its name in the results, its suffix kept, made of its own path alone: it stays when the archive grows.
    size_bytes, version: change when the file does (modification time, or a store's ETag); of a file that is not there
    the size is 0.
    """

    path: Path | RemoteFile
    place: PurePosixPath
    size_bytes: int = 0
    version: str = ""


def list_archive(inputs: Sequence[Path | RemoteFile], leave_out: Iterable[Path] = ()) -> list[Recorded]:
    """Every recording that files, folders, lists and URLs name, each once; of folders none that `yoga-live` annotated.

    What a list names and is not there is kept, and a folder that cannot be read: each becomes a failure of its own.
    leave_out: folders that are not entered.  Raises SourceError for what was named by itself and is not there,
    OutputError where two would share a name.
    """
    found: dict[str, Recorded] = {}
    skipped = list(leave_out)
    for given in inputs:
        named = read_list(given) if isinstance(given, Path) and is_list(given) else None
        places = [given] if named is None else named
        remote = [each for each in places if isinstance(each, RemoteFile)]
        rows = [row for each in places if isinstance(each, Path) for row in _list_local(each, skipped, bool(named))]
        for row in [*rows, *_list_all_remote(remote, bool(named))]:
            found.setdefault(str(row.path), row)
    _check_places(found.values())
    return list(found.values())


def _list_local(path: Path, skipped: list[Path], keeps_missing: bool) -> list[Recorded]:
    if path.is_dir():
        top = PurePosixPath(resolve(path).name or "root")
        unreadable: dict[Path, str] = {}
        try:
            listed = list_files([path], _is_input, "video", skipped, unreadable)
        except SourceError:
            if not unreadable:
                raise
            listed = []
        found = [(file.path, file.place) for file in listed] + [(each, each.relative_to(path)) for each in unreadable]
        return [_describe(file, _make_place(top.parts + place.parts)) for file, place in found]
    if not path.exists() and not keeps_missing:
        raise name_missing(path)
    if path.is_fifo():  # its writer is on this machine, its reader would be anywhere
        raise SourceError(f"{path} is a named pipe, and an archive needs files; use yoga-live --video for it")
    whole = Path(os.path.abspath(path))  # noqa: PTH100 - links stay: the name is the one that was given
    return [_describe(whole, _make_place(part.replace(":", "") for part in whole.parts[1:]))]


def _is_input(path: Path) -> bool:
    """Whether a file of a folder is a video, and not one that `yoga-live` has annotated beside another."""
    return is_video(path) and not is_annotated(path)


def _make_place(parts: Iterable[str]) -> PurePosixPath:
    """A name that every store takes: what is not UTF-8, or would break a line, is percent-encoded."""
    return PurePosixPath(*(part if is_plain(part) else quote_from_bytes(os.fsencode(part)) for part in parts))


def _describe(path: Path, place: PurePosixPath) -> Recorded:
    try:
        facts = path.stat()
    except OSError:
        return Recorded(path, place)
    return Recorded(path, place, facts.st_size, f"mtime_ns {facts.st_mtime_ns}")


def _list_all_remote(files: list[RemoteFile], keeps_missing: bool) -> list[Recorded]:
    """Ask for many at once: each answer is a round trip."""
    if not files:
        return []
    find_file_system(files[0].url)  # a missing package is said once
    with ThreadPoolExecutor(min(ASKED_AT_ONCE, len(files))) as pool:
        answers = pool.map(lambda file: _list_remote(file, keeps_missing), files)
        if len(files) > ASKED_AT_ONCE:
            answers = track(answers, "listing", len(files), "files")
        return [row for rows in answers for row in rows]


def _list_remote(file: RemoteFile, keeps_missing: bool) -> list[Recorded]:
    fs, path = find_file_system(file.url)
    try:
        facts = fs.info(path)
        if facts.get("type") != "directory":
            return [Recorded(file, _name_remote(file), facts.get("size") or 0, read_version(facts))]
        inside = fs.find(path, detail=True)
    except FileNotFoundError:
        if keeps_missing:
            return [Recorded(file, _name_remote(file))]
        raise SourceError(f"{file} does not exist; give an existing file or folder") from None
    except Exception as error:  # each file system has its own family of errors
        if keeps_missing:  # one of a list: what is wrong with it is said when it is opened, in its row
            return [Recorded(file, _name_remote(file))]
        raise SourceError(f"{file} cannot be listed: {type(error).__name__}: {error}".splitlines()[0]) from error
    rows = [
        Recorded(each, _name_remote(each), facts.get("size") or 0, read_version(facts))
        for name, facts in sorted(inside.items())
        if (each := RemoteFile(fs.unstrip_protocol(name))).suffix.lower() in VIDEO_SUFFIXES
        and not is_annotated(PurePosixPath(each.name))
    ]
    if not rows:
        raise SourceError(f"{file} has no videos; give another folder, or the files themselves")
    return rows


def _name_remote(file: RemoteFile) -> PurePosixPath:
    """scheme/host/path: a signature in the query, which changes from day to day, is no part of it."""
    parts = urlsplit(str(file))
    inner = [part for part in parts.path.split("/") if part not in ("", ".", "..")]
    return _make_place([parts.scheme, *filter(None, [parts.netloc.replace(":", "_")]), *inner])


def _check_places(rows: Iterable[Recorded]) -> None:
    """Names that differ in case alone are one file on some disks."""
    rows = list(rows)
    shared = {name for name, count in Counter(str(row.place).casefold() for row in rows).items() if count > 1}
    if shared:
        of_one = [str(row.path) for row in rows if str(row.place).casefold() in shared]
        raise OutputError(f"{' and '.join(of_one[:2])} would have outputs of the same name; use two commands")
