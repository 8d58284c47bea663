"""Writes files so that nothing of the user's is lost or half-written."""

from __future__ import annotations

import csv
import errno
import glob
import json
import os
import signal
import stat
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from ..errors import OptionError, OutputError, TakenError
from .plain_text import escape_json
from .plain_text import show_name as show_name

ODD_NAMES = "surrogateescape"
"""Error handler for text files that hold file names (PEP 383): a name need not be UTF-8, its bytes are preserved."""


ORPHAN_S = 3600.0
"""Age of a dead process's temporary file before it is removed."""


def check_output(path: Path, *, force: bool = False) -> None:
    """Refuse early an output that exists, or whose folder does not.  Raises OutputError."""
    if path.is_dir():
        raise OutputError(f"{path} is a folder; give the name of a file")
    if os.path.lexists(path) and not force:
        raise TakenError(f"{path} exists already; give another name, or --force to replace it")
    if not path.parent.is_dir():
        raise OutputError(f"the folder {path.parent} does not exist; make it first: mkdir -p {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise OutputError(f"cannot write to the folder {path.parent}; choose another place")


def name_part(path: Path) -> Path:
    """Name the file under which an output grows; it stays readable after a power cut."""
    return path.with_name(f"{path.stem}.part{path.suffix}")


def find_result(path: Path) -> Path | None:
    """Find an output after the end of a command: under its own name, or incomplete under `name_part`."""
    return next((each for each in (name_part(path), path) if each.exists()), None)


def check_apart(outputs: Sequence[Path], inputs: Sequence[Path] = (), *, grow: bool = True) -> None:
    """Refuse outputs that would overwrite an input or one another, even with `--force`.  Raises OutputError.

    grow: they are written under `name_part` until complete, so those names must be free as well.
    """
    read = {key: path for path in inputs for key in _identify(path)}
    taken: dict[str, int] = {}
    for number, path in enumerate(outputs):
        for name in (path, name_part(path)) if grow else (path,):
            grows = "" if name == path else f" is written under the name {name} first, which"
            if over := next((read[key] for key in _identify(name) if key in read), None):
                which = "" if over == name else f" {over}"
                raise OutputError(f"{path}{grows} is the input{which} itself; give another name or folder")
            if (first := taken.setdefault(_fold(name), number)) != number:
                raise OutputError(f"{outputs[first]} and {path} would both write {name}; give more different names")


@contextmanager
def hold_signals() -> Iterator[None]:
    """Delay signals until the end of the block, which must be short, so that no file is lost."""
    if threading.current_thread() is not threading.main_thread():  # handlers only run in the main thread
        yield
        return
    came: list[int] = []
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    handlers = {number: handler for number in numbers if callable(handler := signal.getsignal(number))}
    for number in handlers:
        signal.signal(number, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if came:
        signal.raise_signal(came[0])


def resolve(path: Path) -> Path:
    """Resolve links to an absolute path; a link to itself, for which Python up to 3.12 raises, is kept."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        return path.absolute()


def _identify(path: Path) -> list[Any]:
    """Return what identifies a file under any name: its resolved path, and its device and inode."""
    try:
        status = path.stat()
    except OSError:  # it does not exist
        return [resolve(path)]
    return [resolve(path), (status.st_dev, status.st_ino)]


def _fold(path: Path) -> str:
    """Ignore the case of a name, as some disks do."""
    return str(resolve(path)).casefold()


@contextmanager
def write_then_rename(path: Path, *, replace: bool = True, grows: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `path`, and rename it to `path` if the block ends without an error.

    The suffix is the same, because encoders choose their format by it.  replace: whether to replace a file at `path`;
    otherwise the result is saved beside it, and TakenError names it.  grows: `name_part` belongs to this output, and is
    removed once `path` exists.  An OSError that names no file, or the temporary one, gets the name `path`.
    """
    temporary = path.with_name(f".{path.stem}.part{os.getpid()}{path.suffix}")
    _remove_orphans(path)
    try:
        create_anew(temporary)
        yield temporary
        if replace:
            temporary.replace(path)
        else:
            _take_new_name(temporary, path, owns_part=grows)
        if grows:
            name_part(path).unlink(missing_ok=True)
    except OSError as error:
        if error.errno is not None and error.filename in (None, temporary, str(temporary)):
            with suppress(AttributeError):  # PyAV's errors are read-only
                error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def create_anew(path: Path) -> None:
    """Create an empty file, replacing a file or link of this name.  Raises OSError.

    A link of this name is removed, so that nothing is written to the file it leads to.
    """
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(mode := path.lstat().st_mode) and not stat.S_ISLNK(mode):
            raise FileExistsError(errno.EEXIST, "something other than a file has this name; remove it", str(path))
        path.unlink()
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o666))


