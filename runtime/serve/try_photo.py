"""Trying the model: one photo in, every probability out; nothing is kept of the photo."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

from ..classifier import PoseClassifier, Prediction
from ..core.labels import SANSKRIT, display_name
from ..errors import PhotoError
from ..photos.decoding import decode_photo
from ..photos.limits import check_shown
from ..system.item_failures import Failure, attempt

MOST_BYTES = 30_000_000
MOST_PIXELS = 50_000_000  # what a phone takes; decoded, it is in memory as a whole, on a Jetson too
MOST_WAITING = 4


class PhotoTrial:
    """Answers photos one after another, so that the live loop keeps its processor."""

    def __init__(self, classifier: PoseClassifier, most_bytes: int = MOST_BYTES) -> None:
        self._classifier, self.most_bytes = classifier, most_bytes
        self._turn = threading.Lock()
        self.places = threading.BoundedSemaphore(MOST_WAITING)
        """Photos that wait for their answer; a server takes one when a photo is there."""

    def describe_model(self) -> dict[str, Any]:
        """What the page tells of the model, for JSON."""
        info = self._classifier.info_with_people
        return {
            "poses": describe_poses(info.labels),
            "threshold": info.threshold,
            "precision": info.precision,
            "most_bytes": self.most_bytes,
        }

    def classify(self, content: bytes) -> dict[str, Any]:
        """Classify a photo of any kind.  Returns the answer for JSON.  Raises PhotoError with the true reason."""
        with self._turn:
            prediction = attempt("a photo on the page", partial(self._classify, content))
        if isinstance(prediction, Failure):
            raise PhotoError(prediction.reason)
        ranked = sorted(prediction.probabilities.items(), key=lambda item: -item[1])
        return {
            "pose": prediction.pose,
            "confidence": round(prediction.confidence, 4),
            "probabilities": [[label, round(probability, 4)] for label, probability in ranked],
        }

    def _classify(self, content: bytes) -> Prediction:
        photo = decode_photo(content, min_side=self._classifier.info.size, most_pixels=MOST_PIXELS)
        try:
            check_shown(photo)
        except PhotoError as error:
            raise PhotoError(f"the file is {error}") from error
        return self._classifier.classify(photo)


def describe_poses(labels: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """label -> its name and its Sanskrit name, as people read them."""
    return {label: {"name": display_name(label), "sanskrit": SANSKRIT.get(label, "")} for label in labels}
