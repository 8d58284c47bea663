"""The part of a frame that shows one person: one rule for what is classified live and for what is trained on.

And whether all of them is in the frame.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..core.regions import Region
from ..core.types import Floats

MARGIN = 0.15
"""Around the box, on every side, as a fraction of its longer side: for hands and feet that the box cuts off."""
LEAST_PX = 64
"""Least side of a crop in pixels; a smaller one shows too little."""

SURE_POINT = 0.2
"""Key points below this score are not seen."""
SHOULDERS, HIPS, LEGS = (5, 6), (11, 12), (13, 14, 15, 16)
"""Places in `KEYPOINTS`; legs are knees and ankles."""


def shows_whole_body(keypoint_scores: Floats) -> bool:
    """Whether the picture shows somebody from the shoulders to a knee: a close-up of a face or of legs does not.

    keypoint_scores: float (17,), as a `Person` has them.  The head, a hand, a foot or one side of the body may be cut
    off or hidden.
    """
    return all(keypoint_scores[list(points)].max() >= SURE_POINT for points in (SHOULDERS, HIPS, LEGS))


def frame_person(
    box_ltrb: Floats | Sequence[float], size_wh: tuple[int, int], margin: float = MARGIN, most_share: float = 1.0
) -> Region:
    """Choose the square around a person with a margin, moved into the frame, and cut where it does not fit.

    box_ltrb: left, top, right, bottom in pixels, such as a row of `People.boxes`.  size_wh: width and height of the
    frame in pixels.  margin: on every side, as a fraction of the box's longer side.  most_share: the box's longer side
    is at most this fraction of the square's, above 0 and up to 1.  The square's side is at least `LEAST_PX`; in a frame
    that is narrower or lower, the region has the frame's width or height there.

    Raises ValueError for a box that is empty or not finite, an empty frame, a margin below 0, or another share.
    """
    left, top, right, bottom = map(float, box_ltrb)
    width, height = size_wh
    if not all(map(math.isfinite, (left, top, right, bottom))) or right <= left or bottom <= top:
        raise ValueError(f"box_ltrb must be left, top, right, bottom in pixels; got {left}, {top}, {right}, {bottom}")
    if not 0 < most_share <= 1:
        raise ValueError(f"most_share must be above 0 and at most 1; got {most_share}")
    if min(size_wh) < 1 or not 0 <= margin < math.inf:
        raise ValueError(f"size_wh must be at least (1, 1) and margin at least 0; got {size_wh} and {margin}")
    longer = max(right - left, bottom - top)
    side = max(math.ceil(longer * max(1 + 2 * margin, 1 / most_share)), LEAST_PX)
    crop_w, crop_h = min(side, width), min(side, height)
    return Region(_place((left + right) / 2, crop_w, width), _place((top + bottom) / 2, crop_h, height), crop_w, crop_h)


def _place(centre: float, length: int, limit: int) -> int:
    """Compute where an interval of this length around the centre starts, moved into 0 to `limit`, pixels."""
    return min(max(round(centre - length / 2), 0), limit - length)
