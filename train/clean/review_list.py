"""The views of the cleaning page and their order: likely label errors, conflicts, near-duplicates, all photos."""

from __future__ import annotations

import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ...calibration.runs import Run, RunPhoto
from ...runtime.core.types import NO_POSE, Frame
from ...runtime.errors import RunError
from ...runtime.photos.decoding import decode_photo
from ...runtime.system.item_failures import Failure, attempt
from ..people.flags import KINDS, PhotoFlag, find_flags
from ..photos.drawn_none import find_drawn
from ..photos.folder import HASH_SIDE, hash_photo, list_poses
from ..photos.mirroring import had_mirror_copies
from ..photos.picture_groups import group_pictures
from ..photos.same_picture import SIDE, make_thumbnail
from ..run_files.predictions import Predictions
from .cleaner import Cleaner
from .journal import TrackedPhoto
from .label_errors import LabelErrors, find_label_errors

VIEWS = ("likely", "conflicts", "duplicates", "people", "all", "removed", "marked")
LAZY = ("conflicts", "people")  # views that are made when someone asks for them
NO_SPLIT = "new"  # a photo that came after the run
GUESSES = 3  # predictions of the network shown with a photo

SEEN_TRAINING = (
    "This network was trained on the training photos, so it is sure of them even if their label is wrong; "
    "yoga-train fit --folds 5 finds more."
)
DOUBTED = "The labels in the first view are only doubted by the network: "


@dataclass(frozen=True)
class Entry:
    """One photo of the list.  index: its row in the run, or -1.  pose: its pose when the list was made.

    group: its duplicate group in the run, or -1.
    """

    photo: TrackedPhoto
    index: int
    pose: str
    split: str
    group: int


