"""Photos worth a look: of nobody, of several people, collages; nothing where classes are no bodies."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("onnxruntime")

from yoga_live.runtime.people import People
from yoga_live.runtime.sources.drawn_figure import POSES, draw_figure, draw_room
from yoga_live.train.people.flags import NOBODY, SEVERAL, find_flags, format_flags, select_subjects
from yoga_live.train.photos.folder import read_contents


def save(folder: Path, name: str, frame: np.ndarray) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(folder / name), frame)


def make_people(*boxes: tuple[float, float, float, float]) -> People:
    count = len(boxes)
    scores = np.linspace(0.9, 0.5, count).astype(np.float32)
    rest = np.zeros((count, 17, 2), np.float32), np.zeros((count, 17), np.float32)
    return People(np.array(boxes, np.float32).reshape(-1, 4), *rest, scores)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Poses: nobody and two people among others; none: nobody and two people, as it may show."""
    folder = tmp_path / "photos"
    for number, pose in enumerate(("tree", "goddess", "standing")):
        save(folder, f"tree/{number}.png", draw_figure(POSES[pose], (320, 240)))
    save(folder, "tree/empty.png", draw_room((320, 240)))
    two = np.hstack([draw_figure(POSES["goddess"], (200, 300)), draw_figure(POSES["tree"], (200, 300))])
    for name in ("goddess/two.png", "none/two.png"):
        save(folder, name, two)
    save(folder, "goddess/one.png", draw_figure(POSES["goddess"], (320, 240)))
    save(folder, "none/empty.png", draw_room((240, 240)))
    return folder


def test_photos_of_nobody_and_of_several_people_are_flagged_but_in_none(photos: Path) -> None:
    found = find_flags(photos, read_contents(photos, 224))
    assert {path: flag.kind for path, flag in found.flags.items()} == {
        "tree/empty.png": NOBODY, "goddess/two.png": SEVERAL,
    }  # fmt: skip
    left, right = sorted(found.flags["goddess/two.png"].boxes)
    assert 0 <= left[0] < left[2] < 0.55 < right[2] <= 1 and found.note == ""
    assert found.flags["goddess/two.png"].describe() == "2 people"
    assert found.flags["tree/empty.png"].describe() == "nobody found" and not found.flags["tree/empty.png"].boxes


def test_counts_are_by_class_and_say_that_nothing_is_changed(photos: Path) -> None:
    lines = format_flags(find_flags(photos, read_contents(photos, 224))).splitlines()
    assert [line.split() for line in lines[1:3]] == [["goddess", "0", "1", "0"], ["tree", "1", "0", "0"]]
    assert "2 photos to look at" in lines[3] and "none is changed" in lines[3]


def test_where_classes_are_no_bodies_one_line_is_all(tmp_path: Path) -> None:
    folder = tmp_path / "signs"
    for number in range(4):
        save(folder, f"{number % 2}/{number}.png", np.full((100, 100, 3), 40 * number + 60, np.uint8))
    found = find_flags(folder, read_contents(folder, 224))
    assert not found.flags
    assert (
        format_flags(found)
        == "people are found in fewer than half of the photos: nobody, several people, collages are not flagged"
    )


def test_a_class_of_things_among_poses_is_named_and_left_alone(photos: Path) -> None:
    for number in range(3):
        save(photos, f"cup/{number}.png", draw_room((300 + 10 * number, 240)))
    found = find_flags(photos, read_contents(photos, 224))
    assert set(found.flags) == {"tree/empty.png", "goddess/two.png"}
    assert found.note == "people are found in fewer than half of the photos of cup: none of these is flagged"


def test_without_onnx_runtime_one_line_says_what_to_install(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    found = find_flags(photos, read_contents(photos, 224))
    assert not found.flags and found.note.count("\n") == 0
    assert found.note.startswith("photos of nobody, of several people and collages are not looked for: ")
    assert "pip install onnxruntime" in found.note


def test_a_clean_folder_has_nothing_to_say(photos: Path) -> None:
    for name in ("tree/empty.png", "goddess/two.png"):
        (photos / name).unlink()
    assert format_flags(find_flags(photos, read_contents(photos, 224))) == ""


def test_subjects_are_not_small_people_behind_nor_a_part_of_someone() -> None:
    people = make_people((0, 0, 100, 200), (120, 0, 220, 190), (230, 0, 250, 40), (10, 100, 90, 200))
    np.testing.assert_array_equal(select_subjects(people).boxes, people.boxes[:2])
    assert len(select_subjects(People.nobody())) == 0
