"""Automatic marks: only what a run is surest of, and never a photo of the test split."""

from __future__ import annotations

from dataclasses import dataclass

from .journal import RELABEL, REMOVE, TrackedPhoto
from .review_list import CleaningList


@dataclass(frozen=True)
class PlannedMark:
    """A mark to make.  certainty: 0 to 1; to_pose: only for relabel."""

    photo: TrackedPhoto
    action: str
    to_pose: str
    certainty: float


@dataclass(frozen=True)
class Plan:
    """What `--auto` does.  left_test: number of suspects in the test split, for a person to check."""

    marks: tuple[PlannedMark, ...]
    left_test: int


def plan_marks(photos: CleaningList, certainty: float) -> Plan:
    """Relabel suspects whose suggestion is probable enough; remove others whose label is wrong with that certainty.

    Photos that were marked already are left alone.  So is the test split: a network that removes its own mistakes
    makes its accuracy look better.
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
