"""Batches: a failure of one item becomes the reason in its row, and the others continue.

A photo may make a decoder raise anything: MemoryError, RecursionError, an exception of a foreign package.  Each loop
over items runs the work on each through `attempt`, or passes the exception to `explain`, so that only this module
decides what ends a whole batch.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ..errors import ClusterError, DeviceError, MissingPackageError, OutputError, TakenError, YogaLiveError

log = logging.getLogger(__name__)
T = TypeVar("T")

ENDS_ALL = (OutputError, MissingPackageError, DeviceError, ClusterError, ModuleNotFoundError, BrokenPipeError)
"""Errors that the next item would meet too: these end the batch."""
FULL = frozenset(
    getattr(errno, name) for name in ("ENOSPC", "EDQUOT", "EROFS", "EMFILE", "ENFILE") if hasattr(errno, name)
)
"""Errors of the system, not of an item: a full or read-only disk, too many open files."""
LONGEST = 300  # characters of a reason, because some exceptions print whole arrays


@dataclass(frozen=True)
class Failure:
    """Why an item failed, in one line.  is_foreseen: False for unexpected exceptions."""

    reason: str
    is_foreseen: bool = True


def attempt(item: object, work: Callable[[], T]) -> T | Failure:
    """Do the work on one item.  Returns its result, or why it failed.

    item: its name, for the log.  Errors that do not concern the item are raised: Ctrl-C, a broken pipe, a full disk, an
    output, device or package that the next item needs too.
    """
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - whatever happens with one item becomes its row
        return explain(error, item)


def explain(error: Exception, item: object) -> Failure:
    """Explain why an item failed.  Raises `error` again if it does not concern the item."""
    is_own = isinstance(error, TakenError)  # a name that is taken concerns only that item
    if (isinstance(error, ENDS_ALL) and not is_own) or (isinstance(error, OSError) and error.errno in FULL):
        raise error
    if isinstance(error, YogaLiveError):
        return Failure(str(error))
    if isinstance(error, OSError) and error.strerror:
        return Failure(error.strerror)
    kind = type(error).__name__
    log.debug("%s: unexpected %s", item, kind, exc_info=error)
    log.warning("%s: unexpected %s; --debug shows the traceback", item, kind)
    return Failure(name_exception(error), is_foreseen=False)


def name_exception(error: BaseException) -> str:
    """Format an exception's type and message in one line of bounded length."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:LONGEST] if text else type(error).__name__
