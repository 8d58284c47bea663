"""Unpack the photos and tables of a zip file: nothing outside the folder, no links, of bounded size."""

from __future__ import annotations

import stat
import zipfile
import zlib
from pathlib import Path

from ...runtime.errors import OutputError, RunError
from ...runtime.photos.kinds import PHOTO_SUFFIXES
from ...runtime.photos.limits import MAX_FILE_BYTES
from ...runtime.system.foreign_files import is_inside, open_plain
from ...runtime.system.progress import track

MOST_BYTES = 64_000_000_000
"""Unpacked; 100,000 photos of a phone have less."""
MOST_MEMBERS = 2_000_000
TABLES = {".csv", ".tsv", ".json", ".jsonl", ".txt", ".yaml", ".yml", ".names", ".xml"}
_PIECE = 1 << 20


def is_zip(path: Path) -> bool:
    """Whether a file is a zip file, by its first bytes."""
    try:
        with open_plain(path) as file:
            return file.read(4) in (b"PK\3\4", b"PK\5\6")
    except (OSError, ValueError):
        return False


def unpack(path: Path, folder: Path) -> int:
    """Unpack the photos and tables of a zip file into a folder.  Returns how many files were left out.

    Left out are links, names that lead out of the folder and files of other kinds.  What is larger than it says it is,
    or more than the bounds, raises RunError, as does a damaged or encrypted file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            if len(members) > MOST_MEMBERS:
                raise RunError(f"{path} holds {len(members):,} files, more than {MOST_MEMBERS:,}; give it in parts")
            wanted = [member for member in members if _is_wanted(member)]
            if any(member.flag_bits & 1 for member in wanted):
                raise RunError(f"{path} is encrypted; unpack it, and give the folder")
            if (size := sum(member.file_size for member in wanted)) > MOST_BYTES:
                raise RunError(f"{path} unpacks to {size:,} bytes, more than {MOST_BYTES:,}; give it in parts")
            for member in track(wanted, "unpacking", len(wanted), "files"):
                _unpack_one(archive, member, folder)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as error:
        raise RunError(
            f"{path} cannot be unpacked: {error}; fetch it again, or unpack it and give the folder"
        ) from error
    except OSError as error:
        raise OutputError(f"{path} cannot be unpacked into {folder}: {error.strerror or error}") from error
    return len(members) - len(wanted)


def _is_wanted(member: zipfile.ZipInfo) -> bool:
    name = member.filename
    is_file = stat.S_IFMT(member.external_attr >> 16) in (0, stat.S_IFREG)
    is_safe = is_inside(name) and "\\" not in name and ":" not in name and len(name) < 1000
    suffix = Path(name).suffix.lower()
    limit = MAX_FILE_BYTES
    return is_file and is_safe and suffix in PHOTO_SUFFIXES | TABLES and member.file_size <= limit


def _unpack_one(archive: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path) -> None:
    place = folder / member.filename
    place.parent.mkdir(parents=True, exist_ok=True)
    left = member.file_size
    with archive.open(member) as source, place.open("wb") as target:
        while piece := source.read(_PIECE):
            left -= len(piece)
            if left < 0:
                raise ValueError(f"{member.filename[:80]!r} is larger than it says")
            target.write(piece)
