"""The input of a training: a photo folder, read, grouped and split once."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...calibration.runs import SPLITS, RunPhoto, load_run
from ...runtime.core.types import NO_POSE
from ...runtime.errors import RunError
from ..distributed.collectives import Workers
from ..people.bodies import are_bodies
from ..people.crops import find_crops
from ..people.finding import find_people, list_contents
from ..photos.dataset import PhotoDataset, balance
from ..photos.drawn_none import find_drawn, is_drawn
from ..photos.folder import PLACES, Photo, PhotoSet, read_photos
from ..photos.given_splits import read_given_splits, split_as_given
from ..photos.mirroring import Mirroring, Pairs
from ..photos.near_duplicates import group_photos
from ..photos.picture_groups import find_pictures
from ..photos.sessions import find_sources
from ..photos.split_plan import SplitPlan, find_same_room, keep_mirror_images_together, plan_split
from ..photos.splits import SourceFolds, assign_folds, assign_sources, find_train_only, split_as_before
from .config import FitConfig
from .consistency import check_photos

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingData:
    """Photos, their poses (targets, int (N,)), duplicate groups (groups, int (N,)) and splits.

    kinds: int (N,), see `number_kinds`; plan: how the splits came about, of the writer alone; partners: int (C,), the
    class of a mirror image of each class, None: the same; crops: int (N, 4), see `PhotoDataset`.  folds: int (N,), the
    fold of each photo, None without folds; source_folds: these by source, None if they are not.
    views: the same photos larger, to train on where a teacher sees them larger than the network; None: as they are.
    """

    photo_set: PhotoSet
    targets: npt.NDArray[np.int64]
    groups: npt.NDArray[np.int64]
    splits: list[str]
    kinds: npt.NDArray[np.int64] | None = None
    plan: SplitPlan | None = None
    partners: npt.NDArray[np.int64] | None = None
    crops: npt.NDArray[np.int64] | None = None
    folds: npt.NDArray[np.int64] | None = None
    source_folds: SourceFolds | None = None
    views: TrainingData | None = None

    def describe(self) -> str:
        """Format one line for the log."""
        counts = ", ".join(f"{self.splits.count(name)} {name}" for name in SPLITS)
        photos, labels = len(self.targets), len(self.photo_set.labels)
        return f"{photos} photos of {labels} classes in {len(set(self.groups.tolist()))} duplicate groups: {counts}"

    def select(self, rows: npt.NDArray[np.int64]) -> PhotoDataset:
        """Select some photos for a training."""
        photos = [self.photo_set.photos[row] for row in rows]
        sizes_wh = np.array([photo.size_wh for photo in photos], dtype=np.int64).reshape(-1, 2)
        scenes = np.flatnonzero([photo.pose == NO_POSE and photo.kind == PLACES for photo in photos])
        kinds = None if self.kinds is None else self.kinds[rows]
        _, parts = np.unique([photo.kind.partition("/")[0] for photo in photos], return_inverse=True)
        weights = balance(self.targets[rows], parts.reshape(-1))
        frames, targets = self.photo_set.frames, self.targets[rows]
        crops = None if self.crops is None else self.crops[rows]
        return PhotoDataset(frames, targets, rows, sizes_wh, scenes, kinds, weights, self.partners, crops)

    def rows(self, split: str) -> npt.NDArray[np.int64]:
        """List the indices of the photos of one split, int (n,)."""
        return np.flatnonzero(np.array(self.splits) == split)

    def run_photos(self) -> list[RunPhoto]:
        """The rows of `photos.csv`."""
        return [
            RunPhoto(photo.path, photo.sha256, photo.pose, int(group), split)
            for photo, group, split in zip(self.photo_set.photos, self.groups, self.splits, strict=True)
        ]


def read_training_data(photo_folder: Path, config: FitConfig, workers: Workers, view_size: int = 0) -> TrainingData:
    """Read the photos, each machine its own copy; one worker per machine decodes, the others read its cache.

    view_size: side in pixels at which a teacher sees them.  Groups and splits come from the writer.  Raises
    YogaLiveError, on every worker if the copies differ.
    """
    if not workers.leads_machine:
        workers.barrier()
    photo_set = read_photos(photo_folder, config.size)
    larger = read_photos(photo_folder, view_size) if view_size > config.size else None
    if workers.leads_machine:
        workers.barrier()
    if workers.count > 1:
        check_photos(workers, photo_folder, [(photo.path, f"sha256 {photo.sha256}") for photo in photo_set.photos])
    plan = _split_photos(photo_set, config) if workers.is_writer else None
    groups, splits = workers.broadcast_object(plan and (plan.groups.tolist(), plan.splits))
    groups = np.array(groups, dtype=np.int64)
    index = {label: number for number, label in enumerate(photo_set.labels)}
    targets = np.array([index[photo.pose] for photo in photo_set.photos], dtype=np.int64)
    source_folds = _fold_sources(photo_set, groups, config, workers) if config.by_source else None
    folds = source_folds.folds if source_folds else None
    if config.folds and folds is None:  # too few photos show before hours of work
        folds = assign_folds(photo_set.photos, groups, config.folds, config.seed)
    partners = number_partners(photo_set.labels, config.mirror_swaps)
    kinds, crops = number_kinds(photo_set.photos), _find_crops(photo_set, config, workers)
    data = TrainingData(photo_set, targets, groups, splits, kinds, plan, partners, crops, folds, source_folds)
    if larger is None:
        return data
    crops = _find_crops(larger, replace(config, size=view_size), workers)
    return replace(data, views=replace(data, photo_set=larger, crops=crops))


def _fold_sources(
    photo_set: PhotoSet, groups: npt.NDArray[np.int64], config: FitConfig, workers: Workers
) -> SourceFolds:
    """Assign whole sources to folds, by the writer for all: only its folder need have a manifest.  Raises RunError."""
    found = None
    if workers.is_writer:
        photos = photo_set.photos
        only_trained = find_train_only(photos, config.train_only)
        only_trained |= {row for row, photo in enumerate(photos) if is_drawn(photo.path)}
        sources = find_sources(photo_set.folder, photos, only_trained)
        log.info("%s", sources.describe())
        found = assign_sources(photos, groups, sources.names, config.folds, config.seed)
        if spread := found.find_spread_poses(photos):
            log.warning(
                "photos of one source only: %s; these are left out by near-duplicates, not by source", ", ".join(spread)
            )
    return workers.broadcast_object(found)


def _split_photos(photo_set: PhotoSet, config: FitConfig) -> SplitPlan:
    """Plan the splits; drawn pictures of `none` are only trained on, each a group of its own."""
    drawn = find_drawn(photo.path for photo in photo_set.photos)
    if not drawn.any():
        return _split_own(photo_set, config)
    own = np.flatnonzero(~drawn)
    photos = tuple(photo_set.photos[row] for row in own)
    thumbnails = None if photo_set.thumbnails is None else photo_set.thumbnails[own]
    plan = _split_own(replace(photo_set, photos=photos, thumbnails=thumbnails), config)

    def add_drawn(numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        everything = np.arange(len(drawn)) + int(numbers.max()) + 1
        everything[own] = numbers
        return everything

    splits = np.full(len(drawn), "train", dtype=object)
    splits[own] = plan.splits
    groups, pictures, similar = map(add_drawn, (plan.groups, plan.pictures, plan.similar))
    return replace(plan, groups=groups, pictures=pictures, similar=similar, splits=splits.tolist())


def _split_own(photo_set: PhotoSet, config: FitConfig) -> SplitPlan:
    """Find duplicate groups and rooms, and the split of each photo."""
    photos, mirror = photo_set.photos, Mirroring(config.mirror is not False, config.mirror_swaps).makes_copies
    if config.split == "given":
        groups, given = group_photos(photos, mirror=mirror), read_given_splits(photo_set.folder)
        splits = split_as_given(photos, groups, given, config.seed, config.held_out)
        pictures = find_pictures(photos, photo_set.thumbnails, mirror=mirror)
        return SplitPlan(groups, pictures, groups, splits, same_room=find_same_room(photos, groups, splits))
    plan = plan_split(photo_set, config.seed, config.train_only, config.held_out, mirror=mirror)
    if config.mirror_swaps:
        plan = keep_mirror_images_together(photo_set, plan, config.train_only)
    if not config.split_of:
        return plan
    before = {photo.sha256: photo.split for photo in load_run(Path(config.split_of)).photos}
    splits = split_as_before(photos, plan.groups, before, plan.splits)
    return replace(plan, splits=splits, notes=(), same_room=find_same_room(photos, plan.similar, splits))


def _find_crops(photo_set: PhotoSet, config: FitConfig, workers: Workers) -> npt.NDArray[np.int64] | None:
    """Find the person's crop in each photo, by the writer for all; None where no photo is to be cropped.

    Raises MissingPackageError without ONNX Runtime.
    """
    if not config.augmentation.person:
        return None
    crops = None
    if workers.is_writer:
        found = find_people(photo_set.folder, list_contents(photo_set.photos))
        if are_bodies(found):
            crops = find_crops(photo_set.photos, found, config.size).tolist()
        else:
            log.warning("people are found in few of the photos, so all are seen whole in training")
    crops = workers.broadcast_object(crops)
    return None if crops is None else np.array(crops, np.int64)


def number_partners(labels: tuple[str, ...], swaps: Pairs) -> npt.NDArray[np.int64] | None:
    """Number the class of a mirror image of each class, int (C,); None if it is always the same."""
    if not swaps:
        return None
    mirroring = Mirroring(swaps=swaps)
    return np.array([labels.index(mirroring.find_partner(label)) for label in labels], dtype=np.int64)


def number_kinds(photos: tuple[Photo, ...]) -> npt.NDArray[np.int64] | None:
    """Number the folders of photos, int (N,): a pose without subfolders is one kind.

    -1 for a photo beside the subfolders of its pose; None if no pose has subfolders.
    """
    divided = {photo.pose for photo in photos if photo.kind}
    if not divided:
        return None
    names = [f"{photo.pose}/{photo.kind}" for photo in photos]
    known = sorted({n for n, photo in zip(names, photos, strict=True) if photo.kind or photo.pose not in divided})
    numbers = {name: number for number, name in enumerate(known)}
    return np.array([numbers.get(name, -1) for name in names], dtype=np.int64)


def split_frames(data: TrainingData) -> dict[str, PhotoDataset]:
    """Make the datasets of train, validation and test.  Raises RunError if one of them is empty."""
    frames = {}
    for name in SPLITS:
        rows = data.rows(name)
        if not len(rows):
            raise RunError(f"there is no photo for {name}; add more photos")
        frames[name] = (data.views or data if name == "train" else data).select(rows)
    return frames
