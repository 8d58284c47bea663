"""URLs out of tables: one a line, CSV with or without a header, Yoga-82's `name<TAB>url`, Parquet."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from ...runtime.errors import MissingPackageError, RunError
from ...runtime.system.foreign_files import open_plain
from ..layouts.tables import LABEL_COLUMNS, find_named
from .url_columns import (
    ONE_A_LINE,
    SAMPLE,
    URL_COLUMNS,
    Cells,
    Column,
    Taken,
    choose_column,
    is_image_url,
    is_url,
    name_column,
    show_name,
)

MAX_LINE = 100_000
"""Characters of a line whose cells are looked for; a longer one is no list of cells."""
DELIMITERS = ",;\t|"
_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", " ": "spaces"}
_URL_INSIDE = re.compile(r"https?://[^\s<>\"]{1,8200}", re.IGNORECASE)
_WORDS = re.compile(r"[^\W\d][^=&?%/#]{0,200}")
Rows = Iterator[list[str]]


@dataclass(frozen=True)
class Header:
    """The first line of a CSV."""

    delimiter: str
    names: tuple[str, ...]


def read_table(lines: Iterable[str], refused: Counter[str], taken: Taken) -> Cells:
    """Yield of each line, or row of a CSV, what should be the URL, and its label."""
    rows = skip_comments(lines)
    sample = list(islice(rows, SAMPLE))
    if not sample:
        return
    header = find_header(sample[0], sample[1:])
    if header is not None:
        yield from _read_csv(chain(sample[1:], rows), header, refused, taken)
        return
    taken.form = "text"
    if delimiter := _find_delimiter(sample):
        yield from _read_headless(chain(sample, rows), delimiter, refused, taken)
        return
    taken.place = ONE_A_LINE
    for line in chain(sample, rows):
        yield _find_cell(line), ""


def skip_comments(lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines that are neither empty nor comments."""
    for line in lines:
        text = line.lstrip("\ufeff \t")
        if text.strip() and not text.startswith("#"):
            yield text


def find_header(line: str, following: Sequence[str] = ()) -> Header | None:
    """Recognise a CSV's first line: it holds no URL, and names a column after URLs or heads rows of as many cells."""
    if "://" in line:
        return None
    known = [names for names in _split_all(line) if find_named(names.names, URL_COLUMNS) is not None]
    if known:
        return max(known, key=lambda header: len(header.names))
    for header in _split_all(line):
        rows = [_split(row, header.delimiter) for row in following[:SAMPLE]]
        fitting = [row for row in rows if len(row) == len(header.names)]
        if len(header.names) > 1 and any(map(is_url, chain(*fitting))) and len(fitting) > 0.8 * len(rows):
            return header
    return None


def _split_all(line: str) -> list[Header]:
    return [Header(delimiter, tuple(_split(line, delimiter))) for delimiter in DELIMITERS]


def _split(line: str, delimiter: str) -> list[str]:
    with suppress(csv.Error):
        return next(csv.reader([line.rstrip("\r\n")], delimiter=delimiter, skipinitialspace=delimiter != "\t"), [])
    return []


def _read_csv(lines: Iterator[str], header: Header, refused: Counter[str], taken: Taken) -> Cells:
    names = header.names
    taken.form = "CSV" if header.delimiter == "," else f"CSV with {_NAMES[header.delimiter]}"
    if len(names) == 1:
        taken.place = ONE_A_LINE
        for line in lines:
            yield _unquote(line), ""
        return
    rows = _parse_rows(lines, header.delimiter, refused)
    sample = list(islice(rows, SAMPLE))
    cells = [[row[number] for row in sample if number < len(row)] for number in range(len(names))]
    label = find_named(names, LABEL_COLUMNS)
    column = choose_column([Column.count(name, own) for name, own in zip(names, cells, strict=True)])
    if column is None:
        column = find_named(names, URL_COLUMNS)
    if column is None:
        column = 0
    taken.place = name_column(names[column], names)
    taken.label = show_name(names[label]) if label is not None and label != column else ""
    for row in chain(sample, rows):
        shown = row[label] if taken.label and label is not None and label < len(row) else ""
        yield row[column] if column < len(row) else "", shown


def _read_headless(lines: Iterator[str], delimiter: str, refused: Counter[str], taken: Taken) -> Cells:
    """Take, of rows that have no names, the column whose cells are URLs."""
    rows = _parse_rows(lines, delimiter, refused)
    sample = list(islice(rows, SAMPLE))
    width = max(map(len, sample), default=0)
    columns = [[row[number] for row in sample if number < len(row)] for number in range(width)]
    column = choose_column([Column.count("", cells) for cells in columns]) or 0
    taken.place = f"column {column + 1} of {width}, separated by {_NAMES[delimiter]}, without a header"
    for row in chain(sample, rows):
        yield row[column] if column < len(row) and is_url(row[column]) else next(filter(is_url, row), ""), ""


