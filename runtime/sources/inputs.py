"""Lists the files in the inputs given, and names the outputs of each."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TypeVar
from urllib.parse import unquote_to_bytes, urlsplit
from urllib.request import url2pathname

from ..errors import OptionError, OutputError, SourceError
from ..system.claims import check_growing_output
from ..system.files import ODD_NAMES, check_apart, check_output, resolve
from ..system.foreign_files import open_plain, walk_files
from ..system.plain_text import is_plain, is_utf8, quote_path
from ..system.suggestions import explain_absence
from .remote import RemoteFile, is_url

LIST_SUFFIXES = (".txt", ".list")
VIDEO_SUFFIXES = frozenset((
    ".3gp", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts",
    ".ogv", ".ts", ".webm", ".webp", ".wmv",
))  # fmt: skip
"""Suffixes of videos in a folder (a WebP only if animated).  A file given by name is tried whatever its suffix."""
ANNOTATED = ".annotated"
"""Part of the name of outputs beside a video."""
STDIN = Path("-")
ARCHIVE_URLS = "for URLs use yoga-live archive --to FOLDER (without a cluster it runs on this machine)"
P = TypeVar("P", bound=PurePath)


@dataclass(frozen=True)
class Listed:
    """A file.  place: its path in the given folder, or only its name if the file itself was given.

    name: as shown to the user: its path in the one given folder, else the whole path.
    """

    path: Path
    place: PurePath
    name: str


def parse_input(text: str) -> Path | RemoteFile:
    """Read a path or a URL; file:// is a path, whose percent-encoded bytes are decoded."""
    if not is_url(text):
        return Path(text)
    scheme, _, rest = text.partition("://")
    if scheme.lower() == "file":
        path = urlsplit(text).path
        return Path(url2pathname(path) if os.name == "nt" else os.fsdecode(unquote_to_bytes(path)))
    return RemoteFile(f"{scheme.lower()}://{rest}")


def name_input(path: Path | RemoteFile) -> str:
    """Name an input in tables and records, so that `parse_input` finds it again.

    A name that is not UTF-8, or has a line break, becomes a file:// address: Parquet and lists cannot hold it.
    """
    text = str(path)
    return text if isinstance(path, RemoteFile) or is_plain(text) else quote_path(os.path.abspath(text))  # noqa: PTH100


def is_list(path: Path | RemoteFile) -> bool:
    """Whether this is a list of files: a text file by its suffix, or `-` for standard input."""
    return isinstance(path, Path) and (path == STDIN or (path.suffix.lower() in LIST_SUFFIXES and not path.is_dir()))


