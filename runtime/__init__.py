"""Frames in, a smoothed pose out::

    from yoga_live.runtime import PoseClassifier
    classifier = PoseClassifier()                    # the shipped model
    print(classifier.classify(frame_bgr))            # Prediction(pose="tree", confidence=0.97, ...)

`frame_bgr` is uint8 (H, W, 3), BGR, as OpenCV gives it.  The whole frame is classified.  `PoseTracker` follows a camera
of your own; `annotate_video` makes a timeline of a file, and a copy with the overlay.  Nothing here prints.  Whatever
goes wrong is a YogaLiveError, whose message says what to do; where it names an option of the command line (`--force`),
the parameter of that name is meant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import (
    DeviceError,
    MissingPackageError,
    ModelError,
    OptionError,
    OutputError,
    PhotoError,
    RunError,
    SourceError,
    TakenError,
    YogaLiveError,
)
from .system.public_names import offer

if TYPE_CHECKING:
    from .classifier import PoseClassifier, Prediction
    from .core.frames import TimedFrame
    from .core.model_metadata import ModelInfo
    from .core.presentation import Mounting
    from .core.regions import Region, Roi
    from .core.types import Hold, Segment
    from .pipelines.annotate import AnnotateConfig, Outputs, annotate_video
    from .pipelines.loop import RunResult
    from .sources.time_range import TimeRange
    from .system.progress import ProgressUpdate
    from .tracking.pose_tracker import PoseTracker
    from .tracking.segments import Timeline

__all__ = [
    "AnnotateConfig",
    "DeviceError",
    "Hold",
    "MissingPackageError",
    "ModelError",
    "ModelInfo",
    "Mounting",
    "OptionError",
    "OutputError",
    "Outputs",
    "PhotoError",
    "PoseClassifier",
    "PoseTracker",
    "Prediction",
    "ProgressUpdate",
    "Region",
    "Roi",
    "RunError",
    "RunResult",
    "Segment",
    "SourceError",
    "TakenError",
    "TimeRange",
    "TimedFrame",
    "Timeline",
    "YogaLiveError",
    "annotate_video",
]
__version__: str

__getattr__, __dir__ = offer(
    __name__,
    {
        "PoseClassifier": ".classifier",
        "Prediction": ".classifier",
        "TimedFrame": ".core.frames",
        "ModelInfo": ".core.model_metadata",
        "Region": ".core.regions",
        "Mounting": ".core.presentation",
        "Roi": ".core.regions",
        "Hold": ".core.types",
        "Segment": ".core.types",
        "AnnotateConfig": ".pipelines.annotate",
        "Outputs": ".pipelines.annotate",
        "annotate_video": ".pipelines.annotate",
        "RunResult": ".pipelines.loop",
        "TimeRange": ".sources.time_range",
        "ProgressUpdate": ".system.progress",
        "PoseTracker": ".tracking.pose_tracker",
        "Timeline": ".tracking.segments",
    },
)
