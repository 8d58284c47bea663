"""A hold beside one's own photo of the pose: the largest differences of the angles, in one calm line.

It compares, and judges nothing: what differs may be meant.  It says nothing where it is not sure.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ..core.types import Floats, Side
from ..errors import OptionError
from ..photos.decoding import decode_photo
from ..photos.kinds import is_photo
from ..system.item_failures import Failure, attempt
from .angles import JOINTS, BodyAngles, HoldAngles, measure_angles
from .finder import PeopleFinder
from .sides import SideRule, find_rule

MIN_DIFFERENCE = 20.0
"""Degrees; smaller differences come from the key points and the camera."""
SPREADS = 2.0
"""A difference counts if it is so many times what the angles vary by, both together."""
LEAST_JOINTS = 4
"""With fewer joints that are sure in both, nothing is said."""
MOST_APART = 30.0
"""Degrees, the median over the joints.  Bodies further apart are in other poses, or seen from elsewhere."""
MOST_SAID = 2
UNSEEN, WHOLE_BODY = "does not show somebody's arms and legs well enough", "give a photo of the whole body"
log = logging.getLogger(__name__)


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


def are_too_different(held: BodyAngles, reference: BodyAngles) -> bool:
    """Whether two bodies are sure, and in other poses, or seen from elsewhere."""
    gaps = min((_subtract(held, each)[0] for each in (reference, reference.mirror())), key=_measure_gap)
    sure = gaps[np.isfinite(gaps)]
    return len(sure) >= LEAST_JOINTS and float(np.median(np.abs(sure))) > MOST_APART


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


@dataclass(frozen=True)
class Reference:
    """One's own photos of a pose.  photos: how many show somebody well enough."""

    pose: str
    angles: BodyAngles
    photos: int

    def describe(self, pose: str, angles: Mapping[str, float], side: Side | None) -> str:
        """Say by how much a hold differs; empty for another pose, and where nothing is sure.

        angles: of its joints by name, degrees; side: on which it is held.
        """
        if pose != self.pose:
            return ""
        held = BodyAngles.from_json(angles)
        if are_too_different(held, self.angles):
            return f"too different from your {'photo' if self.photos == 1 else 'photos'} to compare"
        differences = compare_angles(held, self.angles)
        return describe_differences(differences, side, find_rule(pose), self.photos)


def read_reference(path: Path, pose: str, finder: PeopleFinder) -> Reference:
    """Measure the largest person of a photo, or of each photo in a folder.

    finder: one for photos finds more, see `PeopleFinder`.  A photo of a folder that cannot be read, or shows nobody
    well enough, is left out, and the log says why.  Raises OptionError where none is left, PhotoError where the one
    photo given cannot be read.
    """
    if not path.is_dir():
        angles = _measure_photo(path, finder)
        if angles is None:
            raise OptionError(f"--reference: {path} {UNSEEN}; {WHOLE_BODY}")
        return Reference(pose, _join([angles]), 1)
    try:
        inside = sorted(file for file in path.iterdir() if file.is_file() and is_photo(file))
    except OSError as error:
        raise OptionError(f"--reference {path} cannot be read: {error.strerror}") from None
    seen = [angles for file in inside if (angles := _try_photo(file, finder)) is not None]
    if not inside:
        raise OptionError(f"--reference: there are no photos in {path}; give a photo, or another folder")
    if not seen:
        raise OptionError(f"--reference: no photo in {path} can be used, for the reasons above; {WHOLE_BODY}")
    return Reference(pose, _join(seen), len(seen))


def _try_photo(file: Path, finder: PeopleFinder) -> Floats | None:
    """The angles of one photo of several; the log says why there are none."""
    angles = attempt(file, partial(_measure_photo, file, finder))
    if isinstance(angles, Failure):
        reason = angles.reason if str(file) in angles.reason else f"{file}: {angles.reason}"
        log.warning("--reference leaves out a photo: %s", reason)
        return None
    if angles is None:
        log.warning("--reference leaves out a photo: %s %s", file, UNSEEN)
    return angles


def _measure_photo(file: Path, finder: PeopleFinder) -> Floats | None:
    """The angles of the largest person, float (8,); None where too few joints are sure."""
    people = finder.find(decode_photo(file))
    if not len(people):
        return None
    largest = int(np.argmax((people.boxes[:, 2:] - people.boxes[:, :2]).prod(axis=1)))
    angles = measure_angles(people.keypoints[largest], people.keypoint_scores[largest])
    return angles if np.isfinite(angles).sum() >= LEAST_JOINTS else None


def _join(seen: Sequence[Floats]) -> BodyAngles:
    """The median of several photos, each as it is or mirrored, whichever is more like the first."""
    first, angles = _summarize(seen[0]), HoldAngles()
    for one in seen:
        body = _summarize(one)
        gaps = [_measure_gap(_subtract(each, first)[0]) for each in (body, body.mirror())]
        angles.add((body if gaps[0] <= gaps[1] else body.mirror()).degrees)
    return angles.summarize()


def _summarize(degrees: Floats) -> BodyAngles:
    angles = HoldAngles()
    angles.add(degrees)
    return angles.summarize()
