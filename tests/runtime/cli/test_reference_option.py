"""`--reference` and `--pose`: what does not go together, and the line below a hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from yoga_live.runtime.cli.references import describe_difference
from yoga_live.runtime.core.opencv import cv2
from yoga_live.runtime.core.types import Segment
from yoga_live.runtime.people.angles import BodyAngles
from yoga_live.runtime.people.reference import Reference
from yoga_live.runtime.sources.drawn_figure import POSES, draw_figure

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "tree.png"
    cv2.imwrite(str(path), draw_figure(POSES["tree"], (480, 360)))
    return path


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--pose", "tree"], "--pose names the pose of --reference PHOTO; give both"),
        (["--reference", "PHOTO"], "needs the pose that it shows, such as --pose tree"),
        (["--reference", "PHOTO", "--pose", "crow"], "no such pose; give one of tree, warrior_2"),
        (
            ["--reference", "PHOTO", "--pose", "tree", "--poses", "warrior_2"],
            "--pose tree: tree is not among --poses warrior_2; add it there",
        ),
        (["--reference", "missing.png", "--pose", "tree"], "missing.png does not exist; give a photo or a folder"),
        (["--reference", "PHOTO", "--pose", "tree", "--people", "off"], "not looked for with --people off"),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_line(
    live: Run, photo: Path, options: list[str], words: str
) -> None:
    code, _, said = live("--demo", "--no-window", "--events", *[str(photo) if o == "PHOTO" else o for o in options])
    assert code == 2 and said.count("\n") == 1 and words in said


def test_the_report_has_the_difference_below_the_hold() -> None:
    angles = {"left_hip": 178, "right_hip": 120, "left_knee": 178, "right_knee": 45, "left_elbow": 170}
    reference = Reference("tree", BodyAngles.from_json(angles), 1)
    segment = Segment(0, 9, "tree", 0.9, side="left", angles={**angles, "right_knee": 80})
    assert describe_difference(reference, segment).strip() == "lifted knee 35 degrees straighter than in your photo"
    assert describe_difference(None, segment) == describe_difference(reference, Segment(0, 9, "tree", 0.9)) == ""
