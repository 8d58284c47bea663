"""Reads URL lists as streams: one URL per line, a CSV with a header, or Yoga-82's `name<TAB>url`."""

from __future__ import annotations

import csv
import hashlib
import io
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from ...runtime.errors import OptionError, OutputError, RunError
from ...runtime.system.claims import hold, name_lock
from ...runtime.system.files import write_then_rename
from ...runtime.system.foreign_files import open_plain

URL_COLUMNS = (
    *("image_url", "imageurl", "image_link", "image_src", "img_url", "img_src", "photo_url", "media_url", "murl"),
    *("content_url", "contenturl", "file_url", "download_url", "url", "urls", "image", "img", "link", "src", "href"),
)
"""Column names for the photo's URL, the most reliable first: beside an `image_url`, `url` is the page."""

LIST_SUFFIXES = (".csv", ".tsv", ".txt")
MAX_URL_LENGTH = 8192
_IS_URL = re.compile(r"https?:", re.IGNORECASE)


class RefusedUrl(ValueError):
    """Text that is not a URL to fetch; the message is the reason."""


@dataclass(frozen=True)
class UrlList:
    """A file of URLs of one pose."""

    pose: str
    path: Path


@dataclass(frozen=True)
class Merge:
    """The result of a merge.  known: URLs that the list already had."""

    added: int
    known: int


def check_pose(name: str) -> str:
    """Return a pose name that is valid as a folder's name.  Raises OptionError."""
    if not re.fullmatch(r"\w[\w .&'()-]{0,99}", name) or name.startswith("_") or name.endswith((".", " ")):
        raise OptionError(f"{name!r} cannot be the name of a pose; use letters, digits and _, such as down_dog")
    return name


def find_lists(path: Path) -> list[UrlList]:
    """List the URL files of a folder, or the one file given; a file's name is its pose.  Raises YogaLiveError."""
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in LIST_SUFFIXES and file.is_file())
        files = [file for file in files if not file.name.startswith((".", "_"))]
    else:
        files = [path] if path.exists() else []
    if not files:
        raise RunError(f"{path} has no URL list; give one file per pose, such as tree.csv with one URL per line")
    return [UrlList(check_pose(file.stem), file) for file in files]


def read_list(path: Path, refused: Counter[str] | None = None) -> Iterator[str]:
    """Yield the URLs of a list in any of the known forms, each once.  Raises RunError if it cannot be read.

    refused: counts the lines without a usable URL, by reason.
    """
    yield from parse_list(_read_lines(path), Counter() if refused is None else refused)


def _read_lines(path: Path) -> Iterator[str]:
    try:
        with open_plain(path) as file:
            is_utf16 = file.read(2) in {b"\xff\xfe", b"\xfe\xff"}
            file.seek(0)
            with io.TextIOWrapper(file, "utf-16" if is_utf16 else "utf-8-sig", errors="replace") as text:
                yield from text
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}; give another list") from error
    except ValueError as error:
        raise RunError(f"{path} cannot be read: {error}; give a text file") from error


def parse_list(lines: Iterable[str], refused: Counter[str]) -> Iterator[str]:
    """Yield clean URLs in order, each once, and count what is refused.  Never raises, whatever the lines hold."""
    seen: set[int] = set()
    for cell in _read_cells(lines, refused):
        try:
            url = clean_url(cell)
        except RefusedUrl as reason:
            refused[str(reason)] += 1
            continue
        if (key := fingerprint(url)) not in seen:
            seen.add(key)
            yield url


def fingerprint(*texts: str) -> int:
    """Compute a 64-bit fingerprint, so that 100,000 URLs take 8 MB.  Two of them agree by chance once in 10^9."""
    digest = hashlib.blake2b("\0".join(texts).encode("utf-8", "surrogatepass"), digest_size=8)
    return int.from_bytes(digest.digest(), "big")


def clean_url(text: str) -> str:
    """Return the URL without its fragment, with scheme and host in lower case.  Raises RefusedUrl."""
    text = text.strip()
    if text.startswith("<") and text.endswith(">"):
        text = text[1:-1]
    if not text:
        raise RefusedUrl("no URL")
    if len(text) > MAX_URL_LENGTH:
        raise RefusedUrl(f"longer than {MAX_URL_LENGTH} characters")
    if not text.replace(" ", "").isprintable() or "\ufffd" in text:
        raise RefusedUrl("control or unreadable characters")
    if not _IS_URL.match(text):
        raise RefusedUrl("not http or https")
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise RefusedUrl("malformed") from None
    if not host or any(letter in host for letter in " \\\"'<>%,;"):
        raise RefusedUrl("malformed")
    if "@" in parts.netloc:
        raise RefusedUrl("contains a user name or password")
    clean = parts._replace(
        scheme=parts.scheme.lower(), netloc=parts.netloc.lower(), path=parts.path or "/", fragment=""
    )
    return clean.geturl().replace(" ", "%20").replace('"', "%22")


