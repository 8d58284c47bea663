"""`--reference`: one's own photos of a pose, read before a video is watched."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..errors import OptionError
from .options import read_people

if TYPE_CHECKING:
    from ..classifier import PoseClassifier
    from ..core.types import Segment
    from ..people.reference import Reference


def check_reference(args: argparse.Namespace) -> None:
    """Refuse options that do not go together, before any work is done.  Raises OptionError."""
    if args.pose and not args.reference:
        raise OptionError("--pose names the pose of --reference PHOTO; give both")
    if args.reference and not args.pose:
        raise OptionError(f"--reference {args.reference} needs the pose that it shows, such as --pose tree")
    if args.reference and (args.zoom == "off" or read_people(args) == "off"):
        raise OptionError("--reference compares people, who are not looked for with --people off or --zoom off")
    if args.reference and not args.reference.exists():
        raise OptionError(f"--reference {args.reference} does not exist; give a photo or a folder of photos")


def read_reference_of(args: argparse.Namespace, classifier: PoseClassifier) -> Reference | None:
    """Read the photos.  Raises OptionError for a pose that the model does not know, and where nobody is seen."""
    if not args.reference:
        return None
    from ..core.allowed_poses import explain_excluded
    from ..core.types import NO_POSE
    from ..people.finder import PeopleFinder
    from ..people.reference import read_reference

    poses = [label for label in classifier.labels if label != NO_POSE]
    if args.pose in classifier.excluded_poses:
        raise OptionError(f"--pose {args.pose}: {explain_excluded(args.pose, poses)}")
    if args.pose not in poses:
        raise OptionError(f"--pose {args.pose}: this model has no such pose; give one of {', '.join(poses)}")
    return read_reference(args.reference, args.pose, PeopleFinder("cpu", margin=0.08, min_score=0.25))


def describe_difference(reference: Reference | None, segment: Segment) -> str:
    """How a hold differs from the photos, indented for the report; empty where nothing is said."""
    words = reference.describe(segment.pose, segment.angles, segment.side) if reference else ""
    return f"{'':18}{words}" if words else ""
