"""Marks without looking: only what a run is surest of, and never a photo of the test split."""

from __future__ import annotations

from dataclasses import dataclass

from .journal import RELABEL, REMOVE, TrackedPhoto
from .review_list import CleaningList


@dataclass(frozen=True)
class PlannedMark:
    """What should be done with a photo, and how sure that is, 0 to 1.  to_pose: only to relabel."""

    photo: TrackedPhoto
    action: str
    to_pose: str
    certainty: float


@dataclass(frozen=True)
class Plan:
    """What `--auto` does.  left_test: suspects of the test split, for a person to look at."""

    marks: tuple[PlannedMark, ...]
    left_test: int


def plan_marks(photos: CleaningList, certainty: float) -> Plan:
    """Relabel suspects whose suggestion is that probable; remove those whose label is that surely wrong otherwise.

    Whoever was marked by hand is left alone.  So is the test split: a network that takes out what it gets wrong makes
    its own accuracy look better.
    """
    marks: list[PlannedMark] = []
    left_test = 0
    for number in photos.select("likely"):
        entry = photos.entries[number]
        if not photos.is_suspect(number) or entry.photo.marks or entry.photo.is_removed:
            continue
        planned = _plan_one(photos, number, certainty)
        if planned and entry.split == "test":
            left_test += 1
        elif planned:
            marks.append(planned)
    return Plan(tuple(marks), left_test)


def _plan_one(photos: CleaningList, number: int, certainty: float) -> PlannedMark | None:
    entry = photos.entries[number]
    suggestion = photos.run.labels[int(photos.errors.suggestion[entry.index])]
    probable = photos.read_probability(number, suggestion) or 0.0
    wrong = float(photos.errors.certainty[entry.index])
    if probable >= certainty:
        return PlannedMark(entry.photo, RELABEL, suggestion, probable)
    if wrong >= certainty:
        return PlannedMark(entry.photo, REMOVE, "", wrong)
    return None
