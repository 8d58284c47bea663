"""URLs out of documents: JSON and JSON Lines of any layout, HTML pages, Markdown."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from html.parser import HTMLParser
from itertools import chain, islice
from typing import Any, NamedTuple

from ...runtime.system.foreign_files import parse_json
from ..layouts.tables import LABEL_COLUMNS, normalise
from .url_columns import SAMPLE, Cells, Column, Taken, choose_column, is_image_url, is_url

MOST_PAGE = 16_000_000
"""Characters of a web page: Python's parser of HTML takes long for what is made to be slow."""
_CONTAINERS = {
    *("images", "image", "photos", "photo", "pictures", "urls", "links", "data", "items", "results", "records"),
    *("rows", "value", "values", "hits", "list", "files", "train", "val", "valid", "validation", "test"),
}
"""Keys of JSON that hold lists of photos and do not say what the photos show."""
_MOST_SIZES = 12
_MARKDOWN = re.compile(r"\]\(\s{0,9}<?(https?:[^\s)<>]{1,8200})")
_REFERENCE = re.compile(r"\s{0,9}\[[^\]]{1,200}\]:\s{1,9}<?(https?:[^\s<>]{1,8200})")


class _Leaf(NamedTuple):
    """A text somewhere in a document.  path: its keys, `photos[].src.original`; label: key and value of its record."""

    path: str
    text: str
    label: tuple[str, str]


_NO_LABEL = ("", "")
_spell = lru_cache(1000)(normalise)


def read_json(document: Any, taken: Taken) -> Cells:
    """Yield the URLs under the key that holds the photos' URLs, with their label."""
    taken.form = "JSON"
    return _read_leaves(_walk(document, "", _NO_LABEL, True), _walk(document, "", _NO_LABEL, True), taken)


def read_json_lines(lines: Iterable[str], refused: Counter[str], taken: Taken) -> Cells:
    """Yield the URLs of JSON Lines, as img2dataset writes them: the first lines decide which key."""
    taken.form = "JSON Lines"
    records = _parse_lines(lines, refused)
    sample = list(islice(records, SAMPLE))
    leaves = [leaf for record in sample for leaf in _walk(record, "", _NO_LABEL, False)]
    others = (leaf for record in records for leaf in _walk(record, "", _NO_LABEL, False))
    return _read_leaves(iter(leaves), chain(leaves, others), taken)


def _parse_lines(lines: Iterable[str], refused: Counter[str]) -> Iterator[Any]:
    for line in lines:
        if text := line.strip().removeprefix("\ufeff"):
            try:
                yield parse_json(text)
            except ValueError:
                refused["no JSON"] += 1


def _read_leaves(sample: Iterator[_Leaf], leaves: Iterator[_Leaf], taken: Taken) -> Cells:
    counts: dict[str, list[int]] = {}
    for leaf in sample:
        if is_url(leaf.text):
            own = counts.setdefault(leaf.path, [0, 0])
            own[0] += 1
            own[1] += is_image_url(leaf.text)
    columns = [Column(path, urls, images) for path, (urls, images) in counts.items()]
    chosen = choose_column(columns)
    if chosen is None:
        return
    path = columns[chosen].name
    others = sorted(set(counts) - {path})
    listed = ", ".join(others[:6]) + (f" and {len(others) - 6} more" if len(others) > 6 else "")
    taken.place = (f"key {path}" if path.strip("[]*.") else "its texts") + (f", not {listed}" if others else "")
    for leaf in leaves:
        if leaf.path == path:
            taken.label = taken.label or leaf.label[0]
            yield leaf.text, leaf.label[1]


def _walk(value: Any, path: str, label: tuple[str, str], keys_may_label: bool) -> Iterator[_Leaf]:
    """Yield the texts of a document (parsed, so of bounded depth), each with the label of its record."""
    if isinstance(value, str):
        yield _Leaf(path, value, label)
    elif isinstance(value, list):
        for each in value:
            yield from _walk(each, f"{path}[]", label, keys_may_label)
    elif isinstance(value, dict):
        if value and all(map(is_url, value)):  # {"http://...": "tree"}
            for url, shown in value.items():
                yield _Leaf(f"{path}.*".lstrip("."), url, ("the values", shown) if isinstance(shown, str) else label)
            return
        label = _find_label(value) or label
        is_by_label = keys_may_label and _is_by_label(value)
        is_by_id = not is_by_label and _is_by_id(value)
        for key, each in value.items():
            name = key if not path else f"{path}.{key}"
            if is_by_label:
                yield from _walk(each, f"{path}.*".lstrip("."), ("above the lists", key), keys_may_label)
            else:
                yield from _walk(each, f"{path}.*".lstrip(".") if is_by_id else name, label, keys_may_label)


