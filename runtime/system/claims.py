"""Locks on outputs: one process writes an output at a time.  The lock file beside it names that process."""

from __future__ import annotations

import errno
import json
import logging
import os
import socket
import stat
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from ..errors import OutputError, TakenError
from .files import check_output, is_alive, name_part

LOCKED_BYTE = 1 << 30
"""Windows locks bytes against reading too, so the one that is locked lies behind any text."""

log = logging.getLogger(__name__)

TRIES, PAUSE_S = 4, 0.05
"""Attempts to get a lock: a process that only checks it holds it for an instant."""
NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EINVAL, getattr(errno, "ENOTSUP", 95), getattr(errno, "EOPNOTSUPP", 95)}
"""Errors of file systems without locks (some FUSE and network mounts)."""

NO_SPACE = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
_OWN: set[tuple[int, int]] = set()
"""Device and inode of the locks that this process holds: the holder named in a lock may be an earlier one."""


@dataclass(frozen=True)
class Holder:
    """The process that holds an output.  since: local time, to the second."""

    pid: int
    host: str
    since: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"

    @property
    def is_this_process(self) -> bool:
        """Whether it is this process."""
        return (self.pid, self.host) == (os.getpid(), socket.gethostname())

    @property
    def may_be_alive(self) -> bool:
        """False if it is known to have ended."""
        return self.host != socket.gethostname() or is_alive(self.pid)


def name_lock(path: Path) -> Path:
    """Name the lock file of an output: hidden, beside it, so that other users and machines see it too."""
    return path.with_name(f".{path.name}.lock")


@contextmanager
def claim_outputs(paths: Sequence[Path], *, force: bool = False, grow: bool = False) -> Iterator[None]:
    """Lock outputs during the block, so that no other process writes them.  Raises OutputError.

    force: they may exist.  grow: they are written under `name_part` until complete; a file that an earlier process
    left there is replaced, which is logged.
    """
    for path in paths:
        check_output(path, force=force)
    names = {*paths, *(map(name_part, paths) if grow else ())}  # another output may have the name of our .part file
    with ExitStack() as held:
        for path in sorted(names):
            held.enter_context(hold(name_lock(path), path))
        for path in paths:
            check_output(path, force=force)
            if grow and name_part(path).exists():
                log.info("%s was left by an unfinished command and will be replaced", name_part(path))
        yield


@contextmanager
def hold(lock: Path, what: object) -> Iterator[None]:
    """Hold a lock file during the block.  Raises TakenError, which names the process that holds `what`."""
    file = _take(lock, what)
    try:
        yield
    finally:
        _release(file, lock)


@contextmanager
def hold_inside(folder: Path) -> Iterator[None]:
    """Lock a folder of results during the block.  It is created, and removed again if it stays empty.

    Raises TakenError, OutputError.
    """
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot create the folder {folder}: {error.strerror}; choose another place") from error
    try:
        with hold(folder / ".yoga-live.lock", folder):
            yield
    finally:
        if is_new:
            with suppress(OSError):  # it is not empty
                folder.rmdir()


@contextmanager
def hold_folder(folder: Path) -> Iterator[None]:
    """Lock a folder that a command creates or continues.  Raises TakenError, OutputError.

    The lock lies beside it, in parent folders that are created, and removed again if they stay empty.
    """
    missing = [parent for parent in folder.absolute().parents if not parent.exists()]
    try:
        try:
            folder.absolute().parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot create the folder {folder}: {error.strerror}; choose another place") from error
        with hold(name_lock(folder.absolute()), folder):
            yield
    finally:
        for parent in missing:
            with suppress(OSError):  # it is not empty
                parent.rmdir()


