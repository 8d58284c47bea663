"""Tables of labels beside photos: CSV, Roboflow's one-hot `_classes.csv`, Hugging Face's metadata.csv and .jsonl."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from ...runtime.errors import RunError
from ...runtime.system.foreign_files import open_plain_text, parse_json
from .labelled_photos import LabelledPhoto, Layout, PictureIndex, find_split, list_files, name_split, settle

LABEL_COLUMNS = (
    *("pose", "label", "class", "category", "asana", "pose_name", "label_name", "class_name", "category_name"),
    *("labels", "classes", "target"),
)
"""Column names that hold what a photo shows, the surest first."""
FILE_COLUMNS = (
    *("file_name", "filename", "file", "image_path", "filepath", "filepaths", "path", "image_name", "image"),
    *("image_id", "id_code", "img", "img_name", "photo", "picture", "name", "id"),
)
SPLIT_COLUMNS = ("split", "data_set", "dataset", "set", "subset", "partition", "usage")
SUFFIXES = (".csv", ".tsv", ".jsonl")
NOT_LABELS = ("manifest.csv", "cleaning.jsonl", "photos.csv")
SAMPLE = 50
MOST_ROWS = 5_000_000
MOST_COLUMNS = 2000
MOST_TABLES, DEPTH = 100, 3
MOST_LINE = 1_000_000


def normalise(name: str) -> str:
    """Spell a column's name in small letters with _: `Image URL`, `imageUrl` and `image-url` are `image_url`."""
    return re.sub(r"[^\w]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())).strip("_").lower()


def find_named(names: Sequence[str], wanted: Sequence[str]) -> int | None:
    """Find the column that bears the first of the wanted names.  Returns its number."""
    spelled = [normalise(name) for name in names]
    return next((spelled.index(name) for name in wanted if name in spelled), None)


@dataclass(frozen=True)
class _Columns:
    """Which columns of a table are taken.  labels: one, or all of a one-hot table; split: None if there is none."""

    file: int
    labels: tuple[int, ...]
    split: int | None
    names: tuple[str, ...]

    def describe(self) -> str:
        labels = [self.names[number].strip() for number in self.labels]
        what = f"one column per class ({len(labels)})" if len(labels) > 1 else f"label in column {labels[0]}"
        split = "" if self.split is None else f", split in {self.names[self.split].strip()}"
        return f"file in column {self.names[self.file].strip()}, {what}{split}"


def read_tables(root: Path) -> Layout | None:
    """Read the tables of a data set that name photos which are there; None if none does.

    Raises RunError where a table names photos but not clearly their labels.
    """
    tables = list(islice(_find_tables(root), MOST_TABLES))
    if not tables:
        return None
    index = PictureIndex(root)
    photos: list[LabelledPhoto] = []
    left_out: Counter[str] = Counter()
    used: list[str] = []
    unclear = ""
    for path in tables:
        with closing(_read_rows(path)) as rows:
            sample = list(islice(rows, SAMPLE + 1))
            columns, reason = _choose_columns(path, sample, index)
            unclear = unclear or reason
            if columns is not None:
                used.append(f"{path.relative_to(root).as_posix()} ({columns.describe()})")
                photos += _read_table(path, root, chain(sample[1:], rows), columns, index, left_out)
    if not used and unclear:
        raise RunError(unclear)
    if not used:
        return None
    others = f" and {len(used) - 1} more" if len(used) > 1 else ""
    return Layout(f"labels of {used[0]}{others}", settle(photos, left_out), left_out)


def _find_tables(root: Path) -> Iterator[Path]:
    for path in list_files(root):
        name = path.name.lower()
        is_labels = name not in NOT_LABELS and "submission" not in name and path.suffix.lower() in SUFFIXES
        if is_labels and len(path.relative_to(root).parts) <= DEPTH:
            yield path


def _read_rows(path: Path) -> Generator[list[str], None, None]:
    """Yield the rows of a table, its header first."""
    try:
        with open_plain_text(path, "replace", "utf-8-sig") as file:
            lines = iter(lambda: file.readline(MOST_LINE), "")
            yield from islice(_parse_json(lines) if path.suffix.lower() == ".jsonl" else _parse_csv(lines), MOST_ROWS)
    except (OSError, ValueError, csv.Error) as error:
        raise RunError(f"{path} cannot be read: {error}; mend it, or move it away") from error


def _parse_csv(lines: Iterator[str]) -> Iterator[list[str]]:
    first = next(lines, "")
    delimiter = max(",;\t", key=first.count)
    clean = (line.replace("\0", "") for line in chain([first], lines))  # which Python 3.10 refuses
    return (row for row in csv.reader(clean, delimiter=delimiter, skipinitialspace=True) if row)


def _parse_json(lines: Iterator[str]) -> Iterator[list[str]]:
    names: list[str] = []
    for line in lines:
        record = parse_json(line) if line.strip() else {}
        if not isinstance(record, dict):
            raise ValueError('its lines should be objects such as {"file_name": "1.jpg", "label": "tree"}')
        if record and not names:
            names = list(record)
            yield names
        if record:
            yield ["" if (cell := record.get(name)) is None else str(cell) for name in names]


def _choose_columns(path: Path, sample: list[list[str]], index: PictureIndex) -> tuple[_Columns | None, str]:
    """Choose the columns by what they hold.  Returns None, with a reason if the table names photos all the same."""
    if len(sample) < 2 or not 2 <= len(sample[0]) <= MOST_COLUMNS:
        return None, ""
    names, rows = tuple(sample[0]), sample[1:]
    cells = [[row[number] if number < len(row) else "" for row in rows] for number in range(len(names))]
    known = [sum(bool(index.find(cell, path.parent)) for cell in own) for own in cells]
    first = find_named(names, FILE_COLUMNS)
    file = max(range(len(names)), key=lambda number: (known[number], number == first))
    if known[file] < 0.5 * len(rows):
        return None, ""
    split = find_named(names, SPLIT_COLUMNS)
    if split is not None and not all(name_split(cell) or not cell.strip() for cell in cells[split]):
        split = None
    others = [number for number in range(len(names)) if number not in (file, split)]
    label = find_named([names[number] if number in others else "" for number in range(len(names))], LABEL_COLUMNS)
    if label is None:
        hot = [number for number in others if {cell.strip() for cell in cells[number]} <= {"0", "1", "0.0", "1.0"}]
        if len(hot) > 1 and any(cell.strip() in ("1", "1.0") for number in hot for cell in cells[number]):
            return _Columns(file, tuple(hot), split, names), ""
        label = others[0] if len(others) == 1 else None
        if label is not None and normalise(names[label]) in ("text", "caption", "prompt", "url"):
            return None, ""
    if label is None:
        listed = ", ".join(name.strip()[:40] for name in names[:12])
        return None, (
            f"{path} names photos, and has the columns {listed}; none of them is called label, class, category or "
            "pose: rename the one that holds the label"
        )
    return _Columns(file, (label,), split, names), ""


def _read_table(
    path: Path, root: Path, rows: Iterator[list[str]], columns: _Columns, index: PictureIndex, left_out: Counter[str]
) -> Iterator[LabelledPhoto]:
    own_split = find_split(path, root)
    hints = [word for word in re.split(r"[^a-z]+", path.stem.lower()) if name_split(word)]
    for row in rows:
        cells = [cell.strip() for cell in row] + [""] * (len(columns.names) - len(row))
        label, reason = _read_label(cells, columns)
        found = index.find(cells[columns.file], path.parent, hints)
        if not found:
            reason = "the file is missing"
        elif len(found) > 1:
            reason = "several files have this name"
        if reason:
            left_out[reason] += 1
            continue
        given = "" if columns.split is None else name_split(cells[columns.split])
        yield LabelledPhoto(found[0], label, given or find_split(found[0], root) or own_split)


def _read_label(cells: list[str], columns: _Columns) -> tuple[str, str]:
    """The label of a row, or why it has none."""
    if len(columns.labels) == 1:
        label = cells[columns.labels[0]]
        return label, "" if label else "no label"
    hot = [number for number in columns.labels if cells[number] in ("1", "1.0")]
    if len(hot) != 1:
        return "", "several labels" if hot else "no label"
    return columns.names[hot[0]].strip(), ""
