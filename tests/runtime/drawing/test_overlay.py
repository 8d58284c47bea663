"""What is drawn is legible, fits, and leaves the given frame alone."""

from dataclasses import replace

import numpy as np
import pytest

from yoga_live.runtime.core.frames import TimedFrame
from yoga_live.runtime.core.regions import WHOLE, Region
from yoga_live.runtime.core.types import Hold
from yoga_live.runtime.drawing import overlay
from yoga_live.runtime.drawing.overlay import SOFT, OverlayConfig, annotate_frame, draw_overlay

TREE, REST = Hold("tree", 0.93, 12.0), Hold("none", 0.9, 3.0)
SIZES_WH = [(1, 1), (2, 2), (3, 40), (40, 3), (16, 16), (64, 48), (640, 360), (1920, 1080), (360, 640), (1080, 1920)]


def grey(size_wh: tuple[int, int], level: int = 128) -> np.ndarray:
    return np.full((size_wh[1], size_wh[0], 3), level, np.uint8)


@pytest.mark.parametrize("size_wh", SIZES_WH)
@pytest.mark.parametrize("hold", [TREE, REST, Hold("unknown_pose_of_someone_with_a_very_long_name", 1.0, 36_000)])
def test_overlay_fits_every_size_and_copies_the_frame(size_wh: tuple[int, int], hold: Hold) -> None:
    frame_bgr = grey(size_wh)
    scene = draw_overlay(frame_bgr, hold, 29.97)
    assert scene.shape == frame_bgr.shape and scene.dtype == np.uint8
    assert (frame_bgr == 128).all()


