"""`yoga-live` with photos: classifies every photo, one by one."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from ..errors import OptionError, OutputError, PhotoError, SourceError
from ..system.plain_text import format_count, print
from .options import DEFAULT_PLACE, list_given, read_roi

if TYPE_CHECKING:
    from ..drawing.placement import Place
    from ..pipelines.classify_photos import PhotoPrediction
    from ..sources.inputs import Listed
    from ..system.progress import Progress

USELESS = {
    "--timeline": "use --table FILE.csv",
    "--timeline-format": "use --table FILE.csv",
    "--summary": "photos have no duration",
    "--events": "use --table FILE.json",
    "--goal": "a photo has no duration",
    "--record": "the photos are files already",
    "--rotate": "photos are turned by their own EXIF orientation",
    "--flip": "photos are turned by their own EXIF orientation",
    "--from": "photos have no duration",
    "--to": "photos have no duration",
    "--serve": "to try photos on its page, use yoga-live --demo --serve PORT",
    "--window": "use --save FOLDER",
    "--mirror": "only a camera's picture is mirrored",
    "--explain": "yoga-train report shows class maps of a run's photos",
    "--frames": "it only applies to yoga-live benchmark",
}


def classify_images(args: argparse.Namespace) -> None:
    """Classify every photo.  One that cannot be read gets a line and a row; PhotoError is raised at the end."""
    from ..system.claims import claim_outputs

    unreadable: dict[Path, str] = {}
    files, pictures, left_out = _plan(args, unreadable)
    with claim_outputs([args.table] if args.table else [], force=args.force, grow=True):
        _classify(args, files, pictures, left_out, unreadable)


def _classify(
    args: argparse.Namespace, files: list[Listed], pictures: list[Path], left_out: str, unreadable: dict[Path, str]
) -> None:
    """Classify; the table is claimed already.  Raises PhotoError at the end if a photo or folder could not be read."""
    from ..classifier import PoseClassifier
    from ..pipelines.classify_photos import classify_photos, write_predictions
    from ..sinks.timeline import GrowingFile
    from ..sources.inputs import describe_unreadable
    from ..system.progress import Progress

    roi = read_roi(args)
    classifier = PoseClassifier(args.model, args.device)
    count = format_count(len(files), "photo")
    print(f"yoga-live: {count}, engine on {classifier.engine.device}", file=sys.stderr)
    if left_out:
        print(f"yoga-live: {left_out}", file=sys.stderr)
    for path, reason in unreadable.items():
        print(f"yoga-live: the folder {path} cannot be read: {reason}", file=sys.stderr)
    table = GrowingFile(args.table, write_predictions, force=args.force) if args.table else None
    answers: list[PhotoPrediction] = []
    misfits, place = Misfits(), args.overlay or DEFAULT_PLACE
    is_whole = False
    try:
        with Progress("classifying", len(files), "photos") as progress:
            named = [(file.name, file.path) for file in files]
            for answer in classify_photos(classifier, named, roi, keep_images=bool(args.save)):
                picture = pictures[len(answers)] if args.save else None
                draw = picture and partial(_write_picture, picture, place=place, force=args.force)
                answers.append(_take(answer, draw, progress, misfits))
                if table:
                    table.autosave(lambda: answers)
        is_whole = True
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(f"stopped after {len(answers)} of {count}") from error
    finally:
        if table:
            table.finish(answers, whole=is_whole)
        _report(args, answers, len(files))
    if len(misfits.lines) == len(files):
        more = f" (the same for all {len(files)} photos)" if len(files) > 1 else ""
        raise OptionError(f"{misfits.lines[0]}{more}")
    problems = [describe_unreadable(unreadable)] if unreadable else []
    if broken := sum(answer.prediction is None for answer in answers):
        problems.append(f"{broken} of {count} could not be read; see the lines above")
    if problems:
        raise PhotoError("; ".join(problems))
    if lacking := sum(bool(answer.reason) for answer in answers):
        raise OutputError(f"{lacking} of {count} could not be annotated; see the lines above")


@dataclass
class Misfits:
    """Photos that the region does not fit: reported once if it is all of them, else one by one."""

    lines: list[str] = field(default_factory=list)
    are_told: bool = False

    def sort(self, line: str, *, is_misfit: bool) -> list[str]:
        """Return the lines to print now.  line: of the newest photo, empty if it is fine."""
        told = [line] if line else []
        if is_misfit and not self.are_told:
            self.lines.append(line)
            return []
        if not self.are_told:
            self.are_told, told, self.lines = True, [*self.lines, *told], []
        return told


def _plan(args: argparse.Namespace, unreadable: dict[Path, str]) -> tuple[list[Listed], list[Path], str]:
    """List the photos, their annotated copies and what is left out; refuse outputs that cannot be written.

    unreadable: is given each folder that cannot be read, and why.
    """
    from ..photos.kinds import PHOTO_SUFFIXES, PhotoSieve
    from ..pipelines.classify_photos import FORMATS, check_table_format
    from ..sources.inputs import VIDEO_SUFFIXES, check_new, list_files, make_folder, name_outputs
    from ..system.claims import check_growing_output
    from ..system.files import resolve

    if given := list_given(args, USELESS):
        raise OptionError(f"{given[0]} cannot be used with photos: {USELESS[given[0]]}")
    if args.zoom == "auto":
        raise OptionError("--zoom auto follows movement, which a photo does not have; use --roi X,Y,W,H")
    if (
        args.save
        and args.save.suffix.lower() in {*PHOTO_SUFFIXES, *VIDEO_SUFFIXES, *FORMATS}
        and not args.save.is_dir()
    ):
        raise OptionError(f"--save {args.save} is one file; annotated photos go into a folder: give its name")
    if args.table:
        check_table_format(args.table)
        check_growing_output(args.table, force=args.force)
    sieve = PhotoSieve()
    try:
        files = list_files(args.images, sieve, "photo", [args.save] if args.save else [], unreadable)
    except SourceError as error:
        raise SourceError(f"{error} ({sieve.describe()})" if sieve.left_out else str(error)) from error
    if args.table and resolve(args.table) in {resolve(file.path) for file in files}:
        raise OutputError(f"--table {args.table} is one of the photos; give another name")
    if not args.save:
        return files, [], sieve.describe()
    pictures = [args.save / PurePath(f"{name}.jpg") for name in name_outputs(files)]
    check_new(pictures, [file.path for file in files], force=args.force, grow=False)
    make_folder("--save", args.save)
    return files, pictures, sieve.describe()


def _take(
    answer: PhotoPrediction, draw: Callable[[PhotoPrediction], None] | None, progress: Progress, misfits: Misfits
) -> PhotoPrediction:
    """Annotate a photo if requested, and count it.  Returns the prediction without the photo.

    A photo that cannot be annotated keeps its prediction, with the reason why there is no picture of it.
    """
    from ..system.item_failures import Failure, attempt

    if draw and answer.image_bgr is not None:
        drawn = attempt(answer.file, partial(draw, answer))
        if isinstance(drawn, Failure):
            answer = replace(answer, reason=f"cannot be annotated: {drawn.reason}")
    line = f"{answer.file}: {answer.reason}" if answer.reason else ""
    for each in misfits.sort(line, is_misfit=answer.reason.startswith("--roi ")):
        progress.say(f"yoga-live: {each}")
    progress.advance(1, answer.prediction.pose if answer.prediction else "")
    return replace(answer, image_bgr=None)


def _write_picture(path: Path, answer: PhotoPrediction, *, place: Place, force: bool) -> None:
    from PIL import Image

    from ..core.types import Hold
    from ..drawing.overlay import OverlayConfig, draw_overlay
    from ..system.files import write_then_rename

    assert answer.prediction is not None and answer.image_bgr is not None
    hold = Hold(answer.prediction.pose, answer.prediction.confidence, 0.0)
    style = OverlayConfig(show_fps=False, is_still=True, place=place)
    scene = draw_overlay(answer.image_bgr, hold, None, style, answer.region)
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_then_rename(path, replace=force) as temporary:
        Image.fromarray(scene[:, :, ::-1]).save(temporary, format="JPEG", quality=90)


def _report(args: argparse.Namespace, answers: list[PhotoPrediction], count: int) -> None:
    """Print the predictions, unless a table holds them; the count of each pose; the files written."""
    from ..core.labels import name_pose
    from ..system.files import find_result

    told = [(answer.file, answer.prediction) for answer in answers if answer.prediction]
    if not args.table:
        width = max((len(file) for file, _ in told), default=0)
        for file, prediction in told:
            print(f"  {file:{width}}  {name_pose(prediction.pose):16} {prediction.confidence:4.0%}")
    for pose, number in Counter(prediction.pose for _, prediction in told).most_common():
        print(f"{name_pose(pose)}: {number}")
    print(f"{len(told)} of {format_count(count, 'photo')} classified")
    if args.table and (result := find_result(args.table)):
        print(f"written: {result}" if result == args.table else f"incomplete: {result}")
    if args.save:
        print(f"written: {format_count(sum(not answer.reason for answer in answers), 'file')} in {args.save}")
