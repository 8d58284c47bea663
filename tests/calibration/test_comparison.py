"""Files side by side: what the table says, on screen and in a file."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from yoga_live.calibration.comparison import (
    FileScore,
    check_table_name,
    compare_files,
    format_scores,
    write_scores,
)
from yoga_live.runtime.core.model_metadata import ModelInfo
from yoga_live.runtime.core.types import Floats, Frame
from yoga_live.runtime.errors import OptionError


class Oracle:
    """An engine that reads its logits off the first pixels of a frame: `sure` at the class that blue names."""

    device = "cpu"

    def __init__(self, sure: float, temperature: float, wrong: int = 0) -> None:
        self.info = ModelInfo(("plank", "tree"), 32, "fp32", temperature)
        self.sure, self.wrong = sure, wrong

    def infer(self, frames: Frame) -> Floats:
        logits = np.zeros((len(frames), 2), np.float32)
        answers = np.where(frames[:, 0, 0, 1] < self.wrong, 1 - frames[:, 0, 0, 0], frames[:, 0, 0, 0])
        logits[np.arange(len(frames)), answers] = self.sure
        return logits

    def infer_maps(self, frames: Frame) -> tuple[Floats, Floats]:
        raise NotImplementedError


@pytest.fixture
def scores(tmp_path: Path) -> list[FileScore]:
    """Two files on 200 photos: one all right and sure, one wrong on the first fifty and just as sure."""
    frames = np.zeros((200, 32, 32, 3), np.uint8)
    targets = np.arange(200) % 2
    frames[:, 0, 0, 0], frames[:, 0, 0, 1] = targets, np.arange(200)
    paths = [tmp_path / "first.onnx", tmp_path / "second.onnx"]
    for path, size in zip(paths, (3_000_000, 1_000_000), strict=True):
        path.write_bytes(bytes(size))
    return compare_files(paths, [Oracle(12.0, 1.0), Oracle(9.0, 1.0, wrong=50)], frames, targets)


def test_numbers_are_those_of_the_answers(scores: list[FileScore]) -> None:
    first, second = scores
    assert (first.accuracy.right, second.accuracy.right, second.accuracy.total) == (200, 150, 200)
    assert (first.fidelity.agreement.value, second.fidelity.agreement.value) == (1.0, 0.75)
    assert first.fidelity.worst_difference == 0 and second.fidelity.worst_difference == 12
    assert (first.megabytes, second.megabytes) == (3.0, 1.0)
    assert 0 < first.p50_ms <= first.p95_ms


def test_a_sure_and_wrong_file_is_not_honest(scores: list[FileScore]) -> None:
    first, second = scores
    assert first.is_honest and first.ece < 0.001
    assert not second.is_honest and second.ece == pytest.approx(0.25, abs=0.01) and second.perfect_high < 0.05


def test_the_files_own_temperature_decides_its_ece(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(b"")
    frames = np.zeros((100, 32, 32, 3), np.uint8)
    frames[:, 0, 0, 1] = np.arange(100)
    targets = np.zeros(100, int)
    logit = 10 * np.log(3)  # at temperature 10: 75 % sure, and right as often
    paths, engines = [tmp_path / "a.onnx"] * 2, [Oracle(logit, 10.0, wrong=25), Oracle(logit, 1.0, wrong=25)]
    honest, loud = compare_files(paths, engines, frames, targets)
    assert honest.ece == pytest.approx(0, abs=1e-6) and loud.ece == pytest.approx(0.25, abs=1e-3)


def test_the_table_names_each_file_and_its_verdict(scores: list[FileScore]) -> None:
    head, first, second = format_scores(scores).splitlines()
    assert head.startswith("file") and "p50 / p95 ms" in head
    assert first.startswith("first.onnx") and "100.0% (98.1% to 100.0%)" in first and "within" in first
    assert second.startswith("second.onnx") and "75.0% (150/200)" in second and "ABOVE" in second


@pytest.mark.parametrize("suffix", [".csv", ".json"])
def test_the_table_in_a_file_holds_every_number(scores: list[FileScore], suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"table{suffix}"
    write_scores(scores, path)
    text = path.read_text()
    rows = json.loads(text) if suffix == ".json" else list(csv.DictReader(text.splitlines()))
    assert [Path(row["file"]).name for row in rows] == ["first.onnx", "second.onnx"]
    assert float(rows[1]["accuracy"]) == 0.75 and float(rows[1]["agreement"]) == 0.75
    assert str(rows[0]["ece_within"]) == "True" and str(rows[1]["ece_within"]) == "False"
    assert float(rows[0]["accuracy_low"]) == pytest.approx(0.9812, abs=1e-3)


class FeatureOracle(Oracle):
    """The same with two features; `drift` is what its second one is off by."""

    feature_size = 2

    def __init__(self, drift: float) -> None:
        super().__init__(9.0, 1.0)
        self.drift = drift

    def infer_features(self, frames: Frame) -> tuple[Floats, Floats]:
        features = np.stack([frames[:, 0, 0, 0], frames[:, 0, 0, 1] + self.drift], axis=1)
        return self.infer(frames), features.astype(np.float32)


def test_features_are_compared_where_both_files_have_them(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(b"")
    frames = np.zeros((40, 32, 32, 3), np.uint8)
    frames[:, 0, 0, 1] = np.arange(40)
    engines = [FeatureOracle(0.0), FeatureOracle(3.1), Oracle(9.0, 1.0)]
    rows = [score.row() for score in compare_files([tmp_path / "a.onnx"] * 3, engines, frames, np.zeros(40, int))]
    assert [row["worst_feature_difference"] for row in rows] == [0, 0.1, None]  # of 31, the largest of 32 frames


def test_a_table_of_another_kind_is_refused() -> None:
    check_table_name(Path("a.csv"))
    with pytest.raises(OptionError, match=r"end in \.csv or \.json"):
        check_table_name(Path("a.txt"))


def test_files_of_one_name_are_told_apart_by_their_folders(scores: list[FileScore]) -> None:
    twins = [replace(scores[0], path=Path(folder, "a.onnx")) for folder in ("new", "old")]
    assert [line.split()[0] for line in format_scores(twins).splitlines()] == ["file", "new/a.onnx", "old/a.onnx"]
