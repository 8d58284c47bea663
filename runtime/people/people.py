"""The people of one frame: boxes, key points and scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..core.types import Floats

KEYPOINTS = (
    *("nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder"),
    *("left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip"),
    *("left_knee", "right_knee", "left_ankle", "right_ankle"),
)
"""The 17 key points of COCO, in order.  Left and right are the person's own, unless the picture is mirrored."""

OPPOSITE_KEYPOINTS = tuple(
    KEYPOINTS.index(name.replace("left", "right") if name.startswith("left") else name.replace("right", "left"))
    for name in KEYPOINTS
)
"""For each key point, the one that takes its place in a mirror image."""


@dataclass(frozen=True, eq=False)
class People:
    """The people of one frame, the surest first; there may be none.

    boxes: float32 (N, 4): left, top, right, bottom in pixels of the frame, 0 to its width and height, never outside; of
    a person whom the frame cuts, the part inside.  keypoints: float32 (N, 17, 2): x, y in pixels of the frame, in the
    order of `KEYPOINTS`; a point that is not seen is a guess, and may lie outside the frame.  keypoint_scores: float32
    (N, 17), how sure each point is, 0 to 1.  scores: float32 (N,), how sure it is that this is a person, 0 to 1.

    Raises ValueError where shapes or dtypes are others.
    """

    boxes: Floats
    keypoints: Floats
    keypoint_scores: Floats
    scores: Floats

    def __post_init__(self) -> None:
        count, points = len(self.scores), len(KEYPOINTS)
        shapes = {
            "boxes": (count, 4),
            "keypoints": (count, points, 2),
            "keypoint_scores": (count, points),
            "scores": (count,),
        }
        for name, shape in shapes.items():
            array = getattr(self, name)
            if array.shape != shape or array.dtype != np.float32:
                raise ValueError(f"{name} must be float32 {shape}; got {array.dtype} {array.shape}")

    @classmethod
    def nobody(cls) -> People:
        """Make the people of an empty frame."""
        points = len(KEYPOINTS)
        shapes = (0, 4), (0, points, 2), (0, points), (0,)
        return cls(*(np.zeros(shape, np.float32) for shape in shapes))

    def __len__(self) -> int:
        """Return how many people there are."""
        return len(self.scores)

    def select(self, which: npt.NDArray[np.bool_] | npt.NDArray[np.integer]) -> People:
        """Return some of the people.  which: bool (N,), or indices in the order that is wanted, integers (M,)."""
        return People(self.boxes[which], self.keypoints[which], self.keypoint_scores[which], self.scores[which])

    def join(self, others: People) -> People:
        """Return these people, then others of the same frame."""
        arrays = zip(vars(self).values(), vars(others).values(), strict=True)
        return People(*(np.concatenate(pair) for pair in arrays))

    def clip(self, size_wh: tuple[int, int]) -> People:
        """Cut the boxes at the frame's borders, and drop people of whom nothing is inside.

        size_wh: width and height of the frame, pixels.
        """
        boxes = np.clip(self.boxes, 0, np.array([*size_wh, *size_wh], np.float32))
        is_inside = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        return People(boxes, self.keypoints, self.keypoint_scores, self.scores).select(is_inside)

    def transform(self, scale_xy: tuple[float, float], shift_xy: tuple[float, float]) -> People:
        """Return the same people in another frame's pixels.  scale_xy: factors of x and y.  shift_xy: pixels, added."""
        scale, shift = np.array(scale_xy, np.float32), np.array(shift_xy, np.float32)
        boxes = self.boxes * np.tile(scale, 2) + np.tile(shift, 2)
        return People(boxes, self.keypoints * scale + shift, self.keypoint_scores, self.scores)
