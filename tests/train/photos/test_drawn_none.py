"""Drawn pictures of `none`: what is drawn, where it goes, and that it is only trained on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from yoga_live.calibration.command import main as calibrate
from yoga_live.calibration.runs import load_run
from yoga_live.export.command import main as export
from yoga_live.runtime.errors import OptionError, RunError
from yoga_live.train.cli.main import main
from yoga_live.train.photos.drawn_none import COUNT, add_drawn_none, draw_none, is_drawn
from yoga_live.train.photos.folder import list_poses, read_photos

OPTIONS = ("--size", 64, "--epochs", 0, "--epochs-frozen", 8, "--device", "cpu", "--arch", "resnet18")


@pytest.fixture
def poses(drawn_photos: Path, tmp_path: Path) -> Path:
    """Two poses without `none`."""
    for pose in ("down_dog", "tree"):
        shutil.copytree(drawn_photos / pose, tmp_path / "photos" / pose)
    return tmp_path / "photos"


def test_what_is_drawn_is_the_same_each_time_and_every_picture_another() -> None:
    frames = list(draw_none(30))
    assert all(frame.dtype == np.uint8 and frame.ndim == 3 and frame.std() > 3 for frame in frames)
    assert len({frame.tobytes() for frame in frames}) == 30
    assert all((a == b).all() for a, b in zip(frames, draw_none(30), strict=True))


@pytest.mark.parametrize("name", ["me.png", "_MG_1.PNG", "standing/_1.png"])
def test_photos_of_ones_own_are_never_mixed_with_drawn_ones(poses: Path, name: str) -> None:
    own = poses / "none" / name
    own.parent.mkdir(parents=True)
    shutil.copy(next((poses / "tree").iterdir()), own)
    with (
        pytest.raises(OptionError, match=f"none holds photos of your own, such as {re.escape(name)}, which say more"),
        add_drawn_none(poses),
    ):
        pass
    assert [path for path in (poses / "none").rglob("*") if path.is_file()] == [own]


def test_an_empty_folder_may_be_drawn_into_and_the_error_says_so(poses: Path) -> None:
    (poses / "none").mkdir()
    (poses / "none" / ".DS_Store").write_bytes(b"")
    with pytest.raises(RunError, match=r"or remove the folder, or let fit draw some with --none default$"):
        read_photos(poses, 32)
    (poses / "none" / "me.jpg").write_text("<html>404</html>")  # of one's own: --none default would be refused
    with pytest.raises(RunError, match=r"add some, or remove the folder$"):
        read_photos(poses, 32)
    (poses / "none" / "me.jpg").unlink()
    with add_drawn_none(poses):
        pass
    assert "none" in read_photos(poses, 32).labels


def test_a_second_time_nothing_is_drawn_or_replaced(poses: Path) -> None:
    with add_drawn_none(poses):
        pass
    (poses / "none" / "drawn_none__007.png").unlink()
    (poses / "none" / "drawn_none__008.png").write_bytes(b"my own")
    before = {path: path.stat().st_mtime_ns for path in (poses / "none").iterdir()}
    with add_drawn_none(poses):
        pass
    assert len(before) == COUNT - 1 == sum(is_drawn(f"none/{path.name}") for path in before)
    assert {path: path.stat().st_mtime_ns for path in (poses / "none").iterdir()} == before


@pytest.mark.parametrize("kept", [None, "", ".DS_Store"])
def test_what_was_drawn_is_removed_if_the_rest_fails(poses: Path, kept: str | None) -> None:
    if kept is not None:
        (poses / "none").mkdir()
    if kept:
        (poses / "none" / kept).touch()
    before = sorted(poses.rglob("*"))
    with pytest.raises(KeyboardInterrupt), add_drawn_none(poses):
        assert sum(is_drawn(f"none/{path.name}") for path in (poses / "none").iterdir()) == COUNT
        raise KeyboardInterrupt
    assert sorted(poses.rglob("*")) == before


def test_a_partial_set_never_has_the_final_name(poses: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def stop_midway() -> Iterator[np.ndarray]:
        yield from draw_none(7)
        seen.extend(path for path in poses.rglob("drawn_none__*"))
        assert list_poses(poses) == ("down_dog", "tree")
        raise KeyboardInterrupt

    monkeypatch.setattr("yoga_live.train.photos.drawn_none.draw_none", stop_midway)
    with pytest.raises(KeyboardInterrupt), add_drawn_none(poses):
        pass
    assert len(seen) == 7 and all(path.parent.name.startswith(".") for path in seen)
    assert sorted(path.name for path in poses.iterdir()) == ["down_dog", "tree"]


def test_what_a_killed_process_left_is_removed_when_it_is_old(poses: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = poses / f".drawn_none.part{ended.pid}"
    left.mkdir()
    for age_s, is_kept in ((0, True), (7200, False)):
        changed_s = time.time() - age_s
        os.utime(left, (changed_s, changed_s))
        with pytest.raises(KeyboardInterrupt), add_drawn_none(poses):
            raise KeyboardInterrupt
        assert left.exists() == is_kept


@pytest.mark.parametrize("options", [("--split", "given"), ("--split-of", "typo"), ("--train-only", "*"), ()])
def test_a_fit_that_fails_before_the_training_leaves_no_drawings(
    ask, poses: Path, start_weights: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    if not options:
        (poses / "empty").mkdir()
    run = ("--to", tmp_path / "run", "--weights", start_weights)
    pytest.importorskip("torch")
    assert ask(main, "fit", poses, *run, *OPTIONS, "--none", "default", *options).refusal()
    assert not (poses / "none").exists()


def test_a_run_is_trained_on_them_and_never_tested_also_without_the_option(
    ask, poses: Path, start_weights: Path, tmp_path: Path
) -> None:
    for name, options in (("first", ("--none", "default")), ("second", ("--folds", 2))):
        run = tmp_path / name
        answer = ask(main, "fit", poses, "--to", run, "--weights", start_weights, *OPTIONS, *options)
        assert answer.code == 0, answer.err
        assert ("drew 120 rooms and people doing nothing" in answer.err) == (name == "first")
        assert ("120 drawn pictures of `none` in" in answer.err) == (name == "second")
        assert "no class `none`" not in answer.err
        read = load_run(run)
        assert read.labels == ("down_dog", "tree", "none")
        drawn = [photo for photo in read.photos if is_drawn(photo.path)]
        assert {photo.split for photo in drawn} == {"train"} and len({photo.group for photo in drawn}) == COUNT
        assert {photo.split for photo in read.photos if not is_drawn(photo.path)} == {"train", "validation", "test"}
    answer = ask(main, "report", tmp_path / "second")
    assert answer.code == 0 and "no photo of `none` was held out" in answer.out, answer.err
    model = tmp_path / "yoga.onnx"
    assert ask(export, "onnx", tmp_path / "first", "--to", model).code == 0
    for command in ("confidence", "int8"):
        to = tmp_path / f"{command}.onnx"
        answer = ask(calibrate, command, model, "--run", tmp_path / "first", "--to", to, "--force")
        assert answer.code == 0 or "agrees with FP32" in answer.err, answer.err


@pytest.mark.parametrize("name", ["None", "NONE", "no_class", "background"])
def test_nothing_is_drawn_beside_a_folder_that_seems_to_be_none(tmp_path: Path, name: str) -> None:
    for pose in ("tree", "chair", name):
        (tmp_path / pose).mkdir()
    (tmp_path / name / "0.png").touch()
    with (
        pytest.raises(OptionError, match=r"holds photos of your own|rename it to none and leave the option out"),
        add_drawn_none(tmp_path),
    ):
        pass
    assert sum(1 for _ in tmp_path.rglob("*")) == 4


def test_a_folder_of_other_poses_is_no_reason_not_to_draw(tmp_path: Path) -> None:
    for pose in ("tree", "other"):
        (tmp_path / pose).mkdir()
    with add_drawn_none(tmp_path):
        pass
    assert len([*(tmp_path / "none").iterdir()]) == COUNT


def test_a_fit_that_is_refused_draws_nothing(ask, poses: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    fit = ("fit", "--none", "default", "--weights", tmp_path / "gone.pth", "--epochs", 0, "--size", 32, "--to")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "photos.csv").touch()
    assert "exists already" in ask(main, *fit, tmp_path / "taken", poses).refusal()
    assert "no such file" in ask(main, *fit, tmp_path / "run", poses).refusal()
    shutil.rmtree(poses / "tree")
    assert "at least two poses" in ask(main, *fit, tmp_path / "run", poses).refusal()
    assert [path.name for path in poses.iterdir()] == ["down_dog"]
    assert "nowhere is not a folder" in ask(main, *fit, tmp_path / "run", tmp_path / "nowhere").refusal()


def test_another_word_than_default_is_refused(ask, poses: Path, tmp_path: Path) -> None:
    assert "--none" in ask(main, "fit", poses, "--to", tmp_path / "run", "--none", "all").refusal()
    assert not (poses / "none").exists()
