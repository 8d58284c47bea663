"""add without --pose: a data set in any known layout, or its zip file, into a folder per pose, its own split kept."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from ...runtime.errors import OptionError, OutputError, RunError
from ...runtime.system.files import resolve
from ...runtime.system.progress import track
from ...runtime.system.suggestions import suggest_path
from ..layouts.labelled_photos import SPLITS, Layout
from ..layouts.read import read_layout, read_one_pose
from ..layouts.zip_files import is_zip, unpack
from .add_files import NewPhoto, add_photos
from .url_lists import name_pose

UNPACKED = ".unpacked"
"""Where a zip file is unpacked, inside the photo folder, until its photos have their place."""


@dataclass(frozen=True)
class Added:
    """What came of a data set: its layout, files by (status, kind of reason), and the poses they are of."""

    layout: Layout
    outcomes: Counter[tuple[str, str]]
    poses: tuple[str, ...] = ()


def add_layout(source: Path, photos: Path, pose: str = "") -> Added:
    """Copy the photos of a data set, a folder or a zip file, to `photos/<label>/`, with its split in the manifest.

    pose: all photos show it, whatever the layout.  Raises YogaLiveError, which says what was found.
    """
    if not source.exists():
        raise RunError(
            f"{source} does not exist{suggest_path(source) or '; give a folder with pictures, or a zip file'}"
        )
    if source.is_dir():
        inside, outside = resolve(photos), resolve(source)
        if inside.is_relative_to(outside) or outside.is_relative_to(inside):
            raise RunError(
                f"{source} and {photos} lie inside each other; give a folder that holds only the new pictures"
            )
        return _add(source, photos, pose, source.resolve().as_uri())
    if not is_zip(source):
        raise OptionError(f"{source} is neither a folder nor a zip file; a photo needs its pose: --pose NAME")
    folder = photos / UNPACKED
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(parents=True)
        left_out = unpack(source, folder)
        added = _add(folder, photos, pose, f"{source.resolve().as_uri()}#")
    except RunError as error:
        raise RunError(str(error).replace(str(folder), str(source))) from error
    except FileExistsError as error:
        raise OutputError(f"{folder} cannot be made: {error.strerror}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _remove_if_empty(photos)
    if left_out:
        added.layout.left_out["no photo or table, or an unsafe name, in the zip file"] += left_out
    return added


def _remove_if_empty(photos: Path) -> None:
    """Leave no photo folder behind that a refused zip file made."""
    if photos.is_dir() and not any(photos.iterdir()):
        photos.rmdir()


def _add(folder: Path, photos: Path, pose: str, origin: str) -> Added:
    layout = read_one_pose(folder, pose) if pose else read_layout(folder)
    poses = {label: name_pose(label) for label in sorted({photo.label for photo in layout.photos})}
    new = track(_list_new(layout, poses, folder, origin), "adding", len(layout.photos), "files")
    names = tuple(dict.fromkeys(poses.values()))
    return Added(layout, add_photos(new, names, photos), names)


def _list_new(layout: Layout, poses: dict[str, str], folder: Path, origin: str) -> Iterator[NewPhoto]:
    """What is tested on comes first: of a photo in two splits that one stays."""
    for photo in sorted(layout.photos, key=lambda photo: -SPLITS.index(photo.split) if photo.split else 0):
        name = quote(photo.path.relative_to(folder).as_posix())
        yield NewPhoto(photo.path, f"{origin.rstrip('/')}/{name}", poses[photo.label], photo.split)
