"""One frame, observed: the part that is cropped, classified, and what the network saw where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ..classifier import PoseClassifier
from ..core.frames import TimedFrame
from ..core.model_metadata import ModelInfo
from ..core.preprocess import letterbox
from ..core.regions import Region, Roi
from ..core.types import ClassMaps, Floats, Frame, Hold
from ..cropping.croppers import Cropper, WholeFrame
from ..people.cropper import PeopleMode, PersonCropper, choose_cropper
from ..people.framing import shows_whole_body
from ..people.landmarks import LANDMARKS, measure_landmarks
from ..people.mats import Settled
from ..people.tracks import Person
from .sight import Look

BATCH = 8
"""People in one run of the network: what an engine of yoga-export takes at once."""


@dataclass(frozen=True)
class Tracked:
    """What is known at a moment: what is held, and the part of the frame that was observed (None: all of it).

    class_maps: what the newest observation found where, if that was asked for.  person: whom that is about, where
    people are looked for; people: all who are there.  holds: what each of them holds by number, where several people
    are followed.
    """

    hold: Hold
    region: Region | None
    class_maps: ClassMaps | None = None
    person: Person | None = None
    people: tuple[Person, ...] = ()
    holds: Mapping[int, Hold] = field(default_factory=dict)


@dataclass(frozen=True)
class Crops:
    """The parts of a frame that are classified.

    region: the main person's, or all that there is (None: the whole frame).  person: the main person.  people: all who
    are there.  group: whom else is classified and where, by number, the main person included; None: nobody else is.
    Who may be on a mat has a number below 0; settled: of whom that has become certain with this frame.  looked_s: when
    people were last looked for, seconds; None: they are not looked for.
    """

    region: Region | None
    person: Person | None = None
    people: tuple[Person, ...] = ()
    group: tuple[tuple[int, Region | None], ...] | None = None
    settled: tuple[Settled, ...] = ()
    looked_s: float | None = None

    def shows_whole(self, person: Person | None) -> bool:
        """Whether the newest look of the finder saw all of somebody; True where people are not looked for."""
        if self.looked_s is None:
            return True
        return person is not None and person.seen_s >= self.looked_s and shows_whole_body(person.keypoint_scores)

    @property
    def regions(self) -> tuple[Region | None, ...]:
        """All that is classified, in order; the only one where no group is."""
        return (self.region,) if self.group is None else tuple(region for _, region in self.group)


@dataclass(frozen=True)
class Observation:
    """What one frame answered.

    region: the part that was classified; probabilities: calibrated, float (C,), of the main person; class_maps: if it
    was asked for; crops: who was found where; rows: the group's probabilities, float (P, C).
    """

    time_s: float
    region: Region | None
    probabilities: Floats
    class_maps: ClassMaps | None = None
    crops: Crops | None = None
    rows: Floats | None = None

    def look(self) -> Look:
        """What it says of the main person."""
        crops = self.crops or Crops(self.region)
        return Look(self.time_s, self.probabilities, crops.person, crops.shows_whole(crops.person))


def observe_nothing(classes: int) -> Floats:
    """The probabilities of an observation that saw nothing, float32 (C,): none at all, where others add up to one."""
    return np.zeros(classes, np.float32)


@dataclass(frozen=True)
class PreparedFrame:
    """A frame as the network will see it.

    region: the part that is left of it; letterboxed: uint8 (S, S, 3) BGR, or of a group uint8 (P, S, S, 3).
    """

    time_s: float
    region: Region | None
    letterboxed: Frame
    crops: Crops | None = None


class Observer:
    """Cropper and classifier in a row.  explains: whether its observations say where."""

    def __init__(self, classifier: PoseClassifier, cropper: Cropper | None = None, *, explain: bool = False) -> None:
        self._classifier, self._cropper, self.explains = classifier, cropper or WholeFrame(), explain
        self._next: Cropper | None = None

    @property
    def classes(self) -> int:
        """How many labels there are."""
        return len(self._classifier.labels)

    @property
    def finds_people(self) -> bool:
        """Whether people are looked for."""
        return isinstance(self._cropper, PersonCropper)

    @property
    def follows_group(self) -> bool:
        """Whether each of several people is followed."""
        return follows_group(self._cropper)

    def observe(self, frame: TimedFrame, *, warms: bool = False) -> Observation:
        """Classify a frame; its time never goes back.  warms: show it to the next cropper too."""
        image_bgr, crops = self._crop_frame(frame, warms=warms)
        if crops.group is not None:
            return self.observe_prepared(self._letterbox_group(frame.time_s, image_bgr, crops))
        described = self._describe_people(crops)
        landmarks = None if described is None else described[0]
        if self.explains:
            probabilities, maps = self._classifier.examine(image_bgr, crops.region, landmarks)
            return Observation(frame.time_s, crops.region, probabilities, maps, crops)
        probabilities = self._classifier.probabilities(image_bgr, crops.region, landmarks)
        return Observation(frame.time_s, crops.region, probabilities, crops=crops)

    def prepare(self, frame: TimedFrame, *, warms: bool = False) -> PreparedFrame:
        """Keep of a frame what the network needs, for `observe_prepared`; arguments as `observe` has them."""
        image_bgr, crops = self._crop_frame(frame, warms=warms)
        if crops.group is not None:
            return self._letterbox_group(frame.time_s, image_bgr, crops)
        letterboxed = self._letterbox(image_bgr, crops.region)
        return PreparedFrame(frame.time_s, crops.region, letterboxed, crops)

    def observe_prepared(self, prepared: PreparedFrame) -> Observation:
        """Classify what was kept."""
        crops = prepared.crops
        landmarks = self._describe_people(crops) if crops else None
        if crops is None or crops.group is None:
            rows = self._classifier.probabilities_letterboxed(prepared.letterboxed[None], landmarks)
            return Observation(prepared.time_s, prepared.region, rows[0], crops=crops)
        rows = np.zeros((len(crops.group), self.classes))
        for start in range(0, len(rows), BATCH):
            part = slice(start, start + BATCH)
            own = None if landmarks is None else landmarks[part]
            rows[part] = self._classifier.probabilities_letterboxed(prepared.letterboxed[part], own)
        return Observation(prepared.time_s, prepared.region, pick_main(crops, rows), crops=crops, rows=rows)

    def warm_up(self, frame: TimedFrame) -> None:
        """Show a frame to the next cropper alone; nothing is classified."""
        if self._cropper.remembers:
            self._show_next(frame.time_s, frame.image_bgr)

    def forget(self) -> None:
        """Make the next cropper out of nothing."""
        self._next = None

    def turn(self) -> None:
        """Go on with the next cropper."""
        self._cropper, self._next = self._next or self._cropper.renew(), None

    def _crop_frame(self, frame: TimedFrame, *, warms: bool) -> tuple[Frame, Crops]:
        image_bgr = frame.image_bgr  # made when it is asked for: once
        if warms:
            self._show_next(frame.time_s, image_bgr)
        region, cropper = self._cropper.choose_crop(frame.time_s, image_bgr), self._cropper
        if not isinstance(cropper, PersonCropper):
            return image_bgr, Crops(region)
        found = cropper.person, cropper.people, cropper.group, cropper.settled
        return image_bgr, Crops(region, *found, looked_s=cropper.looked_s)

    def _describe_people(self, crops: Crops) -> Floats | None:
        """What the second opinion sees of each person who is classified, float32 (P, 53), zeros for nobody.

        NaN where somebody was missed by the newest look: key points of an earlier picture say nothing of this one.
        None where the model has none, or people are not looked for.
        """
        if self._classifier.second_opinion is None or not self.finds_people:
            return None
        numbers = [crops.person and crops.person.number] if crops.group is None else [n for n, _ in crops.group]
        people = {person.number: person for person in crops.people}
        found = [people.get(number or 0) for number in numbers]
        return np.array([self._describe(person, len(people), crops.looked_s or 0.0) for person in found], np.float32)

    def _describe(self, person: Person | None, count: int, looked_s: float) -> Floats:
        if person is None:
            return np.zeros(LANDMARKS, np.float32)
        if person.seen_s < looked_s:
            return np.full(LANDMARKS, np.nan, np.float32)
        return measure_landmarks(person.keypoints, person.keypoint_scores, person.score, count - 1)

    def _letterbox(self, image_bgr: Frame, region: Region | None) -> Frame:
        return letterbox(region.cut(image_bgr) if region else image_bgr, self._classifier.info.size)

    def _letterbox_group(self, time_s: float, image_bgr: Frame, crops: Crops) -> PreparedFrame:
        size = self._classifier.info.size
        letterboxed = np.empty((len(crops.regions), size, size, 3), np.uint8)
        for number, region in enumerate(crops.regions):
            letterboxed[number] = self._letterbox(image_bgr, region)
        return PreparedFrame(time_s, crops.region, letterboxed, crops)

    def _show_next(self, time_s: float, image_bgr: Frame) -> None:
        if self._cropper.remembers:
            self._next = self._next or self._cropper.renew()
            self._next.choose_crop(time_s, image_bgr)


def open_cropper(
    classifier: PoseClassifier,
    roi: Roi | None,
    zoom: bool,
    size_wh: tuple[int, int] | None,
    people: PeopleMode = "main",
    *,
    mats: bool = False,
) -> Cropper:
    """Open the cropper for a classifier; arguments and errors as `choose_cropper` has them."""
    has_opinion = classifier.second_opinion is not None
    chosen = roi, zoom, size_wh, people, classifier.open_people_finder
    share = classifier.info.person_share
    return choose_cropper(*chosen, mats=mats, second_opinion=has_opinion, most_share=share)


def follows_group(cropper: Cropper | None) -> bool:
    """Whether a cropper follows each of several people."""
    return isinstance(cropper, PersonCropper) and cropper.group is not None


def find_info(classifier: PoseClassifier, cropper: Cropper | None) -> ModelInfo:
    """The classifier's labels and threshold for what this cropper shows it."""
    return classifier.info_with_people if isinstance(cropper, PersonCropper) else classifier.info


def pick_main(crops: Crops, rows: Floats) -> Floats:
    """The main person's probabilities of a group's, float (P, C); none at all where nobody is."""
    numbers = [number for number, _ in crops.group or ()]
    if crops.person is None or crops.person.number not in numbers:
        return observe_nothing(rows.shape[1])
    return rows[numbers.index(crops.person.number)]
