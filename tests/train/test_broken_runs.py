"""Runs that are broken in every way: each is refused in one line, never by a traceback, and nothing hangs."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from yoga_live.calibration.command import main as calibrate
from yoga_live.export.command import main as export
from yoga_live.train.cli.main import main as train
from yoga_live.train.fit.checkpoint import CHECKPOINT
from yoga_live.train.run_files.predictions import FOLDS, PREDICTIONS

from .broken_runs import MANIFESTS, PARTS, RUNS, STATES, Change, make_pipe, point_to


def borrow(run: Path, to: Path) -> Path:
    """A folder of links to a run's files, which take hundreds of MB; whoever changes one puts another in its place."""
    return Path(shutil.copytree(run, to, copy_function=os.link))


@pytest.fixture
def run(trained_run: Path, tmp_path: Path) -> Path:
    return borrow(trained_run, tmp_path / "run")


def list_commands(run: Path, photos: Path, model: Path) -> Iterator[tuple[Any, ...]]:
    to = run.parent / "to.onnx"
    yield train, "report", run, "--photos", photos
    yield train, "clean", photos, run, "--auto", "--dry-run"
    yield calibrate, "check", model, "--run", run, "--photos", photos
    yield calibrate, "confidence", model, "--run", run, "--photos", photos, "--to", to
    yield calibrate, "int8", model, "--run", run, "--photos", photos, "--to", to
    yield export, "fp16", model, "--run", run, "--photos", photos, "--to", to
    yield export, "onnx", run, "--photos", photos, "--to", to


def test_there_are_many() -> None:
    assert len(RUNS) + len(PARTS) + len(STATES) >= 44


@pytest.mark.parametrize("name", RUNS)
def test_what_is_wrong_with_a_run_is_one_line(
    ask: Any, run: Path, drawn_photos: Path, exported_model: Path, name: str
) -> None:
    RUNS[name](run)
    for command in list_commands(run, drawn_photos, exported_model):
        line = ask(*command).refusal()
        assert str(run) in line and line.isprintable() and len(line) < 1000, line


@pytest.mark.parametrize("name", PARTS)
def test_what_is_wrong_with_a_part_of_it_is_one_line(ask: Any, run: Path, drawn_photos: Path, name: str) -> None:
    part, change = PARTS[name]
    change(run)
    commands: list[tuple[Any, ...]] = [(train, "report", run, "--photos", drawn_photos)]
    if part in (PREDICTIONS, FOLDS):
        commands.append((train, "clean", drawn_photos, run, "--auto", "--dry-run"))
    for command in commands:
        answer = ask(*command)
        if part == "log.csv" and answer.code == 0:
            continue  # it is only shown
        assert part in answer.refusal()


def test_a_photo_that_is_a_pipe_is_one_line(ask: Any, run: Path, drawn_photos: Path, exported_model: Path) -> None:
    photos = Path(shutil.copytree(drawn_photos, run.parent / "photos"))
    with (run / "photos.csv").open() as file:
        path = photos / next(row["path"] for row in csv.DictReader(file) if row["split"] == "test")
    path.unlink()
    os.mkfifo(path)
    command = (calibrate, "check", exported_model, "--run", run, "--photos", photos)
    assert "a named pipe" in ask(*command).refusal()


