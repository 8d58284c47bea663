"""Follow people from look to look: each keeps a number while it is found again near where it is expected."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from ..core.types import Floats
from .people import People


@dataclass(frozen=True)
class TrackConfig:
    """How people are told apart over time.  Lengths are in body sizes: the square root of the box's area."""

    start_score: float = 0.25  # who is new must be this sure, 0 to 1
    least_score: float = 0.12  # who is known is followed down to here
    confirm_looks: int = 2  # and found so often, unless nobody was there before
    reach: float = 0.4  # key points that are so far from where they are expected lower the likeness to 1/e
    least_likeness: float = 0.12  # below it, it is somebody else
    sure_point: float = 0.2  # key points below this score say nothing of where somebody is
    lost_s: float = 3.0  # somebody who is not found for so long has gone
    moved: float = 0.5  # who went so far is no poster


@dataclass(frozen=True, eq=False)
class Person:
    """One person of a video, as last found.

    number: 1, 2, ..., in the order in which people came.  box: float32 (4,), left, top, right, bottom in pixels of the
    frame.  keypoints: float32 (17, 2), x and y in pixels, in the order of `KEYPOINTS`.  keypoint_scores: float32 (17,),
    0 to 1.  score: how sure it is that this is a person, 0 to 1.  since_s, seen_s: when found first and last, seconds.
    has_moved: whether it has been seen to move, as a picture on the wall never is.
    """

    number: int
    box: Floats
    keypoints: Floats
    keypoint_scores: Floats
    score: float
    since_s: float
    seen_s: float
    has_moved: bool = False

    @property
    def size(self) -> float:
        """The square root of the box's area, pixels."""
        return find_size(self.box)


@dataclass
class _Track:
    person: Person
    looks: int
    first: Floats  # key points where it was found first, or since it has stood there
    velocity: Floats = field(default_factory=lambda: np.zeros(2, np.float32))  # pixels a second

    def expect(self, time_s: float) -> Floats:
        """How far it is expected from where it was found last, pixels (2,): not further than it went in a second."""
        return self.velocity * min(time_s - self.person.seen_s, 1.0)


class Tracks:
    """The people of a video, by number."""

    def __init__(self, config: TrackConfig | None = None) -> None:
        self._config = config or TrackConfig()
        self._tracks: list[_Track] = []
        self._count = 0

    @property
    def least_score(self) -> float:
        """Whom the finder need not report, 0 to 1."""
        return self._config.least_score

    def update(self, time_s: float, people: People, *, may_be_cut: bool = False) -> tuple[Person, ...]:
        """Take the people found at `time_s` (seconds, never decreasing).  Returns those that are followed, by number.

        Who was not found keeps the last box for `lost_s`.  may_be_cut: the whole picture has changed; then, if nobody
        is found again, it is another scene, and everybody in it is new.
        """
        pairs = assign(self._compare(time_s, people), self._config.least_likeness)
        if may_be_cut and not pairs:
            self._tracks = []
        for row, column in pairs:
            self._follow(self._tracks[row], time_s, people, column)
        taken, was_empty = {column for _, column in pairs}, not self._tracks
        for column in range(len(people)):
            if column not in taken and people.scores[column] >= self._config.start_score:
                self._start(time_s, people, column, is_first=was_empty)
        self._tracks = [track for track in self._tracks if time_s - track.person.seen_s < self._find_patience(track)]
        return self.people()

    def people(self) -> tuple[Person, ...]:
        """Those that are followed, by number."""
        return tuple(sorted((t.person for t in self._tracks if t.person.number), key=lambda person: person.number))

    def _find_patience(self, track: _Track) -> float:
        """Seconds for which somebody is missed; who was found only once must be found by the next look."""
        return self._config.lost_s if track.person.number else 1e-6

    def _compare(self, time_s: float, people: People) -> Floats:
        """How alike each track and each of the people are, 0 to 1, float64 (tracks, people)."""
        likeness = np.zeros((len(self._tracks), len(people)))
        for row, track in enumerate(self._tracks):
            moved, person = track.expect(time_s), track.person
            overlaps = find_overlaps(person.box + np.tile(moved, 2), people.boxes)
            weights = np.minimum(person.keypoint_scores, people.keypoint_scores)
            weights = weights * (weights >= self._config.sure_point)
            distances = np.linalg.norm(people.keypoints - (person.keypoints + moved), axis=2)
            mean = (weights * distances).sum(axis=1) / np.maximum(weights.sum(axis=1), 1e-6)
            near = np.where(weights.any(axis=1), np.exp(-mean / (self._config.reach * max(person.size, 1))), overlaps)
            likeness[row] = (overlaps + near) / 2
        return likeness

    def _follow(self, track: _Track, time_s: float, people: People, column: int) -> None:
        old, elapsed_s = track.person, max(time_s - track.person.seen_s, 1e-3)
        new = _pick(people, column)
        shift = find_middle(new.box) - find_middle(old.box)
        track.velocity = (0.5 * track.velocity + 0.5 * shift / elapsed_s).astype(np.float32)
        track.looks += 1
        number = old.number
        if not number and track.looks >= self._config.confirm_looks:
            self._count += 1
            number = self._count
        sure = np.minimum(new.keypoint_scores, old.keypoint_scores) >= self._config.sure_point
        went = np.linalg.norm(new.keypoints - track.first, axis=1)[sure]
        has_moved = old.has_moved or bool(len(went) and np.median(went) > self._config.moved * old.size)
        track.person = replace(new, number=number, since_s=old.since_s, seen_s=time_s, has_moved=has_moved)

    def _start(self, time_s: float, people: People, column: int, *, is_first: bool) -> None:
        self._count += is_first
        number = self._count if is_first else 0
        person = replace(_pick(people, column), number=number, since_s=time_s, seen_s=time_s)
        self._tracks.append(_Track(person, 1, person.keypoints))


def assign(likeness: Floats, least: float) -> list[tuple[int, int]]:
    """Pair rows with columns, the likeliest pair first; none below `least`.  likeness: float (R, C)."""
    pairs, left = [], np.array(likeness, np.float64)
    while left.size and left.max() >= least:
        row, column = divmod(int(left.argmax()), left.shape[1])
        pairs.append((row, column))
        left[row], left[:, column] = -1, -1
    return pairs


def find_size(box: Floats) -> float:
    """The square root of a box's area, pixels.  box: float (4,), left, top, right, bottom."""
    return float(np.sqrt(max(box[2] - box[0], 0) * max(box[3] - box[1], 0)))


def find_middle(box: Floats) -> Floats:
    """x and y of a box's middle, float (2,)."""
    return (box[:2] + box[2:]) / 2


def find_overlaps(box: Floats, boxes: Floats) -> Floats:
    """Intersection over union of a box, float (4,), with others, float (N, 4); float (N,), 0 to 1."""
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    inside = np.clip(sides, 0, None).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod()
    return inside / np.maximum(areas - inside, 1e-9)


def _pick(people: People, column: int) -> Person:
    """One of the people found, without a number and times."""
    score = float(people.scores[column])
    return Person(0, people.boxes[column], people.keypoints[column], people.keypoint_scores[column], score, 0.0, 0.0)