def _take_new_name(temporary: Path, path: Path, *, owns_part: bool) -> None:
    """Rename unless the name is taken; then save the file under another name.  Raises TakenError."""
    try:
        rename_to_new(temporary, path)
    except FileExistsError:
        kept = _keep_beside(temporary, path, owns_part=owns_part)
        raise TakenError(
            f"{path} was created by another program meanwhile and is left alone; the result is in {kept}", kept
        ) from None


def _keep_beside(temporary: Path, path: Path, *, owns_part: bool) -> Path:
    part = name_part(path)
    if owns_part:
        temporary.replace(part)
        return part
    try:
        rename_to_new(temporary, part)
    except FileExistsError:
        part = path.with_name(f"{path.stem}.part{os.getpid()}{path.suffix}")
        temporary.replace(part)
    return part


NO_HARD_LINKS = {errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EMLINK, errno.EINVAL}
NO_HARD_LINKS |= {getattr(errno, name) for name in ("ENOTSUP", "EOPNOTSUPP") if hasattr(errno, name)}
"""Errors of file systems without hard links (FAT, exFAT, some network and FUSE mounts)."""


def rename_to_new(path: Path, to: Path) -> None:
    """Rename a file, never over another one.  Raises FileExistsError."""
    if os.name == "nt":
        path.rename(to)  # on Windows this replaces nothing
        return
    try:
        os.link(path, to)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in NO_HARD_LINKS:
            raise
        os.close(os.open(to, os.O_CREAT | os.O_EXCL | os.O_WRONLY))  # reserves the name
        path.replace(to)
    else:
        path.unlink()


def _remove_orphans(path: Path) -> None:
    """Remove temporary files that killed processes left when writing `path`.

    Recent ones are kept: on a shared disk a process of another machine may be using them.
    """
    for left in path.parent.glob(f".{glob.escape(path.stem)}.part*{glob.escape(path.suffix)}"):
        pid = left.name[len(path.stem) + len(".part") + 1 : len(left.name) - len(path.suffix)]
        if pid.isascii() and pid.isdigit() and not is_alive(int(pid)):
            with suppress(OSError):
                if time.time() - left.stat().st_mtime > ORPHAN_S:
                    left.unlink()


def is_alive(pid: int) -> bool:
    """Whether a process is running; True if that cannot be determined."""
    if os.name == "nt":  # `kill` would end it there
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def write_text(path: Path, text: str, *, replace: bool = True) -> None:
    """Write UTF-8 text atomically."""
    with write_then_rename(path, replace=replace) as temporary:
        temporary.write_text(text, encoding="utf-8", errors=ODD_NAMES)


def make_csv_writer(file: TextIO) -> Any:
    """Make a csv.writer whose rows end in a line feed, and which quotes cells with any line break.

    csv.writer itself does not quote a bare carriage return if its rows end in a line feed, which no reader accepts.
    """
    return csv.writer(_LineFeeds(file), lineterminator="\r\n")


class _LineFeeds:
    """Receives rows from csv.writer, one per call."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, row: str) -> int:
        return self._file.write(row.removesuffix("\r\n") + "\n")


def write_json(path: Path, content: Any, *, replace: bool = True) -> None:
    """Write JSON as `format_json` formats it."""
    write_text(path, format_json(content), replace=replace)


def format_json(content: Any) -> str:
    """Format JSON for people: indented, Unicode unescaped, except for unprintable characters."""
    return escape_json(json.dumps(content, indent=2, ensure_ascii=False)) + "\n"


def find_cache_folder(kind: str) -> Path:
    """Return `$XDG_CACHE_HOME/yoga-live/<kind>`, by default in ~/.cache; it may not exist yet.

    Raises OptionError if the user has no home folder, as in some containers.
    """
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "yoga-live" / kind
    except RuntimeError as error:
        raise OptionError("this user has no home folder; set HOME or XDG_CACHE_HOME to a folder") from error
