"""Which column or key of a list holds the photos' URLs, and which names their pose."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ..layouts.tables import normalise

URL_COLUMNS = (
    *("photo_image_url", "image_url", "imageurl", "image_link", "image_src", "img_url", "img_src", "photo_url"),
    *("picture_url", "media_url", "murl", "content_url", "contenturl", "coco_url", "flickr_url", "file_url"),
    *("original_url", "large_image_url", "download_url", "url_o", "url", "urls", "uri", "original", "raw", "full"),
    *("image", "images", "img", "photo", "photos", "picture", "link", "links", "src", "href", "identifier"),
)
"""Column names that hold the photo's URL, the surest first: where there is an `image_url`, `url` is the page."""

SAMPLE = 50
"""Rows that decide which column is taken."""
_SURE = URL_COLUMNS.index("url")
_PLACES = {"url", "uri", "link", "src", "href", "urls", "links"}
_PHOTOS = {"image", "img", "photo", "picture", "pic", "media"}
_NOT_THE_PHOTO = {
    *("page", "html", "license", "licence", "referrer", "referer", "website", "landing", "context", "homepage"),
    *("author", "user", "owner", "credit", "profile", "avatar", "icon", "logo", "preview", "turl", "purl", "host"),
}
"""Words in the names of columns that hold another address: a small copy of the photo, its page, its owner."""
_IMAGE = re.compile(r"\.(jpe?g|jfif|png|webp|gif|avif|heic|bmp|tiff?)([?#:&/]|$)", re.IGNORECASE)
_IS_URL = re.compile(r"\s*<?https?:", re.IGNORECASE)


ONE_A_LINE = "one URL a line"


@dataclass
class Taken:
    """What is taken from a list; filled in when its first rows are read.

    form: CSV, JSON, ...  place: `column image_url of id, image_url, page`.  label: the column of the poses, or empty.
    """

    form: str = ""
    place: str = ""
    label: str = ""

    @property
    def is_choice(self) -> bool:
        """Whether another column or key might have been meant: not so with one URL a line."""
        return self.place not in ("", ONE_A_LINE)

    def describe(self, *, is_by_label: bool) -> str:
        """Say which column or key was taken, and whether the labels name the poses."""
        line = f"took {self.place} ({self.form})"
        if not self.label:
            return line
        return f"{line}; {self.label} {'names the poses' if is_by_label else 'is not used: the pose is given'}"


Cells = Iterator[tuple[str, str]]
"""Text that should be a URL, with what it shows: the label, or an empty text."""


def name_column(name: str, names: Sequence[str]) -> str:
    """Say which column was taken, of which."""
    others = [show_name(each) for each in names]
    listed = ", ".join(others[:12]) + (f" and {len(others) - 12} more" if len(others) > 12 else "")
    return f"column {show_name(name)}" + (f" of {listed}" if len(names) > 1 else "")


def show_name(name: str) -> str:
    """A column's name for a message: printable, short."""
    text = "".join(letter if letter.isprintable() else "?" for letter in name.strip())
    return (text if len(text) <= 40 else f"{text[:37]}...") or "without a name"


def is_url(text: str) -> bool:
    """Whether a text begins as a URL does."""
    return bool(_IS_URL.match(text))


def is_image_url(text: str) -> bool:
    """Whether a URL ends, or goes on with parameters, after the suffix of a picture."""
    return is_url(text) and bool(_IMAGE.search(text[8:8192]))


@dataclass(frozen=True)
class Column:
    """A column, or a key of JSON.  urls, images: how many of its cells are URLs, and of pictures by their suffix."""

    name: str
    urls: int
    images: int

    @staticmethod
    def count(name: str, cells: Iterable[str]) -> Column:
        """Count what the cells of a column are."""
        urls = [cell for cell in cells if is_url(cell)]
        return Column(name, len(urls), sum(map(is_image_url, urls)))


def choose_column(columns: Sequence[Column]) -> int | None:
    """Choose the column of the photos' URLs by its name and its cells.  Returns its number, None if none holds a URL.

    An address of the page, the owner or a thumbnail comes last; then counts a name that says image and URL, then that
    most cells end as pictures do, then the place in URL_COLUMNS.
    """
    ranked = [(_rank(column), -number) for number, column in enumerate(columns) if column.urls]
    return -max(ranked)[1] if ranked else None


def _rank(column: Column) -> tuple[bool, bool, bool, int, float]:
    name = normalise(re.split(r"[.\]]", column.name.rstrip("[].*"))[-1])
    words = {word for part in column.name.split(".") for word in normalise(part).split("_")}
    is_other = bool(words & _NOT_THE_PHOTO) or any(word.startswith("thumb") for word in words)
    place = URL_COLUMNS.index(name) if name in URL_COLUMNS else len(URL_COLUMNS)
    own = set(name.split("_"))
    is_sure = place < _SURE or bool(own & _PLACES and own & _PHOTOS)
    fraction = column.images / column.urls
    return not is_other, is_sure, fraction >= 0.5, -place, fraction
