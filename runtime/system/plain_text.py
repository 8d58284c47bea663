"""Text from elsewhere (file names, labels, messages of other programs) made harmless for terminals, logs and pages."""

from __future__ import annotations

import builtins
import logging
import os
import re
from pathlib import PurePath
from typing import TextIO
from urllib.parse import quote_from_bytes, unquote_to_bytes

ADDRESS = "file:"
_STEERING = "\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
"""DEL, C1 controls, line separators, overrides of the writing direction, bytes that are not UTF-8 (PEP 383)."""
_NOT_PLAIN = re.compile(f"[\x00-\x1f{_STEERING}]")
_NOT_PLAIN_IN_JSON = re.compile(f"[{_STEERING}]")


def show_name(text: str) -> str:
    r"""A name or a foreign message on one line, without anything that steers a terminal.

    Control characters, line breaks and what is not UTF-8 are shown by number, as Python writes them: `\x1b`, `\udcff`.
    """
    if text.isprintable():  # nearly always
        return text
    return _NOT_PLAIN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def format_count(number: int, noun: str, plural: str = "") -> str:
    """Format a number with its noun: `1 photo`, `2 photos`.  plural: where it is not the noun with an s."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def escape_json(document: str) -> str:
    r"""The same JSON for people and for strict readers: what is not plain text is escaped as `\u009b`, `\udcff`.

    document: as `json.dumps` writes it, which has escaped the other control characters already.
    """
    if document.isprintable():
        return document
    return _NOT_PLAIN_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", document)


def show_in_page(value: object) -> object:
    """A template's value as it is shown in a page (jinja2's finalize): names made harmless, markup left alone."""
    return show_name(str(value)) if type(value) is str or isinstance(value, PurePath) else value


def is_plain(text: str) -> bool:
    """Whether `show_name` leaves a text as it is."""
    return text.isprintable() or _NOT_PLAIN.search(text) is None


def is_utf8(path: str) -> bool:
    """Whether a path can be given to a library that takes UTF-8 alone."""
    return not any("\ud800" <= letter <= "\udfff" for letter in path)


def quote_path(path: str) -> str:
    """A path as text that everything reads: as it is, or as a file: address where it holds what is not plain.

    Its bytes are percent-encoded there (RFC 8089 where it is absolute); `unquote_path` gives the very path back.
    """
    if is_plain(path) and not path.startswith(ADDRESS):
        return path
    return f"{ADDRESS}{'//' * path.startswith('/')}{quote_from_bytes(os.fsencode(path))}"


def unquote_path(text: str) -> str:
    """The path that `quote_path` wrote."""
    if not text.startswith(ADDRESS):
        return text
    return os.fsdecode(unquote_to_bytes(text.removeprefix(ADDRESS).removeprefix("//")))


def print(*values: object, sep: str = " ", end: str = "\n", file: TextIO | None = None, flush: bool = False) -> None:
    """Print as the builtin does, each value on one line and harmless; several lines are several values with sep."""
    builtins.print(*(show_name(str(value)) for value in values), sep=sep, end=end, file=file, flush=flush)


class LineFormatter(logging.Formatter):
    """A log record is one line, whatever names it holds; a traceback follows it with its own lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return show_name(super().formatMessage(record))

    def formatException(self, ei: object) -> str:
        text = super().formatException(ei)  # pyright: ignore[reportArgumentType]
        return "\n".join(map(show_name, text.split("\n")))
