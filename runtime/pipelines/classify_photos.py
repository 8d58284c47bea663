"""Classifies single photos in batches, and writes the predictions as CSV or JSON."""

from __future__ import annotations

import io
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from ..classifier import PoseClassifier, Prediction
from ..core.opencv import cv2
from ..core.preprocess import as_bgr, letterbox
from ..core.regions import Region, Roi
from ..core.types import Frame
from ..errors import OutputError, PhotoError
from ..people.finder import SIDE
from ..photos.decoding import decode_photo, read_photo
from ..photos.kinds import PHOTO_SUFFIXES, has_video_bytes, is_photo
from ..photos.limits import check_shown
from ..system.files import format_json, make_csv_writer, write_text
from ..system.item_failures import Failure, attempt
from ..system.suggestions import explain_absence

KEPT_PIXELS = 16_000_000
"""Larger photos don't wait in memory to be drawn upon: some twenty wait at once."""
BATCH = 8
"""Photos in one run of the network: what an engine of yoga-export takes at once."""
FORMATS = (".csv", ".json")
__all__ = [
    "BATCH",
    "FORMATS",
    "PHOTO_SUFFIXES",
    "PhotoPrediction",
    "check_table_format",
    "classify_photos",
    "format_predictions_csv",
    "format_predictions_json",
    "is_photo",
    "write_predictions",
]


@dataclass(frozen=True)
class PhotoPrediction:
    """The prediction of one photo.  prediction: None if the photo cannot be read; `reason` says why.

    reason: also why a photo with a prediction could not be annotated.

    image_bgr: uint8 (H, W, 3), the whole photo, if requested; region: the classified part.
    """

    file: str
    prediction: Prediction | None
    reason: str = ""
    image_bgr: Frame | None = None
    region: Region | None = None


@dataclass(frozen=True)
class _Loaded:
    """A decoded photo.  letterboxed: uint8 (S, S, 3); again: where to read a huge one a second time.

    small_bgr: the classified part for the people finder, uint8 (h, w, 3), where the model has a second opinion.
    """

    letterboxed: Frame
    image_bgr: Frame | None
    region: Region | None
    again: Path | None = None
    small_bgr: Frame | None = None


def classify_photos(
    classifier: PoseClassifier, files: Iterable[tuple[str, Path]], roi: Roi | None = None, *, keep_images: bool = False
) -> Iterator[PhotoPrediction]:
    """Classify photos, in order; threads decode them while the network runs.

    files: name and path.  roi: classify only this part.  keep_images: return the photos too, for annotation.
    """
    size, workers = classifier.info.size, min(8, os.cpu_count() or 1)
    finds = classifier.second_opinion is not None
    files = iter(files)
    waiting: deque[tuple[str, Future[_Loaded | Failure]]] = deque()
    pool = ThreadPoolExecutor(workers, "photos")
    try:
        while True:
            for name, path in islice(files, 2 * BATCH + workers - len(waiting)):
                load = partial(_load, path, size, roi, keep_images, finds)
                waiting.append((name, pool.submit(attempt, path, load)))
            if not waiting:
                return
            yield from _answer(classifier, [waiting.popleft() for _ in range(min(BATCH, len(waiting)))])
    finally:
        pool.shutdown(cancel_futures=True)


def _load(path: Path, size: int, roi: Roi | None, keep_image: bool, finds: bool) -> _Loaded:
    """Decode and letterbox.  Raises PhotoError, or OptionError if the region does not fit."""
    try:
        content = read_photo(path)
    except PhotoError as error:
        if not path.exists():
            raise PhotoError(explain_absence(path, "give an existing photo")) from error
        raise PhotoError(str(error).removeprefix(f"{path} ")) from error
    if has_video_bytes(content):
        raise PhotoError("is a video; use --video for videos")
    whole = decode_photo(content, min_side=None if roi else size)
    check_shown(whole)
    region = roi.to_region((whole.shape[1], whole.shape[0])) if roi else None
    part = region.cut(whole) if region else whole
    letterboxed, small = letterbox(part, size), _shrink(as_bgr(part)) if finds else None
    if not keep_image:
        return _Loaded(letterboxed, None, region, small_bgr=small)
    image = whole if roi else decode_photo(content)
    is_huge = image.shape[0] * image.shape[1] > KEPT_PIXELS
    return _Loaded(letterboxed, None if is_huge else image, region, path if is_huge else None, small)


