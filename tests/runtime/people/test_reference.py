"""A hold beside one's own photo: the largest differences in words, and silence where it is not sure."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from yoga_live.runtime.core.opencv import cv2
from yoga_live.runtime.errors import OptionError, PhotoError
from yoga_live.runtime.people import PeopleFinder
from yoga_live.runtime.people.angles import JOINTS, BodyAngles
from yoga_live.runtime.people.reference import Difference, compare_angles, describe_differences, read_reference
from yoga_live.runtime.people.sides import BENT, STANDING
from yoga_live.runtime.sources.drawn_figure import POSES, Appearance, Pose, draw_figure

WARRIOR = {"left_elbow": 175, "right_elbow": 175, "left_shoulder": 95, "right_shoulder": 90} | {
    "left_hip": 100, "right_hip": 130, "left_knee": 95, "right_knee": 175,
}  # fmt: skip


def body(spread: float = 0.0, **degrees: float) -> BodyAngles:
    values = np.array([(WARRIOR | degrees)[joint] for joint in JOINTS], float)
    return BodyAngles(values, np.full(8, spread), np.ones(8), 10)


def test_the_two_largest_differences_come_first_with_their_direction() -> None:
    found = compare_angles(body(left_knee=125, right_shoulder=70, left_elbow=159), body())
    assert found == (Difference("left_knee", 30), Difference("right_shoulder", -20))
    assert describe_differences(found, "left", BENT) == (
        "front knee 30 degrees straighter and right shoulder 20 degrees more closed than in your photo"
    )


def test_a_hold_on_the_other_side_is_compared_with_the_mirror_image() -> None:
    found = compare_angles(body(left_knee=125).mirror(), body())
    assert found == (Difference("right_knee", 30),)
    assert describe_differences(found, "right", BENT).startswith("front knee 30 degrees straighter")


def test_small_or_unsteady_differences_are_not_mentioned() -> None:
    assert compare_angles(body(left_knee=113), body()) == ()
    assert compare_angles(body(spread=12, left_knee=125), body(spread=10)) == ()


def test_nothing_is_said_of_another_pose_or_of_a_body_that_is_hardly_seen() -> None:
    other = body(**{joint: 180 - degrees for joint, degrees in WARRIOR.items()})
    assert compare_angles(body(), other) == ()
    hidden = body(**dict.fromkeys(JOINTS[:5], float("nan")), left_knee=125)
    assert compare_angles(hidden, body()) == ()
    assert describe_differences(()) == ""


def test_legs_are_left_and_right_where_the_side_is_unknown() -> None:
    difference = (Difference("right_knee", -22.6),)
    assert describe_differences(difference) == "right knee 25 degrees more bent than in your photo"
    assert describe_differences(difference, "left", STANDING) == "lifted knee 25 degrees more bent than in your photo"
    assert describe_differences(difference, photos=3).endswith("than in your photos")


@pytest.fixture(scope="module")
def finder() -> PeopleFinder:
    pytest.importorskip("onnxruntime")
    return PeopleFinder("cpu", 1, margin=0.08, min_score=0.25)


def save(path: Path, pose: Pose, *, mirror: bool = False) -> Path:
    cv2.imwrite(str(path), draw_figure(pose, (480, 360), Appearance(mirror=mirror)))
    return path


def test_a_drawn_hold_is_compared_with_a_drawn_photo(tmp_path: Path, finder: PeopleFinder) -> None:
    photo = save(tmp_path / "photo.png", POSES["warrior_2"])
    reference = read_reference(photo, "warrior_2", finder)
    knees = {side: reference.angles.to_json()[f"{side}_knee"] for side in ("left", "right")}
    bent = "left" if knees["left"] < knees["right"] else "right"  # the finder may take the figure's front for its back
    assert reference.photos == 1 and knees[bent] == pytest.approx(104, abs=12)
    assert reference.describe("warrior_2", reference.angles.to_json(), bent) == ""
    straight = POSES["warrior_2"]
    straight = replace(straight, near_leg=replace(straight.near_leg, upper=132, lower=152))
    held = read_reference(save(tmp_path / "hold.png", straight), "warrior_2", finder).angles.to_json()
    assert "front knee" in (words := reference.describe("warrior_2", held, bent))
    assert "degrees straighter" in words and words.endswith("than in your photo")
    assert reference.describe("tree", held, bent) == ""
    other = read_reference(save(tmp_path / "other.png", POSES["down_dog"]), "down_dog", finder).angles.to_json()
    assert reference.describe("warrior_2", other, None) == "too different from your photo to compare"


def test_photos_of_both_sides_are_one_reference(tmp_path: Path, finder: PeopleFinder) -> None:
    for number in range(4):
        save(tmp_path / f"{number}.png", POSES["warrior_2"], mirror=number % 2 == 1)
    (tmp_path / "notes.txt").write_text("no photo")
    reference = read_reference(tmp_path, "warrior_2", finder)
    assert reference.photos == 4 and len(reference.angles.to_json()) >= 6


def test_a_photo_of_nobody_is_refused_with_what_to_give(tmp_path: Path, finder: PeopleFinder) -> None:
    cv2.imwrite(str(tmp_path / "wall.png"), np.full((360, 480, 3), 200, np.uint8))
    with pytest.raises(OptionError, match=r"wall.png does not show somebody's arms and legs well enough; give a photo"):
        read_reference(tmp_path / "wall.png", "tree", finder)
    with pytest.raises(OptionError, match=r"no photo in .* can be used"):
        read_reference(tmp_path, "tree", finder)
    (tmp_path / "broken.jpg").write_bytes(b"broken")
    with pytest.raises(PhotoError):
        read_reference(tmp_path / "broken.jpg", "tree", finder)


def test_a_folder_says_which_photos_it_leaves_out_and_why(
    tmp_path: Path, finder: PeopleFinder, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(OptionError, match=r"no photos in .*; give a photo, or another folder"):
        read_reference(tmp_path, "tree", finder)
    (tmp_path / "broken.jpg").write_bytes(b"broken")
    with pytest.raises(OptionError, match=r"no photo in .* can be used, for the reasons above"):
        read_reference(tmp_path, "tree", finder)
    cv2.imwrite(str(tmp_path / "wall.png"), np.full((360, 480, 3), 200, np.uint8))
    save(tmp_path / "tree.png", POSES["tree"])
    caplog.clear()
    assert read_reference(tmp_path, "tree", finder).photos == 1
    broken, wall = [record.getMessage() for record in caplog.records]
    assert f"leaves out a photo: {tmp_path / 'broken.jpg'} " in broken and "wall.png does not show somebody" in wall
