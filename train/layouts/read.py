"""One entry for all layouts: look which one a folder has, read it, or say what was found and what to do."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path

from ...runtime.errors import RunError
from ...runtime.photos.kinds import count_suffixes
from .boxes import read_coco, read_yolo
from .folders import find_root, read_class_folders, read_split_folders
from .labelled_photos import LabelledPhoto, Layout, list_files, list_folders, list_pictures
from .tables import read_tables

MOST_CLASSES = 1000
READERS = (read_coco, read_tables, read_yolo, read_split_folders, read_class_folders)
"""What says most about a photo comes first: a table beside a folder per class is there for a reason."""
_FOREIGN = {
    ".tfrecord": "TFRecord files; export the data set as a folder per class",
    ".parquet": "Parquet with the pictures inside; save it as an imagefolder, a folder per class",
    ".arrow": "Arrow files with the pictures inside; save the data set as an imagefolder, a folder per class",
    ".xml": "Pascal VOC's XML; export the data set as COCO, YOLO or a folder per class",
    ".tar": "tar files; unpack them first",
    ".gz": "packed files; unpack them first",
    ".zip": "zip files; give one of them, or unpack them first",
}


def read_layout(folder: Path) -> Layout:
    """Read a data set in any of the known layouts.  Raises RunError that says what was found and what to do."""
    root = find_root(folder)
    for reader in READERS:
        layout = reader(root)
        if layout is not None:
            return _check(layout, folder)
    raise RunError(f"{folder} holds {_describe(root)}")


def read_one_pose(folder: Path, pose: str) -> Layout:
    """Take every picture below a folder for one pose."""
    photos = tuple(LabelledPhoto(path, pose) for path in list_pictures(folder))
    return Layout(f"pictures of {pose}", photos)


def _check(layout: Layout, folder: Path) -> Layout:
    if not layout.photos:
        reasons = ", ".join(f"{count} x {reason}" for reason, count in layout.left_out.most_common(3))
        raise RunError(f"{folder} holds no photo with a clear label in {layout.name}: {reasons or 'it names none'}")
    classes = {photo.label for photo in layout.photos}
    if len(classes) > MOST_CLASSES:
        raise RunError(
            f"{folder} has {len(classes):,} classes by {layout.name}, more than {MOST_CLASSES:,}; these are no labels "
            "of poses: give --pose NAME if all photos show one pose"
        )
    return layout


def _describe(root: Path) -> str:
    files = list(islice(list_files(root), 100_000))
    for suffix, words in _FOREIGN.items():
        if any(path.suffix.lower() == suffix for path in files):
            return words
    count = sum(1 for _ in list_pictures(root))
    if not count:
        return f"no photos: {count_suffixes(files)}" if files else "no files"
    places = Counter(path.relative_to(root).parent.as_posix() for path in list_pictures(root))
    listed = ", ".join(
        f"{number} in {'it' if place == '.' else place + '/'}" for place, number in places.most_common(3)
    )
    what = "without a folder per class" if list_folders(root) else "and no folder"
    return (
        f"{count} photos {what} ({listed}), and no table of labels; give --pose NAME if all show one pose, else put "
        "those of each pose into a folder of its own, such as tree/"
    )
