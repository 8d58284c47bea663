"""Exports of boxes, COCO and YOLO, as classification: a photo whose boxes are all of one category shows that."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ...runtime.errors import RunError
from ...runtime.system.foreign_files import open_plain_text, read_document
from .labelled_photos import LabelledPhoto, Layout, PictureIndex, find_split, list_files, list_pictures, settle

NO_BOX, SEVERAL = "no box, so no label", "boxes of several categories"
MOST_LABEL_CHARACTERS = 1_000_000  # of a photo's text file of boxes
MOST_NAMES = 10_000
_ITEM = re.compile(r"\s*(?:-|(\d{1,6})\s*:)\s+(.*)")


def read_coco(root: Path) -> Layout | None:
    """Read COCO's JSON, one file for all or one for each split; None if there is none.  Raises RunError."""
    files = [path for path in list_files(root) if path.suffix.lower() == ".json" and _is_near(path, root)]
    photos: list[LabelledPhoto] = []
    left_out: Counter[str] = Counter()
    used: list[str] = []
    index = None
    for path in files:
        try:
            document = read_document(path)
        except (OSError, ValueError) as error:
            if re.search(r"coco|instances", path.name, re.IGNORECASE):
                raise RunError(f"{path} cannot be read: {error}; export the data set as a folder per class") from error
            continue
        if _is_coco(document):
            used.append(path.relative_to(root).as_posix())
            index = index or PictureIndex(root)
            photos += _read_coco_file(path, root, document, index, left_out)
    if not used:
        return None
    return Layout(f"COCO, {', '.join(used[:3])}", settle(photos, left_out), left_out)


def _is_near(path: Path, root: Path) -> bool:
    return len(path.relative_to(root).parts) <= 3


def _is_coco(document: Any) -> bool:
    return isinstance(document, dict) and all(
        isinstance(document.get(key), list) and all(isinstance(each, dict) for each in document[key])
        for key in ("images", "annotations", "categories")
    )


def _read_coco_file(
    path: Path, root: Path, document: dict[str, Any], index: PictureIndex, left_out: Counter[str]
) -> Iterator[LabelledPhoto]:
    names = {_key(each.get("id")): str(each.get("name", "")) for each in document["categories"]}
    found: dict[str, set[str]] = {}
    for each in document["annotations"]:
        found.setdefault(_key(each.get("image_id")), set()).add(names.get(_key(each.get("category_id")), ""))
    own_split = find_split(path, root)
    hints = [own_split[:3]] if own_split else []
    for image in document["images"]:
        labels = found.get(_key(image.get("id")), set())
        files = index.find(str(image.get("file_name", "")), path.parent, hints)
        reason = (
            "the file is missing" if not files
            else "several files have this name" if len(files) > 1
            else _judge(labels)
        )  # fmt: skip
        if reason:
            left_out[reason] += 1
        else:
            yield LabelledPhoto(files[0], next(iter(labels)), find_split(files[0], root) or own_split)


def _key(value: Any) -> str:
    return str(value)[:100]


def _judge(labels: set[str]) -> str:
    """Why a photo with boxes of these categories has no label; empty if it has one."""
    if len(labels) > 1:
        return SEVERAL
    return NO_BOX if not labels or not next(iter(labels)) else ""


def read_yolo(root: Path) -> Layout | None:
    """Read YOLO's text files of boxes, in `labels/` beside `images/` or beside the photos; None if there are none."""
    names_file = _find_names_file(root)
    if names_file is None and not any(path.name == "labels" for path in _list_parents(root)):
        return None
    boxed = {photo: text for photo in list_pictures(root) if (text := _find_text(photo, root)) is not None}
    if not boxed:
        return None
    names = _read_names(names_file) if names_file else {}
    left_out: Counter[str] = Counter()
    photos = []
    for photo, text in boxed.items():
        labels = {names.get(number, number) for number in _read_classes(text)}
        if reason := _judge(labels):
            left_out[reason] += 1
        else:
            photos.append(LabelledPhoto(photo, next(iter(labels)), find_split(photo, root)))
    if without := sum(1 for photo in list_pictures(root) if photo not in boxed):
        left_out["no text file of boxes"] += without
    where = f"names of {names_file.relative_to(root).as_posix()}" if names_file else "numbers as names: no data.yaml"
    return Layout(f"YOLO, {where}", tuple(photos), left_out)


