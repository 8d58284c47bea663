"""A second opinion for a run that is finished: as `fit` trains it at its end, on the run's own photos and split."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from ...calibration.logits import LANDMARKS_FILE, compute_logits
from ...calibration.runs import Run, load_frames
from ...runtime.core.types import Floats
from ...runtime.errors import OptionError, OutputError, RunError
from ...runtime.system.claims import hold_folder
from ...runtime.system.files import write_json
from ...runtime.system.plain_text import format_count
from ..fit.data import number_partners
from ..fit.run_folder import complete_config
from ..landmarks.run_opinion import FindPeople, add_second_opinion
from ..people.finding import find_people, list_contents
from ..photos.folder import Photo, PhotoSet, read_contents
from ..run_files.second_opinion import SECOND_OPINION
from .confidence import CONFIDENCE, read_model_info, write_model_info
from .engine import TorchEngine

UNREAD = "unread"
"""The split of a held-out photo that cannot be decoded: it is left out."""
Answers = tuple[Floats, list[str]]
"""Logits float (N, C) of a run's photos, and the split of each; those that are trained on need no logits."""


def add_late_opinion(
    run: Run,
    device: str = "auto",
    *,
    force: bool = False,
    answer: Callable[[Run, str], Answers] | None = None,
    find: FindPeople = find_people,
) -> dict[str, Any]:
    """Train the second opinion of a finished run and put it into its folder.  Returns run.json's new content.

    Its files are replaced when all of them are written: until then the run stays as it is.  device: auto, cpu, cuda or
    cuda:1.  force: train it anew where the run has one.  answer: computes the logits (None: with the run's network);
    find: as `find_people`.  What the finder knows of these photos already comes from its cache.

    Raises OptionError where the run has one, RunError where it is unfinished or its photos are not there any more,
    MissingPackageError without ONNX Runtime, OutputError.
    """
    if run.summary["metrics"]["interrupted"]:
        raise RunError(f"{run.folder} was stopped before its end; continue it with yoga-train fit --resume")
    if (run.folder / SECOND_OPINION).exists() and not force:
        raise OptionError(f"{run.folder} has a second opinion already; --force trains it anew")
    photos = tuple(Photo(row.path, row.pose, row.sha256, 0, 0) for row in run.photos)
    photo_set = PhotoSet(run.photo_folder, run.labels, photos, np.empty((0, 0, 0, 3), np.uint8), ())
    found = find(run.photo_folder, list_contents(photos), None, "cpu" if device == "cpu" else "auto")
    logits, splits = (answer or answer_held_out)(run, device)
    config = complete_config(run.summary["config"])
    targets = np.array([run.labels.index(row.pose) for row in run.photos], np.int64)
    groups = np.array([row.group for row in run.photos], np.int64)
    partners = number_partners(run.labels, tuple(map(tuple, config["mirror_swaps"])))
    content = {**run.summary, "config": config, "finished_at": run.summary.get("finished_at", "")}

    def recall(*_: object) -> Mapping[str, Any]:
        return found

    try:
        with hold_folder(run.folder), TemporaryDirectory(dir=run.folder, prefix=".opinion-") as made:
            parts = photo_set, targets, groups, splits, logits, content
            opinion = add_second_opinion(Path(made), *parts, partners=partners, find=recall)
            summary = {**run.summary, "second_opinion": opinion}
            write_json(Path(made) / "run.json", summary)
            _forget_calibrated(run)
            for name in (LANDMARKS_FILE, SECOND_OPINION, "run.json"):
                if (Path(made) / name).exists():
                    (Path(made) / name).replace(run.folder / name)
                else:  # an earlier one, which is not that of run.json any more
                    (run.folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write into {run.folder}: {error.strerror}; fix this and try again") from error
    return summary


def check_photos(run: Run) -> None:
    """Refuse photos that are missing or are others than those that a run was trained with.  Raises RunError."""
    contents = read_contents(run.photo_folder, run.size)
    changed = [row.path for row in run.photos if contents.get(row.path) != row.sha256]
    if changed:
        count, them = format_count(len(changed), "photo"), "it" if len(changed) == 1 else "them"
        raise RunError(
            f"{count} of {run.folder} cannot be found unchanged in {run.photo_folder}, such as {changed[0]}; restore "
            f"{them}, give the right folder with --photos, or train again"
        )


def answer_held_out(run: Run, device: str = "auto") -> Answers:
    """Compute the logits of a run's validation and test photos with its network; zeros for those trained on."""
    engine = TorchEngine(run, device)
    logits: npt.NDArray[np.float32] = np.zeros((len(run.photos), len(run.labels)), np.float32)
    splits = [row.split if row.split == "train" else UNREAD for row in run.photos]
    places = {row.path: number for number, row in enumerate(run.photos)}
    for split in ("validation", "test"):
        frames, _, rows = load_frames(run, split)
        for row, own in zip(rows, compute_logits(engine, frames, split), strict=True):
            logits[places[row.path]], splits[places[row.path]] = own, split
    return logits, splits


def _forget_calibrated(run: Run) -> None:
    """Take an earlier second opinion out of the run's calibration, which remains that of the network alone."""
    if (run.folder / CONFIDENCE).exists() and (info := read_model_info(run)).second_opinion:
        write_model_info(run, replace(info, second_opinion={}))
