"""Adds photos that the user has or takes to the photo folder, with a row in the manifest for each."""

from __future__ import annotations

import hashlib
import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

from ...runtime.core.types import NO_POSE
from ...runtime.errors import OutputError, RunError
from ...runtime.photos.kinds import PhotoSieve
from ...runtime.system.files import resolve, write_then_rename
from ...runtime.system.foreign_files import walk_files
from ...runtime.system.item_failures import Failure, attempt
from ...runtime.system.progress import track
from ...runtime.system.suggestions import suggest_path
from ..photos.folder import list_files, refuse_unreadable
from ..photos.identify import PhotoFacts, identify_photo
from ..photos.manifest import DUPLICATE, FAILED, OK, REFUSED, Manifest, ManifestRow
from .url_lists import check_pose

OTHER_FILES = "left out"
"""The status of files that are not photos: they get no row."""
LEFT_OUT = (OTHER_FILES, "removed from this pose earlier")
"""The outcome of a photo that was removed earlier: adding a folder again does not bring it back."""


def add_folder(source: Path, pose: str, photos: Path) -> Counter[tuple[str, str]]:
    """Copy every photo in `source` to `photos/<pose>/`.  Returns files by (status, kind of reason).

    An undecodable photo gets a row with the reason; a photo that the pose already has, with or without a row, is not
    copied again.  Files that are not photos by their name and first bytes are only counted.
    Raises YogaLiveError.
    """
    if not source.exists():
        meant = suggest_path(source) or "; give a folder of photos, or one photo"
        raise RunError(f"{source} does not exist{meant}")
    if not source.is_dir() and not source.is_file():
        raise RunError(f"{source} is neither a folder nor a file; give a folder of photos, or one photo")
    inside, outside = resolve(photos), resolve(source)
    if inside.is_relative_to(outside) or outside.is_relative_to(inside):
        raise RunError(f"one of {source} and {photos} is inside the other; give a folder of only the new photos")
    sieve = PhotoSieve()
    files = list(filter(sieve, _list_files(source))) if source.is_dir() else [source]
    if not files:
        found = f"no photos; {sieve.describe()}" if sieve.left_out else "no files; give a folder of photos"
        raise RunError(f"{source} has {found}")
    named = ((path, resolve(path).as_uri()) for path in files)
    outcomes = add_files(track(named, "adding", len(files), "files"), pose, photos)
    if sieve.left_out:
        outcomes[OTHER_FILES, f"not a photo: {sieve.count()}"] = len(sieve.left_out)
    return outcomes


def _list_files(folder: Path) -> list[Path]:
    """List every file in a folder and its folders, without hidden ones."""
    return sorted(path for path in walk_files(folder, refuse_unreadable) if path.is_file())


def add_files(files: Iterable[tuple[Path, str]], pose: str, photos: Path) -> Counter[tuple[str, str]]:
    """Copy files to `photos/<pose>/` as they arrive, with a manifest row for each.  files: paths and their origins."""
    check_pose(pose)
    outcomes: Counter[tuple[str, str]] = Counter()
    with Manifest(photos) as manifest, warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")  # on odd EXIF
        places: dict[str, str] = {}  # content -> where the pose has it
        removed: set[str] = set()
        for row in manifest.read():
            if row.pose == pose and row.status in {OK, DUPLICATE}:
                places[row.sha256] = row.path
            elif row.pose == pose and row.sha256:
                removed.add(row.sha256)
        places |= _read_loose(photos, pose, set(places.values()))
        try:
            (photos / pose).mkdir(exist_ok=True)
            for path, origin in files:
                row = _add_one(path, origin, pose, photos, places, removed)
                if row is None:
                    outcomes[LEFT_OUT] += 1
                    continue
                manifest.add(row)
                outcomes[row.status, row.kind] += 1
        except OSError as error:
            raise OutputError(f"cannot add to {photos}: {error.strerror or error}; choose another place") from error
    return outcomes


def _read_loose(photos: Path, pose: str, paths: set[str]) -> dict[str, str]:
    """Find files of a pose without a row in the manifest, such as those copied by hand: SHA-256 -> path.

    Unreadable files are skipped; `stats` and `fit` report them.
    """
    files = [(file.relative_to(photos).as_posix(), file) for _, file in list_files(photos, (pose,))]
    files = [(name, file) for name, file in files if name not in paths]
    named = track(files, f"files in {pose}", len(files), "files") if files else ()
    digests = ((attempt(file, partial(_read_digest, file)), name) for name, file in named)
    return {digest: name for digest, name in digests if isinstance(digest, str)}


def _read_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _add_one(
    path: Path, origin: str, pose: str, photos: Path, places: dict[str, str], removed: set[str]
) -> ManifestRow | None:
    read = attempt(path, partial(_read_photo, path, pose))
    if isinstance(read, Failure):
        return ManifestRow(pose, origin, status=REFUSED if read.is_foreseen else FAILED, reason=read.reason)
    facts, content = read
    if facts.sha256 in removed:
        return None
    place = places.get(facts.sha256)
    if place and (photos / place).exists():
        return replace(facts.to_row(pose, origin, is_new=False), path=place)
    places[facts.sha256] = target = facts.path_under(pose)
    with write_then_rename(photos / target) as temporary:
        temporary.write_bytes(content)
    return facts.to_row(pose, origin, is_new=True)


def _read_photo(path: Path, pose: str) -> tuple[PhotoFacts, bytes]:
    """Identify a photo and read it, so that later errors concern the photo folder only."""
    return identify_photo(path, blank_is_fine=pose == NO_POSE), path.read_bytes()
