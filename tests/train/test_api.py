"""Training and export as programs call them: no output, progress by callback, one result."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

import cv2

from yoga_live.export import export_onnx
from yoga_live.runtime import OptionError, OutputError, PoseClassifier, ProgressUpdate, RunError, TakenError
from yoga_live.train import Augmentation, Epoch, FitConfig, FitResult, fit, open_run

SMALL = FitConfig("none", epochs_frozen=30, epochs=2, size=64, batch=16, rate=1e-4, device="cpu", arch="resnet18")


@pytest.fixture
def config(start_weights: Path) -> FitConfig:
    """Of a few seconds; the weights are given as a path."""
    return replace(SMALL, weights=start_weights)  # pyright: ignore[reportArgumentType]


@pytest.mark.slow
def test_photos_become_a_run_a_file_and_a_classifier(
    drawn_photos: Path, config: FitConfig, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    told: list[ProgressUpdate] = []
    result = fit(str(drawn_photos), str(tmp_path / "run"), config, on_progress=told.append)
    stored = json.loads((tmp_path / "run" / "run.json").read_text())
    assert result.run == tmp_path / "run" and list(result.labels) == stored["labels"]
    test = stored["metrics"]["test"]
    assert (result.accuracy, [*result.interval], result.photos) == (test["accuracy"], test["interval"], test["photos"])
    assert result.recalls == test["recall"] and set(result.recalls) == set(result.labels)
    assert result.interval[0] <= result.accuracy <= result.interval[1] and not result.interrupted
    assert stored["config"] == json.loads(json.dumps(asdict(replace(config, mirror=True))))
    stages = list(dict.fromkeys(update.stage for update in told))
    assert [stage for stage in stages if stage.startswith("epoch")] == ["epoch 1/2 at 64 px", "epoch 2/2 at 64 px"]
    assert "frozen" in stages and all(update.fraction is not None for update in told)
    again = fit(drawn_photos, tmp_path / "run", config, resume=True)
    assert again == result

    told.clear()
    (tmp_path / "yoga.onnx").write_text("mine")
    with pytest.raises(TakenError, match=r"yoga\.onnx|taken"):
        export_onnx(result.run, tmp_path / "yoga.onnx")
    model = export_onnx(result.run, str(tmp_path / "yoga.onnx"), force=True, on_progress=told.append)
    assert model.path == tmp_path / "yoga.onnx" and model.labels == result.labels and model.photos == result.photos
    assert model.agreement == 1 and model.worst_difference < 1e-3 and told[-1].fraction == 1
    photo = cv2.imread(str(next((drawn_photos / "tree").glob("*.png"))))
    assert photo is not None and PoseClassifier(model.path, "cpu").classify(photo).pose in {*result.labels, "none"}
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")


@pytest.mark.slow
def test_a_callback_stops_the_training_and_it_goes_on_later(
    drawn_photos: Path, config: FitConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def stop(update: ProgressUpdate) -> None:
        if update.stage.startswith("epoch 2/"):
            raise KeyboardInterrupt

    with caplog.at_level(logging.INFO, "yoga_live"):
        stopped = fit(drawn_photos, tmp_path / "run", config, on_progress=stop)
    assert stopped.interrupted and "best epoch so far" in caplog.text
    assert f"the best epoch so far ({stopped.best_epoch}) is kept" in stopped._repr_html_()
    finished = fit(drawn_photos, tmp_path / "run", config, resume=True)
    assert not finished.interrupted and not (tmp_path / "run" / "checkpoint.pt").exists()


@pytest.mark.slow
def test_each_epoch_is_reported_and_one_may_stop_the_training(
    drawn_photos: Path, config: FitConfig, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    told: list[Epoch] = []

    def stop(epoch: Epoch) -> None:
        told.append(epoch)
        if epoch.epoch == 1:
            raise KeyboardInterrupt

    stopped = fit(drawn_photos, tmp_path / "run", config, on_epoch=stop)
    assert stopped.interrupted and tuple(told) == stopped.history
    assert [(epoch.epoch, epoch.phase) for epoch in told] == [(0, "frozen"), (1, "whole")]
    frozen, first = told
    assert frozen.train_loss is None and first.train_loss is not None and first.train_loss > 0
    assert frozen.seconds == 0 and first.seconds is not None and first.seconds > 0
    for epoch in told:
        assert epoch.validation_accuracy is not None and 0 <= epoch.validation_accuracy <= 1
        assert epoch.validation_nll is not None and epoch.validation_mean_recall is not None
    finished = fit(drawn_photos, tmp_path / "run", config, resume=True, on_epoch=told.append)
    assert not finished.interrupted and [epoch.epoch for epoch in told] == [0, 1, 2]
    assert tuple(told) == finished.history == open_run(tmp_path / "run").history
    assert capfd.readouterr().out == ""


@pytest.mark.slow
def test_a_training_that_is_stopped_after_its_last_epoch_is_finished(
    drawn_photos: Path, config: FitConfig, tmp_path: Path
) -> None:
    def stop(epoch: Epoch) -> None:
        if epoch.epoch == last:
            raise KeyboardInterrupt

    for last, folds in ((0, 0), (1, 2)):
        short = replace(config, epochs=last, folds=folds)
        run = fit(drawn_photos, tmp_path / str(last), short, on_epoch=stop)
        assert not run.interrupted and len(run.history) == last + 1
        assert not (run.run / "folds.csv").exists()  # nor is anything else begun
    again = fit(drawn_photos, run.run, short, resume=True)
    assert again == run and (run.run / "folds.csv").exists()


@pytest.mark.slow
def test_the_frozen_phase_is_reported_once(drawn_photos: Path, config: FitConfig, tmp_path: Path) -> None:
    told: list[int] = []

    def stop(epoch: Epoch) -> None:
        told.append(epoch.epoch)
        if epoch.epoch == 0:
            raise KeyboardInterrupt

    stopped = fit(drawn_photos, tmp_path / "run", replace(config, epochs=1), on_epoch=stop)
    assert stopped.interrupted and stopped.best_epoch == 0
    assert not fit(drawn_photos, tmp_path / "run", replace(config, epochs=1), resume=True, on_epoch=stop).interrupted
    assert told == [0, 1]


@pytest.mark.slow
def test_an_error_in_a_callback_is_raised_again_and_the_training_goes_on_later(
    drawn_photos: Path, config: FitConfig, tmp_path: Path
) -> None:
    def fail(epoch: Epoch) -> None:
        if epoch.epoch == 1:
            raise LookupError("no such metric")

    with pytest.raises(LookupError, match="no such metric"):
        fit(drawn_photos, tmp_path / "run", config, on_epoch=fail)
    told: list[int] = []
    resumed = fit(drawn_photos, tmp_path / "run", config, resume=True, on_epoch=lambda row: told.append(row.epoch))
    undisturbed = fit(drawn_photos, tmp_path / "other", config)
    assert told == [2]
    assert replace(resumed, run=undisturbed.run, seconds=0) == replace(undisturbed, seconds=0)


def test_what_cannot_be_trained_or_exported_is_an_error_of_ours(drawn_photos: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="--to"):
        fit(drawn_photos, drawn_photos / "run", SMALL)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    with pytest.raises(OutputError, match=r"yoga\.onnx|taken"):
        fit(drawn_photos, tmp_path / "taken", SMALL)
    with pytest.raises(RunError):
        fit(tmp_path / "missing", tmp_path / "run", SMALL)
    with pytest.raises(RunError):
        export_onnx(tmp_path / "missing", tmp_path / "yoga.onnx")
    assert not (tmp_path / "run").exists() and not (tmp_path / "yoga.onnx").exists()


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("epochs", -1, "epochs must be a whole number from 0 to 100,000; got -1"),
        ("epochs", 1.5, "got 1.5"),
        ("epochs", True, "got True"),
        ("batch", 1, "batch must be a whole number from 2"),
        ("rate", 0, "rate must be a number from 1e-12 to 1.0; got 0"),
        ("rate", float("nan"), "got nan"),
        ("rate", "fast", "got 'fast'"),
        ("held_out", 0.5, "held_out must be a number from 0.001 to 0.3; got 0.5"),
        ("size", 100, "size must be a multiple of 32, such as 160, 192 or 224; got 100"),
        ("folds", 1, "folds must be 2 to 20, better 5, or 0 for none; got 1"),
        ("arch", "vgg", "arch must be resnet18, resnet34, resnet50 or mobilenet_v2; got 'vgg'"),
    ],
)
def test_a_config_out_of_bounds_is_refused_where_it_is_made(name: str, value: object, line: str) -> None:
    with pytest.raises(OptionError, match=f"FitConfig: .*{line}"):
        FitConfig(**{name: value})  # pyright: ignore[reportArgumentType]


def test_a_config_is_what_the_command_has_by_default() -> None:
    assert FitConfig().epochs == 12 and FitConfig().augmentation == Augmentation()
    assert FitConfig(split_of=Path("runs/first")).split_of == "runs/first"  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("call", ["train import fit as go", "export import export_onnx as go"])
def test_a_missing_package_is_named_with_what_installs_it(call: str) -> None:
    code = f"import sys\nsys.modules['torch'] = None\nfrom yoga_live.{call}\ngo('a', 'b')"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    last = answer.stderr.strip().splitlines()[-1]
    assert "MissingPackageError: the package 'torch' is not installed; run in the folder of yoga-live: pip" in last


@pytest.mark.parametrize("first", ["", "import yoga_live.train.fit.config", "from yoga_live.train.fit import config"])
def test_fit_is_the_function_whatever_was_imported_before(first: str) -> None:
    """A package `fit` lies in the room, too."""
    code = f"import sys\n{first}\nfrom yoga_live.train import fit\nfrom yoga_live.train.fit.config import FitConfig\n"
    code += "import yoga_live.train as t\nprint(fit.__name__, t.fit is fit, FitConfig is t.FitConfig)\n"
    code += "print('torch' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert answer.stdout.split() == ["fit", "True", "True", "False"], answer.stderr


def test_a_notebook_shows_the_accuracy_with_its_interval_and_each_pose() -> None:
    result = FitResult(
        Path("runs/<b>"), ("none", "tree", "warrior_2"), 0.915, (0.86, 0.95), 200, 0.8,
        {"none": 0.5, "tree": 1.0, "warrior_2": None}, (("none", "tree", 7),), 3, 60.0,
    )  # fmt: skip
    html = result._repr_html_()
    assert "<b>test accuracy</b> 91.5% of 200 test photos, 95 % interval 86.0% to 95.0%" in html
    assert "no pose taken for Tree: 7" in html and "runs/&lt;b&gt;" in html and "<b>runs" not in html
    assert html.count("<tr>") == 4 and ">100%<" in html and ">-<" in html
