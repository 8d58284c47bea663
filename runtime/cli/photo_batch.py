"""A batch of photos on a command line: one line for each, a table, and at the end what could not be read."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import OptionError, OutputError, PhotoError, SourceError
from ..system.plain_text import format_count, print

if TYPE_CHECKING:
    from ..classifier import PoseClassifier
    from ..core.regions import Roi
    from ..pipelines.classify_photos import PhotoPrediction
    from ..sources.inputs import Listed

MOST_WIDE = 60
"""Letters of a file's name for which others make room."""
Draw = Callable[[Path, "PhotoPrediction"], None]
"""Writes the annotated copy of a photo."""


@dataclass(frozen=True)
class PhotoBatch:
    """Photos to classify, and where what is found goes.

    left_out: a line on files that are no photos, or empty.  unreadable: folder -> why it cannot be read.  table: a file
    for the predictions; None: they are printed.  pictures: the annotated copy of each photo, in the folder `save`, or
    empty.  force: replace outputs that exist.
    """

    files: list[Listed]
    left_out: str
    unreadable: Mapping[Path, str]
    table: Path | None = None
    save: Path | None = None
    pictures: list[Path] = field(default_factory=list)
    force: bool = False


def list_photos(paths: list[Path], table: Path | None, *, force: bool, leave_out: Iterable[Path] = ()) -> PhotoBatch:
    """List the photos given and those in folders given, after refusing a table that cannot be written.

    One of several that is missing is listed; reading it says so.  leave_out: folders of earlier outputs.  Raises
    SourceError, OutputError.
    """
    from ..photos.kinds import PhotoSieve
    from ..pipelines.classify_photos import check_table_format
    from ..sources.inputs import list_files
    from ..system.claims import check_growing_output
    from ..system.files import resolve

    if table:
        check_table_format(table)
        check_growing_output(table, force=force)
    sieve, unreadable = PhotoSieve(), dict[Path, str]()
    try:
        files = list_files(paths, sieve, "photo", leave_out, unreadable, keep_missing=True)
    except SourceError as error:
        raise SourceError(f"{error} ({sieve.describe()})" if sieve.left_out else str(error)) from error
    if table and resolve(table) in {resolve(file.path) for file in files}:
        raise OutputError(f"--table {table} is one of the photos; give another name")
    return PhotoBatch(files, sieve.describe(), unreadable, table, force=force)


def classify_batch(
    command: str, classifier: PoseClassifier, batch: PhotoBatch, roi: Roi | None = None, draw: Draw | None = None
) -> list[PhotoPrediction]:
    """Classify each photo, and print or write the predictions; the table is claimed already.

    command: its name, before each line.  draw: for the copies in `batch.pictures`.  A photo that cannot be read, or a
    folder, gets a line; `check_all_read` raises for them.  Raises OptionError if `roi` fits no photo.
    """
    from ..pipelines.classify_photos import classify_photos, write_predictions
    from ..sinks.timeline import GrowingFile
    from ..system.progress import Progress

    count = format_count(len(batch.files), "photo")
    print(f"{command}: {count}, engine on {classifier.engine.device}", file=sys.stderr)
    if batch.left_out:
        print(f"{command}: {batch.left_out}", file=sys.stderr)
    for path, reason in batch.unreadable.items():
        print(f"{command}: the folder {path} cannot be read: {reason}", file=sys.stderr)
    table = GrowingFile(batch.table, write_predictions, force=batch.force) if batch.table else None
    answers: list[PhotoPrediction] = []
    misfits = Misfits()
    is_whole = False
    try:
        with Progress("classifying", len(batch.files), "photos") as progress:
            named = [(file.name, file.path) for file in batch.files]
            for answer in classify_photos(classifier, named, roi, keep_images=draw is not None):
                write = partial(draw, batch.pictures[len(answers)]) if draw else None
                answer = _annotate(answer, write)
                for line in misfits.sort(answer):
                    progress.say(f"{command}: {line}")
                progress.advance(1, answer.prediction.pose if answer.prediction else "")
                answers.append(answer)
                if table:
                    table.autosave(lambda: answers)
        is_whole = True
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(f"stopped after {len(answers)} of {count}") from error
    finally:
        if table:
            table.finish(answers, whole=is_whole)
        _report(batch, answers)
    if len(misfits.lines) == len(batch.files):
        more = f" (the same for all {len(batch.files)} photos)" if len(batch.files) > 1 else ""
        raise OptionError(f"{misfits.lines[0]}{more}")
    return answers


def check_all_read(batch: PhotoBatch, answers: list[PhotoPrediction]) -> None:
    """Raise PhotoError if a photo or folder could not be read, OutputError if a photo could not be annotated."""
    from ..sources.inputs import describe_unreadable

    count = format_count(len(batch.files), "photo")
    problems = [describe_unreadable(batch.unreadable)] if batch.unreadable else []
    if broken := sum(answer.prediction is None for answer in answers):
        problems.append(f"{broken} of {count} could not be read")
    if lacking := sum(answer.prediction is not None and bool(answer.reason) for answer in answers):
        problems.append(f"{lacking} of {count} could not be annotated")
    if problems:
        line = f"{'; '.join(problems)}{'; see the lines above' if broken or lacking else ''}"
        raise PhotoError(line) if broken or batch.unreadable else OutputError(line)


@dataclass
class Misfits:
    """Photos that the region does not fit: reported once if it is all of them, else one by one."""

    lines: list[str] = field(default_factory=list)
    are_told: bool = False

    def sort(self, answer: PhotoPrediction) -> list[str]:
        """Return the lines to print now, after the newest photo."""
        line = f"{answer.file}: {answer.reason}" if answer.reason else ""
        told = [line] if line else []
        if answer.reason.startswith("--roi ") and not self.are_told:
            self.lines.append(line)
            return []
        if not self.are_told:
            self.are_told, told, self.lines = True, [*self.lines, *told], []
        return told


def _annotate(answer: PhotoPrediction, write: Callable[[PhotoPrediction], None] | None) -> PhotoPrediction:
    """Annotate a photo if requested.  Returns the prediction without the photo.

    A photo that cannot be annotated keeps its prediction, with the reason why there is no picture of it.
    """
    from ..system.item_failures import Failure, attempt

    if write and answer.image_bgr is not None:
        drawn = attempt(answer.file, partial(write, answer))
        if isinstance(drawn, Failure):
            answer = replace(answer, reason=f"cannot be annotated: {drawn.reason}")
    return replace(answer, image_bgr=None)


def _report(batch: PhotoBatch, answers: list[PhotoPrediction]) -> None:
    """Print the predictions, unless a table holds them; the count of each pose; the files written."""
    from ..core.labels import name_pose
    from .report import list_results

    told = [(answer.file, answer.prediction) for answer in answers if answer.prediction]
    if not batch.table:
        width = min(max((len(file) for file, _ in told), default=0), MOST_WIDE)
        for file, prediction in told:
            print(f"  {file:{width}}  {name_pose(prediction.pose):16} {prediction.confidence:4.0%}")
    for pose, number in Counter(prediction.pose for _, prediction in told).most_common():
        print(f"{name_pose(pose)}: {number}")
    print(f"{len(told)} of {format_count(len(batch.files), 'photo')} classified")
    count = format_count(sum(not answer.reason for answer in answers), "file")
    pictures = [f"{count} in {batch.save}"] if batch.save else []
    for line in list_results([batch.table] if batch.table else [], pictures):
        print(line)
