"""Frames in, a smoothed pose out.

    from yoga_live.runtime import PoseClassifier
    classifier = PoseClassifier()                    # the shipped model
    print(classifier.classify(frame_bgr))            # Prediction(pose="tree", confidence=0.97, ...)

`frame_bgr` is uint8 (H, W, 3), BGR, as OpenCV gives it.  One person in view is assumed.  Whatever goes wrong is a
YogaLiveError, whose message says what to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import YogaLiveError

if TYPE_CHECKING:
    from .classifier import PoseClassifier, Prediction

__all__ = ["PoseClassifier", "Prediction", "YogaLiveError"]


def __getattr__(name: str) -> Any:
    """Import the classifier when it is first named: `import yoga_live.runtime` needs no OpenCV and no engine."""
    if name in {"PoseClassifier", "Prediction"}:
        from . import classifier

        return getattr(classifier, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
