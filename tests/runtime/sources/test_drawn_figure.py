"""The drawn person: stays in the picture, stands on the mat, blends between poses."""

from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import pytest

from yoga_live.runtime.sources.drawn_figure import (
    POSES,
    Appearance,
    blend_poses,
    draw_figure,
    jitter_pose,
    random_appearance,
)

BLACK, RED = (0, 0, 0), (0, 0, 255)
DARK_ROOM = {"mat": BLACK, "wall": BLACK, "floor": BLACK, "window_x": None}
SKIN_ONLY = Appearance(skin=RED, top=BLACK, trousers=BLACK, hair=BLACK, mat=BLACK, wall=BLACK, floor=BLACK)
SIZES = [(64, 64), (64, 200), (640, 360), (1920, 1080)]


def in_dark_room(look: Appearance) -> Appearance:
    """All red in a black room: every pixel above 0 belongs to the person."""
    return replace(look, skin=RED, top=RED, trousers=RED, hair=RED, **DARK_ROOM)


def person_box(frame_bgr: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, right, bottom (pixels, last ones included) of the person drawn in a dark room."""
    rows, columns = np.nonzero(frame_bgr.max(axis=2) > 32)
    return int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())


def lowest_skin(frame_bgr: np.ndarray, columns: slice) -> int:
    return int(np.nonzero(frame_bgr[:, columns, 2] > 96)[0].max())


@pytest.mark.parametrize("size_wh", SIZES)
@pytest.mark.parametrize("name", POSES)
def test_figure_stays_inside_the_frame_whatever_the_look(name: str, size_wh: tuple[int, int]) -> None:
    rng = np.random.default_rng(7)
    for look in [Appearance(), Appearance(zoom=4.0, offset=(0.6, -0.6)), *(random_appearance(rng) for _ in range(4))]:
        frame_bgr = draw_figure(jitter_pose(POSES[name], rng), size_wh, in_dark_room(look))
        left, top, right, bottom = person_box(frame_bgr)
        assert frame_bgr.shape == (size_wh[1], size_wh[0], 3) and frame_bgr.dtype == np.uint8
        assert left > 0 and top > 0 and right < size_wh[0] - 1 and bottom < size_wh[1] - 1


def test_default_figure_fills_most_of_the_smaller_side() -> None:
    spans = []
    for pose in POSES.values():
        left, top, right, bottom = person_box(draw_figure(pose, (640, 360), in_dark_room(Appearance())))
        spans.append(max(right - left, bottom - top) / 360)
    assert min(spans) > 0.45 and max(spans) < 0.9 and 0.6 < float(np.mean(spans)) < 0.8


@pytest.mark.parametrize("name", POSES)
def test_every_pose_rests_on_the_same_ground(name: str) -> None:
    bottoms = [person_box(draw_figure(pose, (640, 360), in_dark_room(Appearance())))[3] for pose in POSES.values()]
    bottom = person_box(draw_figure(POSES[name], (640, 360), in_dark_room(Appearance())))[3]
    assert abs(bottom - float(np.median(bottoms))) <= 1


@pytest.mark.parametrize("name", ["down_dog", "plank", "warrior_2", "triangle", "goddess", "half_moon"])
def test_supports_at_both_ends_reach_the_mat_for_long_and_short_limbs(name: str) -> None:
    for arms, legs in [(0.96, 1.04), (1.0, 1.0), (1.04, 0.96)]:
        frame_bgr = draw_figure(POSES[name], (640, 360), replace(SKIN_ONLY, arms=arms, legs=legs, head=0.5))
        ground = lowest_skin(frame_bgr, slice(None))
        low_columns = np.nonzero(frame_bgr[ground - 6 : ground + 1, :, 2].max(axis=0) > 96)[0]
        assert low_columns.max() - low_columns.min() > 0.1 * 360  # a hand and a foot, or two feet


def test_random_look_keeps_the_mat_under_the_feet() -> None:
    rng = np.random.default_rng(3)
    for _ in range(10):
        look = replace(random_appearance(rng), mat=(0, 255, 0), wall=BLACK, floor=BLACK, window_x=None)
        empty = np.all(draw_figure(POSES["chair"], (320, 240), look) == (0, 255, 0), axis=2)
        left, _, right, bottom = person_box(draw_figure(POSES["chair"], (320, 240), in_dark_room(look)))
        assert empty[min(bottom + 4, 239), (left + right) // 2]


@pytest.mark.parametrize(("first", "second"), [("standing", "tree"), ("plank", "down_dog"), ("chair", "half_moon")])
def test_blend_starts_and_ends_at_the_two_poses(first: str, second: str) -> None:
    a, b = POSES[first], POSES[second]
    for fraction, pose in [(0.0, a), (1.0, b)]:
        blended = draw_figure(blend_poses(a, b, fraction), (320, 240))
        np.testing.assert_array_equal(blended, draw_figure(pose, (320, 240)))


def test_blend_turns_an_arm_the_short_way_round() -> None:
    a = replace(POSES["standing"], near_arm=replace(POSES["standing"].near_arm, upper=170.0))
    b = replace(POSES["standing"], near_arm=replace(POSES["standing"].near_arm, upper=-170.0))
    assert blend_poses(a, b, 0.5).near_arm.upper == pytest.approx(180.0)


@pytest.mark.parametrize("name", [name for name in POSES if name != "standing"])
def test_blend_moves_without_jumps(name: str) -> None:
    frames = [
        draw_figure(blend_poses(POSES["standing"], POSES[name], step / 60), (160, 120), in_dark_room(Appearance()))
        for step in range(61)
    ]
    changed = [float(np.mean(np.abs(a.astype(int) - b)[:, :, 2])) / 255 for a, b in pairwise(frames)]
    assert max(changed) < 0.02


def test_every_pair_of_poses_draws_differently() -> None:
    masks = {
        name: draw_figure(pose, (160, 160), in_dark_room(Appearance()))[:, :, 2] > 127 for name, pose in POSES.items()
    }
    for first, second in combinations(masks, 2):
        shared = np.sum(masks[first] & masks[second]) / np.sum(masks[first] | masks[second])
        assert shared < 0.75, f"{first} and {second} cover the same pixels"


def test_mirror_flips_the_picture() -> None:
    frame_bgr = draw_figure(POSES["warrior_2"], (320, 240), Appearance())
    mirrored = draw_figure(POSES["warrior_2"], (320, 240), Appearance(mirror=True))
    assert np.mean(np.abs(frame_bgr.astype(int) - mirrored)) > 3
    assert np.mean(np.abs(frame_bgr[:, ::-1].astype(int) - mirrored)) < 1


def test_same_seed_gives_the_same_picture_and_another_seed_does_not() -> None:
    def draw(seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        return draw_figure(jitter_pose(POSES["goddess"], rng), (160, 120), random_appearance(rng))

    np.testing.assert_array_equal(draw(5), draw(5))
    assert not np.array_equal(draw(5), draw(6))
