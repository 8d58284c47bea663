"""The second opinion of a run: finds the people of its photos, trains on their key points, keeps what came of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...calibration.logits import LANDMARKS_FILE, write_landmarks
from ...runtime.core.types import NO_POSE, Floats
from ...runtime.errors import MissingPackageError
from ...runtime.people import find_landmarks
from ...runtime.people.landmarks import LANDMARKS
from ..people.cache import PhotoPeople
from ..people.finding import FinderConfig, choose_person, find_people, list_contents
from ..people.none_keypoints import load_none_keypoints
from ..photos.folder import PhotoSet
from ..run_files.second_opinion import SECOND_OPINION, write_second_opinion
from .networks import NetworkConfig, name_kinds
from .training import LandmarkPhotos, TrainedOpinion, answer_out_of_fold, find_shortage, train_opinion

log = logging.getLogger(__name__)
Numbers = npt.NDArray[np.int64]
FindPeople = Callable[[Path, Mapping[str, str], FinderConfig | None, str], Mapping[str, PhotoPeople]]


def add_second_opinion(
    folder: Path,
    photo_set: PhotoSet,
    targets: Numbers,
    groups: Numbers,
    splits: list[str],
    logits: Floats,
    content: dict[str, Any],
    *,
    partners: Numbers | None = None,
    find: FindPeople = find_people,
) -> dict[str, Any]:
    """Train the second opinion of a run and write it into its folder.  Returns its part of run.json.

    targets, groups: int (N,).  logits: of the run's network, float (N, C).  content: of the run's run.json.  partners:
    int (C,), the label of a mirror image of each; None: the same.  find: as `find_people`.  Where there is no second
    opinion, the reason is logged.
    """
    (folder / SECOND_OPINION).unlink(missing_ok=True)  # of earlier weights, if the run was resumed
    device = _choose_device(content["config"]["device"])
    try:
        found = find(photo_set.folder, list_contents(photo_set.photos), None, device)
    except MissingPackageError as error:
        trained, share = TrainedOpinion(None, str(error)), None
    else:
        trained = _train(photo_set, targets, groups, splits, logits, content["config"], partners, folder, found)
        share = measure_person_share(photo_set, found)
    if trained.opinion is None:
        log.info("no second opinion from key points: %s", trained.reason)
    else:
        write_second_opinion(folder, trained.opinion, content["finished_at"])
    return {**trained.summarise(), **({} if share is None else {"person_share": share})}


def _train(
    photo_set: PhotoSet,
    targets: Numbers,
    groups: Numbers,
    splits: list[str],
    logits: Floats,
    config: dict[str, Any],
    partners: Numbers | None,
    folder: Path,
    found: Mapping[str, PhotoPeople],
) -> TrainedOpinion:
    parts = np.array(splits)
    is_pose = np.array([photo.pose != NO_POSE for photo in photo_set.photos])
    if reason := find_shortage(parts[is_pose], groups[parts == "validation"]):
        return TrainedOpinion(None, reason)
    landmarks = measure_photos(photo_set, found)
    write_landmarks(folder, landmarks)
    photos = _describe(photo_set, targets, groups, parts, logits, config, partners, landmarks)
    return train_opinion(photos, NetworkConfig(seed=config["seed"]))


def answer_left_out(
    folder: Path,
    photo_set: PhotoSet,
    targets: Numbers,
    groups: Numbers,
    folds: Numbers,
    logits: Floats,
    config: dict[str, Any],
    *,
    partners: Numbers | None = None,
) -> Floats | None:
    """Answer each photo by its key points, by small networks that have not seen its fold.

    folder: of a run that has a second opinion.  folds: int (N,).  Others as in `add_second_opinion`.  Returns
    log-probabilities, float (N, C); None where a fold has all photos of a label.
    """
    landmarks = np.load(folder / LANDMARKS_FILE, allow_pickle=False)
    photos = _describe(photo_set, targets, groups, np.full(len(folds), "train"), logits, config, partners, landmarks)
    return answer_out_of_fold(photos, folds, NetworkConfig(seed=config["seed"]))


def _describe(
    photo_set: PhotoSet,
    targets: Numbers,
    groups: Numbers,
    parts: npt.NDArray[np.str_],
    logits: Floats,
    config: dict[str, Any],
    partners: Numbers | None,
    landmarks: Floats,
) -> LandmarkPhotos:
    paths = [photo.path for photo in photo_set.photos]
    kinds = name_kinds(paths, photo_set.labels, partners, mirror=config["mirror"] is not False)
    others = _load_others() if config.get("none") and NO_POSE in photo_set.labels else None
    return LandmarkPhotos(photo_set.labels, landmarks, kinds, targets, groups, parts, logits, others)


def measure_person_share(photo_set: PhotoSet, found: Mapping[str, PhotoPeople]) -> float | None:
    """How much of the longer side of a photo the longer side of its person fills, the median over photos of poses.

    `yoga-live` crops frames to people so that they fill no more: a network that has only seen small people fails on
    large ones (docs/explanation/experiments.md, E19).  None where people are found in fewer than half of the photos.
    """
    photos = [photo for photo in photo_set.photos if photo.pose != NO_POSE]
    shares = []
    for photo in photos:
        people = found[photo.path].people if photo.path in found else None
        if people is not None and (chosen := choose_person(people)) is not None:
            left, top, right, bottom = people.boxes[chosen].tolist()
            shares.append(max(right - left, bottom - top) / max(found[photo.path].size_wh))
    if 2 * len(shares) < len(photos) or not shares:
        return None
    return round(min(max(float(np.median(shares)), 0.01), 1.0), 3)


def _load_others() -> tuple[Floats, tuple[str, ...]]:
    """The key points of people at other exercises and at home, which `--none default` brings along."""
    known = load_none_keypoints()
    return np.stack([find_landmarks(photo.people) for photo in known.photos]), known.kinds


def _choose_device(trained_on: str) -> str:
    """The people finder's device.  trained_on: as `FitConfig` has it."""
    return "cpu" if trained_on == "cpu" else "auto"


def measure_photos(photo_set: PhotoSet, found: Mapping[str, PhotoPeople]) -> Floats:
    """Measure the key points of the person whom each photo is of.

    found: people by path, as `find_people` returns them.  Returns float32 (N, 53), zeros where nobody is found.
    """
    landmarks = np.zeros((len(photo_set.photos), LANDMARKS), np.float32)
    for row, photo in enumerate(photo_set.photos):
        if photo.path in found:
            landmarks[row] = find_landmarks(found[photo.path].people)
    return landmarks
