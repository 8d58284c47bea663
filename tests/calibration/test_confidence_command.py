"""What the commands that calibrate print."""

from __future__ import annotations

import pytest

from yoga_live.calibration.confidence import ConfidenceReport
from yoga_live.calibration.confidence_command import print_report
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
