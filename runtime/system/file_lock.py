"""Lock an open file; the system lets go of it when the process ends, however it ends."""

from __future__ import annotations

import os
import sys

LOCKED_BYTE = 1 << 30
"""Windows locks bytes against reading too, so the one that is locked lies behind any text."""


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
