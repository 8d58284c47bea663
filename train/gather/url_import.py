"""collect --urls: a list from anywhere into one list per pose; what was taken is said, nothing is an error."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from ...runtime.errors import OptionError, RunError
from ..layouts.tables import LABEL_COLUMNS
from .url_columns import Taken
from .url_lists import Merge, UrlList, find_lists, merge_list, name_pose, read_labelled

MOST_POSES = 1000
"""Labels of one list; a column with more holds no poses."""
_SPOOLED = 1000  # URLs of a pose in memory, before they go to a file


@dataclass
class Import:
    """What came of one list.  is_by_label: its labels made poses; merges: by the list that was added to."""

    source: Path
    taken: Taken
    is_by_label: bool = False
    merges: dict[Path, Merge] = field(default_factory=dict)

    def describe(self) -> str:
        """One line: which column or key was taken, and what the labels were used for."""
        return f"{self.source}: {self.taken.describe(is_by_label=self.is_by_label)}"


def import_urls(urls: Path, to: Path, pose: str, refused: Counter[str]) -> Iterator[Import]:
    """Add the URLs of a list, or of each list of a folder, to `to/<pose>.csv`; yield what came of each.

    Without a pose the list's labels name it, in a folder else the file's name.  Raises YogaLiveError, also if no list
    holds a URL.
    """
    is_folder = urls.is_dir()
    files = find_lists(urls) if is_folder else [UrlList(pose, urls)]
    count, reason = 0, ""
    for file in files:
        own: Counter[str] = Counter()
        imported = _import_one(file.path, to, pose, file.pose if is_folder else "", own)
        refused.update(own)
        if any(merge.added or merge.known for merge in imported.merges.values()):
            count += 1
            yield imported
        else:
            reason = reason or explain_nothing(file.path, own, imported.taken)
    if not count:
        raise RunError(reason if len(files) == 1 else f"none of the {len(files)} lists in {urls} holds a URL: {reason}")


def _import_one(path: Path, to: Path, pose: str, file_pose: str, refused: Counter[str]) -> Import:
    imported = Import(path, Taken())
    entries = read_labelled(path, refused, imported.taken)
    first = next(entries, None)
    if first is None:
        return imported
    entries = chain([first], entries)
    imported.is_by_label = bool(imported.taken.label) and not pose
    if imported.is_by_label:
        merges = _merge_by_label(entries, imported, to, refused)
        imported.merges = {to / f"{name}.csv": merge for name, merge in merges.items()}
    elif name := pose or file_pose:
        imported.merges[to / f"{name}.csv"] = merge_list((url for url, _ in entries), to / f"{name}.csv")
    else:
        names = ", ".join(LABEL_COLUMNS[:4])
        raise OptionError(f"{path} has no column or key that names poses ({names}); give --pose NAME")
    return imported


def _merge_by_label(
    entries: Iterable[tuple[str, str]], imported: Import, to: Path, refused: Counter[str]
) -> dict[str, Merge]:
    """Add each URL to the list of its label.  Returns what each merge did, by pose."""
    with tempfile.TemporaryDirectory() as name:
        spools: dict[str, _Spool] = {}
        for url, label in entries:
            try:
                pose = name_pose(label)
            except OptionError:
                refused["no label"] += 1
                continue
            if pose not in spools and len(spools) == MOST_POSES:
                raise RunError(
                    f"{imported.source} holds more than {MOST_POSES:,} different labels in {imported.taken.label}, "
                    "which are no poses; give --pose NAME"
                )
            spools.setdefault(pose, _Spool(Path(name) / str(len(spools)))).add(url)
        return {pose: merge_list(spool.read(), to / f"{pose}.csv") for pose, spool in sorted(spools.items())}


class _Spool:
    """The URLs of one pose, on disk but for the last few: a long list of many poses takes little memory."""

    def __init__(self, path: Path) -> None:
        self._path, self._last = path, list[str]()

    def add(self, url: str) -> None:
        self._last.append(url)
        if len(self._last) >= _SPOOLED:
            self._write()

    def _write(self) -> None:
        with self._path.open("a", encoding="utf-8", errors="surrogatepass") as file:
            file.writelines(f"{url}\n" for url in self._last)
        self._last.clear()

    def read(self) -> Iterator[str]:
        self._write()
        with self._path.open(encoding="utf-8", errors="surrogatepass") as file:
            yield from (line.rstrip("\n") for line in file)


def explain_nothing(path: Path, refused: Counter[str], taken: Taken) -> str:
    """Say why nothing was taken from a list: what was looked at, and what it held."""
    where = (
        f" in what was taken: {taken.place} ({taken.form})"
        if taken.is_choice
        else f"; read as {taken.form or 'an empty file'}"
    )
    why = ", ".join(f"{count} x {reason}" for reason, count in refused.most_common(3))
    files = sum(refused[reason] for reason in ("not http or https", "no URL"))
    advice = "expected addresses that begin with http:// or https://"
    if taken.form.startswith("CSV") and files and files == refused.total():
        advice += "; for a CSV of labels beside the photos themselves: yoga-train add FOLDER --to photos"
    return f"{path} holds no URL{where}{f': {why}' if why else ''}; {advice}"