def read_list(path: Path, lines_hold: str = "path or URL") -> list[Path | RemoteFile]:
    """Read a list: one path or URL per line, # starts a comment line; paths are relative to the list's folder.

    lines_hold: what a line should be, for the messages.  Raises SourceError if it cannot be read or is empty.
    """
    try:
        content = _read_stdin() if path == STDIN else _read_file(path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SourceError(f"cannot read the list {path}: {reason}") from error
    lines = [line.strip() for line in content.decode("utf-8-sig", ODD_NAMES).split("\n")]
    odd = [line for line in lines if not is_utf8(line)]  # some file names; a list in another encoding matches no file
    if b"\0" in content or (odd and not any((path.parent / line).exists() for line in odd)):
        raise SourceError(f"cannot read the list {path}: it is not UTF-8 text with one {lines_hold} per line")
    found = [parse_input(line) for line in lines if line and not line.startswith("#")]
    if not found:
        raise SourceError(f"the list {path} is empty; write one {lines_hold} per line")
    files = [path.parent / each if isinstance(each, Path) else each for each in found]
    if not any(isinstance(each, RemoteFile) or os.path.lexists(each) for each in files):
        raise SourceError(
            f"no file of the list {path} exists; its first line is {str(found[0])!r}: write one {lines_hold} per line"
        )
    return files


def _read_stdin() -> bytes:
    """Read all bytes, whatever the encoding."""
    buffer = getattr(sys.stdin, "buffer", None)
    return buffer.read() if buffer else sys.stdin.read().encode("utf-8", ODD_NAMES)


def _read_file(path: Path) -> bytes:
    with open_plain(path) as file:
        return file.read()


def read_lists(paths: Sequence[Path | RemoteFile], for_urls: str = ARCHIVE_URLS) -> list[Path]:
    """Replace every list by the files it names, which must be local.  Raises SourceError, OptionError.

    for_urls: what to do about a URL, for the message.
    """
    found: list[Path | RemoteFile] = []
    for path in paths:
        found += read_list(path, "path") if isinstance(path, Path) and is_list(path) else [path]
    if remote := next((each for each in found if isinstance(each, RemoteFile)), None):
        raise OptionError(f"{remote} is not a local file; {for_urls}")
    return [each for each in found if isinstance(each, Path)]


def list_files(
    paths: Sequence[Path],
    is_wanted: Callable[[Path], bool],
    kind: str,
    leave_out: Iterable[Path] = (),
    unreadable: dict[Path, str] | None = None,
    *,
    keep_missing: bool = False,
) -> list[Listed]:
    """List the files given, and those in folders given, sorted; each file once, without hidden ones.

    is_wanted: filters files in folders; kind: for the message; leave_out: folders to skip (earlier outputs are not
    inputs); unreadable: is given each folder that cannot be read, and why.  keep_missing: list what is missing as well,
    if anything else was found.  Raises SourceError for another missing file or folder, for a folder that cannot be
    read without `unreadable`, and where nothing else was found.
    """
    skipped = {resolve(path) for path in leave_out}
    found: dict[Path, Listed] = {}
    refused: dict[Path, str] = {} if unreadable is None else unreadable
    missing: set[Path] = set()
    for path in paths:
        if path.is_dir():
            count, entered = len(refused), skipped - {resolve(path)}
            walk = walk_files(path, refused.__setitem__, lambda folder, out=entered: resolve(folder) not in out)
            inside = [file for file in walk if is_wanted(file)]
            if not inside and len(refused) == count:
                raise SourceError(f"the folder {path} has no {kind}s; give another folder, or the files themselves")
            for file in inside:
                place = file.relative_to(path)
                found.setdefault(resolve(file), Listed(file, place, str(place if len(paths) == 1 else file)))
        elif path.exists():
            found.setdefault(resolve(path), Listed(path, PurePath(path.name), str(path)))
        else:
            missing.add(resolve(path))
            found.setdefault(resolve(path), Listed(path, PurePath(path.name), str(path)))
    if missing and not (keep_missing and found.keys() - missing):
        raise name_missing(next(path for path in paths if resolve(path) in missing), kind)
    if refused and (unreadable is None or not found):
        raise SourceError(describe_unreadable(refused))
    return list(found.values())


def describe_unreadable(folders: Mapping[Path, str]) -> str:
    """Describe the folders that cannot be read, by why."""
    path, reason = next(iter(folders.items()))
    if len(folders) == 1:
        return f"the folder {path} cannot be read: {reason}"
    return f"{len(folders)} folders cannot be read, such as {path}: {reason}"


def name_missing(path: Path, kind: str = "video") -> SourceError:
    """Tell that there is no such file, why, and which one was probably meant."""
    return SourceError(f"the {kind} {path} {explain_absence(path, 'give an existing file or folder')}")


def name_outputs(files: list[Listed]) -> list[PurePath]:
    """Name each file's output, without a suffix, like the file and in the same folders; all names differ.

    Files that would share a name keep their suffix (`a.mov`, `a.mp4`); if that is shared too, because two folders were
    given, the names of the folders are kept.
    """
    names = [file.place.with_suffix("") for file in files]
    names = _rename_shared(names, [file.place for file in files])
    if _find_shared(names):
        top = Path(os.path.commonpath([resolve(file.path.parent) for file in files]))
        names = _rename_shared(names, [resolve(file.path.parent).relative_to(top) / file.path.name for file in files])
    if shared := _find_shared(names):
        of_one = [str(file.path) for file, name in zip(files, names, strict=True) if _fold(name) in shared]
        raise OutputError(f"{' and '.join(of_one[:2])} would have outputs of the same name; use two commands")
    return names


def name_beside(videos: Sequence[Path]) -> list[Path]:
    """Name each video's outputs beside it, without a suffix: class.mov -> class.annotated; all names differ."""
    names = _rename_shared([video.with_suffix("") for video in videos], videos)
    return [add_suffix(name, ANNOTATED) for name in names]


def is_annotated(path: PurePath) -> bool:
    """Whether a file is an output beside a video, and so not an input."""
    return path.name.casefold().endswith((f"{ANNOTATED}.mp4", f"{ANNOTATED}.part.mp4"))


def add_suffix(path: Path, suffix: str) -> Path:
    """Append a suffix, whatever dots the name has."""
    return path.with_name(f"{path.name}{suffix}")


def _rename_shared(names: Sequence[P], longer: Sequence[P]) -> list[P]:
    shared = _find_shared(names)
    return [more if _fold(name) in shared else name for name, more in zip(names, longer, strict=True)]


def _find_shared(names: Sequence[PurePath]) -> set[str]:
    return {name for name, count in Counter(map(_fold, names)).items() if count > 1}


def _fold(name: PurePath) -> str:
    """Ignore case: on some disks, names that only differ in case are one file."""
    return str(name).casefold()


def check_new(paths: list[Path], inputs: Iterable[Path], *, force: bool = False, grow: bool = True) -> None:
    """Refuse outputs before any work that would overwrite an input, one another, or (without `force`) a file.

    grow: as in `check_apart`.  Raises OutputError.
    """
    check_apart(paths, list(inputs), grow=grow)
    refused = []
    for path in paths:
        if path.parent.is_dir():
            try:
                (check_growing_output if grow else check_output)(path, force=force)
            except OutputError as error:
                refused.append(str(error))
    if refused:
        raise OutputError(refused[0] + (f" ({len(refused) - 1} more outputs as well)" if len(refused) > 1 else ""))


def make_folder(option: str, folder: Path) -> None:
    """Create the folder of several outputs, if missing.  Raises OutputError for a file."""
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{option} {folder} is a file, but there are several inputs; give a folder")
    folder.mkdir(parents=True, exist_ok=True)
