"""`yoga-calibrate int8`: the choice it prints, what it keeps, what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from yoga_live.calibration import quantize
from yoga_live.calibration.command import main
from yoga_live.calibration.int8_command import check_agreement
from yoga_live.calibration.metrics import Accuracy
from yoga_live.calibration.onnx_file import read_model, write_model
from yoga_live.calibration.runs import RunPhoto, is_pose_name, load_run, write_run_photos
from yoga_live.runtime.engines.onnxruntime import OnnxEngine
from yoga_live.runtime.errors import ModelError


def copy_run(run: Path, to: Path, keep: Callable[[RunPhoto], bool]) -> Path:
    """A run with some of the photos of another."""
    to.mkdir()
    (to / "run.json").write_text((run / "run.json").read_text())
    write_run_photos(to / "photos.csv", [photo for photo in load_run(run).photos if keep(photo)])
    return to


def test_every_method_is_tried_and_the_nearest_is_kept(
    ask, colour_model: Path, colour_run: Path, tmp_path: Path
) -> None:
    answer = ask(main, "int8", colour_model, "--run", colour_run, "--to", tmp_path / "a.onnx")
    assert answer.code == 0, answer.err
    lines = [line.split() for line in answer.out.splitlines() if "%" in line and line.startswith("  ")]
    divergences = {" ".join(line[:-4] if line[-1] != "chosen" else line[:-6]): line for line in lines}
    assert list(divergences) == ["minmax", "percentile 99.999", "percentile 99.99", "entropy"]
    taken = [name for name, line in divergences.items() if line[-1] == "chosen"]
    _, info = read_model(tmp_path / "a.onnx")
    assert taken == [info.calibration["method"]]
    assert "calibration sample: 24 training photos: plank 12, tree 12" in answer.out
    assert info.calibration["sample"] == {"plank": 12, "tree": 12}


@pytest.mark.parametrize(
    ("asked", "methods"),
    [("minmax", {"minmax"}), ("percentile", {"percentile 99.999", "percentile 99.99"}), ("entropy", {"entropy"})],
)
def test_a_method_asked_for_is_taken(
    ask, colour_model: Path, colour_run: Path, tmp_path: Path, asked: str, methods: set[str]
) -> None:
    to = tmp_path / "a.onnx"
    assert ask(main, "int8", colour_model, "--run", colour_run, "--to", to, "--method", asked).code == 0
    assert read_model(to)[1].calibration["method"] in methods


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    labels=st.lists(st.text(min_size=1, max_size=12).filter(is_pose_name), unique=True, min_size=2, max_size=2),
    training=st.dictionaries(st.sampled_from(["run", "arch", "torch"]), st.text(max_size=9)),
    method=st.sampled_from(["auto", "minmax", "percentile", "entropy"]),
    per_class=st.integers(4, 40),
    temperature=st.floats(0.2, 5),
)  # fmt: skip
def test_labels_order_size_and_training_are_kept_whatever_they_are(
    ask, colour_model, colour_run, tmp_path_factory, labels, training, method, per_class, temperature
) -> None:
    folder = tmp_path_factory.mktemp("kept")
    poses: dict[str, str] = dict(zip(("plank", "tree"), labels, strict=True))
    run = folder / "run"
    run.mkdir()
    summary = json.loads((colour_run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**summary, "labels": labels}))
    photos = load_run(colour_run).photos
    write_run_photos(run / "photos.csv", [replace(photo, pose=poses[photo.pose]) for photo in photos])
    model, info = read_model(colour_model)
    info = replace(info, labels=tuple(labels), training=training, temperature=temperature)
    write_model(model, info, folder / "full.onnx")
    options = ("--method", method, "--per-class", per_class)
    answer = ask(main, "int8", folder / "full.onnx", "--run", run, "--to", folder / "small.onnx", *options)
    assert answer.code == 0, answer.err
    small = OnnxEngine(folder / "small.onnx", "cpu").info
    assert (small.labels, small.size, small.training) == (info.labels, info.size, info.training)
    assert small.preprocessing == info.preprocessing and small.precision == "int8"
    assert sum(small.calibration["sample"].values()) == 2 * min(per_class, 12)


def test_a_class_without_training_photos_is_refused(ask, colour_model: Path, colour_run: Path, tmp_path: Path) -> None:
    run = copy_run(colour_run, tmp_path / "run", lambda photo: (photo.pose, photo.split) != ("tree", "train"))
    line = ask(main, "int8", colour_model, "--run", run, "--to", tmp_path / "a.onnx").refusal()
    assert "no training photo of tree" in line and not (tmp_path / "a.onnx").exists()


def test_too_few_training_photos_are_refused(ask, colour_model: Path, colour_run: Path, tmp_path: Path) -> None:
    arguments = ("int8", colour_model, "--run", colour_run, "--to", tmp_path / "a.onnx")
    line = ask(main, *arguments, "--per-class", 3).refusal()
    assert "at least 8 training photos" in line and "got 6 (of 24" in line and "--per-class" in line
    assert ask(main, *arguments, "--per-class", 4).code == 0


@pytest.mark.parametrize(
    ("option", "value"),
    [("--per-class", "0"), ("--per-class", "many"), ("--least-agreement", "101"), ("--least-agreement", "most")],
)
def test_an_option_that_means_nothing_is_refused(
    ask, colour_model: Path, colour_run: Path, tmp_path: Path, option: str, value: str
) -> None:
    answer = ask(main, "int8", colour_model, "--run", colour_run, "--to", tmp_path / "a.onnx", option, value)
    assert answer.code == 2 and repr(value) in answer.err


def test_a_model_without_finite_logits_is_refused(ask, colour_model: Path, colour_run: Path, tmp_path: Path) -> None:
    model, info = read_model(colour_model)
    for tensor in model.graph.initializer:
        if tensor.name == "first":
            values = onnx.numpy_helper.to_array(tensor) * np.float32(3e38)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, "first"))
    write_model(model, info, tmp_path / "huge.onnx")
    line = ask(main, "int8", tmp_path / "huge.onnx", "--run", colour_run, "--to", tmp_path / "a.onnx").refusal()
    assert "finite" in line and not (tmp_path / "a.onnx").exists()


def spoil_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make INT8 answer the other way round."""

    def turn_head(draft: quantize.QuantisationDraft, method) -> onnx.ModelProto:
        model = choose(draft, method)
        for tensor in model.graph.initializer:
            if tensor.name == "head":
                turned = np.ascontiguousarray(onnx.numpy_helper.to_array(tensor)[::-1])
                tensor.CopyFrom(onnx.numpy_helper.from_array(turned, "head"))
        return model

    choose = quantize.QuantisationDraft.choose_ranges
    monkeypatch.setattr(quantize.QuantisationDraft, "choose_ranges", turn_head)


