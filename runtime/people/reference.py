"""A hold beside one's own photo of the pose: the largest differences of the angles, in one calm line.

It compares, and judges nothing: what differs may be meant.  It says nothing where it is not sure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..core.types import Floats, Side
from .angles import JOINTS, BodyAngles
from .sides import SideRule

MIN_DIFFERENCE = 15.0
"""Degrees; smaller differences come from the key points and the camera."""
SPREADS = 2.0
"""A difference counts if it is so many times what the angles vary by, both together."""
LEAST_JOINTS = 4
"""With fewer joints that are sure in both, nothing is said."""
MOST_APART = 30.0
"""Degrees, the median over the joints.  Bodies further apart are in other poses, or seen from elsewhere."""
MOST_SAID = 2


@dataclass(frozen=True)
class Difference:
    """One joint that differs.

    joint: one of `JOINTS`, of the hold; degrees: the hold's angle minus the reference's, above 0 where it is straighter
    or more open.
    """

    joint: str
    degrees: float


def compare_angles(held: BodyAngles, reference: BodyAngles, most: int = MOST_SAID) -> tuple[Difference, ...]:
    """Find the joints that differ most, the largest difference first; none where that is not sure.

    The reference is taken as it is or mirrored, whichever is more like the hold: a pose that is held on the other side
    than in the photo is compared with its mirror image.
    """
    choices = [_subtract(held, reference), _subtract(held, reference.mirror())]
    gaps, noise = min(choices, key=lambda choice: _measure_gap(choice[0]))
    sure = np.isfinite(gaps)
    if sure.sum() < LEAST_JOINTS or np.median(np.abs(gaps[sure])) > MOST_APART:
        return ()
    counts = sure & (np.abs(np.where(sure, gaps, 0)) >= np.maximum(MIN_DIFFERENCE, SPREADS * noise))
    order = sorted(np.flatnonzero(counts), key=lambda index: -abs(gaps[index]))
    return tuple(Difference(JOINTS[index], float(gaps[index])) for index in order[:most])


def _subtract(held: BodyAngles, reference: BodyAngles) -> tuple[Floats, Floats]:
    """How far apart the joints are, in degrees, and by how much that varies; float64 (8,)."""
    return held.degrees - reference.degrees, np.hypot(held.spread, reference.spread)


def _measure_gap(gaps: Floats) -> float:
    """How far apart two bodies are, in degrees; infinite where no joint is sure in both."""
    sure = gaps[np.isfinite(gaps)]
    return float(np.abs(sure).mean()) if sure.size else float("inf")


def describe_differences(
    differences: Sequence[Difference], side: Side | None = None, rule: SideRule | None = None, photos: int = 1
) -> str:
    """Say them in one line: `front knee 25 degrees straighter than in your photo`; an empty string for none.

    side: of the hold, and rule: what that side means in its pose, for the words of the legs; without them they are left
    and right.  photos: how many the reference was made of.
    """
    if not differences:
        return ""
    parts = [
        f"{_name_joint(difference.joint, side, rule)} {5 * round(abs(difference.degrees) / 5)} degrees "
        f"{_name_direction(difference)}"
        for difference in differences
    ]
    return f"{' and '.join(parts)} than in your {'photo' if photos == 1 else 'photos'}"


def _name_joint(joint: str, side: Side | None, rule: SideRule | None) -> str:
    own_side, name = joint.split("_")
    if side is None or rule is None or rule.words is None or name not in ("hip", "knee"):
        return f"{own_side} {name}"
    return f"{rule.words[0] if own_side == side else rule.words[1]} {name}"


def _name_direction(difference: Difference) -> str:
    more, less = (
        ("more open", "more closed") if difference.joint.endswith(("shoulder", "hip")) else ("straighter", "more bent")
    )
    return more if difference.degrees > 0 else less
