"""The file formats of photos: one list for `--images`, `add`, `download`, photo folders and the page."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from ..system.plain_text import format_count

EXTENSIONS = {
    **{"JPEG": "jpg", "MPO": "jpg", "PNG": "png", "GIF": "gif", "WEBP": "webp", "AVIF": "avif", "HEIF": "heic"},
    **{"BMP": "bmp", "TIFF": "tif", "JPEG2000": "jp2", "PPM": "ppm", "ICO": "ico"},
}
"""Pillow's name of each format -> suffix of its files.  Nothing else is opened: Pillow reads EPS, which is a program,
with Ghostscript and without a time limit, and other formats with little-tested parsers."""

PHOTO_SUFFIXES = frozenset((
    ".apng", ".avif", ".bmp", ".dib", ".gif", ".heic", ".heif", ".hif", ".ico", ".j2k", ".jfif", ".jp2", ".jpe",
    ".jpeg", ".jpf", ".jpg", ".jpx", ".mpo", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp",
))  # fmt: skip
"""Suffixes of photos in a folder; other files are checked by their first bytes.  A file given by name is tried."""

HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1")
AVIF_BRANDS = (b"avif", b"avis")
"""Brands of HEIF files (ISO/IEC 23008-12); mif1 and msf1 occur in both formats."""

SNIFFED_BYTES = 64
"""Bytes needed to tell a photo from other files in a folder."""
MOST_SUFFIXES = 6  # named in the message about ignored files

OTHER_KINDS = {
    **{b"%!PS": "PostScript", b"\xc5\xd0\xd3\xc6": "PostScript", b"%PDF": "a PDF", b"8BPS": "a Photoshop file"},
}
"""First bytes of other files that are sometimes named `.jpg`, for the message."""
NAMED_KINDS = {
    **{b"\xff\xd8\xff": "a JPEG", b"\x89PNG": "a PNG", b"GIF8": "a GIF", b"II*\0": "a TIFF", b"MM\0*": "a TIFF"},
}

VIDEO_STARTS = (b"\x1aE\xdf\xa3", b"FLV\1", b"0&\xb2u\x8ef\xcf\x11", b"OggS", b"\0\0\1\xba", b"\0\0\1\xb3")
"""First bytes of Matroska, FLV, ASF, Ogg, and MPEG program and video streams."""


def is_photo(path: Path) -> bool:
    """Whether a file in a folder counts as a photo, by its suffix, or else by its first bytes."""
    if path.suffix.lower() in PHOTO_SUFFIXES:
        return True
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return has_photo_bytes(file.read(SNIFFED_BYTES))
    except OSError:
        return False


def has_photo_bytes(head: bytes) -> bool:
    """Whether a file that starts with these bytes is certainly a photo.

    TIFF does not count: many cameras' raw files start the same way, and hold a small preview in place of the photo.
    """
    is_webp = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    return (
        head.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a"))
        or is_webp
        or bool(read_brands(head) & {*AVIF_BRANDS, *HEIC_BRANDS})
    )


def has_video_bytes(head: bytes) -> bool:
    """Whether a file that starts with these bytes is a video: MP4, MOV, Matroska, WebM, AVI, FLV, WMV, Ogg, MPEG.

    A brand that photos also have counts as a photo's.
    """
    if head[4:8] == b"ftyp":
        return not read_brands(head) & {*AVIF_BRANDS, *HEIC_BRANDS}
    is_avi = head[:4] == b"RIFF" and head[8:12] == b"AVI "
    is_transport = len(head) > 188 and head[0] == head[188] == 0x47
    return is_avi or is_transport or head.startswith(VIDEO_STARTS)


def read_brands(content: bytes) -> set[bytes]:
    """Read the brands of an ISO media file, such as HEIC and AVIF; an empty set for other files."""
    if content[4:8] != b"ftyp":
        return set()
    (length,) = struct.unpack(">I", content[:4])
    return {content[8:12]} | {content[at : at + 4] for at in range(16, min(length, SNIFFED_BYTES), 4)}


def is_heic(content: bytes) -> bool:
    """Whether a file is HEIC, the format of iPhones, and not AVIF."""
    brands = read_brands(content)
    return not brands & {*AVIF_BRANDS} and bool(brands & {*HEIC_BRANDS})


def guess_content(content: bytes) -> str:
    """Guess what an undecodable file is, to follow "is not a picture"; empty if unknown."""
    start = content[:512].lstrip().lower()
    if start.startswith((b"<!doctype", b"<html")) or b"<html" in start:
        return " but an HTML page"
    if is_heic(content):
        return " but a damaged HEIC"
    if b"<svg" in start:
        return " but a drawing (SVG)"
    if other := next((kind for magic, kind in OTHER_KINDS.items() if content.startswith(magic)), ""):
        return f" but {other}"
    named = next((kind for magic, kind in NAMED_KINDS.items() if content.startswith(magic)), "")
    return (
        f" that can be read here: it is {named} of a rare variant; save it as a standard JPEG or PNG" if named else ""
    )


class PhotoSieve:
    """Separates the photos of a folder from its other files, which it counts so that they can be reported."""

    def __init__(self) -> None:
        self.left_out: list[Path] = []

    def __call__(self, path: Path) -> bool:
        """Whether a file counts as a photo."""
        is_wanted = is_photo(path)
        if not is_wanted:
            self.left_out.append(path)
        return is_wanted

    def describe(self) -> str:
        """Describe the ignored files: "ignored 77 files that are not photos: 40 .pdf, 37 .mov"; empty if none."""
        count = len(self.left_out)
        if not count:
            return ""
        which = "that are not photos" if count > 1 else "that is not a photo"
        return f"ignored {format_count(count, 'file')} {which}: {self.count()}"

    def count(self) -> str:
        """Count the suffixes of the ignored files, the most frequent first."""
        return count_suffixes(self.left_out)


def count_suffixes(paths: Iterable[Path]) -> str:
    """Count the files of each suffix: "40 .pdf, 37 .mov, 2 without a suffix"."""
    counts = Counter(_show_suffix(path) for path in paths)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    words = [f"{number} {suffix}" for suffix, number in ranked[:MOST_SUFFIXES]]
    rest = sum(number for _, number in ranked[MOST_SUFFIXES:])
    return ", ".join([*words, f"{rest} others"] if rest else words)


def _show_suffix(path: Path) -> str:
    """Return a suffix that any terminal can show; a very long one does not count as a suffix."""
    suffix = path.suffix.lower()
    return suffix if suffix.isprintable() and suffix.isascii() and 1 < len(suffix) <= 12 else "without a suffix"
