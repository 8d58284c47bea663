"""Heat lies where the network saw the pose, in the picture and not in its letterbox."""

from dataclasses import replace

import numpy as np
import pytest

from yoga_live.runtime.classifier import PoseClassifier
from yoga_live.runtime.core.regions import Region
from yoga_live.runtime.core.types import ClassMaps, Hold
from yoga_live.runtime.drawing.canvas import BgrCanvas
from yoga_live.runtime.drawing.heatmap import make_heat
from yoga_live.runtime.drawing.overlay import OverlayConfig, draw_overlay

from ..conftest import LABELS

WORDLESS = OverlayConfig(place="none")
TREE = Hold("tree", 0.9, 3.0)


def class_maps(row: int, column: int, region: Region | None = None) -> ClassMaps:
    """A 7 x 7 map of which one place speaks for a tree."""
    maps = np.zeros((3, 7, 7), np.float32)
    maps[0, row, column] = 5
    return ClassMaps(maps, LABELS, region)


def find_hot(seen: ClassMaps, size_wh: tuple[int, int]) -> tuple[float, float]:
    """Where the hottest place is in a frame, x and y as shares."""
    scene = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
    heat = make_heat(seen, "tree", size_wh)
    assert heat
    BgrCanvas(scene).blend(*heat)
    y, x = np.nonzero(scene[:, :, 2] >= scene[:, :, 2].max() - 2)
    return float(x.mean()) / size_wh[0], float(y.mean()) / size_wh[1]


@pytest.mark.parametrize(
    ("row", "column", "size_wh", "at"),
    [
        (3, 3, (320, 180), (3 / 7, (3 / 7 - 0.21875) / 0.5625)),  # the bars above and below are 21.875 %
        (3, 1, (320, 180), (1 / 7, (3 / 7 - 0.21875) / 0.5625)),
        (4, 5, (320, 180), (5 / 7, (4 / 7 - 0.21875) / 0.5625)),
        (1, 3, (180, 320), ((3 / 7 - 0.21875) / 0.5625, 1 / 7)),
        (4, 2, (180, 320), ((2 / 7 - 0.21875) / 0.5625, 4 / 7)),
    ],
)
def test_the_letterbox_is_undone_and_a_cell_lies_where_its_convolutions_look(
    row: int, column: int, size_wh: tuple[int, int], at: tuple[float, float]
) -> None:
    assert find_hot(class_maps(row, column), size_wh) == pytest.approx(at, abs=0.03)


def test_heat_lies_in_the_region_that_was_looked_at() -> None:
    region = Region(200, 60, 100, 100)
    x, y = find_hot(class_maps(1, 5, region), (320, 180))
    assert (x * 320, y * 180) == pytest.approx((200 + 100 * 5 / 7, 60 + 100 * 1 / 7), abs=3)
    scene = draw_overlay(np.full((180, 320, 3), 128, np.uint8), TREE, class_maps=class_maps(1, 5, region))
    plain = draw_overlay(np.full((180, 320, 3), 128, np.uint8), TREE)
    changed = (scene != plain).any(axis=2)
    assert changed.any() and not changed[:60].any() and not changed[:, :200].any() and not changed[:, 300:].any()


def test_the_pose_that_is_shown_is_explained_and_resting_is_not() -> None:
    maps = np.zeros((3, 7, 7), np.float32)
    maps[0, 1, 1] = maps[1, 5, 5] = 5
    frame_bgr, seen = np.full((224, 224, 3), 128, np.uint8), ClassMaps(maps, LABELS)
    for pose, hot, cold in (("tree", (32, 32), (150, 176)), ("warrior_2", (150, 160), (32, 32))):
        scene = draw_overlay(frame_bgr, Hold(pose, 0.9, 3.0), style=WORDLESS, class_maps=seen)
        assert (scene[hot] != 128).any() and (scene[cold] == 128).all()
    rest = Hold("none", 0.9, 3.0)
    assert (draw_overlay(frame_bgr, rest, class_maps=seen) == draw_overlay(frame_bgr, rest)).all()


def test_heat_fades_out_at_the_edge_of_a_crop_and_not_at_the_edge_of_the_picture() -> None:
    maps = np.zeros((3, 7, 7), np.float32)
    maps[0] = 5
    frame_bgr, region = np.full((180, 320, 3), 200, np.uint8), Region(100, 10, 100, 100)
    scene = draw_overlay(frame_bgr, TREE, class_maps=ClassMaps(maps, LABELS, region)).astype(int)
    row = np.abs(scene[60] - 200).max(axis=1)
    assert row[:100].max() == row[200:].max() == 0 and row[100] <= 3 and row[150] > 40
    assert np.abs(np.diff(row[102:198])).max() < 20
    whole = draw_overlay(frame_bgr, TREE, class_maps=ClassMaps(maps, LABELS)).astype(int)
    assert np.abs(whole[60] - 200).max(axis=1).min() > 40


def test_a_mirrored_picture_has_mirrored_heat() -> None:
    frame_bgr, seen = np.full((224, 224, 3), 128, np.uint8), class_maps(1, 1)
    plain = draw_overlay(frame_bgr, TREE, style=WORDLESS, class_maps=seen)
    mirrored = draw_overlay(frame_bgr, TREE, style=replace(WORDLESS, mirror=True), class_maps=seen)
    np.testing.assert_array_equal(mirrored, plain[:, ::-1])
    assert (plain[32, 32] != 128).any() and (plain[32, 190] == 128).all()


def test_a_map_that_speaks_against_the_pose_is_not_drawn() -> None:
    maps = np.zeros((3, 7, 7), np.float32)
    maps[1:] = 1
    assert make_heat(ClassMaps(maps, LABELS), "tree", (320, 180)) is None


def test_examining_a_frame_gives_the_same_answer_and_its_maps(classifier: PoseClassifier) -> None:
    frame_bgr, region = np.zeros((60, 80, 3), np.uint8), Region(10, 10, 40, 40)
    frame_bgr[:, :40, 0] = 250
    probabilities, seen = classifier.examine(frame_bgr, region)
    np.testing.assert_array_equal(probabilities, classifier.probabilities(frame_bgr, region))
    assert seen.region == region and seen.labels == LABELS and seen.maps.shape == (3, 1, 1)