class CleaningList:
    """The photos of a cleaner with the predictions of a run.  An entry keeps its number and position.

    So a marked photo stays where it was, and the user keeps the place.  Raises RunError if the run belongs to another
    folder.

    targets: int (N,), the labels of the run's photos; unseen: bool (N,), photos, no drawings of `none`,
    that were predicted by a network not trained on them.
    replaced: number of photos of the run that were replaced by another picture.
    """

    def __init__(self, cleaner: Cleaner, run: Run, predictions: Predictions) -> None:
        self.cleaner, self.run, self.predictions = cleaner, run, predictions
        self.targets = np.array([run.labels.index(photo.pose) for photo in run.photos], np.int64)
        held_out = np.array([predictions.out_of_fold or photo.split != "train" for photo in run.photos], bool)
        self.unseen = held_out & ~find_drawn(photo.path for photo in run.photos)
        self.errors: LabelErrors = find_label_errors(predictions.probabilities, self.targets, self.unseen)
        self.poses = _merge_poses(run.labels, list_poses(cleaner.folder, least=1))
        self.replaced = 0
        self.entries = self._match()
        self._numbers = {id(entry.photo): number for number, entry in enumerate(self.entries)}
        self.missing = len(run.photos) - sum(entry.index >= 0 for entry in self.entries)
        self._orders: dict[str, list[int]] = {
            "likely": self._rank(),
            "duplicates": _flatten([group for group in self._group_entries() if len(group) > 1]),
            "all": sorted(range(len(self.entries)), key=lambda number: self.entries[number].photo.path),
        }
        self._pictures: dict[int, int] = {}
        self._flags: dict[int, PhotoFlag] = {}
        self.people_note = ""
        self._stopped = threading.Event()
        self._crossing = [number for group in self._group_entries() if self._crosses(group) for number in group]

    def _match(self) -> list[Entry]:
        """Find each photo of the run: by the journal or its path, else by its content.

        If another picture is now at its path, that one is not in the run.
        """
        indices: dict[int, int] = {}
        by_place: dict[tuple[str, str], TrackedPhoto] = {}
        by_path: dict[str, TrackedPhoto] = {}
        known: set[str] = set()
        by_content: dict[str, TrackedPhoto] = {}
        for photo in self.cleaner.photos:
            by_place.update({(place, photo.sha256): photo for place in photo.places})
            if photo.sha256:
                known.add(photo.path)
            else:
                by_path[photo.path] = photo
            by_content.setdefault(photo.sha256, photo)
        for index, row in enumerate(self.run.photos):
            found = by_place.get((row.path, row.sha256)) or by_path.get(row.path) or by_content.get(row.sha256)
            if found:
                indices.setdefault(id(found), index)
            elif row.path in known:
                self.replaced += 1
        if not indices:
            raise RunError(
                f"none of the {len(self.run.photos)} photos of {self.run.folder} lies in {self.cleaner.folder}; "
                "name the folder that the run was trained with"
            )
        return [self._make_entry(photo, indices.get(id(photo), -1)) for photo in self.cleaner.photos]

    def _make_entry(self, photo: TrackedPhoto, index: int) -> Entry:
        row: RunPhoto | None = self.run.photos[index] if index >= 0 else None
        return Entry(photo, index, photo.pose, row.split if row else NO_SPLIT, row.group if row else -1)

    def _rank(self) -> list[int]:
        number_of = {entry.index: number for number, entry in enumerate(self.entries)}
        return [number_of[index] for index in self.errors.order.tolist() if index in number_of]

    def _group_entries(self) -> list[list[int]]:
        """Group the existing photos by duplicate group."""
        members: dict[int, list[int]] = defaultdict(list)
        for number, entry in enumerate(self.entries):
            if entry.group >= 0 and not entry.photo.is_removed:
                members[entry.group].append(number)
        return list(members.values())

    def find_conflicts(self) -> None:
        """Find pictures that lie under several poses.  Decodes the photos that may be among them.

        Copies of a picture are never split, so only groups of the run that cross poses need looking at.
        """
        if self.knows("conflicts"):
            return
        with ThreadPoolExecutor() as pool:
            found = list(pool.map(lambda number: self._identify(self.entries[number].photo), self._crossing))
        known = [(number, facts) for number, facts in zip(self._crossing, found, strict=True) if facts]
        hashes = np.array([facts[:2] for _, facts in known], np.uint64).reshape(-1, 2)
        thumbnails = np.array([facts[2] for _, facts in known], np.uint8).reshape(-1, SIDE, SIDE)
        pictures: dict[int, list[int]] = defaultdict(list)
        mirror = had_mirror_copies(self.run.summary["config"], self.run.labels)
        numbers = group_pictures(hashes[:, 0], hashes[:, 1], thumbnails, mirror=mirror).tolist()
        for (number, _), picture in zip(known, numbers, strict=True):
            pictures[picture].append(number)
            self._pictures[number] = picture
        self._orders["conflicts"] = _flatten([group for group in pictures.values() if self._crosses(group)])

    def find_people(self) -> None:
        """Find photos of nobody, of several people and collages; `people_note` says where none are looked for."""
        if self.knows("people"):
            return
        numbers = {e.photo.path: n for n, e in enumerate(self.entries) if e.photo.sha256 and not e.photo.is_removed}
        contents = {path: self.entries[n].photo.sha256 for path, n in numbers.items()}
        found = find_flags(self.cleaner.folder, contents, self._stopped.is_set)
        self._flags = {numbers[path]: flag for path, flag in found.flags.items()}
        self.people_note = found.note
        self._orders["people"] = sorted(
            self._flags, key=lambda n: (KINDS.index(self._flags[n].kind), self.entries[n].photo.path)
        )

    def find_start(self) -> str:
        """Find the view to open on: the first with a photo that is not marked yet, else all photos.

        Finds conflicts where no likely wrong label is left.  `people` is not waited for, which may take minutes.
        """
        if self._has_open([number for number in self._orders["likely"] if self.is_suspect(number)]):
            return "likely"
        self.find_conflicts()
        return next((view for view in ("conflicts", "duplicates") if self._has_open(self._orders[view])), "all")

    def _has_open(self, numbers: list[int]) -> bool:
        return any(not self.entries[number].photo.marks for number in numbers)

    def stop(self) -> None:
        """End `find_people`, which may take minutes, in another thread."""
        self._stopped.set()

    def find_flag(self, number: int) -> PhotoFlag | None:
        """Find why an entry is in the view `people`; None if it is not."""
        return self._flags.get(number)

    def knows(self, view: str) -> bool:
        """Whether a view can be shown at once."""
        return view not in LAZY or view in self._orders

    def _crosses(self, group: list[int]) -> bool:
        return len({self.entries[number].pose for number in group}) > 1

    def _identify(self, photo: TrackedPhoto) -> tuple[int, int, Frame] | None:
        """Both hashes and the thumbnail, as `fit` makes them."""

        def read() -> tuple[int, int, Frame]:
            frame = decode_photo(self.cleaner.locate(photo), min_side=HASH_SIDE)
            return (*hash_photo(frame), make_thumbnail(frame))

        facts = attempt(photo.path, read)
        return None if isinstance(facts, Failure) else facts

    def select(self, view: str, pose: str = "", split: str = "") -> list[int]:
        """List the numbers of a view's entries in order.  A pose matches the current label and the first one."""
        if view in ("removed", "marked"):
            numbers = [n for n in self._orders["all"] if self._belongs(self.entries[n].photo, view)]
        else:
            numbers = self._orders.get(view, [])
        if not pose and not split:
            return numbers
        return [number for number in numbers if self._fits(self.entries[number], pose, split)]

    def _belongs(self, photo: TrackedPhoto, view: str) -> bool:
        return photo.is_removed if view == "removed" else bool(photo.marks)

    def _fits(self, entry: Entry, pose: str, split: str) -> bool:
        return (not pose or pose in (entry.pose, entry.photo.pose)) and (not split or entry.split == split)

    def find_number(self, photo: TrackedPhoto) -> int | None:
        """Find the number of a photo's entry; None for a file that was missing when the list was made."""
        return self._numbers.get(id(photo))

    def find_group(self, number: int, view: str) -> int:
        """Find the group of an entry: of the same picture in conflicts, the kind in people, else its duplicate group.

        -1 if there is none.
        """
        if view == "people":
            return KINDS.index(self._flags[number].kind) if number in self._flags else -1
        return self._pictures.get(number, -1) if view == "conflicts" else self.entries[number].group

    def is_suspect(self, number: int) -> bool:
        """Whether the label of an entry is likely wrong, by the run."""
        index = self.entries[number].index
        return index >= 0 and bool(self.errors.suspect[index])

    def list_guesses(self, number: int) -> list[tuple[str, float]]:
        """List the network's predictions, likeliest first; empty for a photo without one."""
        index = self.entries[number].index
        if index < 0:
            return []
        row = self.predictions.probabilities[index]
        return [(self.run.labels[i], float(row[i])) for i in np.argsort(-row)[:GUESSES]]

    def read_probability(self, number: int, pose: str) -> float | None:
        """Read the probability of a pose for this photo; None for a photo without a prediction."""
        index = self.entries[number].index
        if index < 0 or pose not in self.run.labels:
            return None
        return float(self.predictions.probabilities[index, self.run.labels.index(pose)])


def _merge_poses(labels: tuple[str, ...], folders: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({*labels, *folders}, key=lambda name: (name == NO_POSE, name)))


def _flatten(groups: list[list[int]]) -> list[int]:
    return [number for group in sorted(groups, key=len, reverse=True) for number in group]
