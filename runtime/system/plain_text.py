"""Makes foreign text (file names, labels, messages of other programs) harmless for terminals, logs and pages."""

from __future__ import annotations

import builtins
import json
import logging
import os
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import PurePath
from typing import TextIO
from urllib.parse import quote_from_bytes, unquote_to_bytes

ADDRESS = "file:"
_STEERING = "\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
"""DEL, C1 controls, line separators, overrides of the writing direction, bytes that are not UTF-8 (PEP 383)."""
_NOT_PLAIN = re.compile(f"[\x00-\x1f{_STEERING}]")
_NOT_PLAIN_IN_JSON = re.compile(f"[{_STEERING}]")


def show_name(text: str) -> str:
    r"""Format a name or a foreign message on one line, without terminal control codes.

    Control characters, line breaks and bytes that are not UTF-8 are escaped as in Python: `\x1b`, `\udcff`.
    """
    if text.isprintable():  # nearly always
        return text
    return _NOT_PLAIN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def format_count(number: int, noun: str, plural: str = "") -> str:
    """Format a number with its noun: `1 photo`, `2 photos`.  plural: where it is not the noun with an s."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def format_command(*words: object) -> str:
    """Format a command to be copied into a shell: `yoga-train report 'runs/my first'`."""
    return shlex.join(map(str, words))


def escape_json(document: str) -> str:
    r"""Escape unprintable characters in JSON, as `\u009b`, `\udcff`.

    document: from `json.dumps`, which has already escaped the other control characters.
    """
    if document.isprintable():
        return document
    return _NOT_PLAIN_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", document)


def show_in_page(value: object) -> object:
    """Format a template's value for a page (jinja2's finalize): names are made harmless, markup is left alone."""
    return show_name(str(value)) if type(value) is str or isinstance(value, PurePath) else value


def is_plain(text: str) -> bool:
    """Whether `show_name` leaves a text unchanged."""
    return text.isprintable() or _NOT_PLAIN.search(text) is None


def is_utf8(path: str) -> bool:
    """Whether a path can be passed to a library that only accepts UTF-8."""
    return not any("\ud800" <= letter <= "\udfff" for letter in path)


def quote_path(path: str) -> str:
    """Format a path as text for any reader: unchanged, or as a file: address if it is not plain.

    Its bytes are then percent-encoded (RFC 8089 if it is absolute); `unquote_path` returns the same path.
    """
    if is_plain(path) and not path.startswith(ADDRESS):
        return path
    return f"{ADDRESS}{'//' * path.startswith('/')}{quote_from_bytes(os.fsencode(path))}"


def unquote_path(text: str) -> str:
    """Return the path that `quote_path` formatted."""
    if not text.startswith(ADDRESS):
        return text
    return os.fsdecode(unquote_to_bytes(text.removeprefix(ADDRESS).removeprefix("//")))


def print(*values: object, sep: str = " ", end: str = "\n", file: TextIO | None = None, flush: bool = False) -> None:
    """Print like the builtin, with each value harmless and on one line; pass several lines as values with sep."""
    builtins.print(*(show_name(str(value)) for value in values), sep=sep, end=end, file=file, flush=flush)


def print_json(document: str) -> None:
    """Print a JSON document, at once.  Where standard output is not UTF-8 it is ASCII, which says the same."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    is_utf8 = encoding.lower().replace("-", "") == "utf8"
    print(document if is_utf8 else json.dumps(json.loads(document)), flush=True)


class LineFormatter(logging.Formatter):
    """Formats a log record as one line, whatever names it holds, followed by a traceback if there is one.

    hide: removes secrets from a text.
    """

    def __init__(self, fmt: str, hide: Callable[[str], str] = str) -> None:
        super().__init__(fmt)
        self._hide = hide

    def formatMessage(self, record: logging.LogRecord) -> str:
        return show_name(self._hide(super().formatMessage(record)))

    def formatException(self, ei: object) -> str:
        text = self._hide(super().formatException(ei))  # pyright: ignore[reportArgumentType]
        return "\n".join(map(show_name, text.split("\n")))
