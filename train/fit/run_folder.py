"""The folder of a run that is started, or resumed with `--resume`."""

from __future__ import annotations

import csv
import json
import logging
import math
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from ...calibration.runs import RunPhoto, load_run, read_run_photos, write_run_photos
from ...runtime.core.none_class import describe_lookalike, describe_missing_none, find_none_lookalikes
from ...runtime.core.types import NO_POSE
from ...runtime.errors import OptionError, OutputError, RunError
from ...runtime.system.files import ODD_NAMES, make_csv_writer
from ...runtime.system.plain_text import format_count
from ..distributed.collectives import Workers
from ..photos.mirroring import format_swaps
from ..run_files.predictions import FOLDS
from .checkpoint import CHECKPOINT, load_notes
from .config import Augmentation, FitConfig, settle_mirroring
from .data import TrainingData

log = logging.getLogger(__name__)


def check_run_folder(folder: Path, photo_folder: Path, config: FitConfig, *, resume: bool) -> dict[str, Any] | None:
    """Refuse a folder that is not empty (with `resume`: not this run), or inside the photo folder.

    Returns run.json's content if only the folds, or nothing, is left to do; else None.
    """
    if folder.resolve().is_relative_to(photo_folder.resolve()):  # the next run would take it for a pose
        raise OutputError(f"--to {folder} is inside the photo folder {photo_folder}; give a folder outside of it")
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        if resume:
            log.info("--resume: %s is empty; starting the run", folder)
        return None
    if not resume:
        raise OutputError(f"{folder} exists already; give the run another name with --to, or continue it with --resume")
    if not (folder / "photos.csv").is_file():
        raise OutputError(f"{folder} is not a run to resume: it has no photos.csv; give another name with --to")
    load_notes(folder / CHECKPOINT)  # report a broken one now, not after the photos are read
    if not (folder / "run.json").exists():
        return None
    content = load_run(folder).summary
    if content["metrics"]["interrupted"]:
        if not (folder / CHECKPOINT).exists():  # starting again would replace weights that may be in use
            raise OutputError(f"{folder} cannot be resumed: its {CHECKPOINT} is missing; train again with another --to")
        return None
    config, _ = settle_mirroring(config, content["labels"])
    if complete_config(content["config"]) != json.loads(json.dumps(asdict(config))):
        raise OptionError(describe_change(content["config"], config))
    if not lacks_folds(folder, config):  # not an error: a script may repeat the command
        log.info("--resume: %s is already finished, since %s; nothing to do", folder, content["finished_at"])
    return content


def lacks_folds(folder: Path, config: FitConfig) -> bool:
    """Whether out-of-fold predictions are requested and missing."""
    return bool(config.folds) and not (folder / FOLDS).exists()


def find_writer(workers: Workers, folder: Path, *, resume: bool) -> Workers:
    """Choose the worker that writes the run: the first, or the one whose machine has most of a run to resume.

    After a restart torchrun may number machines in another order, and the folder need not be shared.
    """
    if workers.count == 1 or not resume:
        return workers
    standings, folders = zip(*workers.all_gather_object((_measure_standing(folder), str(folder))), strict=True)
    writer_rank = standings.index(max(standings))
    if writer_rank:
        place, name = folders[writer_rank], workers.names[writer_rank]
        log.info("the run is in %s of %s, which continues to write it", place, name)
    return replace(workers, writer_rank=writer_rank)


def _measure_standing(folder: Path) -> float:
    """How much of a run exists: nothing -1, started 0, then one more than its complete epochs."""
    if not (folder / "photos.csv").is_file():
        return -1
    notes = load_notes(folder / CHECKPOINT)
    if notes is None:
        return math.inf if (folder / "run.json").exists() else 0
    return 1 + notes["epoch"]


def complete_config(config: dict[str, Any]) -> dict[str, Any]:
    """The settings of a run; options that there were not yet when it was started have their defaults.

    Photos were always mirrored before there was a choice.
    """
    defaults = json.loads(json.dumps(asdict(FitConfig(mirror=True))))
    return defaults | config | {"augmentation": defaults["augmentation"] | config.get("augmentation", {})}


