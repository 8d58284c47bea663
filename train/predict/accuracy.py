"""How well a run does on new photos that lie in a folder per pose: those that it does not have itself."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath

from ...calibration.metrics import Accuracy
from ...calibration.runs import SPLITS, Run
from ...runtime.classifier import Prediction
from ...runtime.core.types import NO_POSE
from ...runtime.photos.decoding import read_photo
from ...runtime.system.item_failures import Failure, attempt
from ...runtime.system.plain_text import format_command, format_count

UNSEEN = "unseen"  # a photo that the run does not have
MOST_TOLD = 5  # folders and confusions that are named


@dataclass(frozen=True)
class AnsweredPhoto:
    """A photo that was classified.  place: its path inside the folder that was given."""

    path: Path
    place: PurePath
    prediction: Prediction

    @property
    def folder(self) -> str:
        """The folder that says its pose, or empty."""
        return self.place.parts[0] if len(self.place.parts) > 1 else ""


@dataclass(frozen=True)
class FolderAccuracy:
    """What a run does on photos of class folders that it does not have itself, told by their sha256.

    answered: how many of the answers, with the threshold, are right.  likeliest: how many have their label as the
    likeliest one, as `fit` and `report` count.  no_pose: how many of a pose were answered `none`.  confusions: (truth,
    answer, photos) of the answers, commonest first.  own: split -> photos of the run among them, which are left out.
    strange: folder -> photos, where the folder is no label.
    """

    answered: Accuracy
    likeliest: Accuracy
    no_pose: int
    confusions: tuple[tuple[str, str, int], ...]
    own: Counter[str]
    strange: Counter[str]
    threshold: float

    def describe(self) -> list[str]:
        """Lines to print."""
        return [*self._describe_counted(), *self._describe_left_out()]

    def _describe_counted(self) -> list[str]:
        if not self.answered.total:
            return ["no accuracy: every photo here is one of the run's own; give new ones"]
        lines = [f"accuracy on {format_count(self.answered.total, 'new photo')}: {self.answered}"]
        if self.answered.right != self.likeliest.right:
            lines.append(
                f"{'':>14}without the threshold {self.threshold:.2f}, as `fit` and `report` count: "
                f"{self.likeliest.value:.1%}; {format_count(self.no_pose, 'photo')} of a pose answered `none`"
            )
        return lines + [
            f"{'':>14}{truth} classified as {answer}: {format_count(count, 'photo')}"
            for truth, answer, count in self.confusions
        ]

    def _describe_left_out(self) -> list[str]:
        lines = []
        if self.own:
            splits = ", ".join(f"{self.own[split]} {split}" for split in SPLITS if self.own[split])
            lines.append(f"left out of it: {format_count(self.own.total(), 'photo')} of the run's own ({splits})")
        if self.strange:
            names = [name for name, _ in self.strange.most_common(MOST_TOLD)]
            more = ", ..." if len(self.strange) > len(names) else ""
            count = format_count(self.strange.total(), "photo")
            lines.append(f"not counted: {count} in folders that are no label of the run: {', '.join(names)}{more}")
        return lines


def measure_folders(run: Run, threshold: float, photos: Iterable[AnsweredPhoto]) -> FolderAccuracy | None:
    """Measure the predictions of photos in folders named after the run's labels; None where there is no such folder.

    threshold: of the model, for the message.
    """
    labels = run.labels
    inside = [photo for photo in photos if photo.folder]
    labelled = [photo for photo in inside if photo.folder in labels]
    if not labelled:
        return None
    splits = {photo.sha256: photo.split for photo in run.photos}
    with ThreadPoolExecutor() as pool:
        hashes = pool.map(_hash_photo, [photo.path for photo in labelled])
        found = [splits.get(sha256, UNSEEN) for sha256 in hashes]
    kept = [photo for photo, split in zip(labelled, found, strict=True) if split == UNSEEN]
    likeliest = [_find_likeliest(photo.prediction) == photo.folder for photo in kept]
    right = [photo.prediction.pose == photo.folder for photo in kept]
    missed = [photo.prediction.pose == NO_POSE != photo.folder for photo in kept]
    return FolderAccuracy(
        Accuracy(sum(right), len(kept)),
        Accuracy(sum(likeliest), len(kept)),
        sum(missed),
        _list_confusions(kept),
        Counter(split for split in found if split != UNSEEN),
        Counter(photo.folder for photo in inside if photo.folder not in labels),
        threshold,
    )


def explain_no_accuracy(run: Run, photos: Iterable[AnsweredPhoto]) -> list[str]:
    """Say on one line why folders of pose folders, such as train/, have no accuracy; empty without such folders."""
    found = dict[Path, None]()
    for photo in photos:
        below = [number for number, name in enumerate(photo.place.parts[:-1]) if name in run.labels]
        if below and below[0] > 0:
            found[photo.path.parents[len(photo.place.parts) - 1 - below[0]]] = None
    if not found:
        return []
    folders = sorted(found)
    names = ", ".join(folder.name for folder in folders[:MOST_TOLD]) + ", ..." * (len(folders) > MOST_TOLD)
    each = format_command("yoga-train", "predict", folders[0], run.folder)
    if len(folders) == 1:
        return [f"no accuracy: the folder {names} is no pose but holds folders of poses; give it instead: {each}"]
    return [f"no accuracy: the folders {names} are no poses but hold folders of poses; give each by itself: {each}"]


def _find_likeliest(prediction: Prediction) -> str:
    return max(prediction.probabilities, key=prediction.probabilities.__getitem__)


def _list_confusions(photos: Iterable[AnsweredPhoto]) -> tuple[tuple[str, str, int], ...]:
    """The commonest wrong answers as (truth, answer, photos); `none` is one, also where the run has no such label."""
    wrong = Counter((photo.folder, photo.prediction.pose) for photo in photos)
    told = sorted((-count, *pair) for pair, count in wrong.items() if pair[0] != pair[1])[:MOST_TOLD]
    return tuple((truth, answer, -count) for count, truth, answer in told)


def _hash_photo(path: Path) -> str:
    """A photo's sha256; empty if it cannot be read any more."""
    content = attempt(path, partial(read_photo, path))
    return "" if isinstance(content, Failure) else hashlib.sha256(content).hexdigest()