def _find_label(record: dict[str, Any]) -> tuple[str, str] | None:
    """The key and the value of what a record shows; a list of one label counts too."""
    named = {_spell(key): value for key, value in record.items() if len(key) < 40}
    for name in LABEL_COLUMNS:
        value = named.get(name)
        value = value[0] if isinstance(value, list) and len(value) == 1 else value
        if isinstance(value, str | int) and not isinstance(value, bool) and not is_url(str(value)):
            return name, str(value)
    return None


def _is_by_label(value: dict[str, Any]) -> bool:
    """Whether an object is `{"tree": [...], "chair": [...]}`: lists of URLs, or of records, under what they show."""
    lists = [each for each in value.values() if isinstance(each, list) and each]
    is_plain = len(value) > 1 and len(lists) == len(value) and not {normalise(key) for key in value} & _CONTAINERS
    return is_plain and all(isinstance(own[0], dict) or (isinstance(own[0], str) and is_url(own[0])) for own in lists)


def _is_by_id(value: dict[str, Any]) -> bool:
    """Whether an object is `{"17": {...}, "18": {...}}`: URLs, or records of one form, under their numbers or names.

    A few URLs under words, `{"full": ..., "small": ...}`, are sizes of one photo.
    """
    records = list(value.values())
    if records and all(isinstance(each, str) and is_url(each) for each in records):
        return len(records) > _MOST_SIZES or all(any(map(str.isdigit, key)) for key in value)
    return len(records) > 1 and all(isinstance(each, dict) and each.keys() == records[0].keys() for each in records)


def read_html(page: str, taken: Taken) -> Cells:
    """Yield the pictures of a page: Bing's results if it holds any, else what it shows and links to."""
    taken.form = "HTML"
    parser = _Pictures()
    parser.feed(page)  # never closed: that looks for the end of each unfinished tag anew, in quadratic time
    found = parser.results or parser.pictures
    taken.place = "murl of Bing's results" if parser.results else "pictures shown and linked to"
    for url in found:
        yield url, ""


class _Pictures(HTMLParser):
    """Collects the pictures of a page; one that links to a picture is its thumbnail, and left out."""

    def __init__(self) -> None:
        super().__init__()
        self.pictures: list[str] = []
        self.results: list[str] = []
        self._is_in_link = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        own = {name: value or "" for name, value in attrs}
        if tag == "a":
            self._follow(own)
        elif tag == "img" and not self._is_in_link:
            self._add(_choose_source(own))
        elif tag == "source" and "srcset" in own and not self._is_in_link:
            self._add(_largest(own["srcset"]))
        elif (tag == "meta" and own.get("property") == "og:image") or tag in ("enclosure", "media:content"):
            address = own.get("content") or own.get("url", "")
            if is_url(address):
                self._add(address)

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._is_in_link = False

    def _follow(self, own: dict[str, str]) -> None:
        self._is_in_link = is_image_url(own.get("href", ""))
        if self._is_in_link:
            self._add(own["href"])
        if own.get("m", "").startswith("{"):
            try:
                record = parse_json(own["m"])
            except ValueError:
                return
            if isinstance(record, dict) and isinstance(record.get("murl"), str):
                self.results.append(record["murl"])

    def _add(self, url: str) -> None:
        if url and not url.startswith("data:"):
            self.pictures.append(url)


def _choose_source(own: dict[str, str]) -> str:
    """The largest picture that an `img` names; pages that load late keep it under other names."""
    for name in ("data-original", "data-full", "data-large", "data-src", "data-lazy-src"):
        if is_url(own.get(name, "")):
            return own[name]
    return _largest(own.get("srcset", "")) or own.get("src", "")


def _largest(srcset: str) -> str:
    """The last and so, as a rule, largest picture of a `srcset`: `a.jpg 480w, b.jpg 960w`."""
    parts = [part.split() for part in re.split(r",\s+", srcset.strip()) if part.strip()]
    sized = [(_read_size(part[1:]), number, part[0]) for number, part in enumerate(parts)]
    return max(sized)[2] if sized else ""


def _read_size(rest: list[str]) -> float:
    try:
        return float(rest[0].rstrip("wx")) if rest else 1.0
    except ValueError:
        return 0.0


def read_markdown(lines: Iterable[str], taken: Taken) -> Cells:
    """Yield the pictures of Markdown: `![](...)`, and links whose address ends as a picture's does."""
    taken.form, taken.place = "Markdown", "pictures shown and linked to"
    for line in lines:
        if "<img" in line.lower():
            yield from read_html(line[:100_000], Taken())
        if reference := _REFERENCE.match(line):
            if is_image_url(reference[1]):
                yield reference[1], ""
            continue
        end = 0
        for found in _MARKDOWN.finditer(line):
            if line.rfind("![", end, found.start()) >= 0 or is_image_url(found[1]):
                yield found[1], ""
            end = found.end()
        if not end and is_image_url(line.strip("-*+ \t\r\n<>")):
            yield line.strip("-*+ \t\r\n<>"), ""
