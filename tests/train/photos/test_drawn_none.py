"""Drawn pictures of `none`: what is drawn, where it goes, and that it is only trained on."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from yoga_live.calibration.command import main as calibrate
from yoga_live.calibration.runs import load_run
from yoga_live.export.command import main as export
from yoga_live.runtime.errors import OptionError, RunError
from yoga_live.train.cli.main import main
from yoga_live.train.photos.drawn_none import COUNT, add_drawn_none, draw_none, is_drawn
from yoga_live.train.photos.folder import read_photos

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


def test_photos_of_ones_own_are_never_mixed_with_drawn_ones(poses: Path) -> None:
    (poses / "none").mkdir()
    shutil.copy(next((poses / "tree").iterdir()), poses / "none" / "me.png")
    with pytest.raises(OptionError, match=r"none holds photos of your own, such as me\.png, which say more"):
        add_drawn_none(poses)
    assert [path.name for path in (poses / "none").iterdir()] == ["me.png"]


def test_an_empty_folder_may_be_drawn_into_and_the_error_says_so(poses: Path) -> None:
    (poses / "none").mkdir()
    (poses / "none" / ".DS_Store").write_bytes(b"")
    with pytest.raises(RunError, match=r"or remove the folder, or let fit draw some with --none default$"):
        read_photos(poses, 32)
    (poses / "none" / "me.jpg").write_text("<html>404</html>")  # of one's own: --none default would be refused
    with pytest.raises(RunError, match=r"add some, or remove the folder$"):
        read_photos(poses, 32)
    (poses / "none" / "me.jpg").unlink()
    add_drawn_none(poses)
    assert "none" in read_photos(poses, 32).labels


def test_a_second_time_nothing_is_drawn(poses: Path) -> None:
    add_drawn_none(poses)
    before = {path: path.stat().st_mtime_ns for path in (poses / "none").iterdir()}
    add_drawn_none(poses)
    assert len(before) == COUNT == sum(is_drawn(f"none/{path.name}") for path in before)
    assert {path: path.stat().st_mtime_ns for path in (poses / "none").iterdir()} == before


def test_a_run_is_trained_on_them_and_never_tested_also_without_the_option(
    ask, poses: Path, start_weights: Path, tmp_path: Path
) -> None:
    for name, options in (("first", ("--none", "default")), ("second", ("--folds", 2))):
        run = tmp_path / name
        answer = ask(main, "fit", poses, "--to", run, "--weights", start_weights, *OPTIONS, *options)
        assert answer.code == 0, answer.err
        assert ("drew 120 rooms and people doing nothing" in answer.err) == (name == "first")
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
    with pytest.raises(OptionError, match=r"holds photos of your own|rename it to none and leave the option out"):
        add_drawn_none(tmp_path)
    assert sum(1 for _ in tmp_path.rglob("*")) == 4


def test_a_folder_of_other_poses_is_no_reason_not_to_draw(tmp_path: Path) -> None:
    for pose in ("tree", "other"):
        (tmp_path / pose).mkdir()
    add_drawn_none(tmp_path)
    assert len([*(tmp_path / "none").iterdir()]) == COUNT


def test_a_fit_that_is_refused_draws_nothing(ask, poses: Path, tmp_path: Path) -> None:
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
