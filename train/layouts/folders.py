"""Layouts whose folders name the classes: a folder per class, alone or inside train/, val/ and test/."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from ...runtime.errors import RunError
from .labelled_photos import LabelledPhoto, Layout, list_folders, list_pictures, name_split

NO_CLASS = {
    *(
        "images",
        "image",
        "img",
        "imgs",
        "photos",
        "photo",
        "pictures",
        "jpegimages",
        "data",
        "dataset",
        "files",
        "labels",
    ),
    *("annotations", "all"),
}
"""Names of folders that say nothing of what is in them."""


def read_split_folders(root: Path) -> Layout | None:
    """Read `train/tree/1.jpg`, `val/tree/2.jpg`, ... as ImageFolder, Kaggle, Roboflow and YOLO (classify) have them.

    None if no folder is named after a split and holds folders of photos.
    """
    splits = {folder: name_split(folder.name) for folder in list_folders(root)}
    named = [folder for folder, split in splits.items() if split]
    photos: list[LabelledPhoto] = []
    left_out: Counter[str] = Counter()
    for folder in named:
        classes = list_folders(folder)
        photos += [
            LabelledPhoto(path, inner.name, splits[folder]) for inner in classes for path in list_pictures(inner)
        ]
        inside = {*classes}
        if loose := sum(path.parent == folder for path in list_pictures(folder) if path.parent not in inside):
            left_out[f"no folder of a class in {folder.name}/"] += loose
    if not photos:
        return None
    for folder, split in splits.items():
        if not split and (count := sum(1 for _ in list_pictures(folder))):
            left_out[f"beside the splits, in {folder.name}/"] += count
    return Layout(
        f"folders {', '.join(f'{folder.name}/' for folder in named)} with a folder per class", tuple(photos), left_out
    )


def read_class_folders(root: Path) -> Layout | None:
    """Read a folder per class; None if there is none with photos, or if folders are named after splits."""
    folders = list_folders(root)
    if any(name_split(folder.name) for folder in folders) or all(f.name.lower() in NO_CLASS for f in folders):
        return None
    photos = tuple(LabelledPhoto(path, folder.name) for folder in folders for path in list_pictures(folder))
    if len({photo.label for photo in photos}) == 1:
        name = photos[0].label
        raise RunError(f"{root} holds one folder with photos, {name}/; if that is what they show, give --pose {name!r}")
    loose = sum(path.parent == root for path in list_pictures(root))
    left_out = Counter({"no folder of a class": loose} if loose else {})
    return Layout("a folder per class", photos, left_out) if photos else None


def find_root(folder: Path) -> Path:
    """Step into a folder that is alone in its folder and holds folders: the wrapping of many zip files."""
    for _ in range(8):
        inner = list_folders(folder)
        is_wrapping = (
            len(inner) == 1
            and not name_split(inner[0].name)
            and inner[0].name.lower() not in ("images", "labels", "jpegimages")
        )
        files = [path for path in folder.iterdir() if path.is_file() and path.suffix.lower() in _TELLING]
        if not is_wrapping or files or (not list_folders(inner[0]) and next(list_pictures(inner[0]), None)):
            return folder
        folder = inner[0]
    return folder


_TELLING = {".csv", ".tsv", ".json", ".jsonl", ".yaml", ".yml", ".txt", ".jpg", ".jpeg", ".png", ".webp"}
