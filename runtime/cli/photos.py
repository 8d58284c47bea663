"""`yoga-live` with photos: classifies every photo, one by one."""

from __future__ import annotations

import argparse
import logging
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from ..errors import MissingPackageError, OptionError
from .options import DEFAULT_PLACE, list_given, read_people, read_roi
from .photo_batch import PhotoBatch, check_all_read, classify_batch, list_photos

if TYPE_CHECKING:
    from ..classifier import PoseClassifier
    from ..core.regions import Region
    from ..core.types import ClassMaps, Floats, Frame
    from ..drawing.placement import Place
    from ..pipelines.classify_photos import PhotoPrediction

log = logging.getLogger(__name__)

USELESS = {
    "--timeline": "use --table FILE.csv",
    "--timeline-format": "use --table FILE.csv",
    "--summary": "photos have no duration",
    "--events": "use --table FILE.json",
    "--goal": "a photo has no duration",
    "--reference": "it is compared with the holds of a video or camera",
    "--pose": "it belongs to --reference, for a video or camera",
    "--record": "the photos are files already",
    "--rotate": "photos are turned by their own EXIF orientation",
    "--flip": "photos are turned by their own EXIF orientation",
    "--from": "photos have no duration",
    "--to": "photos have no duration",
    "--serve": "to try photos on its page, use yoga-live --demo --serve PORT",
    "--mats": "each has one answer, for its main person; use --roi X,Y,W,H",
    "--window": "use --save FOLDER",
    "--mirror": "only a camera's picture is mirrored",
    "--blur-faces": "it only applies to videos and cameras",
    "--frames": "it only applies to yoga-live benchmark",
}


def classify_images(args: argparse.Namespace) -> None:
    """Classify every photo.  One that cannot be read gets a line and a row; PhotoError is raised at the end."""
    from ..system.claims import claim_outputs

    batch = _plan(args)
    with claim_outputs([batch.table] if batch.table else [], force=batch.force, grow=True):
        from ..classifier import PoseClassifier
        from ..core.allowed_poses import split_poses

        roi, place = read_roi(args), args.overlay or DEFAULT_PLACE
        classifier = PoseClassifier(args.model, args.device, poses=split_poses(args.poses))
        if looks_for_nobody := read_people(args) == "off":
            classifier.second_opinion = None
        explain = _Explainer(classifier, looks_for_nobody=looks_for_nobody) if args.explain else None
        draw = partial(_write_picture, explain, place=place, force=args.force) if batch.save else None
        check_all_read(batch, classify_batch("yoga-live", classifier, batch, roi, draw))


def _plan(args: argparse.Namespace) -> PhotoBatch:
    """List the photos, their annotated copies and what is left out; refuse outputs that cannot be written."""
    from ..photos.kinds import PHOTO_SUFFIXES
    from ..pipelines.classify_photos import FORMATS
    from ..sources.inputs import VIDEO_SUFFIXES, check_new, make_folder, name_outputs

    if given := list_given(args, USELESS):
        raise OptionError(f"{given[0]} cannot be used with photos: {USELESS[given[0]]}")
    if args.people is not None and read_people(args) not in ("main", "off"):
        raise OptionError(
            f"--people {args.people} cannot be used with photos: each has one answer, for its main person; give main "
            "or off, or use --roi X,Y,W,H"
        )
    if args.zoom == "auto":
        raise OptionError("--zoom auto follows somebody through a video; for a photo use --roi X,Y,W,H")
    if args.explain and not args.save:
        raise OptionError("--explain is drawn on copies of the photos; add --save FOLDER")
    if (
        args.save
        and args.save.suffix.lower() in {*PHOTO_SUFFIXES, *VIDEO_SUFFIXES, *FORMATS}
        and not args.save.is_dir()
    ):
        raise OptionError(f"--save {args.save} is one file; annotated photos go into a folder: give its name")
    batch = list_photos(args.images, args.table, force=args.force, leave_out=[args.save] if args.save else [])
    if not args.save:
        return batch
    pictures = [args.save / PurePath(f"{name}.jpg") for name in name_outputs(batch.files)]
    check_new(pictures, [file.path for file in batch.files], force=args.force, grow=False)
    make_folder("--save", args.save)
    return replace(batch, save=args.save, pictures=pictures)


@dataclass(frozen=True, eq=False)
class _Body:
    """Key points as `drawing.skeleton` takes them: float32 (17, 2) and (17,)."""

    keypoints: Floats
    keypoint_scores: Floats


class _Explainer:
    """Looks at a photo once more, for what was seen where; for a person only where one is looked for."""

    def __init__(self, classifier: PoseClassifier, *, looks_for_nobody: bool = False) -> None:
        self._classifier = classifier
        try:
            self._finder = None if looks_for_nobody else classifier.photo_finder
        except MissingPackageError as error:
            log.warning("people are not looked for, so only the heat is drawn: %s", error)
            self._finder = None

    def examine(self, image_bgr: Frame, region: Region | None) -> tuple[ClassMaps, _Body | None]:
        """Find what spoke for each label where, and the key points of the largest and surest person, if any."""
        from ..people.landmarks import choose_main

        _, class_maps = self._classifier.examine(image_bgr, region)
        people = self._finder.find(image_bgr, region) if self._finder else None
        if not people:
            return class_maps, None
        main = choose_main(people)
        return class_maps, _Body(people.keypoints[main], people.keypoint_scores[main])


def _write_picture(
    explain: _Explainer | None, path: Path, answer: PhotoPrediction, *, place: Place, force: bool
) -> None:
    from PIL import Image

    from ..core.types import Hold
    from ..drawing.overlay import OverlayConfig, draw_overlay
    from ..system.files import write_then_rename

    assert answer.prediction is not None and answer.image_bgr is not None
    hold = Hold(answer.prediction.pose, answer.prediction.confidence, 0.0)
    style = OverlayConfig(show_fps=False, is_still=True, place=place, explain=explain is not None)
    maps, body = explain.examine(answer.image_bgr, answer.region) if explain else (None, None)
    scene = draw_overlay(answer.image_bgr, hold, None, style, answer.region, maps, body=body)
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_then_rename(path, replace=force) as temporary:
        Image.fromarray(scene[:, :, ::-1]).save(temporary, format="JPEG", quality=90)
