"""From photos to a finished run folder, and what is left behind when it does not finish."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from safetensors.torch import load_file

from yoga_live.calibration.metrics import measure_accuracy
from yoga_live.calibration.runs import load_frames, load_run
from yoga_live.runtime.errors import ModelError, OutputError, RunError
from yoga_live.runtime.sources.drawn_figure import POSES, draw_figure, jitter_pose, random_appearance
from yoga_live.train.cli.main import main
from yoga_live.train.fit.config import FitConfig
from yoga_live.train.fit.network import load_network, normalise
from yoga_live.train.fit.run import fit_run
from yoga_live.train.fit.trainer import Trainer

QUICK = FitConfig("none", epochs_frozen=1, epochs=0, size=32, batch=8, device="cpu", arch="resnet18")


def list_files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def copy_some(drawn_photos: Path, to: Path, count: int = 4) -> Path:
    """The first photos of each pose."""
    for pose in drawn_photos.iterdir():
        (to / pose.name).mkdir(parents=True)
        for path in sorted(pose.iterdir())[:count]:
            shutil.copy(path, to / pose.name)
    return to


def test_a_run_holds_weights_labels_splits_log_and_a_picture(trained_run: Path) -> None:
    events = [path for path in list_files(trained_run) if path.startswith("tensorboard/events.")]
    assert len(events) == 1  # for TensorBoard
    assert sorted(set(list_files(trained_run)) - set(events)) == [
        "log.csv", "photos.csv", "predictions.csv", "report/confusion.png", "run.json", "weights.safetensors",
    ]  # fmt: skip
    content = json.loads((trained_run / "run.json").read_text(encoding="utf-8"))
    assert content["labels"] == ["down_dog", "tree", "warrior_2", "none"]
    assert content["config"]["size"] == 64 and content["config"]["augmentation"]["mirror"] == 0.5
    assert content["versions"]["torch"] in torch.__version__
    assert not content["metrics"]["interrupted"]
    with Image.open(trained_run / "report" / "confusion.png") as picture:
        assert picture.width > 200


def test_a_run_of_few_photos_says_why_it_has_no_second_opinion(trained_run: Path) -> None:
    found = json.loads((trained_run / "run.json").read_text(encoding="utf-8"))["second_opinion"]
    assert not found["used"] and "it takes 100 training photos" in found["reason"]


@pytest.mark.slow
def test_fit_trains_a_second_opinion_that_the_exported_file_has(ask: Callable[..., Any], tmp_path: Path) -> None:
    """Drawn people, whom the real finder finds, and a network that has learned next to nothing."""
    pytest.importorskip("onnxruntime")
    from yoga_live.export.command import main as export
    from yoga_live.runtime.classifier import PoseClassifier
    from yoga_live.train import open_run

    rng, photos, run = np.random.default_rng(0), tmp_path / "photos", tmp_path / "run"
    for pose in ("goddess", "tree", "warrior_2"):
        (photos / pose).mkdir(parents=True)
        for number in range(110):
            picture = draw_figure(jitter_pose(POSES[pose], rng), (320, 320), random_appearance(rng))
            Image.fromarray(picture[:, :, ::-1]).save(photos / pose / f"{number:03}.png")
    options = ("--weights", "none", "--arch", "resnet18", "--size", 32, "--epochs", 0, "--epochs-frozen", 2)
    answer = ask(main, "fit", photos, "--to", run, *options, "--device", "cpu")
    assert answer.code == 0, answer.err
    found = json.loads((run / "run.json").read_text())["second_opinion"]
    assert found["used"] and found["together"]["accuracy"] > max(0.9, found["network"]["accuracy"] + 0.2)
    assert open_run(run).second_opinion in answer.out.splitlines()
    assert ask(export, "onnx", run, "--to", tmp_path / "yoga.onnx").code == 0
    classifier = PoseClassifier(tmp_path / "yoga.onnx", "cpu")
    for pose in ("goddess", "tree", "warrior_2"):
        frame_bgr = draw_figure(POSES[pose], (640, 480))
        prediction = classifier.classify(frame_bgr)
        assert max(prediction.probabilities, key=prediction.probabilities.__getitem__) == pose
        assert open_run(run).predict(frame_bgr).probabilities == pytest.approx(prediction.probabilities, abs=1e-3)
    leave = ("--no-second-opinion", "--device", "cpu")
    assert ask(main, "fit", photos, "--to", tmp_path / "other", *options, *leave).code == 0
    assert "second_opinion" not in json.loads((tmp_path / "other" / "run.json").read_text())
    assert not (tmp_path / "other" / "landmarks.npy").exists()


def test_every_photo_has_one_row_with_its_hash_and_split(trained_run: Path, drawn_photos: Path) -> None:
    with (trained_run / "photos.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["path"] for row in rows} == {p.relative_to(drawn_photos).as_posix() for p in drawn_photos.glob("*/*")}
    for row in rows:
        assert row["sha256"] == hashlib.sha256((drawn_photos / row["path"]).read_bytes()).hexdigest()
        assert row["pose"] == row["path"].split("/")[0] and row["split"] in {"train", "validation", "test"}
    assert {(row["pose"], row["split"]) for row in rows if row["split"] != "train"} == {
        (pose, split) for pose in ("down_dog", "tree", "warrior_2", "none") for split in ("validation", "test")
    }


def test_reported_test_accuracy_is_what_the_saved_weights_answer_on_the_runtimes_frames(trained_run: Path) -> None:
    run = load_run(trained_run)
    frames, targets, _ = load_frames(run, "test")
    network = load_network(trained_run / "weights.safetensors", len(run.labels))
    with torch.inference_mode():
        answers = network(normalise(torch.from_numpy(frames))).argmax(1).numpy()
    reported = run.summary["metrics"]["test"]
    accuracy = measure_accuracy(answers, targets)
    assert accuracy.value > 0.5  # four classes; else the class order would not be tested
    assert reported["accuracy"] == round(accuracy.value, 4) and reported["photos"] == len(targets)
    assert reported["interval"] == [round(bound, 4) for bound in accuracy.interval]
    recalls = {label: float((answers == i)[targets == i].mean()) for i, label in enumerate(run.labels)}
    assert reported["recall"] == {label: round(recall, 4) for label, recall in recalls.items()}


def test_copies_never_straddle_the_splits_of_a_run(drawn_photos: Path, tmp_path: Path) -> None:
    photos = copy_some(drawn_photos, tmp_path / "photos")
    for path in list(photos.glob("*/*")):
        with Image.open(path) as picture:
            rgb = picture.convert("RGB")
        rgb.resize((rgb.width * 2, rgb.height * 2)).save(path.with_name(f"{path.stem}_large.jpg"), quality=60)
        ImageOps.mirror(rgb).save(path.with_name(f"{path.stem}_mirror.webp"), quality=80)
    fit_run(photos, tmp_path / "run", QUICK)
    splits: dict[str, set[str]] = defaultdict(set)
    for photo in load_run(tmp_path / "run").photos:
        splits[photo.path.split(".")[0].split("_large")[0].split("_mirror")[0]].add(photo.split)
    assert len(splits) == 16 and all(len(own) == 1 for own in splits.values())


def test_broken_files_are_listed_beside_the_run_and_copies_under_two_poses_are_warned_of(
    drawn_photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    photos = copy_some(drawn_photos, tmp_path / "photos", 5)
    (photos / "tree" / "broken.jpg").write_text("<html>gone</html>")
    shutil.copy(photos / "tree" / "01.jpg", photos / "down_dog" / "wrong.jpg")
    with caplog.at_level("WARNING"):
        fit_run(photos, tmp_path / "run", QUICK)
    rows = list(csv.reader((tmp_path / "run" / "skipped.csv").read_text().splitlines()))
    assert rows[0] == ["path", "reason"] and rows[1][0] == "tree/broken.jpg" and "HTML" in rows[1][1]
    assert any("skipped 1 file without a readable photo" in message for message in caplog.messages)
    assert any("1 picture under more than one pose" in message for message in caplog.messages)
    assert not any("broken" in photo.path for photo in load_run(tmp_path / "run").photos)


def test_one_person_in_one_room_can_be_trained_on_and_the_run_says_so(
    one_room: Path, start_weights: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("WARNING"):
        content = fit_run(one_room, tmp_path / "run", QUICK)
    splits = defaultdict(set)
    for photo in load_run(tmp_path / "run").photos:
        splits[photo.pose].add(photo.split)
    assert len(splits) == 5 and all(len(own) == 3 for own in splits.values())
    assert not any("more than one pose" in message for message in caplog.messages)
    assert any("test photos are of the same room as training photos" in message for message in caplog.messages)
    assert content["same_room"]["test_photos"] == content["same_room"]["of"] >= 5


def test_train_only_photos_are_trained_on_and_never_held_out(drawn_photos: Path, tmp_path: Path) -> None:
    photos = copy_some(drawn_photos, tmp_path / "photos", 8)
    for path in list(photos.glob("*/0[0-3]*")):
        path.rename(path.with_name(f"drawn__{path.name}"))
    for seed in (0, 1):
        fit_run(photos, tmp_path / f"run{seed}", replace(QUICK, seed=seed, train_only="drawn__*"))
        rows = load_run(tmp_path / f"run{seed}").photos
        assert {photo.split for photo in rows if "drawn__" in photo.path} == {"train"}
        assert sum("drawn__" in photo.path for photo in rows) == 16


def test_two_runs_with_one_seed_have_equal_weights_and_splits(
    drawn_photos: Path, start_weights: Path, tmp_path: Path
) -> None:
    config = replace(QUICK, weights=str(start_weights), epochs=1, batch=16, seed=5)
    photos = copy_some(drawn_photos, tmp_path / "photos")
    for name in ("a", "b"):
        fit_run(photos, tmp_path / name, config)
    assert (tmp_path / "a" / "photos.csv").read_bytes() == (tmp_path / "b" / "photos.csv").read_bytes()
    first, second = (load_file(tmp_path / name / "weights.safetensors") for name in ("a", "b"))
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    fit_run(photos, tmp_path / "c", replace(config, seed=6))
    other = load_file(tmp_path / "c" / "weights.safetensors")
    assert not torch.equal(other["fc.weight"], first["fc.weight"])


def interrupt_second_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    train = Trainer._train_epoch

    def fake(self: Trainer, epoch: int, *args: object) -> float:
        if epoch == 2:
            raise KeyboardInterrupt
        return train(self, epoch, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Trainer, "_train_epoch", fake)


def test_ctrl_c_in_the_second_epoch_leaves_a_readable_run_of_the_best_epoch(
    drawn_photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_second_epoch(monkeypatch)
    photos = copy_some(drawn_photos, tmp_path / "photos")
    content = fit_run(photos, tmp_path / "run", replace(QUICK, epochs=3, batch=16))
    metrics = content["metrics"]
    assert isinstance(metrics, dict) and metrics["interrupted"] and metrics["best_epoch"] in (0, 1)
    run = load_run(tmp_path / "run")
    assert run.summary == json.loads(json.dumps(content))
    load_network(tmp_path / "run" / "weights.safetensors", len(run.labels))
    with (tmp_path / "run" / "log.csv").open(newline="") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["0", "1"]


def test_it_is_said_when_training_the_whole_network_gained_nothing(
    drawn_photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    photos = copy_some(drawn_photos, tmp_path / "photos")
    content = fit_run(photos, tmp_path / "run", replace(QUICK, epochs=1, rate=0.5))
    assert content["metrics"]["best_epoch"] == 0
    assert "the frozen phase, whose weights are kept; more photos help most, then more --epochs" in caplog.text


def test_a_stopped_fit_ends_with_the_exit_code_of_ctrl_c_and_says_how_to_go_on(
    ask, drawn_photos: Path, start_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_second_epoch(monkeypatch)
    photos = copy_some(drawn_photos, tmp_path / "photos")
    options = ("--weights", start_weights, "--size", 64, "--epochs", 3, "--epochs-frozen", 2, "--device", "cpu")
    options += ("--arch", "resnet18")
    answer = ask(main, "fit", photos, "--to", tmp_path / "run", *options)
    assert answer.code == 130, answer.err
    assert "test accuracy" in answer.out and "repeat the command with --resume" in answer.out
    assert "next: yoga-export" not in answer.out and load_run(tmp_path / "run").summary["metrics"]["interrupted"]


@pytest.mark.parametrize("place", ["run", "tree/run", "tree", "."])
def test_a_run_among_the_photos_would_be_a_pose_and_is_refused(drawn_photos: Path, place: str, tmp_path: Path) -> None:
    photos = copy_some(drawn_photos, tmp_path / "photos")
    before = list_files(photos)
    with pytest.raises(OutputError, match="is inside the photo folder"):
        fit_run(photos, photos / place, QUICK)
    assert list_files(photos) == before


def test_ctrl_c_before_anything_is_learned_leaves_no_run(
    drawn_photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fake(self: Trainer, *_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "fit_head", fake)
    with pytest.raises(KeyboardInterrupt):
        fit_run(drawn_photos, tmp_path / "run", QUICK)
    assert not (tmp_path / "run").exists()


def test_a_run_that_exists_is_refused_before_any_photo_is_read_and_left_untouched(
    trained_run: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(trained_run, tmp_path / "run"))
    before = list_files(run)
    with pytest.raises(OutputError, match="exists already"):
        fit_run(Path("no such photos"), run, QUICK)
    assert list_files(run) == before


def test_a_run_can_not_be_made_below_a_file(drawn_photos: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("file", "file/run"):
        with pytest.raises(OutputError, match="file"):
            fit_run(drawn_photos, tmp_path / name, QUICK)


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_photos_are_refused_and_leave_no_folder(drawn_photos: Path, tmp_path: Path, count: int) -> None:
    photos = copy_some(drawn_photos, tmp_path / "photos", count)
    with pytest.raises(RunError, match=rf"pose 'down_dog' has {count} independent photos? "):
        fit_run(photos, tmp_path / "run", QUICK)
    assert not (tmp_path / "run").exists()


def test_bad_weights_are_refused_and_leave_no_folder(drawn_photos: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        fit_run(drawn_photos, tmp_path / "run", replace(QUICK, weights="absent.pth"))
    assert not (tmp_path / "run").exists()


def test_the_smallest_photo_folder_still_trains(drawn_photos: Path, tmp_path: Path) -> None:
    photos = copy_some(drawn_photos, tmp_path / "photos", 3)
    fit_run(photos, tmp_path / "run", replace(QUICK, epochs=1))
    run = load_run(tmp_path / "run")
    assert [sum(photo.split == split for photo in run.photos) for split in ("train", "validation", "test")] == [4] * 3
    assert np.isfinite(run.summary["metrics"]["test"]["accuracy"])


def test_python_programs_are_warned_too_that_photos_of_sides_are_not_mirrored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("left", "right"):
        (tmp_path / "photos" / name).mkdir(parents=True)
    with pytest.raises(RunError, match="photo"):
        fit_run(tmp_path / "photos", tmp_path / "run", QUICK)
    assert [each.levelname for each in caplog.records if "does not mirror" in each.message] == ["WARNING"]


def test_a_run_without_none_and_a_folder_that_means_it_are_named(
    drawn_photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    photos = copy_some(drawn_photos, tmp_path / "photos")
    fit_run(photos, tmp_path / "first", QUICK)
    assert "no class `none`" not in caplog.text and "what `none` means" not in caplog.text
    (photos / "none").rename(photos / "no_class")
    fit_run(photos, tmp_path / "second", QUICK)
    assert "no class `none`, so most pictures get one of the poses" in caplog.text
    assert f"put photos of these into {photos / 'none'}" in caplog.text
    assert "is 'no_class' what `none` means" in caplog.text and "rename its folder to none" in caplog.text


def test_a_training_at_chance_level_says_so_instead_of_how_to_export(ask, drawn_photos: Path, tmp_path: Path) -> None:
    options = ("--weights", "none", "--size", 32, "--epochs", 0, "--epochs-frozen", 0, "--device", "cpu")
    answer = ask(main, "fit", drawn_photos, "--to", tmp_path / "run", "--arch", "resnet18", *options)
    assert answer.code == 0, answer.err
    assert "nothing was learned that shows: always answering" in answer.out and "next: yoga-export" not in answer.out
    answer = ask(main, "report", tmp_path / "run")
    assert "nothing was learned that shows: always answering" in answer.out, answer.err
    assert "nothing was learned that shows" in (tmp_path / "run" / "report" / "report.html").read_text("utf-8")


def test_crops_of_people_are_trained_on_and_tested_by_the_command(
    ask, drawn_photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = copy_some(drawn_photos, tmp_path / "photos", 8)
    options = ("--weights=none", "--epochs=1", "--epochs-frozen=1", "--size=64", "--arch=resnet18", "--device=cpu")
    assert "0 to 1" in ask(main, "fit", photos, "--to", tmp_path / "a", "--person-crops", "2", *options).refusal()
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "onnxruntime", None)
        refused = ask(main, "fit", photos, "--to", tmp_path / "a", "--person-crops", "0.5", *options)
        assert "pip install onnxruntime" in refused.refusal() and not (tmp_path / "a").exists()
    pytest.importorskip("onnxruntime")
    answer = ask(main, "fit", photos, "--to", tmp_path / "a", "--person-crops", "0.5", *options)
    assert answer.code == 0 and "on crops: test accuracy" in answer.out, answer.err
    content = json.loads((tmp_path / "a" / "run.json").read_text())
    assert content["config"]["augmentation"]["person"] == 0.5 and "accuracy" in content["metrics"]["test_crops"]