def test_int8_that_does_not_agree_is_refused_unless_accepted(
    ask, colour_model: Path, colour_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil_ranges(monkeypatch)
    arguments = ("int8", colour_model, "--run", colour_run, "--to", tmp_path / "a.onnx")
    line = ask(main, *arguments).refusal()
    assert "INT8 agrees with FP32 on 0.0%" in line and "not written" in line and "--least-agreement 0" in line
    assert list(tmp_path.iterdir()) == []
    assert ask(main, *arguments, "--least-agreement", 0).code == 0
    assert read_model(tmp_path / "a.onnx")[1].calibration["agreement_with_fp32"] == 0


@pytest.mark.parametrize(("right", "total"), [(582, 582), (570, 582), (1, 1), (15, 16), (2, 2)])
def test_agreement_that_may_be_enough_is_accepted(right: int, total: int) -> None:
    check_agreement(Accuracy(right, total), 0.985, "")


@pytest.mark.parametrize(("right", "total"), [(560, 582), (0, 1), (13, 16), (9850 - 100, 10000)])
def test_agreement_that_is_surely_too_low_is_refused(right: int, total: int) -> None:
    with pytest.raises(ModelError, match="not written"):
        check_agreement(Accuracy(right, total), 0.985, "")


def test_agreement_under_the_limit_by_chance_perhaps_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    check_agreement(Accuracy(15, 16), 0.985, "")
    assert "with 16 photos it may be chance" in capsys.readouterr().out
    check_agreement(Accuracy(582, 582), 0.985, "")
    assert capsys.readouterr().out == ""


def test_the_advice_names_only_what_was_not_tried(
    ask, colour_model: Path, colour_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil_ranges(monkeypatch)
    arguments = ("int8", colour_model, "--run", colour_run, "--to", tmp_path / "a.onnx")
    line = ask(main, *arguments).refusal()
    assert "All 4 methods were tried. Train with more photos, use FP32 or FP16" in line and "--method" not in line
    assert "All 4 methods were tried. Give a larger --per-class" in ask(main, *arguments, "--per-class", 4).refusal()
    line = ask(main, *arguments, "--method", "percentile").refusal()
    assert "Give --method auto, which also tries minmax, entropy, use FP32" in line and "--per-class" not in line
