"""Clips with a known truth, and what the network answers on them, computed once and kept in a folder."""

from __future__ import annotations

import csv
import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path

import numpy as np

from yoga_live.runtime.classifier import PoseClassifier
from yoga_live.runtime.core.frames import TimedFrame
from yoga_live.runtime.core.model_metadata import DEFAULT_MODEL
from yoga_live.runtime.core.regions import Region
from yoga_live.runtime.core.types import NO_POSE, Floats, Ints, Segment
from yoga_live.runtime.people.cropper import PersonCropper
from yoga_live.runtime.people.tracks import Person
from yoga_live.runtime.sources.base import Source
from yoga_live.runtime.sources.video import VideoSource
from yoga_live.runtime.system.files import write_then_rename
from yoga_live.runtime.system.progress import track
from yoga_live.runtime.tracking.observer import Crops, Observation, Observer, open_cropper

STEP_S = 0.5
"""Every half second of a labelled stretch is one question."""
POINTS = 17


@dataclass(frozen=True)
class Stretch:
    """One row of truth.csv."""

    start_s: float
    end_s: float
    pose: str


@dataclass(frozen=True, eq=False)
class ClipAnswers:
    """What was seen in each frame of a clip, and in which part of it.

    times_s: float (N,).  probabilities: calibrated, float (N, C).  regions: int (N, 4), left, top, width and height of
    the crop, pixels.  people: float (N, 60), the main person as last found: number (0: nobody), box, key points, their
    scores, score, since_s, seen_s, has_moved.  looked_s: float (N,), when people were last looked for.  frame_wh: int
    (2,).
    """

    times_s: Floats
    probabilities: Floats
    regions: Ints
    people: Floats
    looked_s: Floats
    frame_wh: Ints

    def observations(self) -> list[Observation]:
        """The same as the product's smoothers take them."""
        rows = zip(self.times_s.tolist(), self.probabilities, self.regions, self.people, self.looked_s, strict=True)
        return [self._observation(*row) for row in rows]

    def _observation(self, time_s: float, row: Floats, edges: Ints, packed: Floats, looked_s: float) -> Observation:
        region, person = Region(*edges.tolist()), unpack_person(packed)
        people = (person,) if person else ()
        crops = Crops(region, person, people, looked_s=float(looked_s))
        return Observation(time_s, region, row, crops=crops)


class SparseSource:
    """Every nth frame of a source."""

    def __init__(self, source: Source, every: int) -> None:
        self._source, self._every, self.info = source, every, source.info

    def __enter__(self) -> SparseSource:
        self._source.__enter__()
        return self

    def __exit__(self, *exit_info: object) -> None:
        self._source.__exit__(*exit_info)

    def frames(self) -> Iterator[TimedFrame]:
        """Every nth frame."""
        return islice(self._source.frames(), None, None, self._every)


def read_truth(path: Path) -> dict[str, list[Stretch]]:
    """Labelled stretches of each video, transitions left out."""
    truth: dict[str, list[Stretch]] = defaultdict(list)
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["pose"] != "transition":
                truth[row["video"]].append(Stretch(float(row["start_s"]), float(row["end_s"]), row["pose"]))
    return truth


def pose_at(segments: tuple[Segment, ...], time_s: float) -> str:
    """What a timeline says of a moment."""
    return next((s.pose for s in segments if s.start_s <= time_s < s.end_s), NO_POSE)


@dataclass(frozen=True)
class Clip:
    """A clip, its truth, and what the network said of it."""

    name: str
    stretches: list[Stretch]
    answers: ClipAnswers


def answer_clips(folders: list[Path], model: Path | None, work: Path, every: int = 1) -> list[Clip]:
    """What the network says of every nth frame of all clips, cropped to the main person; kept in `work`."""
    classifier, clips = PoseClassifier(model), []
    digest = hashlib.sha256((model or DEFAULT_MODEL).read_bytes()).hexdigest()[:8]
    work.mkdir(parents=True, exist_ok=True)
    pairs = [(folder, *item) for folder in folders for item in read_truth(folder / "truth.csv").items()]
    for folder, name, stretches in track(pairs, "clips", len(pairs), "clips"):
        place = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]
        path = work / f"{name}-{place}-{digest}-{every}.npz"
        if not path.exists():
            with write_then_rename(path) as temporary, temporary.open("wb") as file:
                np.savez(file, **vars(_watch(folder / name, classifier, every)))
        with np.load(path, allow_pickle=False) as kept:
            answers = ClipAnswers(**{each.name: kept[each.name] for each in fields(ClipAnswers)})
        clips.append(Clip(name, stretches, answers))
    return clips


def _watch(clip: Path, classifier: PoseClassifier, every: int) -> ClipAnswers:
    with SparseSource(VideoSource(clip), every) as source:
        cropper, frame_wh = open_cropper(classifier, None, True, source.info.size_wh), source.info.size_wh
        assert isinstance(cropper, PersonCropper)
        observer = Observer(classifier, cropper)
        seen = [observer.observe(frame) for frame in source.frames()]
    whole = Region(0, 0, *frame_wh)
    regions = [each.region or whole for each in seen]
    return ClipAnswers(
        np.array([each.time_s for each in seen]),
        np.array([each.probabilities for each in seen]),
        np.array([(each.left, each.top, each.width, each.height) for each in regions]),
        np.array([pack_person(each.crops and each.crops.person) for each in seen]),
        np.array([each.crops.looked_s if each.crops else 0.0 for each in seen]),
        np.array(frame_wh),
    )


def pack_person(person: Person | None) -> Floats:
    """Somebody as one row of numbers, float (60,); zeros for nobody."""
    if person is None:
        return np.zeros(1 + 4 + 3 * POINTS + 4)
    rest = person.score, person.since_s, person.seen_s, person.has_moved
    return np.concatenate([[person.number], person.box, person.keypoints.ravel(), person.keypoint_scores, rest])


def unpack_person(row: Floats) -> Person | None:
    """The same, the other way round."""
    number, box, points, scores, rest = np.split(row, np.cumsum([1, 4, 2 * POINTS, POINTS]))
    if not number[0]:
        return None
    score, since_s, seen_s, has_moved = rest.tolist()
    at = int(number[0]), box, points.reshape(POINTS, 2), scores
    return Person(*at, score, since_s, seen_s, bool(has_moved))
