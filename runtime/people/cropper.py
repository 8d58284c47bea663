"""A steady crop around the main person of a video."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ..core.goals import PerSide
from ..core.regions import Box, Region, Roi
from ..core.types import Frame
from ..cropping.croppers import Cropper, FixedCropper, WholeFrame, ZoomCropper
from ..cropping.steady_crop import SteadyConfig, SteadyCrop
from ..errors import MissingPackageError, OptionError
from .finder import SIDE, PeopleFinder
from .framing import MARGIN, frame_person
from .mats import Settled
from .sides import find_rule
from .tracks import Person, find_middle
from .two_scales import FAR_SIDE, TwoScaleFinder
from .watcher import PeopleWatcher

log = logging.getLogger(__name__)
OpenFinder = Callable[[int], PeopleFinder]
"""Opens a finder with an input of this longer side, pixels."""
PeopleMode = Literal["main", "all", "off"] | int
"""`--people`: who is followed; a number: at most so many people."""
MOST_PEOPLE = 8
"""Whom `all` follows: who is further away in a larger group is too small to be told a pose of."""

MISSED_S = 0.9
"""Who has not been found for so long is not the main person, where others are, and holds nothing that could be seen."""


def parse_people(text: str) -> PeopleMode:
    """Read `--people`.  Raises OptionError."""
    people = int(text) if text.isascii() and text.isdecimal() and len(text) < 4 else text
    check_people(people)
    return people  # pyright: ignore[reportReturnType]


def check_people(people: object) -> None:
    """Raise OptionError unless it is a `PeopleMode`."""
    is_number = isinstance(people, int) and not isinstance(people, bool) and 1 <= people <= MOST_PEOPLE
    if not is_number and people not in ("main", "all", "off"):
        raise OptionError(
            f"--people {people} is not known; give main, all, off or the number of people, up to {MOST_PEOPLE}"
        )


def check_group(people: PeopleMode, *, mats: bool = False, explain: bool = False, zoom: bool = True) -> None:
    """Raise OptionError for mats without several people, and for class maps or the whole frame with them."""
    if not zoom and count_followed(people) is not None:
        raise OptionError(f"--zoom off classifies the whole frame; leave it out, or --people {people}")
    if mats and count_followed(people) is None:
        raise OptionError("--mats tells several people by their places; add --people all or a number")
    if explain and count_followed(people) is not None:
        raise OptionError(f"--explain shows where one person's pose is seen; leave it out, or --people {people}")


def check_sides(goals_s: Mapping[str, float], people: PeopleMode, *, zoom: bool = True) -> None:
    """Raise OptionError for a goal for each side of a pose without sides, or where people are not found."""
    for pose, goal_s in goals_s.items():
        if not isinstance(goal_s, PerSide):
            continue
        if people == "off" or not zoom:
            off = "--people off" if people == "off" else "--zoom off"
            raise OptionError(f"--goal {pose}={goal_s:g}/side needs people to be found; leave out {off}")
        if find_rule(pose) is None:
            raise OptionError(f"--goal {pose}={goal_s:g}/side: {pose} has no sides; give {pose}={goal_s:g}")


def count_followed(people: PeopleMode) -> int | None:
    """How many people are followed, each on their own; None: the main person alone, or nobody."""
    return MOST_PEOPLE if people == "all" else people if isinstance(people, int) else None


@dataclass(frozen=True)
class MainConfig:
    """Who of several people is the main one."""

    off_centre: float = 0.5  # what somebody loses at the border of the picture
    age_s: float = 3.0  # who has been there for less counts less
    still: float = 0.6  # who has never moved may be a poster
    lead: float = 1.3  # another must be so much more prominent than the main person
    lead_s: float = 2.0  # for so long


class MainPerson:
    """Chooses the main person: the largest, most central, steadiest; another takes over once clearly ahead."""

    def __init__(self, config: MainConfig | None = None) -> None:
        self._config = config or MainConfig()
        self._number: int | None = None
        self._rival_since_s: float | None = None

    def choose(self, time_s: float, people: tuple[Person, ...], area: Region) -> Person | None:
        """Choose among the people at `time_s`, seconds.  area: where they may be, pixels.  None: there is nobody."""
        if not people:
            self._number = self._rival_since_s = None
            return None
        newest_s = max(person.seen_s for person in people)
        there = [person for person in people if newest_s - person.seen_s < MISSED_S]
        values = {person.number: self._weigh(person, area) for person in people}
        best = max(there, key=lambda person: values[person.number]).number
        if self._number not in values or (best != self._number and self._is_missed(people)):
            self._number, self._rival_since_s = best, None
        elif values[best] < self._config.lead * values[self._number] or best == self._number:
            self._rival_since_s = None
        elif self._rival_since_s is None:
            self._rival_since_s = time_s
        elif time_s - self._rival_since_s >= self._config.lead_s:
            self._number, self._rival_since_s = best, None
        return next(person for person in people if person.number == self._number)

    def _is_missed(self, people: tuple[Person, ...]) -> bool:
        """Whether others have been found since the main person was."""
        seen_s = next(person.seen_s for person in people if person.number == self._number)
        return max(person.seen_s for person in people) - seen_s >= MISSED_S

    def rank(self, people: tuple[Person, ...], area: Region) -> list[Person]:
        """The people, the most prominent first."""
        return sorted(people, key=lambda person: -self._weigh(person, area))

    def _weigh(self, person: Person, area: Region) -> float:
        config = self._config
        size = person.size / np.sqrt(area.width * area.height)
        middle = (find_middle(person.box) - (area.left, area.top)) / (area.width, area.height)
        off_centre = min(float(np.abs(middle - 0.5).max()) * 2, 1.0)
        age = min((person.seen_s - person.since_s) / config.age_s, 1.0)
        moved = 1.0 if person.has_moved else config.still
        return float(size * (1 - config.off_centre * off_centre) * (0.5 + age / 2) * moved * np.sqrt(person.score))


@dataclass(frozen=True)
class PersonCropConfig:
    """How the main person is framed."""

    margin: float = MARGIN
    most_share: float = 1.0  # of the crop that a person fills: no more than in the photos that were trained on
    steady: SteadyConfig = field(default_factory=SteadyConfig)


class PersonCropper:
    """A steady crop around the main person; the whole frame, or the region, while nobody is found.

    person: the main person of the last frame, None where nobody was.  people: all who were there.  group: whom else to
    classify, and where, by number, the main person included; None: the main person alone.  Who may be on a mat has a
    number below 0 in it; settled: of whom that has become certain with the last frame.  looked_s: when people were last
    looked for, seconds.
    """

    remembers = True
    settled: tuple[Settled, ...] = ()
    looked_s: float | None = None

    def __init__(
        self,
        watcher: PeopleWatcher,
        roi: Roi | None = None,
        config: PersonCropConfig | None = None,
        *,
        zoom: bool = True,
        most: int | None = None,
    ) -> None:
        """roi: look for people in this part alone.  zoom: crop; False: the main person is only found.

        most: follow so many people, each with a crop; None: the main person alone.
        """
        self._watcher, self._roi, self._config = watcher, roi, config or PersonCropConfig()
        self._zoom, self._most = zoom, most
        self._main = MainPerson()
        self._crops: dict[int, SteadyCrop] = {}
        self.person: Person | None = None
        self.people: tuple[Person, ...] = ()
        self.group: tuple[tuple[int, Region | None], ...] | None = None if most is None else ()

    def choose_crop(self, time_s: float, frame_bgr: Frame) -> Region | None:
        """Find the people, choose the main one, and frame them.  Raises OptionError where the region does not fit."""
        height, width = frame_bgr.shape[:2]
        given = self._roi.to_region((width, height)) if self._roi else None
        area = given or Region(0, 0, width, height)
        self.people = self._watcher.update(time_s, frame_bgr, given)
        self.settled, self.looked_s = self._watcher.settled, self._watcher.looked_s
        self._crops |= {each.mat: self._crops[each.person] for each in self.settled if each.person in self._crops}
        group = self.people if self._most is None else self._choose_group(area)
        self.person = self._main.choose(time_s, tuple(person for person in group if person.number > 0), area)
        followed = group if self._most is not None else (self.person,) if self.person else ()
        self._crops = {
            person.number: self._crops.get(person.number) or SteadyCrop(self._config.steady) for person in followed
        }
        crops = {person.number: self._crop(time_s, person, area, (width, height)) for person in followed}
        crops = {number: None if region.is_whole(frame_bgr) else region for number, region in crops.items()}
        if self._most is not None:
            self.group = tuple(sorted(crops.items()))
        if self.person is None or not self._zoom:
            return given
        return crops[self.person.number]

    def _choose_group(self, area: Region) -> tuple[Person, ...]:
        """Whom to follow: who is on a mat, or followed already, then the most prominent; nobody who is missed."""
        newest_s = max((person.seen_s for person in self.people), default=0.0)
        newest_s = max(newest_s, self._watcher.looked_s)
        there = tuple(person for person in self.people if newest_s - person.seen_s < MISSED_S)
        ranked = self._main.rank(there, area)
        order = sorted(ranked, key=lambda person: (person.number < 0, person.number not in self._crops))
        return tuple(order[: self._most])

    def _crop(self, time_s: float, person: Person, area: Region, size_wh: tuple[int, int]) -> Region:
        """Somebody's crop: at once where they are found first, then calmly."""
        target, crop = self._frame(person, area, size_wh), self._crops[person.number]
        box = crop.update(time_s, target) if crop.has_begun else crop.jump(time_s, target)
        return box.to_region(size_wh)

    def _frame(self, person: Person, area: Region, size_wh: tuple[int, int]) -> Box:
        """The square around somebody, as far as it lies in the area, in fractions of the frame."""
        box = person.box - np.tile(np.array([area.left, area.top], np.float32), 2)
        region = frame_person(box, (area.width, area.height), self._config.margin, self._config.most_share)
        left, top = area.left + region.left, area.top + region.top
        (width, height), right, bottom = size_wh, left + region.width, top + region.height
        return Box(left / width, top / height, right / width, bottom / height)

    def renew(self) -> PersonCropper:
        """Make a cropper that has not found anybody yet."""
        return PersonCropper(self._watcher.renew(), self._roi, self._config, zoom=self._zoom, most=self._most)


