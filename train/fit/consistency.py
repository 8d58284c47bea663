"""Checks that machines that train together have the same versions, options and photos."""

from __future__ import annotations

from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from ...runtime.errors import OptionError, RunError
from ..distributed.collectives import Workers
from ..photos.folder import list_files, list_poses
from .config import FitConfig

PACKAGES = ("yoga-live", "torch", "torchvision", "numpy", "opencv-python", "Pillow")
OWN = ("device", "weights", "split_of", "teacher")  # may lie elsewhere on another machine
Marks = list[tuple[str, str]]  # of each photo its path and what tells whether it is the same


def check_agreement(workers: Workers, photo_folder: Path, config: FitConfig, *, resume: bool) -> None:
    """Refuse machines with other versions, options or files than the first.  Raises OptionError or RunError."""
    if workers.count == 1:
        return
    if config.batch < 2 * workers.count:
        raise OptionError(
            f"--batch {config.batch} is too small for {workers.count} workers; give at least two photos for each"
        )
    options = {name: value for name, value in asdict(config).items() if name not in OWN}
    options |= {"resume": resume, "weights": _kind_of(config.weights), "split_of": bool(config.split_of)}
    options["teacher"] = bool(config.teacher)
    versions = {name: version_of(name) for name in PACKAGES}
    answers = workers.all_gather_object({"versions": versions, "options": options})
    for rank, answer in enumerate(answers):
        for kind, advice in (
            ("versions", "install the same version on every machine"),
            ("options", "give the same value on every machine"),
        ):
            name = _find_difference(answers[0][kind], answer[kind])
            if name:
                shown = f"--{name.replace('_', '-')}" if kind == "options" else name
                first, other = answers[0][kind][name], answer[kind][name]
                raise OptionError(
                    f"{shown} is {first} for {workers.names[0]} and {other} for {workers.names[rank]}; {advice}"
                )
    files = list_files(photo_folder, list_poses(photo_folder))
    marks = [(path.relative_to(photo_folder).as_posix(), f"{path.stat().st_size} bytes") for _, path in files]
    check_photos(workers, photo_folder, marks)


def check_photos(workers: Workers, folder: Path, marks: Marks) -> None:
    """Refuse photos that differ from the writer's.  Raises RunError on every worker."""
    theirs = {path: mark for path, mark in workers.broadcast_object(marks)}
    own = dict(marks)
    differing = [path for path in sorted({*own, *theirs}) if own.get(path) != theirs.get(path)]
    findings = workers.all_gather_object([len(differing), str(folder), *_describe(differing, own, theirs)])
    for rank, (count, place, *shown) in enumerate(findings):
        if count:
            path, mark, expected = shown
            more = f" (and {count - 1} more)" if count > 1 else ""
            raise RunError(
                f"the photos differ: {path} is {expected} for {workers.names[workers.writer_rank]} and {mark} for "
                f"{workers.names[rank]} in {place}{more}; copy the folder again, e.g. rsync -a --delete --checksum"
            )


def version_of(package: str) -> str:
    """Return the version of an installed package."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _kind_of(weights: str) -> str:
    return weights if weights in ("imagenet", "none") else "a file"


def _find_difference(first: dict[str, Any], other: dict[str, Any]) -> str:
    """Name of what differs; empty if nothing does."""
    return next((name for name in first if first[name] != other.get(name)), "")


def _describe(differing: list[str], own: dict[str, str], theirs: dict[str, str]) -> tuple[str, str, str]:
    if not differing:
        return "", "", ""
    path = differing[0]
    return path, own.get(path, "missing"), theirs.get(path, "missing")
