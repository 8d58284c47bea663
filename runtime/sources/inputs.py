"""What lies in the files and folders that were given, and what is made of each is called."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TypeVar
from urllib.parse import unquote_to_bytes, urlsplit
from urllib.request import url2pathname

from ..errors import OptionError, OutputError, SourceError
from ..system.claims import check_growing_output
from ..system.files import ODD_NAMES, check_apart, check_output, resolve
from ..system.foreign_files import open_plain
from ..system.plain_text import is_plain, is_utf8, quote_path
from ..system.suggestions import suggest_path
from .remote import RemoteFile, is_url

LIST_SUFFIXES = (".txt", ".list")
VIDEO_SUFFIXES = frozenset((
    ".3gp", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts",
    ".ogv", ".ts", ".webm", ".webp", ".wmv",
))  # fmt: skip
"""What is taken for a video in a folder; a WebP where it is animated.  A file that is named is tried whatever it is."""
ANNOTATED = ".annotated"
"""Before the suffix of what is written beside a video."""
STDIN = Path("-")
P = TypeVar("P", bound=PurePath)


@dataclass(frozen=True)
class Listed:
    """A file; where it lies in the folder that was given (only its name where the file itself was).

    name: as it is told to the user: its place in the one folder that was given, else the whole path.
    """

    path: Path
    place: PurePath
    name: str


def parse_input(text: str) -> Path | RemoteFile:
    """A path, or what a URL names; file:// is a path, percent-encoded bytes in it are taken as they are."""
    if not is_url(text):
        return Path(text)
    if text.startswith("file://"):
        path = urlsplit(text).path
        return Path(url2pathname(path) if os.name == "nt" else os.fsdecode(unquote_to_bytes(path)))
    return RemoteFile(text)


def name_input(path: Path | RemoteFile) -> str:
    """How tables and records name an input; `parse_input` finds it again by that.

    A name that is not UTF-8, or holds a line break, becomes a file:// address: Parquet and lists have no place for it.
    """
    text = str(path)
    return text if isinstance(path, RemoteFile) or is_plain(text) else quote_path(os.path.abspath(text))  # noqa: PTH100


def is_list(path: Path | RemoteFile) -> bool:
    """Whether this is a list of files: a text file by its suffix, or `-`, the standard input."""
    return isinstance(path, Path) and (path == STDIN or (path.suffix.lower() in LIST_SUFFIXES and not path.is_dir()))