def choose_cropper(
    roi: Roi | None,
    zoom: bool,
    size_wh: tuple[int, int] | None,
    people: PeopleMode = "off",
    open_finder: OpenFinder | None = None,
    *,
    mats: bool = False,
    second_opinion: bool = False,
    most_share: float = 1.0,
) -> Cropper:
    """Choose the cropper for frames of this size, if it is known.  Raises OptionError for a region that does not fit.

    people: whom the crop follows, found by what `open_finder` opens; "off": it follows what moves, or stays with the
    region.  Without `zoom` nothing is followed, but each of several people.  mats: number those by their places.
    second_opinion: the model has one, so people are looked for without `zoom`, too.  most_share: as `PersonCropConfig`
    has it.
    """
    if roi and size_wh:
        roi.to_region(size_wh)
    most = count_followed(people)
    if open_finder and people != "off" and (zoom or most is not None or second_opinion):
        try:
            finder = TwoScaleFinder(open_finder(SIDE), open_finder(FAR_SIDE), always=most is not None)
        except MissingPackageError as error:
            if most is not None:
                raise
            log.warning("people are not looked for, so the crop follows what moves: %s", error)
        else:
            config = PersonCropConfig(most_share=most_share)
            return PersonCropper(PeopleWatcher(finder, mats=mats), roi, config, zoom=zoom, most=most)
    if roi:
        return FixedCropper(roi)
    return ZoomCropper() if zoom else WholeFrame()
