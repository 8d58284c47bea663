"""Where the results of an archive lie: a folder, or anything that fsspec writes to.  Whole files, in one step each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from ..errors import OutputError, TakenError
from ..sources.remote import RemoteFile, find_file_system
from ..system.claims import hold_inside
from ..system.files import write_then_rename
from ..system.foreign_files import MOST_DOCUMENT_BYTES, open_plain
from .store_lease import LEASE, hold_lease

READ_AT_ONCE = 500


class Store(Protocol):
    """Names are relative, with forward slashes."""

    def exists(self, name: str) -> bool: ...
    def read_many(self, names: list[str]) -> Iterator[bytes | None]: ...
    def claim(self) -> AbstractContextManager[None]: ...
    def write(self, name: str, content: bytes, *, replace: bool = True) -> None: ...
    def write_file(self, name: str, path: Path) -> None: ...
    def remove(self, name: str) -> None: ...
    def find(self, suffix: str) -> list[str]: ...


def open_store(place: Path | RemoteFile) -> Store:
    """Raises OutputError for a file, MissingPackageError where fsspec lacks what the URL needs."""
    return FolderStore(place) if isinstance(place, Path) else RemoteStore(place)


class FolderStore:
    """A folder of this machine; it is made if it is not there."""

    def __init__(self, root: Path) -> None:
        if root.exists() and not root.is_dir():
            raise OutputError(f"{root} is a file; the results of many videos need a folder")
        self._root = root

    def __str__(self) -> str:
        return str(self._root)

    def exists(self, name: str) -> bool:
        """Whether there is a file of this name."""
        return (self._root / name).is_file()

    def read_many(self, names: list[str]) -> Iterator[bytes | None]:
        """The bytes of each, of one that is too large its beginning; None where there is none."""
        for name in names:
            yield _read_document(self._root / name)

    def claim(self) -> AbstractContextManager[None]:
        """Hold it for this run.  Raises TakenError, which names the run that has it."""
        return hold_inside(self._root)

    def write(self, name: str, content: bytes, *, replace: bool = True) -> None:
        """The old content or the new, never half of it.  Raises TakenError where there is one and not `replace`."""
        path = self._root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_then_rename(path, replace=replace) as temporary:
            temporary.write_bytes(content)

    def write_file(self, name: str, path: Path) -> None:
        """Take over a file."""
        self.write(name, path.read_bytes())

    def remove(self, name: str) -> None:
        """Remove it, if it is there."""
        (self._root / name).unlink(missing_ok=True)

    def find(self, suffix: str) -> list[str]:
        """Names that end so, sorted, in all sub-folders; hidden files are none."""
        found = (path.relative_to(self._root).as_posix() for path in self._root.rglob(f"*{suffix}"))
        return sorted(name for name in found if not PurePosixPath(name).name.startswith("."))


def _read_document(path: Path) -> bytes | None:
    """As much of a file as a document may have, and one byte more; None of what is no file, or cannot be read."""
    try:
        with open_plain(path) as file:
            return file.read(MOST_DOCUMENT_BYTES + 1)
    except (OSError, ValueError):
        return None


class RemoteStore:
    """A place that fsspec writes to; object stores put a file in one step."""

    def __init__(self, root: RemoteFile) -> None:
        self._told = str(root)
        self._fs, path = find_file_system(root.url)
        self._root = path.rstrip("/")

    def __str__(self) -> str:
        return self._told

    def exists(self, name: str) -> bool:
        """Whether there is a file of this name.  Raises OutputError."""
        with _name_errors(f"{self._told}/{name} cannot be looked up"):
            return self._fs.exists(f"{self._root}/{name}")

    def read_many(self, names: list[str]) -> Iterator[bytes | None]:
        """The bytes of each, None where there is none; hundreds are asked for at once.  Raises OutputError."""
        for first in range(0, len(names), READ_AT_ONCE):
            paths = [f"{self._root}/{name}" for name in names[first : first + READ_AT_ONCE]]
            with _name_errors(f"{self._told} cannot be read"):
                found: dict[str, Any] = self._fs.cat(paths, on_error="return")
                broken = [each for each in found.values() if isinstance(each, Exception)]
                if error := next((each for each in broken if not isinstance(each, FileNotFoundError)), None):
                    raise error
            yield from (each if isinstance(each := found.get(path), bytes) else None for path in paths)

    def claim(self) -> AbstractContextManager[None]:
        """Hold it for this run, by a lease.  Raises TakenError, which names the run that has it."""
        return hold_lease(self)

    def write(self, name: str, content: bytes, *, replace: bool = True) -> None:
        """The old content or the new.  Raises OutputError, TakenError where there is one and not `replace`."""
        path = f"{self._root}/{name}"
        if not replace and self.exists(name):
            kept = PurePosixPath(name).with_stem(f"{PurePosixPath(name).stem}.part")
            self.write(str(kept), content)
            reason = f"{self._told}/{name} was created by another program meanwhile and is left alone"
            raise TakenError(f"{reason}; the result is in {self._told}/{kept}")
        with _name_errors(f"{self._told}/{name} cannot be written"):
            self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._fs.pipe_file(path, content)

    def write_file(self, name: str, path: Path) -> None:
        """Upload a file.  Raises OutputError."""
        self.write(name, path.read_bytes())

    def remove(self, name: str) -> None:
        """Remove it, if it is there.  Raises OutputError."""
        if self.exists(name):
            with _name_errors(f"{self._told}/{name} cannot be removed"):
                self._fs.rm_file(f"{self._root}/{name}")

    def find(self, suffix: str) -> list[str]:
        """Names that end so, sorted.  Raises OutputError."""
        with _name_errors(f"{self._told} cannot be listed"):
            found = self._fs.find(self._root) if self._fs.exists(self._root) else []
        names = (name[len(self._root) :].lstrip("/") for name in found if name.endswith(suffix))
        return sorted(name for name in names if name != LEASE)


@contextmanager
def _name_errors(what: str) -> Iterator[None]:
    """Each file system has its own family of errors: make them ours, on one line."""
    try:
        yield
    except Exception as error:
        raise OutputError(f"{what}: {type(error).__name__}: {error}".splitlines()[0]) from error