@pytest.mark.parametrize("size_wh", [(640, 360), (1920, 1080), (360, 640)])
@pytest.mark.parametrize("level", [0, 128, 255])
def test_pose_name_stands_out_from_dark_and_light_pictures(size_wh: tuple[int, int], level: int) -> None:
    scene = draw_overlay(grey(size_wh, level), TREE)
    ground = int(np.median(scene[-size_wh[1] // 20]))
    ink = (scene.min(axis=2) > 230) & (np.indices(scene.shape[:2])[0] > size_wh[1] * 0.7)
    rows = np.nonzero(ink.any(axis=1))[0]
    assert ground < 100 and ink.sum() > 50
    assert rows.max() - rows.min() >= 0.04 * min(size_wh)  # letters 15 pixels high at 360p


@pytest.mark.parametrize("size_wh", [(640, 360), (1920, 1080), (360, 640)])
def test_name_and_clock_do_not_touch(size_wh: tuple[int, int]) -> None:
    hold = Hold("utthita_hasta_padangusthasana_with_a_twist", 0.0, 3599)  # at 0 there is no bar
    scene = draw_overlay(grey(size_wh, 0), hold)
    columns = (scene[-round(min(size_wh[1], size_wh[0] * 0.75) * 0.17) :].max(axis=2) > 60).any(axis=0)
    inked = np.nonzero(columns)[0]
    assert np.diff(inked).max() > 0.02 * size_wh[0]
    assert inked.min() > 0 and inked.max() < size_wh[0] - 1


@pytest.mark.parametrize("hold_s", [1.0, 2.0])
def test_hold_time_changes_the_picture(hold_s: float) -> None:
    before = draw_overlay(grey((640, 360)), Hold("tree", 0.9, 0.0))
    assert not np.array_equal(before, draw_overlay(grey((640, 360)), Hold("tree", 0.9, hold_s)))


def test_confidence_bar_is_as_long_as_the_confidence() -> None:
    for confidence in (0.25, 0.8, 1.0, 1.2, -0.1):
        row = draw_overlay(grey((1000, 360), 0), Hold("tree", confidence, 1.0))[-1]
        assert (row.max(axis=1) > 100).sum() == pytest.approx(1000 * min(max(confidence, 0), 1), abs=1)


def test_a_goal_is_counted_down_then_ticked_off() -> None:
    style = OverlayConfig(goals_s={"tree": 30})
    shown = {}
    for hold_s in (10.0, 20.0, 31.0):
        scene = draw_overlay(grey((1000, 360), 0), Hold("tree", 0.9, hold_s), style=style)
        assert (scene[-1].max(axis=1) > 100).sum() == pytest.approx(1000 * min(hold_s / 30, 1), abs=1)
        shown[hold_s] = scene[-60:-20, 700:]
    assert not np.array_equal(shown[10.0], shown[20.0])
    plain = draw_overlay(grey((1000, 360), 0), Hold("tree", 0.9, 20.0))
    assert not np.array_equal(shown[20.0], plain[-60:-20, 700:])
    other = draw_overlay(grey((1000, 360), 0), Hold("plank", 0.9, 20.0), style=style)
    assert (other[-1].max(axis=1) > 100).sum() == 900


@pytest.mark.parametrize(
    ("hold_s", "goal_s", "words"),
    [
        (0.9, None, "0:00"), (59.7, None, "0:59"), (29.999_999_9, None, "0:30"), (3599.9, None, "59:59"),
        (0.1, 30, "−0:30"), (29.1, 30, "−0:01"), (30, 30, "✓ 0:30"), (30.9, 30, "✓ 0:30"),
    ],
)  # fmt: skip
def test_the_clock_shows_seconds_that_have_passed(hold_s: float, goal_s: float | None, words: str) -> None:
    assert overlay._read_clock(hold_s, goal_s) == words


def test_resting_shows_neither_clock_nor_bar() -> None:
    scene = draw_overlay(grey((640, 360), 0), REST)
    assert scene[:, 320:].max() == 0 and scene[-1].max() == 0 and scene.max() > 150


def test_a_lost_source_is_no_rest() -> None:
    frame = TimedFrame(grey((640, 360), 0), 9.0, 9)
    rest, lost, longer = (
        annotate_frame(replace(frame, lost_s=lost_s), REST).image_bgr[-68:] for lost_s in (None, 3.0, 42.0)
    )
    assert [scene.max() > 150 for scene in (rest, lost, longer)] == [True] * 3
    assert not np.array_equal(rest, lost) and not np.array_equal(lost, longer)
    assert (lost > 100).any(axis=(0, 2)).sum() > 1.5 * (rest > 100).any(axis=(0, 2)).sum()  # more words


def test_rate_is_drawn_in_the_corner_only_when_asked() -> None:
    corner = np.s_[:40, -120:]
    assert (draw_overlay(grey((640, 360)), TREE, 30.0)[corner] > 200).any()
    for scene in (
        draw_overlay(grey((640, 360)), TREE, None),
        draw_overlay(grey((640, 360)), TREE, 30.0, OverlayConfig(show_fps=False)),
    ):
        assert (scene[corner] == 128).all()


def test_light_footage_is_shaded_under_the_rate() -> None:
    corner = draw_overlay(grey((640, 360), 255), TREE, 30.0)[:40, -80:]
    assert corner.min() < 120 and corner.max() == 255


def test_mirror_flips_the_picture_but_not_the_text() -> None:
    frame_bgr = grey((640, 360), 0)
    frame_bgr[:100, :100] = 90
    plain = draw_overlay(frame_bgr, TREE)
    mirrored = draw_overlay(frame_bgr, TREE, style=OverlayConfig(mirror=True))
    np.testing.assert_array_equal(mirrored[:100], plain[:100, ::-1])
    np.testing.assert_array_equal(mirrored[250:], plain[250:])


def test_sanskrit_letters_are_drawn_not_boxes() -> None:
    """A font without a letter draws the same box for each of them."""
    scenes = [draw_overlay(grey((640, 360), 0), Hold(letter * 6, 0.9, 0)) for letter in "ŚāṛṣṇĪñ"]
    for index, scene in enumerate(scenes):
        assert all(not np.array_equal(scene, other) for other in scenes[index + 1 :])


def test_known_pose_has_its_sanskrit_name_below() -> None:
    below = np.s_[-26:-8, :300]
    assert draw_overlay(grey((640, 360), 0), Hold("down_dog", 0.9, 0))[below].max() > 150
    assert draw_overlay(grey((640, 360), 0), Hold("my_own_pose", 0.9, 0))[below].max() == 0


@pytest.mark.parametrize("mirror", [False, True])
def test_region_is_marked_at_its_four_corners_only(mirror: bool) -> None:
    scene = draw_overlay(grey((640, 360)), TREE, None, OverlayConfig(mirror=mirror), Region(100, 40, 300, 200))
    scene = scene[:, ::-1] if mirror else scene
    for x in (100, 399):
        for y in (40, 239):
            assert (scene[y, x] == SOFT).all()
    assert (scene[40, 250] == 128).all() and (scene[140, 100] == 128).all() and (scene[39, 99] == 128).all()
    assert (scene[:280] != 128).any(axis=2).sum() < 600


@pytest.mark.parametrize("size_wh", SIZES_WH)
def test_region_fits_every_size(size_wh: tuple[int, int]) -> None:
    assert draw_overlay(grey(size_wh), REST, region=WHOLE.to_region(size_wh)).shape == grey(size_wh).shape