def read_list(path: Path) -> list[Path | RemoteFile]:
    """Read a list: a path or URL a line, # begins a comment line; paths count from the list's own folder.

    Raises SourceError where it can't be read or holds nothing.
    """
    try:
        content = _read_stdin() if path == STDIN else _read_file(path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SourceError(f"the list {path} can't be read: {reason}") from error
    lines = [line.strip() for line in content.decode("utf-8-sig", ODD_NAMES).split("\n")]
    odd = [line for line in lines if not is_utf8(line)]  # names may be so; a list in another encoding names no file
    if b"\0" in content or (odd and not any((path.parent / line).exists() for line in odd)):
        raise SourceError(f"the list {path} can't be read: it is no UTF-8 text with a path or URL a line")
    found = [parse_input(line) for line in lines if line and not line.startswith("#")]
    if not found:
        raise SourceError(f"the list {path} names nothing; give it a path or URL a line")
    files = [path.parent / each if isinstance(each, Path) else each for each in found]
    if not any(isinstance(each, RemoteFile) or os.path.lexists(each) for each in files):
        raise SourceError(f"no file in the list {path} exists; its first line is {str(found[0])!r}: give paths or URLs")
    return files


def _read_stdin() -> bytes:
    """All of it, whatever its encoding is taken for."""
    buffer = getattr(sys.stdin, "buffer", None)
    return buffer.read() if buffer else sys.stdin.read().encode("utf-8", ODD_NAMES)


def _read_file(path: Path) -> bytes:
    with open_plain(path) as file:
        return file.read()


def read_lists(paths: Sequence[Path | RemoteFile]) -> list[Path]:
    """Every list replaced by what it names, which must lie on this machine.  Raises SourceError, OptionError."""
    found: list[Path | RemoteFile] = []
    for path in paths:
        found += read_list(path) if isinstance(path, Path) and is_list(path) else [path]
    if remote := next((each for each in found if isinstance(each, RemoteFile)), None):
        raise OptionError(
            f"{remote} does not lie on this machine; give it to yoga-live archive --to FOLDER "
            "(--cluster local is its default), which reads URLs"
        )
    return [each for each in found if isinstance(each, Path)]


def list_files(
    paths: Sequence[Path], is_wanted: Callable[[Path], bool], kind: str, leave_out: Iterable[Path] = ()
) -> list[Listed]:
    """Files as they were given, folders with all below them, sorted; each file once, hidden ones never.

    is_wanted: decides on files in folders; kind: what they are, for the message; leave_out: folders that are not
    entered (the outputs of the last run are no input of the next).  Raises SourceError for what is not there.
    """
    skipped = {resolve(path) for path in leave_out}
    found: dict[Path, Listed] = {}
    for path in paths:
        if path.is_dir():
            inside = [file for file in _walk(path, skipped - {resolve(path)}) if is_wanted(file)]
            if not inside:
                raise SourceError(f"the folder {path} holds no {kind}; give another, or name the files themselves")
            for file in inside:
                place = file.relative_to(path)
                found.setdefault(resolve(file), Listed(file, place, str(place if len(paths) == 1 else file)))
        elif path.exists():
            found.setdefault(resolve(path), Listed(path, PurePath(path.name), str(path)))
        else:
            raise name_missing(path, kind)
    return list(found.values())


def name_missing(path: Path, kind: str = "video") -> SourceError:
    """Tell that a file is not there, and which one was probably meant."""
    meant = suggest_path(path) or "; give the path of a file or folder that does"
    return SourceError(f"the {kind} {path} does not exist{meant}")


def _walk(folder: Path, skipped: set[Path]) -> Iterator[Path]:
    for name, folders, files in os.walk(folder):
        here = Path(name)
        folders[:] = sorted(f for f in folders if not f.startswith(".") and resolve(here / f) not in skipped)
        yield from (here / file for file in sorted(files) if not file.startswith("."))


def name_outputs(files: list[Listed]) -> list[PurePath]:
    """What is made of each file is called, without a suffix: as the file, in the same folders, never two alike.

    Those that would share a name keep their suffix (`a.mov`, `a.mp4`); where that is shared too, because two
    folders were given, the names of the folders are kept.
    """
    names = [file.place.with_suffix("") for file in files]
    names = _rename_shared(names, [file.place for file in files])
    if _find_shared(names):
        top = Path(os.path.commonpath([resolve(file.path.parent) for file in files]))
        names = _rename_shared(names, [resolve(file.path.parent).relative_to(top) / file.path.name for file in files])
    if shared := _find_shared(names):
        of_one = [str(file.path) for file, name in zip(files, names, strict=True) if _fold(name) in shared]
        raise OutputError(f"what is made of {' and '.join(of_one[:2])} would have one name; give them in two runs")
    return names


def name_beside(videos: Sequence[Path]) -> list[Path]:
    """What is written beside each video is called, without a suffix: class.mov -> class.annotated, never two alike."""
    names = _rename_shared([video.with_suffix("") for video in videos], videos)
    return [add_suffix(name, ANNOTATED) for name in names]


def is_annotated(path: Path) -> bool:
    """Whether a file was written beside a video, and is no input of the next run."""
    return path.name.casefold().endswith((f"{ANNOTATED}.mp4", f"{ANNOTATED}.part.mp4"))


def add_suffix(path: Path, suffix: str) -> Path:
    """With one suffix more, whatever dots its name has."""
    return path.with_name(f"{path.name}{suffix}")


def _rename_shared(names: Sequence[P], longer: Sequence[P]) -> list[P]:
    shared = _find_shared(names)
    return [more if _fold(name) in shared else name for name, more in zip(names, longer, strict=True)]


def _find_shared(names: Sequence[PurePath]) -> set[str]:
    return {name for name, count in Counter(map(_fold, names)).items() if count > 1}


def _fold(name: PurePath) -> str:
    """Names that differ in case alone are one file on some disks."""
    return str(name).casefold()


def check_new(paths: list[Path], inputs: Iterable[Path], *, force: bool = False, grow: bool = True) -> None:
    """Refuse outputs before any work: over an input or one another, or over what exists unless `force`.

    grow: as `check_apart` has it.  Raises OutputError.
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
        raise OutputError(refused[0] + (f" ({len(refused) - 1} more are taken too)" if len(refused) > 1 else ""))


def make_folder(option: str, folder: Path) -> None:
    """Make the folder of many outputs, unless it is there.  Raises OutputError for a file."""
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{option} {folder} is a file; with several inputs give a folder")
    folder.mkdir(parents=True, exist_ok=True)