def _parse_rows(lines: Iterator[str], delimiter: str, refused: Counter[str]) -> Rows:
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=delimiter != "\t")
    while True:
        before = reader.line_num
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:  # a quote that never closes: the lines it swallowed are counted
            refused["broken CSV quoting"] += max(1, reader.line_num - before)
            continue
        if cells:
            yield cells


def _find_delimiter(sample: list[str]) -> str:
    """Find what separates the cells of rows without a header; empty where a line may be one URL.

    A URL may hold commas, semicolons and spaces: after a URL they separate only if it ends as pictures do.
    """
    sample = [line for line in sample if len(line) <= MAX_LINE]
    for delimiter in "\t,;| ":
        rows = [_split(line, delimiter) for line in sample]
        width = max(Counter(map(len, rows)).items(), key=lambda item: item[1], default=(0, 0))[0]
        fitting = [row for row in rows if len(row) == width]
        if width < 2 or len(fitting) < 0.8 * len(rows):
            continue
        if delimiter == "\t" and any(map(is_url, chain(*fitting))):
            return delimiter
        first = [row for row in fitting if is_url(row[0])]
        if first and all(map(_ends_before_others, first)):
            return delimiter
        if delimiter != " " and not first and any(map(is_url, chain(*fitting))):
            return delimiter
    return ""


def _ends_before_others(row: list[str]) -> bool:
    """Whether the first cell is a whole URL: it ends as pictures do, and what follows is no rest of its parameters."""
    if not is_image_url(row[0]):
        return False
    is_at_end = "?" not in row[0] and row[0].rpartition(".")[2].isalnum()
    return is_at_end or all(_WORDS.fullmatch(cell.strip()) for cell in row[1:])


def _unquote(line: str) -> str:
    text = line.strip()
    return text[1:-1].replace('""', '"') if len(text) > 1 and text[0] == text[-1] == '"' else text


def _find_cell(line: str) -> str:
    """Return the URL's part of a line: all of it, the first cell that starts like a URL, or the first URL in a text."""
    text = _unquote(line)
    if "http" not in text[:MAX_LINE].lower():
        return text
    if "\t" in text or not is_url(text):
        for delimiter in "\t,;|":
            for cell in _split(text, delimiter):
                if is_url(cell):
                    return cell
        if found := _URL_INSIDE.search(text):
            return found[0].rstrip(".,;:)]}'")
    return text


def read_parquet(path: Path, taken: Taken) -> Cells:
    """Yield the URL column of a Parquet file, such as img2dataset's.  Raises YogaLiveError."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingPackageError(
            f"{path} is Parquet, which needs a package: pip install pyarrow; or save it as CSV"
        ) from error
    taken.form = "Parquet"
    try:
        with open_plain(path) as file:
            table = pyarrow.parquet.ParquetFile(file)
            names = [field.name for field in table.schema_arrow if _holds_text(field.type, pyarrow)]
            batches = table.iter_batches(batch_size=1024, columns=names)
            first = next(batches, None)
            if first is None or not names:
                return
            sample = first.slice(0, SAMPLE).to_pydict()
            column = choose_column([Column.count(name, map(_to_text, sample[name])) for name in names])
            found, label = names[column or 0], find_named(names, LABEL_COLUMNS)
            taken.place = name_column(found, table.schema_arrow.names)
            labels = names[label] if label is not None and names[label] != found else ""
            taken.label = show_name(labels) if labels else ""
            for batch in chain([first], batches):
                shown = batch.column(labels).to_pylist() if labels else [""] * batch.num_rows
                for url, what in zip(batch.column(found).to_pylist(), shown, strict=True):
                    yield _to_text(url), _to_text(what)
    except (pyarrow.ArrowException, OSError) as error:
        raise RunError(f"{path} cannot be read: {str(error).splitlines()[0][:200]}") from error
    except ValueError as error:
        raise RunError(f"{path} cannot be read: {error}; give a plain file") from error


def _holds_text(kind: object, pyarrow: object) -> bool:
    """Whether a column of Parquet holds texts, or numbers that may be labels."""
    types = pyarrow.types  # type: ignore[attr-defined]
    inner = kind.value_type if types.is_dictionary(kind) else kind  # type: ignore[attr-defined]
    return types.is_string(inner) or types.is_large_string(inner) or types.is_integer(inner)


def _to_text(value: object) -> str:
    return "" if value is None else str(value)
