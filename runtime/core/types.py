"""Types that every package uses: frames, arrays, holds, segments of the timeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from .regions import Region

Frame = npt.NDArray[np.uint8]
"""An image: uint8 (H, W, 3), BGR as in OpenCV."""
Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]
Side = Literal["left", "right"]
"""The person's own side, unless the picture is mirrored."""
NO_POSE = "none"
"""The prediction when no pose of the model is shown."""


def best_pose(probabilities: Floats, labels: tuple[str, ...]) -> int:
    """Return the index of the likeliest label that is a pose.  probabilities: float (C,)."""
    if NO_POSE not in labels:
        return int(np.argmax(probabilities))
    poses = np.array(probabilities, dtype=np.float64)
    poses[labels.index(NO_POSE)] = -1
    return int(np.argmax(poses))


@dataclass(frozen=True)
class Segment:
    """One stretch of the timeline.

    start_s, end_s: seconds, on the clock of the video or of whoever gave the frames.  pose: a label, or `none`.
    confidence: its mean while the pose led, 0 to 1.  person: whose it is, where several people are followed.  side: on
    which side it was held, where the pose has sides and it is sure.  angles: of the joints, by name, degrees on the
    picture, where people were looked for and the joints are sure: {"left_knee": 92, ...}.
    """

    start_s: float
    end_s: float
    pose: str
    confidence: float
    person: int | None = None
    side: Side | None = None
    angles: Mapping[str, int] = field(default_factory=dict, compare=False)

    @property
    def duration_s(self) -> float:
        """Its length in seconds."""
        return self.end_s - self.start_s


@dataclass(frozen=True)
class Hold:
    """What is held at this moment.

    pose: a label, or `none`.  confidence: its smoothed probability, 0 to 1 (for `none`: 1 minus the best pose's).
    hold_s: for how many seconds it has been held.  leads: False while the pose is only kept, because what follows it
    has not lasted long enough, or because no whole person is seen; confidence is then what it was when the pose led
    last, and hold_s stands still, and goes on from where it would be if the pose leads again.  ahead_s: how much of
    hold_s is newer than what the network has seen.  side, angles: as a `Segment` has them; who turns to the other side
    begins another hold.
    """

    pose: str
    confidence: float
    hold_s: float
    leads: bool = True
    ahead_s: float = 0.0
    side: Side | None = None
    angles: Mapping[str, int] = field(default_factory=dict, compare=False)

    @property
    def seen_s(self) -> float:
        """Seconds of the hold that were observed."""
        return self.hold_s - self.ahead_s

    @property
    def is_resting(self) -> bool:
        """Whether no pose is held."""
        return self.pose == NO_POSE


@dataclass(frozen=True, eq=False)
class ClassMaps:
    """The class maps of one observation.

    maps: class maps, float32 (C, h, w), of the letterboxed square, in the order of the labels; region: the part of the
    frame that was classified, None for the whole frame.
    """

    maps: Floats
    labels: tuple[str, ...]
    region: Region | None = None
