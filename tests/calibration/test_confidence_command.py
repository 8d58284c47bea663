"""What the commands that calibrate print."""

from __future__ import annotations

from pathlib import Path

import pytest

from yoga_live.calibration.command import main
from yoga_live.calibration.confidence import ConfidenceReport
from yoga_live.calibration.confidence_command import print_missing_none, print_report
from yoga_live.calibration.metrics import Accuracy


@pytest.mark.parametrize(("right", "is_poor"), [(1, True), (3, False)])
def test_a_model_that_misses_most_poses_is_said_to_be_of_little_use(
    right: int, is_poor: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    poses = Accuracy(right, 4)
    print_report(ConfidenceReport(1.0, 0.5, poses, 1.0, 0.9, 0.2, 0.1, 0.1, 0.2, poses, None))
    out = capsys.readouterr().out
    assert f"poses classified correctly {poses}" in out
    assert ("misses more poses than it names" in out) == is_poor


def test_a_model_without_none_is_said_to_give_most_pictures_a_pose(capsys: pytest.CaptureFixture[str]) -> None:
    print_missing_none(("plank", "tree", "none"), is_tested=True)
    assert capsys.readouterr().out == ""
    print_missing_none(("plank", "tree"), is_tested=False)
    assert "no class `none`" in capsys.readouterr().out
    print_missing_none(("plank", "tree", "none"), is_tested=False)
    assert capsys.readouterr().out.startswith("no photo of `none` was held out")


def test_the_command_says_so_too(ask, colour_model: Path, colour_run: Path, tmp_path: Path) -> None:
    for command in ("confidence", "int8"):
        answer = ask(main, command, colour_model, "--run", colour_run, "--to", tmp_path / f"{command}.onnx")
        assert answer.code == 0 and "no class `none`, so most pictures get one of the poses" in answer.out, answer.err


@pytest.mark.parametrize(("groups", "is_said"), [(9, True), (20, False), (500, False)])
def test_few_validation_photos_are_said(groups: int, is_said: bool, capsys: pytest.CaptureFixture[str]) -> None:
    poses = Accuracy(3, 4)
    print_report(ConfidenceReport(1.0, 0.5, poses, 1.0, 0.9, 0.2, 0.1, 0.1, 0.2, poses, None, groups))
    out = capsys.readouterr().out
    assert ("from 9 independent validation photos: temperature and threshold go only 45% of the way" in out) == is_said