def _list_parents(root: Path) -> Iterable[Path]:
    return {parent for path in list_files(root) if path.suffix.lower() == ".txt" for parent in path.parents}


def _find_names_file(root: Path) -> Path | None:
    files = [path for path in list_files(root) if _is_near(path, root)]
    named = [
        path for path in files if path.name in ("data.yaml", "data.yml", "classes.txt", "obj.names", "dataset.yaml")
    ]
    return next(iter(sorted(named, key=lambda path: (path.suffix not in (".yaml", ".yml"), len(path.parts)))), None)


def _find_text(photo: Path, root: Path) -> Path | None:
    """The text file of a photo's boxes: where its path has `images`, there `labels`, or beside it."""
    parts = photo.relative_to(root).parts
    places = [photo.with_suffix(".txt")]
    for number, part in enumerate(parts[:-1]):
        if part.lower() == "images":
            places.append(root.joinpath(*parts[:number], "labels", *parts[number + 1 :]).with_suffix(".txt"))
    return next((place for place in places if place.is_file()), None)


def _read_classes(path: Path) -> set[str]:
    """The numbers of the classes of a photo's boxes.  Raises RunError if it holds something else."""
    try:
        with open_plain_text(path, "replace") as file:
            lines = [line.split() for line in file.read(MOST_LABEL_CHARACTERS).splitlines()]
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read: {error}; mend it, or move it away") from error
    for line in lines:
        if line and not line[0].isdigit():
            raise RunError(f"{path} should hold lines such as '0 0.5 0.5 0.2 0.3', a class and a box; mend it")
    return {str(int(line[0][:9])) for line in lines if line}


def _read_names(path: Path) -> dict[str, str]:
    """The classes' names by number, of `names:` in YOLO's data.yaml or of a text with one name a line."""
    try:
        with open_plain_text(path, "replace", "utf-8-sig") as file:
            lines = file.read(MOST_LABEL_CHARACTERS).splitlines()
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read: {error}; mend it, or move it away") from error
    if path.suffix not in (".yaml", ".yml"):
        return {str(number): line.strip() for number, line in enumerate(lines[:MOST_NAMES]) if line.strip()}
    start = next((number for number, line in enumerate(lines) if line.startswith("names:")), None)
    if start is None:
        raise RunError(f"{path} has no names: of the classes; add them")
    if inline := lines[start].partition(":")[2].partition(" #")[0].strip():
        text = " ".join([inline, *lines[start + 1 :]])
        return _read_inline(text[: text.find("]") + 1] if text.startswith("[") else text[: text.find("}") + 1])
    names: dict[str, str] = {}
    for line in lines[start + 1 :][:MOST_NAMES]:
        if found := _ITEM.fullmatch(line):
            names[found[1] or str(len(names))] = _unquote(found[2].partition(" #")[0])
        elif line.strip() and not line.lstrip().startswith("#"):
            break
    return names


def _read_inline(text: str) -> dict[str, str]:
    """`['tree', chair]` or `{0: tree, 1: chair}`; names with a comma stand in quotes."""
    items = re.findall(r"""\s*(?:(\d{1,6})\s*:\s*)?('[^']{0,200}'|"[^"]{0,200}"|[^,'"\[\]{}]{1,200})""", text)
    names: dict[str, str] = {}
    for number, name in items:
        if name.strip():
            names[number or str(len(names))] = _unquote(name)
    return names


def _unquote(text: str) -> str:
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text
