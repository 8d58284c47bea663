"""URL lists as people have them: text, CSV, JSON, Parquet, web pages; read as streams, merged, checked URL by URL."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from ...runtime.errors import OptionError, OutputError, RunError
from ...runtime.system.claims import hold, name_lock
from ...runtime.system.files import write_then_rename
from ...runtime.system.foreign_files import parse_json
from ...runtime.system.suggestions import suggest_path
from . import url_files
from .url_columns import URL_COLUMNS as URL_COLUMNS
from .url_columns import Cells, Taken
from .url_documents import MOST_PAGE, read_html, read_json, read_json_lines, read_markdown
from .url_files import find_encoding, read_lines, read_text, recognise
from .url_tables import find_header, read_parquet, read_table, skip_comments

LIST_SUFFIXES = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".parquet")
"""Suffixes of the lists in a folder, which may end in .gz besides; a file given by name may have any."""
MAX_URL_LENGTH = 8192
_IS_URL = re.compile(r"https?:", re.IGNORECASE)
_BETWEEN = re.compile(r"[\s|;,]{1,9}(?=https?://)", re.IGNORECASE)


class RefusedUrl(ValueError):
    """Text that is not a URL to fetch; the message is the reason."""


@dataclass(frozen=True)
class UrlList:
    """A file of URLs of one pose.  is_alone: it was given by its name, so that labels inside may name the poses."""

    pose: str
    path: Path
    is_alone: bool = False


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


def name_pose(label: str) -> str:
    """Return the pose of a label: characters that cannot be in a folder's name become _.  Raises OptionError."""
    return check_pose(re.sub(r"[^\w .&'()-]+", "_", label.strip()).strip("_. "))


def find_lists(path: Path) -> list[UrlList]:
    """List the URL files of a folder, or the one file given; a file's name is its pose.  Raises YogaLiveError."""
    if not path.is_dir():
        if not path.exists():
            advice = suggest_path(path) or "; give a file, or a folder of lists"
            raise RunError(f"{path} has no URL list: it does not exist{advice}")
        return [UrlList(check_pose(_stem(path)), path, is_alone=True)]
    files = sorted(file for file in path.iterdir() if _suffix(file) in LIST_SUFFIXES and file.is_file())
    files = [file for file in files if not file.name.startswith((".", "_"))]
    if not files:
        others = sorted(file.name for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
        seen = f" (found {', '.join(others[:3])}{', ...' if len(others) > 3 else ''})" if others else ""
        raise RunError(f"{path} has no URL list{seen}; give one file per pose, such as tree.csv with one URL per line")
    return [UrlList(check_pose(_stem(file)), file) for file in files]


def _suffix(path: Path) -> str:
    return (path.with_suffix("") if path.suffix.lower() == ".gz" else path).suffix.lower()


def _stem(path: Path) -> str:
    return Path(path.stem).stem if path.suffix.lower() == ".gz" else path.stem


def read_list(path: Path, refused: Counter[str] | None = None, taken: Taken | None = None) -> Iterator[str]:
    """Yield the URLs of a list in any of the known forms, each once.  Raises RunError if it cannot be read.

    refused: counts the lines without a usable URL, by reason.  taken: is told which column or key they come from.
    """
    for url, _ in _check_cells(_read_cells(path, refused, taken or Taken()), refused, with_labels=False):
        yield url


def read_labelled(path: Path, refused: Counter[str], taken: Taken) -> Iterator[tuple[str, str]]:
    """Yield the URLs of a list and their labels, each pair once; the label is empty where the list names none."""
    return _check_cells(_read_cells(path, refused, taken), refused, with_labels=True)


def parse_list(lines: Iterable[str], refused: Counter[str]) -> Iterator[str]:
    """Yield clean URLs in order, each once; count what is refused.  Never raises, whatever the lines hold."""
    for url, _ in _check_cells(read_table(lines, refused, Taken()), refused, with_labels=False):
        yield url


def _read_cells(path: Path, refused: Counter[str] | None, taken: Taken) -> Cells:
    refused = Counter() if refused is None else refused
    form = recognise(path)
    if form == url_files.PARQUET:
        return read_parquet(path, taken)
    if form == url_files.JSON:
        try:
            return read_json(parse_json(read_text(path)), taken)
        except ValueError as error:
            raise RunError(f"{path} is no valid JSON: {error}; write it again, or give the URLs as CSV") from error
    if form == url_files.HTML:
        return read_html(read_text(path, MOST_PAGE), taken)
    lines = read_lines(path, refused)
    if form == url_files.JSON_LINES:
        return read_json_lines(lines, refused, taken)
    return read_markdown(lines, taken) if form == url_files.MARKDOWN else read_table(lines, refused, taken)


def _check_cells(cells: Cells, refused: Counter[str] | None, *, with_labels: bool) -> Iterator[tuple[str, str]]:
    seen: set[int] = set()
    for cell, label in cells:
        for text in _BETWEEN.split(cell.strip()) if "http" in cell[5:] else (cell,):
            try:
                url = clean_url(text)
            except RefusedUrl as reason:
                if refused is not None:
                    refused[str(reason)] += 1
                continue
            key = fingerprint(url, label) if with_labels else fingerprint(url)
            if key not in seen:
                seen.add(key)
                yield url, label


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
        header = find_header(next(skip_comments(read_lines(path)), ""))
        if (header is not None and len(header.names) > 1) or recognise(path) != url_files.TEXT:
            raise OutputError(f"{path} has more columns than url; import it instead: collect --urls {path} --to OTHER")
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
        head = old.read(200)
        encoding = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}.get(head[:2], find_encoding(head))
        encoding = encoding.removesuffix("-sig")
        old.seek(0)
        end = ("\r\n" if "\r\n".encode(encoding) in old.readline() + old.read(1) else "\n").encode(encoding)
        old.seek(0)
        shutil.copyfileobj(old, file)
        size, newline = old.tell(), "\n".encode(encoding)
        old.seek(max(0, size - len(newline)))
        if size and old.read() != newline:
            file.write(end)
    return lambda line: file.write(line.encode(encoding) + end)