def read_config(config: dict[str, Any]) -> FitConfig:
    """The settings of a run, of run.json, for another run like it."""
    known = complete_config(config)
    names = {field.name for field in fields(FitConfig)}
    ranges = Augmentation(
        **{name: known["augmentation"][name] for name in (each.name for each in fields(Augmentation))}
    )
    swaps = tuple((one, other) for one, other in known["mirror_swaps"])
    kept = {name: value for name, value in known.items() if name in names}
    return FitConfig(**kept | {"augmentation": ranges, "mirror_swaps": swaps})


def describe_change(before: dict[str, Any], config: FitConfig) -> str:
    """Name the option that differs from those that a run was started with."""
    asked = json.loads(json.dumps(asdict(config)))
    before = complete_config(before)
    if asked["mirror"] != before["mirror"]:  # nobody may have asked for it: the names of the poses decided
        one, other = ("--mirror", "--no-mirror") if before["mirror"] else ("--no-mirror", "--mirror")
        return f"--resume: this run was started with {one}, not {other}; give the same"
    if asked["mirror_swaps"] != before["mirror_swaps"]:
        one, other = (
            f"--mirror-swaps {format_swaps(each['mirror_swaps'])}" if each["mirror_swaps"] else "no --mirror-swaps"
            for each in (before, asked)
        )
        return f"--resume: this run was started with {one}, not {other}; give the same"
    if asked["teacher"] != before["teacher"]:
        one, other = (each["teacher"] or "no teacher" for each in (before, asked))
        return f"--resume: this run learns from {one}, not {other}; give the same"
    was, person = (each["augmentation"]["person"] for each in (before, asked))
    if was != person:
        return f"--resume: this run was started with --person-crops {was:g}, not {person:g}; give the same"
    name = next((name for name in asked if asked[name] != before.get(name)), "config")
    one, other = (_name_option(name, each.get(name)) for each in (before, asked))
    return f"--resume: this run was started with {one}, not {other}; give the same"


def _name_option(name: str, value: object) -> str:
    """Name a setting as the option that gives it: `--folds 5`, `no --by-source`."""
    option = f"--{name.replace('_', '-')}"
    if name == "second_opinion":
        option, value = "--no-second-opinion", not value
    if value is True:
        return option
    return f"{option} {value}" if value or (value == 0 and value is not False) else f"no {option}"


def _read_photos(path: Path) -> tuple[RunPhoto, ...]:
    try:
        return read_run_photos(path)
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise RunError(f"{path} cannot be read ({error}); train again with another --to") from error


def make_run_folder(folder: Path, data: TrainingData) -> None:
    """Create the run's folder and write its photos; a resumed run must have the same photos."""
    rows = data.run_photos()
    if (folder / "photos.csv").exists():
        if _read_photos(folder / "photos.csv") != tuple(rows):
            raise RunError(
                f"the photos differ from those that {folder} was started with; train again with another --to"
            )
        return
    try:
        (folder / "report").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot create the run folder {folder}: {error.strerror}; choose another place") from error
    write_run_photos(folder / "photos.csv", rows)
    broken = data.photo_set.broken
    if broken:
        with (folder / "skipped.csv").open("w", newline="", encoding="utf-8", errors=ODD_NAMES) as file:
            make_csv_writer(file).writerows([("path", "reason"), *broken])
        count = format_count(len(broken), "file")
        log.warning("skipped %s without a readable photo; see %s", count, folder / "skipped.csv")
    labels = data.photo_set.labels
    remedy = f"put photos of these into {data.photo_set.folder / NO_POSE} (best), or give --none default"
    for label in find_none_lookalikes(labels):
        log.warning("%s", describe_lookalike(label, has_none=NO_POSE in labels))
    if missing := describe_missing_none(labels, remedy):
        log.warning("%s", missing)
    plan = data.plan
    for line in plan.notes if plan else ():
        log.warning("split far from what was asked: %s", line)
    if plan and plan.same_room:
        log.warning("%s", plan.same_room.describe())
    poses_of: dict[int, set[str]] = {}
    for row, picture in zip(rows, plan.pictures.tolist() if plan else data.groups.tolist(), strict=True):
        poses_of.setdefault(picture, set()).add(row.pose)
    crossing = sum(len(poses) > 1 for poses in poses_of.values())
    if crossing:
        count = format_count(crossing, "picture")
        log.warning("%s under more than one pose (label errors?); see photos.csv", count)
