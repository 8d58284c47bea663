"""A training that is killed and goes on ends with the weights of one that was left alone."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from yoga_live.calibration.logits import read_left_out
from yoga_live.calibration.runs import load_run
from yoga_live.runtime.core.softmax import softmax
from yoga_live.runtime.errors import OptionError, OutputError, RunError
from yoga_live.train.fit.checkpoint import CHECKPOINT, load_notes
from yoga_live.train.fit.config import FitConfig
from yoga_live.train.fit.run import fit_run
from yoga_live.train.fit.run_folder import describe_change
from yoga_live.train.fit.trainer import Trainer
from yoga_live.train.photos.dataset import PhotoDataset
from yoga_live.train.photos.folder import read_photos
from yoga_live.train.run_files.left_out import describe_left_out
from yoga_live.train.run_files.predictions import FOLDS, load_predictions

CONFIG = FitConfig("none", epochs_frozen=2, epochs=3, size=32, batch=16, device="cpu", arch="resnet18")


@pytest.fixture(scope="module")
def photos(drawn_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("few") / "photos"
    for pose in drawn_photos.iterdir():
        (folder / pose.name).mkdir(parents=True)
        for path in sorted(pose.iterdir())[:6]:
            shutil.copy2(path, folder / pose.name)
    return folder


@pytest.fixture(scope="module")
def undisturbed(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    fit_run(photos, folder, CONFIG)
    return folder


def assert_same_training(folder: Path, other: Path) -> None:
    first, second = (load_file(run / "weights.safetensors") for run in (folder, other))
    assert first.keys() == second.keys()
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    logs = [[row.rsplit(",", 1)[0] for row in (run / "log.csv").read_text().splitlines()] for run in (folder, other)]
    assert logs[0] == logs[1]  # but for the seconds
    assert (folder / "predictions.csv").read_bytes() == (other / "predictions.csv").read_bytes()
    assert not (folder / CHECKPOINT).exists() and load_run(folder).labels


class CrashError(Exception):
    """Stands for anything that ends a process."""


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_a_crash_in_any_epoch_is_made_good(
    photos: Path, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epoch: int
) -> None:
    train = Trainer._train_epoch

    def crash(self: Trainer, number: int, *args: object) -> float:
        loss = train(self, number, *args)  # type: ignore[arg-type]
        if number == epoch:
            raise CrashError
        return loss

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_train_epoch", crash)
        with pytest.raises(CrashError):
            fit_run(photos, tmp_path / "run", CONFIG)
    assert not (tmp_path / "run" / "run.json").exists()
    fit_run(photos, tmp_path / "run", CONFIG, resume=True)
    assert_same_training(tmp_path / "run", undisturbed)


def test_a_crash_after_epochs_that_were_worse_than_the_frozen_phase_is_made_good(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(CONFIG, epochs=2, rate=0.5)
    assert fit_run(photos, tmp_path / "whole", config)["metrics"]["best_epoch"] == 0
    train = Trainer._train_epoch

    def crash(self: Trainer, number: int, *args: object) -> float:
        if number == 2:
            raise CrashError
        return train(self, number, *args)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_train_epoch", crash)
        with pytest.raises(CrashError):
            fit_run(photos, tmp_path / "run", config)
    fit_run(photos, tmp_path / "run", config, resume=True)
    assert_same_training(tmp_path / "run", tmp_path / "whole")


@pytest.mark.slow
def test_kill_9_at_any_moment_is_made_good(photos: Path, undisturbed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command = [
        *(sys.executable, "-m", "yoga_live.train", "fit", str(photos), "--to", str(folder), "--resume"),
        *("--weights", "none", "--epochs-frozen", "2", "--epochs", "3", "--size", "32", "--batch", "16"),
        *("--device", "cpu", "--arch", "resnet18"),
    ]
    waits_for = [folder / "photos.csv", folder / CHECKPOINT, None]
    for path in waits_for:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if path is not None:
            while not path.exists() and process.poll() is None:
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
        _, errors = process.communicate(timeout=120)
        assert process.returncode == (0 if path is None else -signal.SIGKILL), errors
    assert_same_training(folder, undisturbed)


def test_ctrl_c_keeps_the_checkpoint_and_the_run_can_go_on(
    photos: Path, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = Trainer._train_epoch

    def stop(self: Trainer, number: int, *args: object) -> float:
        if number == 2:
            raise KeyboardInterrupt
        return train(self, number, *args)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_train_epoch", stop)
        assert fit_run(photos, tmp_path / "run", CONFIG)["metrics"]["interrupted"]
    checkpoint = (tmp_path / "run" / CHECKPOINT).read_bytes()
    (tmp_path / "run" / CHECKPOINT).unlink()
    with pytest.raises(OutputError, match="is missing"):  # the weights of the best epoch are not begun anew
        fit_run(photos, tmp_path / "run", CONFIG, resume=True)
    (tmp_path / "run" / CHECKPOINT).write_bytes(checkpoint)
    notes = load_notes(tmp_path / "run" / CHECKPOINT)
    assert notes is not None and notes["epoch"] == 1
    assert not fit_run(photos, tmp_path / "run", CONFIG, resume=True)["metrics"]["interrupted"]
    assert_same_training(tmp_path / "run", undisturbed)


def test_resume_begins_where_nothing_is_there_and_refuses_what_it_can_not_go_on_with(
    photos: Path, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "diary.txt").touch()
    with pytest.raises(OutputError, match=r"no photos\.csv"):
        fit_run(photos, tmp_path / "other", CONFIG, resume=True)
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_train_epoch", lambda *_: (_ for _ in ()).throw(CrashError))
        with pytest.raises(CrashError):
            fit_run(photos, tmp_path / "run", CONFIG, resume=True)
    with pytest.raises(OptionError, match="started with --epochs 3, not --epochs 4"):
        fit_run(photos, tmp_path / "run", replace(CONFIG, epochs=4), resume=True)
    moved = Path(shutil.copytree(photos, tmp_path / "photos"))
    next(moved.glob("tree/*")).unlink()
    with pytest.raises(RunError, match="photos differ from those"):
        fit_run(moved, tmp_path / "run", CONFIG, resume=True)
    checkpoint = tmp_path / "run" / CHECKPOINT
    checkpoint.write_bytes(checkpoint.read_bytes()[:5000])
    with pytest.raises(RunError, match="cannot be read"):
        fit_run(photos, tmp_path / "run", CONFIG, resume=True)


def test_a_finished_run_is_left_alone_when_it_is_resumed_once_more_but_not_with_other_options(
    photos: Path, undisturbed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = {path: path.read_bytes() for path in undisturbed.rglob("*") if path.is_file()}
    with caplog.at_level("INFO"):
        content = fit_run(photos, undisturbed, CONFIG, resume=True)
    assert content == load_run(undisturbed).summary
    assert "already finished" in caplog.text
    with pytest.raises(OptionError, match="started with --epochs 3, not --epochs 4"):
        fit_run(photos, undisturbed, replace(CONFIG, epochs=4), resume=True)
    assert before == {path: path.read_bytes() for path in undisturbed.rglob("*") if path.is_file()}


def test_folds_answer_for_every_photo_and_go_on_after_a_crash(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(CONFIG, epochs=1, folds=2)
    fit_run(photos, tmp_path / "whole", config)
    run = load_run(tmp_path / "whole")
    predictions = load_predictions(run)
    assert predictions.out_of_fold and predictions.probabilities.shape == (24, 4)
    assert not (tmp_path / "whole" / "folds").exists()

    trained: list[Path] = []
    train = Trainer._train_epoch

    def crash_in_the_second_fold(self: Trainer, number: int, *args: object) -> float:
        trained.append(self.folder)
        if self.folder.name == "2" and trained.count(self.folder) == 1:
            raise CrashError
        return train(self, number, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Trainer, "_train_epoch", crash_in_the_second_fold)
    with pytest.raises(CrashError):
        fit_run(photos, tmp_path / "run", config)
    assert (tmp_path / "run" / "run.json").exists()  # the kept network is whole already
    fit_run(photos, tmp_path / "run", config, resume=True)
    assert [path.name for path in trained] == ["run", "1", "2", "2"]
    assert (tmp_path / "run" / FOLDS).read_bytes() == (tmp_path / "whole" / FOLDS).read_bytes()


def test_too_few_photos_for_the_folds_are_refused_before_any_work(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"too few for --folds 9"):
        fit_run(photos, tmp_path / "run", replace(CONFIG, folds=9))
    assert not (tmp_path / "run").exists()


def test_a_later_run_can_hold_out_the_same_photos(photos: Path, undisturbed: Path, tmp_path: Path) -> None:
    cleaned = Path(shutil.copytree(photos, tmp_path / "photos"))
    before = {photo.sha256: photo.split for photo in load_run(undisturbed).photos}
    train_only = next(photo for photo in load_run(undisturbed).photos if photo.split == "train")
    (cleaned / train_only.path).unlink()
    fit_run(cleaned, tmp_path / "run", replace(CONFIG, epochs=0, seed=3, split_of=str(undisturbed)))
    after = {photo.sha256: photo.split for photo in load_run(tmp_path / "run").photos}
    assert after == {sha256: split for sha256, split in before.items() if sha256 != train_only.sha256}


def test_a_run_that_crops_people_goes_on_alike_and_not_with_other_crops(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    config = replace(CONFIG, size=64, augmentation=replace(CONFIG.augmentation, person=0.5))
    whole = fit_run(photos, tmp_path / "whole", config)["metrics"]
    assert whole["test_crops"]["photos"] == whole["test"]["photos"]
    train_epoch = Trainer._train_epoch

    def crash(trainer: Trainer, epoch: int, *others: object) -> float:
        if epoch == 2:
            raise CrashError
        return train_epoch(trainer, epoch, *others)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_train_epoch", crash)
        with pytest.raises(CrashError):
            fit_run(photos, tmp_path / "run", config)
    with pytest.raises(OptionError, match=r"started with --person-crops 0\.5, not 0; give the same"):
        fit_run(photos, tmp_path / "run", replace(config, augmentation=CONFIG.augmentation), resume=True)
    fit_run(photos, tmp_path / "run", config, resume=True)
    assert_same_training(tmp_path / "run", tmp_path / "whole")


@pytest.fixture(scope="module")
def sourced(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The photos by two sources; of `none` one has them all."""
    folder = tmp_path_factory.mktemp("sourced") / "photos"
    for path in sorted(photos.glob("*/*")):
        target = folder / path.parent.name
        target.mkdir(parents=True, exist_ok=True)
        source = "anna" if path.parent.name == "none" or int(path.stem[-1], 16) % 2 else "bo"
        shutil.copy2(path, target / f"{source}__{path.name}")
    return folder


