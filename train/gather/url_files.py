"""Open a list of URLs, whatever it is packed in, and say by its first bytes what it is."""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ...runtime.errors import RunError
from ...runtime.photos.kinds import has_photo_bytes
from ...runtime.system.foreign_files import MOST_DOCUMENT_BYTES, open_plain, parse_json

TEXT, JSON, JSON_LINES, HTML, MARKDOWN, PARQUET = "text", "JSON", "JSON Lines", "HTML", "Markdown", "Parquet"

MOST_LINE = 1_000_000
"""Characters of one line; an image search's answer on one line has less."""
MOST_TEXT = 8_000_000_000
"""Characters of one list, unpacked: a few kilobytes of gzip may hold any number of them."""
_HEAD = 65_536
_GZIP = b"\x1f\x8b"
_REFUSED = {
    b"\xd0\xcf\x11\xe0": "an Excel workbook; save it as CSV",
    b"SQLite format 3": "a SQLite database; export the table as CSV",
    b"%PDF": "a PDF; copy the URLs into a text file",
    b"ARROW1": "an Arrow file; save it as Parquet or CSV",
    b"Obj\x01": "an Avro file; save it as Parquet or CSV",
    b"BZh": "packed with bzip2; unpack it first",
    b"\xfd7zXZ": "packed with xz; unpack it first",
    b"\x28\xb5\x2f\xfd": "packed with zstd; unpack it first",
    b"7z\xbc\xaf": "a 7z archive; unpack it first",
    b"Rar!": "a RAR archive; unpack it first",
}
_BY_SUFFIX = {
    **{".jsonl": JSON_LINES, ".ndjson": JSON_LINES, ".json": JSON},
    **{".html": HTML, ".htm": HTML, ".md": MARKDOWN, ".markdown": MARKDOWN},
}
_BEGINS_JSON = re.compile(r'\s*[\[{]\s*(["\[{\]}]|$)')
_BEGINS_HTML = re.compile(r"\s*<(!doctype|html|head|body|div|img|a|p|ul|ol|table|figure|\?xml|rss)\b", re.IGNORECASE)


def recognise(path: Path) -> str:
    """Say what a list is.  Raises RunError, which names what is refused, or says why it cannot be read."""
    with open_list(path) as file:
        head = file.read(_HEAD)
    if head.startswith(b"PAR1"):
        return PARQUET
    if reason := _find_refusal(head, path):
        raise RunError(f"{path} is {reason}")
    suffix = _true_suffix(path)
    text = head.decode(find_encoding(head), "replace").lstrip("\ufeff")
    if _BEGINS_JSON.match(text) and suffix != ".md":
        return JSON_LINES if suffix in {".jsonl", ".ndjson"} or _is_json_lines(text) else JSON
    if suffix in _BY_SUFFIX:
        return _BY_SUFFIX[suffix]
    if _BEGINS_HTML.match(text):
        return HTML
    return MARKDOWN if "](http" in text and "\t" not in text else TEXT


def _find_refusal(head: bytes, path: Path) -> str:
    for magic, reason in _REFUSED.items():
        if head.startswith(magic):
            return reason
    if head.startswith(b"PK\3\4"):
        is_sheet = path.suffix.lower() in {".xlsx", ".xlsm", ".ods"} or b"[Content_Types].xml" in head[:100]
        return "an Excel workbook; save it as CSV" if is_sheet else "a zip file; unpack it first"
    if has_photo_bytes(head):
        return "a photo, not a list of URLs; to copy it: yoga-train add"
    return ""


def _is_json_lines(text: str) -> bool:
    """Whether the first line is JSON of its own, and another line follows that may be."""
    first, _, rest = text.lstrip().partition("\n")
    try:
        parse_json(first)
    except ValueError:
        return False
    return rest.lstrip().startswith(("{", "[", '"'))


def _true_suffix(path: Path) -> str:
    """The suffix in small letters, that of `a.csv.gz` being `.csv`."""
    return (path.with_suffix("") if path.suffix.lower() == ".gz" else path).suffix.lower()


def find_encoding(head: bytes) -> str:
    """Name the encoding of a text by its first bytes: UTF-16, with or without its mark, or UTF-8."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    even, odd = head[:200:2], head[1:200:2]
    if len(odd) > 3 and odd.count(0) > 0.9 * len(odd) and not even.count(0):
        return "utf-16-le"
    if len(odd) > 3 and even.count(0) > 0.9 * len(even) and not odd.count(0):
        return "utf-16-be"
    return "utf-8-sig"


@contextmanager
def open_list(path: Path) -> Iterator[IO[bytes]]:
    """Open a list to be read, unpacked if it is gzip's.  What fails inside is raised as RunError."""
    try:
        with open_plain(path) as file:
            is_packed = file.read(2) == _GZIP
            file.seek(0)
            if is_packed:
                with gzip.GzipFile(fileobj=file, mode="rb") as unpacked:
                    yield io.BufferedReader(unpacked)  # type: ignore[arg-type]
            else:
                yield file
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise RunError(f"{path} cannot be read: it is damaged gzip ({error}); fetch it again") from error
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise RunError(f"{path} cannot be read: {error}; give a text file") from error


def read_lines(path: Path, refused: Counter[str] | None = None) -> Iterator[str]:
    """Yield the lines of a text, of bounded length.  Raises RunError.

    refused: counts the lines that are too long.
    """
    with _open_text(path) as text:
        length, is_rest = 0, False
        while line := text.readline(MOST_LINE):
            length += len(line)
            if length > MOST_TEXT:
                raise ValueError(f"it holds more than {MOST_TEXT:,} characters")
            is_whole = line.endswith("\n") or len(line) < MOST_LINE
            if is_whole and not is_rest:
                yield line
            elif not is_rest and refused is not None:
                refused[f"longer than {MOST_LINE:,} characters"] += 1
            is_rest = not is_whole


def read_text(path: Path, most: int = MOST_DOCUMENT_BYTES) -> str:
    """Return the whole of a text of bounded length.  Raises RunError."""
    with _open_text(path) as text:
        content = text.read(most + 1)
        if len(content) > most:
            raise RunError(f"{path} is larger than {most // 1_000_000} MB; write its URLs as CSV or JSON Lines")
        return content


@contextmanager
def _open_text(path: Path) -> Iterator[IO[str]]:
    with open_list(path) as file:
        head = file.read(_HEAD)
        file.seek(0)
        with io.TextIOWrapper(file, find_encoding(head), errors="replace") as text:
            yield text
