"""Frames in, a smoothed pose out.

    from yoga_live.runtime import PoseClassifier
    classifier = PoseClassifier()                    # the shipped model
    print(classifier.classify(frame_bgr))            # Prediction(pose="tree", confidence=0.97, ...)

`frame_bgr` is uint8 (H, W, 3), BGR, as OpenCV gives it.  One person in view is assumed.  Whatever goes wrong is a
YogaLiveError, whose message says what to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import YogaLiveError
from .system.public_names import offer

if TYPE_CHECKING:
    from .classifier import PoseClassifier, Prediction

__all__ = ["PoseClassifier", "Prediction", "YogaLiveError"]
__version__: str

__getattr__, __dir__ = offer(__name__, {"PoseClassifier": ".classifier", "Prediction": ".classifier"})