def _read_cells(lines: Iterable[str], refused: Counter[str]) -> Iterator[str]:
    """Yield the cell of each line that should be the URL."""
    rows = _skip_comments(lines)
    first = next(rows, None)
    if first is None:
        return
    header = _find_header(first)
    if header is None:
        yield from map(_find_cell, chain([first], rows))
    elif header.is_only_column:
        yield from map(_unquote, rows)
    else:
        yield from _read_column(rows, header, refused)


def _skip_comments(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        text = line.lstrip("\ufeff \t")
        if text.strip() and not text.startswith("#"):
            yield text


@dataclass(frozen=True)
class _Header:
    delimiter: str
    column: int
    is_only_column: bool


def _find_header(line: str) -> _Header | None:
    """Recognise a CSV's header by a column named after URLs, and by holding no URL itself."""
    if "://" in line:
        return None
    for delimiter in ",;\t|":
        names = [re.sub(r"[\s-]+", "_", name.strip().lower()) for name in _split(line, delimiter)]
        for name in URL_COLUMNS:
            if name in names:
                return _Header(delimiter, names.index(name), len(names) == 1)
    return None


def _split(line: str, delimiter: str) -> list[str]:
    with suppress(csv.Error):
        return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
    return []


def _read_column(rows: Iterator[str], header: _Header, refused: Counter[str]) -> Iterator[str]:
    reader = csv.reader(rows, delimiter=header.delimiter, skipinitialspace=True)
    while True:
        before = reader.line_num
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:  # a quote that never closes: count the lines inside it
            refused["broken CSV quoting"] += max(1, reader.line_num - before)
            continue
        if cells:
            yield cells[header.column] if header.column < len(cells) else ""


def _unquote(line: str) -> str:
    text = line.strip()
    return text[1:-1].replace('""', '"') if len(text) > 1 and text[0] == text[-1] == '"' else text


def _find_cell(line: str) -> str:
    """Return the URL in a line of a list without header: the whole line, or the first cell that starts like a URL."""
    text = _unquote(line)
    if "\t" in text or not _IS_URL.match(text):
        for delimiter in "\t,;|":
            for cell in _split(text, delimiter):
                if _IS_URL.match(cell.strip()):
                    return cell
    return text


def merge_list(urls: Iterable[str], path: Path) -> Merge:
    """Add clean URLs to a list, one per line under the header `url`; existing bytes stay unchanged.

    New lines have the line ends and encoding of the existing ones.  Raises OutputError if the file is a CSV with more
    columns.
    """
    urls = iter(urls)
    first = next(urls, None)  # read before anything is written: an unreadable source leaves no trace
    path.parent.mkdir(parents=True, exist_ok=True)
    with hold(name_lock(path), path):  # or URLs that another command adds meanwhile would be lost
        return _merge(chain([] if first is None else [first], urls), path)


def _merge(urls: Iterable[str], path: Path) -> Merge:
    known: set[int] = set()
    had_lines = path.exists()
    if had_lines:
        header = _find_header(next(_skip_comments(_read_lines(path)), ""))
        if header is not None and not header.is_only_column:
            raise OutputError(f"{path} has other columns besides url; import it: collect --urls {path} --to OTHER")
        known.update(fingerprint(url) for url in read_list(path))
    added = repeated = 0
    with write_then_rename(path) as temporary, temporary.open("wb") as file:
        add_line = _copy_lines(path, file) if had_lines else _begin_lines(file)
        for url in urls:
            if (key := fingerprint(url)) in known:
                repeated += 1
                continue
            known.add(key)
            add_line(f'"{url}"' if "," in url else url)
            added += 1
    return Merge(added, repeated)


def _begin_lines(file: IO[bytes]) -> Callable[[str], object]:
    """Start a new list.  Returns the function that adds a line."""
    file.write(b"url\n")
    return lambda line: file.write(f"{line}\n".encode())


def _copy_lines(path: Path, file: IO[bytes]) -> Callable[[str], object]:
    """Copy a list and end its last line.  Returns the function that adds a line in the same format."""
    with path.open("rb") as old:
        encoding = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}.get(old.read(2), "utf-8")
        old.seek(0)
        end = ("\r\n" if "\r\n".encode(encoding) in old.readline() + old.read(1) else "\n").encode(encoding)
        old.seek(0)
        shutil.copyfileobj(old, file)
        size, newline = old.tell(), "\n".encode(encoding)
        old.seek(max(0, size - len(newline)))
        if size and old.read() != newline:
            file.write(end)
    return lambda line: file.write(line.encode(encoding) + end)