def test_folds_by_source_keep_logits_to_photos_of_sources_that_the_network_had_not_seen(
    sourced: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    trained: list[set[str]] = []
    init = Trainer.__init__

    def record(self: Trainer, network: object, splits: dict[str, PhotoDataset], *args: object) -> None:
        if "validation" not in splits:
            rows = splits["train"].rows
            assert rows is not None
            trained.append({paths[row].rpartition("/")[2].partition("__")[0] for row in rows if row not in none})
        init(self, network, splits, *args)  # type: ignore[arg-type]

    paths = [photo.path for photo in read_photos(sourced, 32).photos]
    none = {row for row, path in enumerate(paths) if path.startswith("none/")}
    monkeypatch.setattr(Trainer, "__init__", record)
    config = replace(CONFIG, epochs=0, folds=5, by_source=True)
    with caplog.at_level("INFO"):
        content = fit_run(sourced, tmp_path / "run", config)
    assert "2 sources of photos: 2 by what stands before `__` in file names" in caplog.text
    assert "photos of one source only: none; these are left out by near-duplicates" in caplog.text
    assert sorted(trained, key=str) == [{"anna"}, {"bo"}]
    run = load_run(tmp_path / "run")
    answers = read_left_out(run)
    assert answers is not None and answers.list_sources() == ["anna", "bo"] and answers.judged.all()
    assert [run.labels[t] for t in answers.targets[~answers.left_out]] == ["none"] * 6
    assert softmax(answers.logits) == pytest.approx(load_predictions(run).probabilities, abs=1e-4)
    assert run.summary["left_out"] == content["left_out"] and content["left_out"]["photos"] == 18
    assert [row["photos"] for row in content["left_out"]["sources"].values()] == [9, 9]
    assert content["left_out"]["poses_of_one_source"] == ["none"]
    lines = describe_left_out(content)
    assert lines[0].startswith("left-out sources: accuracy ") and "18 photos" in lines[0]
    assert (
        "random split: " in lines[0]
        and lines[1].startswith("  anna: ")
        and lines[-1].endswith("source has them: `none`")
    )
    assert fit_run(sourced, tmp_path / "run", config, resume=True) == run.summary


def test_by_source_without_folds_or_sources_is_refused_before_any_work(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="--by-source needs --folds"):
        replace(CONFIG, by_source=True)
    with pytest.raises(RunError, match="needs photos of two sources or more; got unnamed"):
        fit_run(photos, tmp_path / "run", replace(CONFIG, folds=2, by_source=True))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        ({"by_source": True, "folds": 3}, {"folds": 3}, "started with --by-source, not no --by-source"),
        ({}, {"second_opinion": False}, "started with no --no-second-opinion, not --no-second-opinion"),
        ({"epochs": 0}, {}, "started with --epochs 0, not --epochs 12"),
        ({"split_of": "runs/first"}, {}, "started with --split-of runs/first, not no --split-of"),
        ({"teacher": "runs/large"}, {}, "learns from runs/large, not no teacher"),
    ],
)
def test_what_changed_is_named_as_the_option(before: dict[str, Any], now: dict[str, Any], told: str) -> None:
    one, other = (FitConfig(mirror=True, **options) for options in (before, now))
    assert told in describe_change(json.loads(json.dumps(asdict(one))), other)
