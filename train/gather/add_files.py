"""Adds photos that the user has or takes to the photo folder, with a row in the manifest for each."""

from __future__ import annotations

import hashlib
import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
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


@dataclass(frozen=True)
class NewPhoto:
    """A photo to add.  origin: where it comes from, its row's URL; split: what its data set used it for, or empty."""

    path: Path
    origin: str
    pose: str
    split: str = ""


def add_files(files: Iterable[tuple[Path, str]], pose: str, photos: Path) -> Counter[tuple[str, str]]:
    """Copy files to `photos/<pose>/` as they come, a manifest row for each.  files: paths and where they come from."""
    return add_photos((NewPhoto(path, origin, pose) for path, origin in files), (pose,), photos)


def add_photos(new: Iterable[NewPhoto], poses: tuple[str, ...], photos: Path) -> Counter[tuple[str, str]]:
    """Copy photos of some poses into the photo folder, a manifest row for each.  Raises YogaLiveError.

    Returns files by (status, kind of reason).
    """
    for pose in poses:
        check_pose(pose)
    outcomes: Counter[tuple[str, str]] = Counter()
    with Manifest(photos) as manifest, warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")  # on odd EXIF
        known = {pose: _Known() for pose in poses}
        for row in manifest.read():
            if row.pose in known and row.status in {OK, DUPLICATE}:
                known[row.pose].places[row.sha256] = row.path
            elif row.pose in known and row.sha256:
                known[row.pose].removed.add(row.sha256)
        for pose, own in known.items():
            own.places |= _read_loose(photos, pose, set(own.places.values()))
        try:
            for pose in poses:
                (photos / pose).mkdir(exist_ok=True)
            for photo in new:
                row = _add_one(photo, photos, known[photo.pose])
                if row is None:
                    outcomes[LEFT_OUT] += 1
                    continue
                manifest.add(row)
                outcomes[row.status, row.kind] += 1
        except OSError as error:
            raise OutputError(f"cannot add to {photos}: {error.strerror or error}; choose another place") from error
    return outcomes


@dataclass
class _Known:
    """What a pose has: places of its contents (SHA-256 -> path), and contents that another command took out."""

    places: dict[str, str] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)


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


def _add_one(photo: NewPhoto, photos: Path, known: _Known) -> ManifestRow | None:
    read = attempt(photo.path, partial(_read_photo, photo.path, photo.pose))
    if isinstance(read, Failure):
        status = REFUSED if read.is_foreseen else FAILED
        return ManifestRow(photo.pose, photo.origin, status=status, reason=read.reason, split=photo.split)
    facts, content = read
    if facts.sha256 in known.removed:
        return None
    place = known.places.get(facts.sha256)
    if place and (photos / place).exists():
        row = facts.to_row(photo.pose, photo.origin, is_new=False)
        return replace(row, path=place, split=photo.split)
    known.places[facts.sha256] = target = facts.path_under(photo.pose)
    with write_then_rename(photos / target) as temporary:
        temporary.write_bytes(content)
    return replace(facts.to_row(photo.pose, photo.origin, is_new=True), split=photo.split)


def _read_photo(path: Path, pose: str) -> tuple[PhotoFacts, bytes]:
    """Identify a photo and read it, so that later errors concern the photo folder only."""
    return identify_photo(path, blank_is_fine=pose == NO_POSE), path.read_bytes()