def _shrink(image: Frame) -> Frame:
    """Shrink a picture to what the people finder needs.  image: uint8 (H, W, 3) BGR.  Returns uint8 (h, w, 3)."""
    height, width = image.shape[:2]
    scale = 2 * SIDE / max(height, width)
    if scale >= 1:
        return image.copy()  # not a part of a large one, which would stay in memory
    size_wh = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA), np.uint8)


def _answer(
    classifier: PoseClassifier, batch: list[tuple[str, Future[_Loaded | Failure]]]
) -> Iterator[PhotoPrediction]:
    photos = [(name, future.result()) for name, future in batch]
    loaded = [(name, photo) for name, photo in photos if isinstance(photo, _Loaded)]
    predictions = iter(_classify(classifier, loaded))
    for name, photo in photos:
        told = next(predictions) if isinstance(photo, _Loaded) else photo
        if isinstance(photo, _Loaded) and isinstance(told, Prediction):
            again = photo.again
            image = attempt(name, partial(decode_photo, again)) if again else photo.image_bgr
            if isinstance(image, Failure):
                yield PhotoPrediction(name, told, f"cannot be annotated: {image.reason}", None, photo.region)
            else:
                yield PhotoPrediction(name, told, "", image, photo.region)
        elif isinstance(told, Failure):
            yield PhotoPrediction(name, None, told.reason.removeprefix("the file "))


def _classify(classifier: PoseClassifier, photos: list[tuple[str, _Loaded]]) -> Sequence[Prediction | Failure]:
    """Classify photos in one batch; if that fails, one by one, so that only the cause is lost."""
    if len(photos) > 1:
        told = attempt(f"{len(photos)} photos", partial(_classify_all, classifier, [photo for _, photo in photos]))
        if isinstance(told, list):
            return told
    return [attempt(name, partial(_classify_one, classifier, photo)) for name, photo in photos]


def _classify_one(classifier: PoseClassifier, photo: _Loaded) -> Prediction:
    return _classify_all(classifier, [photo])[0]


def _classify_all(classifier: PoseClassifier, photos: list[_Loaded]) -> list[Prediction]:
    frames = np.stack([photo.letterboxed for photo in photos])
    found = [classifier.find_landmarks(photo.small_bgr) for photo in photos if photo.small_bgr is not None]
    landmarks = np.stack([each for each in found if each is not None]) if found else None
    return classifier.classify_letterboxed(frames, landmarks)


def check_table_format(path: Path) -> None:
    """Raise OutputError unless the suffix names a format."""
    if path.suffix.lower() not in FORMATS:
        raise OutputError(f"{path} should end in {' or '.join(FORMATS)}, the formats of the table of predictions")


def write_predictions(path: Path, answers: list[PhotoPrediction]) -> None:
    """Write the table, by suffix."""
    write_text(
        path, format_predictions_json(answers) if path.suffix.lower() == ".json" else format_predictions_csv(answers)
    )


def format_predictions_csv(answers: list[PhotoPrediction]) -> str:
    """Columns: file, pose, confidence, one per label, reason; for an unreadable photo only file and reason."""
    labels = next((list(answer.prediction.probabilities) for answer in answers if answer.prediction), [])
    buffer = io.StringIO()
    writer = make_csv_writer(buffer)
    writer.writerow(("file", "pose", "confidence", *(f"p_{label}" for label in labels), "reason"))
    for answer in answers:
        told = answer.prediction
        if told is None:
            writer.writerow((answer.file, "", "", *[""] * len(labels), answer.reason))
        else:
            shares = [f"{share:.4f}" for share in told.probabilities.values()]
            writer.writerow((answer.file, told.pose, f"{told.confidence:.4f}", *shares, answer.reason))
    return buffer.getvalue()


def format_predictions_json(answers: list[PhotoPrediction]) -> str:
    """A list of objects: file, pose, confidence and probabilities, or file and reason."""
    return format_json([_describe(answer) for answer in answers])


def _describe(answer: PhotoPrediction) -> dict[str, object]:
    if answer.prediction is None:
        return {"file": answer.file, "reason": answer.reason}
    told = answer.prediction
    shares = {label: round(share, 4) for label, share in told.probabilities.items()}
    row = {"file": answer.file, "pose": told.pose, "confidence": round(told.confidence, 4), "probabilities": shares}
    return {**row, "reason": answer.reason} if answer.reason else row
