"""Whether classes are told by people's bodies: poses and exercises are, hand signs and objects are not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from ...runtime.core.types import NO_POSE
from .cache import PhotoPeople

LEAST_SHARE = 0.5
"""Fraction of the photos that must show somebody."""


def are_bodies(found: Mapping[str, PhotoPeople]) -> bool:
    """Whether people are found in most of the photos; those of `none` may show nobody and do not count.

    found: path in the photo folder -> people, as `find_people` returns them.
    """
    shares = [len(each.people) > 0 for path, each in found.items() if name_class(path) != NO_POSE]
    return bool(shares) and sum(shares) >= LEAST_SHARE * len(shares)


def list_classes_of_bodies(found: Mapping[str, PhotoPeople]) -> tuple[str, ...]:
    """List the classes, `none` excepted, in most of whose photos people are found, sorted."""
    photos, people = Counter[str](), Counter[str]()
    for path, each in found.items():
        photos[name_class(path)] += 1
        people[name_class(path)] += len(each.people) > 0
    return tuple(sorted(name for name in photos if name != NO_POSE and people[name] >= LEAST_SHARE * photos[name]))


def name_class(path: str) -> str:
    """Name the class of a photo by its path in the photo folder."""
    return path.partition("/")[0]
