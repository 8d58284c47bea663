"""The folder of a run that is begun, or that goes on with `--resume`."""

from __future__ import annotations

import csv
import json
import logging
import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ...calibration.runs import RunPhoto, load_run, read_run_photos, write_run_photos
from ...runtime.errors import OptionError, OutputError, RunError
from ...runtime.system.files import ODD_NAMES, make_csv_writer
from ..distributed.collectives import Workers
from ..run_files.predictions import FOLDS
from .checkpoint import CHECKPOINT, load_notes
from .config import FitConfig
from .data import TrainingData

log = logging.getLogger(__name__)


def check_run_folder(folder: Path, photo_folder: Path, config: FitConfig, *, resume: bool) -> dict[str, Any] | None:
    """Refuse a folder that holds something, or with `resume` one that holds something else, and one among the photos.

    Returns run.json's content where only the folds are left to do, or nothing.
    """
    if folder.resolve().is_relative_to(photo_folder.resolve()):  # it would be a pose in the next run
        raise OutputError(f"--to {folder} lies inside the photo folder {photo_folder}; give a place beside it")
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        if resume:
            log.info("--resume: nothing is in %s yet; the run begins", folder)
        return None
    if not resume:
        raise OutputError(f"{folder} exists already; give the run another name with --to, or go on with --resume")
    if not (folder / "photos.csv").is_file():
        raise OutputError(f"{folder} is no run that could go on: it has no photos.csv; give another name with --to")
    load_notes(folder / CHECKPOINT)  # a broken one shows at once, not after the photos are read
    if not (folder / "run.json").exists():
        return None
    content = load_run(folder).summary
    if content["metrics"]["interrupted"]:
        if not (folder / CHECKPOINT).exists():  # beginning anew would replace weights that somebody may use
            raise OutputError(f"{folder} cannot go on: its {CHECKPOINT} is gone; train again under another --to")
        return None
    asked = json.loads(json.dumps(asdict(config)))
    if content["config"] != asked:
        raise OptionError(describe_change(content["config"], config))
    if not lacks_folds(folder, config):  # no error: whoever starts what was stopped may give the command once too often
        log.info("--resume: %s is finished already, since %s; nothing is left to do", folder, content["finished_at"])
    return content


def lacks_folds(folder: Path, config: FitConfig) -> bool:
    """True where out-of-fold answers are asked for and not there yet."""
    return bool(config.folds) and not (folder / FOLDS).exists()


def find_writer(workers: Workers, folder: Path, *, resume: bool) -> Workers:
    """Choose the worker that keeps the run: the first, or on whose machine there is most of a run that goes on.

    After a restart torchrun may number machines in another order, and the folder need not be shared.
    """
    if workers.count == 1 or not resume:
        return workers
    standings = workers.all_gather_object(_measure_standing(folder))
    writer_rank = standings.index(max(standings))
    if writer_rank:
        log.info("the run is in %s of %s, which goes on to keep it", folder, workers.names[writer_rank])
    return replace(workers, writer_rank=writer_rank)


def _measure_standing(folder: Path) -> float:
    """How much of a run there is: nothing -1, begun 0, then one more than its whole epochs."""
    if not (folder / "photos.csv").is_file():
        return -1
    notes = load_notes(folder / CHECKPOINT)
    if notes is None:
        return math.inf if (folder / "run.json").exists() else 0
    return 1 + notes["epoch"]


def describe_change(before: dict[str, Any], config: FitConfig) -> str:
    """Name the option that differs from those that a run was begun with."""
    asked = json.loads(json.dumps(asdict(config)))
    name = next((name for name in asked if asked[name] != before.get(name)), "config")
    return f"--resume: this run was begun with {name} {before.get(name)!r}, not {asked.get(name)!r}; give it again"


def _read_photos(path: Path) -> tuple[RunPhoto, ...]:
    try:
        return read_run_photos(path)
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise RunError(f"{path} cannot be read ({error}); start again with another --to") from error


def make_run_folder(folder: Path, data: TrainingData) -> None:
    """Make the run's folder and say which photos it is about; a run that goes on must be about the same."""
    rows = data.run_photos()
    if (folder / "photos.csv").exists():
        if _read_photos(folder / "photos.csv") != tuple(rows):
            raise RunError(f"the photos are not those that {folder} was begun with; start again with another --to")
        return
    try:
        (folder / "report").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"the run folder {folder} cannot be made: {error.strerror}; choose another place") from error
    write_run_photos(folder / "photos.csv", rows)
    broken = data.photo_set.broken
    if broken:
        with (folder / "skipped.csv").open("w", newline="", encoding="utf-8", errors=ODD_NAMES) as file:
            make_csv_writer(file).writerows([("path", "reason"), *broken])
        log.warning("%d files are no readable photos and were skipped; see %s", len(broken), folder / "skipped.csv")
    poses_of: dict[int, set[str]] = {}
    for row in rows:
        poses_of.setdefault(row.group, set()).add(row.pose)
    crossing = sum(len(poses) > 1 for poses in poses_of.values())
    if crossing:
        log.warning("%d groups of near-duplicates lie under several poses (label errors?); see photos.csv", crossing)
