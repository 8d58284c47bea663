"""Reads secrets from files and the environment, because every user of a machine can list command lines."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

from ..errors import OptionError

MOST_BYTES = 64_000
FROM_FILE, FROM_ENVIRONMENT = "@", "env:"

log = logging.getLogger(__name__)


def is_secret(text: str) -> bool:
    """Whether an option's value is a reference to a secret."""
    return text.startswith((FROM_FILE, FROM_ENVIRONMENT))


def read_secret(option: str, text: str) -> str:
    """Read the value of an option: `@FILE` is a file's first line, `env:NAME` an environment variable, else the text.

    A file that others can read is named in a warning.  Raises OptionError, which never holds the secret.
    """
    if text.startswith(FROM_ENVIRONMENT):
        name = text.removeprefix(FROM_ENVIRONMENT)
        if value := os.environ.get(name, "").strip():
            return value
        raise OptionError(f"{option} {text}: the environment variable {name!r} is not set or empty; export it first")
    if not text.startswith(FROM_FILE):
        return text
    path = Path(text.removeprefix(FROM_FILE))
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            content = file.read(MOST_BYTES)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or error
        raise OptionError(f"{option} {text}: cannot read the file: {reason}; give a readable one") from error
    if stat.S_ISREG(status.st_mode) and os.name != "nt" and status.st_mode & stat.S_IWOTH:
        raise OptionError(f"{option} {text}: other users can change that file, which holds a secret: chmod 600 {path}")
    if stat.S_ISREG(status.st_mode) and (who := name_others(status, reads=stat.S_IROTH)):
        log.warning("%s can be %s, but holds a secret: chmod 600 %s", path, who, path)
    value = os.fsdecode(content.removeprefix(b"\xef\xbb\xbf")).strip().partition("\n")[0].strip()
    if not value:
        raise OptionError(f"{option} {text}: the file is empty; write the address on its first line")
    return value


def name_others(status: os.stat_result, reads: int = stat.S_IRGRP | stat.S_IROTH) -> str:
    """Describe what others than its owner can do with a file, such as `read by others`; empty if nothing.

    reads: the read permissions that count.  Windows has none of these.
    """
    if os.name == "nt":
        return ""
    can = [("read", status.st_mode & reads), ("changed", status.st_mode & (stat.S_IWGRP | stat.S_IWOTH))]
    words = " and ".join(word for word, may in can if may)
    return f"{words} by others" if words else ""