def find_holder(path: Path) -> str | None:
    """Describe the other process that holds an output; None if there is none."""
    lock = name_lock(path)
    try:
        file = os.open(lock, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            return None
        holder = _read_holder(file)
        if _identify(file) in _OWN or (holder and holder.is_this_process):
            return None
        return None if _try_lock(file, holder) else _describe(holder)
    finally:
        os.close(file)


def _take(lock: Path, what: object) -> int:
    holder = None
    for number in range(TRIES):
        if number:
            time.sleep(PAUSE_S)
        file = _open(lock)
        if not stat.S_ISREG(os.fstat(file).st_mode):  # reading a named pipe would never end
            os.close(file)
            raise OutputError(f"{lock}, the lock of {what}, is not a file; remove it")
        holder = _read_holder(file)
        if not _try_lock(file, holder):
            os.close(file)
            continue
        if not _is_still(file, lock):  # its previous holder has removed it meanwhile
            os.close(file)
            continue
        try:
            _write_holder(file)
        except OSError as error:
            _release(file, lock)
            raise OutputError(
                f"cannot write {what}: {error.strerror}; free some space, or choose another disk"
            ) from error
        _OWN.add(_identify(file))
        return file
    raise TakenError(f"{_describe(holder)} is writing {what}; wait for it to end, or give another name")


def _describe(holder: Holder | None) -> str:
    return f"another command ({holder})" if holder else "another command"


def _open(lock: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    try:
        return os.open(lock, flags, 0o666)
    except PermissionError:  # left by another user's killed process: it can still be locked
        with suppress(OSError):
            return os.open(lock, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        if os.path.lexists(lock):
            raise OutputError(
                f"{lock} belongs to another user and cannot be opened; remove it, or give another name"
            ) from None
        raise OutputError(f"cannot write to the folder {lock.parent}; choose another place") from None
    except OSError as error:
        raise OutputError(f"cannot create the lock {lock}: {error.strerror}; choose another folder") from error


def _try_lock(file: int, holder: Holder | None) -> bool:
    """Try to lock an open file.  On file systems without locks, a holder that is alive counts as locking it."""
    try:
        lock_file(file)
    except OSError as error:
        if error.errno not in NO_LOCKS or sys.platform == "win32":
            return False
        return holder is None or holder.is_this_process or not holder.may_be_alive
    return True


def _is_still(file: int, lock: Path) -> bool:
    """Whether the open file is still the one with this name."""
    try:
        named, opened = lock.stat(), os.fstat(file)
    except OSError:
        return False
    return (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)


def _identify(file: int) -> tuple[int, int]:
    status = os.fstat(file)
    return status.st_dev, status.st_ino


def _read_holder(file: int) -> Holder | None:
    try:
        os.lseek(file, 0, os.SEEK_SET)
        return Holder(**json.loads(os.read(file, 1000)))
    except (OSError, ValueError, TypeError):
        return None


def _write_holder(file: int) -> None:
    """Write the holder into a lock.  Raises OSError on a full disk, where the output would not fit either."""
    holder = Holder(os.getpid(), socket.gethostname(), f"{datetime.now():%Y-%m-%d %H:%M:%S}")
    try:
        os.ftruncate(file, 0)
        os.lseek(file, 0, os.SEEK_SET)
        os.write(file, (json.dumps(asdict(holder)) + "\n").encode())
    except OSError as error:  # another user's file, which can only be read: locking it is enough
        if error.errno in NO_SPACE:
            raise


def _release(file: int, lock: Path) -> None:
    """Remove the lock file while it is held; on Windows, which cannot remove open files, right after."""
    _OWN.discard(_identify(file))
    if sys.platform != "win32":
        with suppress(OSError):
            if _is_still(file, lock):
                lock.unlink()
    os.close(file)
    if sys.platform == "win32":
        with suppress(OSError):
            lock.unlink()


def check_growing_output(path: Path, *, force: bool = False) -> None:
    """Refuse early an output that exists, or that another process is writing.  Raises OutputError.

    A file that an unfinished command left under `name_part` is no obstacle: it is replaced.
    """
    check_output(path, force=force)
    if (part := name_part(path)).is_dir():
        raise OutputError(f"{path} is written under the name {part} first, which is a folder; give another name")
    if holder := find_holder(path):
        raise TakenError(f"{holder} is writing {path}; wait for it to end, or give another name")


def lock_file(file: int) -> None:
    """Lock an open file for this process alone, without waiting.

    Raises OSError where another process has locked it, or the file system has no locks.
    """
    if sys.platform == "win32":
        import msvcrt

        os.lseek(file, LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