@pytest.fixture(scope="module")
def stopped(drawn_photos: Path, start_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was killed after its first whole epoch."""
    from yoga_live.train.fit import trainer
    from yoga_live.train.fit.config import FitConfig
    from yoga_live.train.fit.run import fit_run

    folder = tmp_path_factory.mktemp("stopped") / "run"
    save = trainer.save_checkpoint

    class Killed(BaseException):
        """Nothing of ours is run after it."""

    def save_and_die(path: Path, progression: Any, notes: dict[str, Any]) -> None:
        save(path, progression, notes)
        if notes["epoch"] == 1:
            raise Killed

    config = FitConfig(str(start_weights), 2, 2, size=64, batch=16, rate=1e-4, device="cpu", arch="resnet18")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "save_checkpoint", save_and_die)
        with pytest.raises(Killed):
            fit_run(drawn_photos, folder, config)
    assert (folder / CHECKPOINT).is_file()
    return folder


def resume(ask: Any, photos: Path, folder: Path, weights: Path) -> Any:
    options = ("--weights", weights, "--epochs-frozen", 2, "--epochs", 2, "--size", 64, "--batch", 16, "--rate", "1e-4")
    options += ("--arch", "resnet18")
    return ask(train, "fit", photos, "--to", folder, "--resume", "--device", "cpu", *options)


def test_a_stopped_run_goes_on_before_it_is_broken(
    ask: Any, stopped: Path, drawn_photos: Path, start_weights: Path, tmp_path: Path
) -> None:
    folder = borrow(stopped, tmp_path / "run")
    assert resume(ask, drawn_photos, folder, start_weights).code == 0


@pytest.mark.parametrize("name", STATES)
def test_a_broken_checkpoint_is_one_line_and_stays(
    ask: Any, stopped: Path, drawn_photos: Path, start_weights: Path, tmp_path: Path, name: str
) -> None:
    folder = borrow(stopped, tmp_path / "run")
    STATES[name](folder)
    assert CHECKPOINT in resume(ask, drawn_photos, folder, start_weights).refusal()
    assert os.path.lexists(folder / CHECKPOINT)


@pytest.mark.parametrize(
    "name", ["run.json of lists", "config__size '1000000000'", "a photo at /dev/zero", "photos.csv is a pipe"]
)
def test_another_run_s_split_is_read_as_carefully(
    ask: Any, run: Path, drawn_photos: Path, start_weights: Path, tmp_path: Path, name: str
) -> None:
    RUNS[name](run)
    arguments = ("--weights", start_weights, "--size", 64, "--arch", "resnet18", "--epochs", 0, "--split-of", run)
    assert str(run) in ask(train, "fit", drawn_photos, "--to", tmp_path / "new", *arguments).refusal()


@pytest.mark.parametrize(
    "name", ["photos.csv is a pipe", "photos.csv is a device", "photos.csv is noise", "a photo at /dev/zero"]
)
def test_a_run_that_goes_on_reads_its_photos_as_carefully(
    ask: Any, stopped: Path, drawn_photos: Path, start_weights: Path, tmp_path: Path, name: str
) -> None:
    folder = borrow(stopped, tmp_path / "run")
    RUNS[name](folder)
    resume(ask, drawn_photos, folder, start_weights).refusal()


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_broken_manifest_or_journal_is_one_line(
    ask: Any, run: Path, drawn_photos: Path, tmp_path: Path, name: str
) -> None:
    from yoga_live.train.photos.manifest import COLUMNS

    photos = Path(shutil.copytree(drawn_photos, tmp_path / "photos"))
    MANIFESTS[name](photos)
    manifest = photos / "manifest.csv"
    if manifest.is_file() and "HEADER" in manifest.read_text():
        manifest.write_text(manifest.read_text().replace("HEADER", ",".join(COLUMNS)))
    assert str(photos) in ask(train, "clean", photos, run, "--undo", 1).refusal()
    if "journal" not in name and "number" not in name:
        assert str(photos) in ask(train, "add", photos / "tree" / "00.png", "--pose", "x", "--to", photos).refusal()


@pytest.mark.parametrize("change", [make_pipe, lambda name: point_to(name, "/dev/zero")], ids=["a pipe", "a device"])
def test_lists_of_urls_are_files(ask: Any, tmp_path: Path, change: Callable[[str], Change]) -> None:
    change("tree.csv")(tmp_path)
    path = tmp_path / "tree.csv"
    assert str(path) in ask(train, "download", path, "--to", tmp_path / "to").refusal()
    assert str(path) in ask(train, "collect", "--urls", path, "--pose", "tree", "--to", tmp_path / "lists").refusal()
    assert str(path) in ask(train, "add", path, "--pose", "tree", "--to", tmp_path / "to").refusal()
