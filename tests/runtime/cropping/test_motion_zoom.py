"""The crop: around what moves, calm, wide enough, the whole frame when unsure, the same at every frame rate."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from yoga_live.runtime.core.regions import Region
from yoga_live.runtime.cropping.motion_zoom import Zoom

SIZE_WH = (640, 360)
Picture = Callable[[float], np.ndarray]


def room(seed: int = 0, size_wh: tuple[int, int] = SIZE_WH) -> np.ndarray:
    """A cluttered still picture."""
    blocks = np.random.default_rng(seed).integers(40, 200, (9, 16, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(blocks, size_wh, interpolation=cv2.INTER_NEAREST), np.uint8)


def draw_person(x: float, y: float, width: float, height: float) -> np.ndarray:
    """A bright rectangle, centre and size in pixels, in the room."""
    scene = room()
    left, top = round(x - width / 2), round(y - height / 2)
    scene[max(0, top) : top + round(height), max(0, left) : left + round(width)] = 250
    return scene


def swaying(time_s: float) -> np.ndarray:
    """Someone small, right of the middle, who moves all the time."""
    return draw_person(480 + 15 * np.sin(2 * time_s), 220, 30, 90)


def follow(picture: Picture, seconds: float, fps: float = 12, zoom: Zoom | None = None, start_s: float = 0.0) -> list:
    zoom = zoom or Zoom()
    times = start_s + np.arange(round(seconds * fps)) / fps
    return [zoom.update(float(time_s), picture(float(time_s))) for time_s in times]


def holds(region: Region, left: float, top: float, right: float, bottom: float) -> bool:
    return (
        region.left <= left
        and region.top <= top
        and region.left + region.width >= right
        and region.top + region.height >= bottom
    )


def whole(region: Region) -> bool:
    return (region.left, region.top, region.width, region.height) == (0, 0, *SIZE_WH)


def test_small_person_fills_the_crop() -> None:
    region = follow(swaying, 12)[-1]
    assert holds(region, 450, 175, 510, 265)
    assert max(region.width, region.height) < 0.5 * SIZE_WH[0]


def test_still_picture_is_never_cropped() -> None:
    assert all(whole(region) for region in follow(lambda _: swaying(0), 5))


def test_noise_is_no_motion() -> None:
    rng, still = np.random.default_rng(1), room().astype(np.int16)

    def noisy(_: float) -> np.ndarray:
        return np.clip(still + rng.normal(0, 12, still.shape), 0, 255).astype(np.uint8)

    assert all(whole(region) for region in follow(noisy, 5))


def test_light_that_fades_is_no_motion() -> None:
    assert all(whole(r) for r in follow(lambda t: (room() * (1 - t / 20)).astype(np.uint8), 8))


def test_large_person_gets_the_whole_frame() -> None:
    def large(time_s: float) -> np.ndarray:
        return draw_person(320 + 60 * np.sin(2 * time_s), 180, 380, 340)

    assert all(whole(region) for region in follow(large, 8))


def test_crop_comes_calmly_and_then_stands_still() -> None:
    regions = follow(swaying, 20)
    edges = np.array([(r.left, r.top, r.left + r.width, r.top + r.height) for r in regions])
    assert np.abs(np.diff(edges, axis=0)).max() < 0.08 * SIZE_WH[0]
    assert np.ptp(edges[-96:], axis=0).max() <= 0.02 * SIZE_WH[0]


def test_person_who_holds_a_pose_for_a_minute_is_kept() -> None:
    zoom = Zoom()
    moved = follow(swaying, 10, zoom=zoom)[-1]
    held = follow(lambda _: swaying(9.96), 60, zoom=zoom, start_s=10)
    assert not whole(moved) and all(holds(region, 450, 175, 510, 265) for region in held)
    assert not whole(held[-1])


def test_breathing_in_a_held_pose_does_not_cut_off_the_legs() -> None:
    zoom = Zoom()
    follow(lambda t: draw_person(480 + 15 * np.sin(2 * t), 220, 30, 150), 10, zoom=zoom)

    def breathing(time_s: float) -> np.ndarray:
        scene = draw_person(480, 220, 30, 150)
        scene[170:190, 462 : 466 + round(4 * np.sin(3 * time_s))] = 250
        return scene

    assert all(holds(r, 465, 145, 495, 295) for r in follow(breathing, 40, zoom=zoom, start_s=10))


def test_pose_that_becomes_wide_is_soon_whole_in_the_crop() -> None:
    zoom = Zoom()
    follow(swaying, 10, zoom=zoom)
    spread = follow(lambda t: draw_person(470 + 4 * np.sin(3 * t), 240, 220, 40), 1.0, zoom=zoom, start_s=10)
    assert holds(spread[-1], 364, 220, 576, 260)


def test_crop_follows_someone_who_walks_to_the_other_side() -> None:
    zoom = Zoom()
    follow(swaying, 10, zoom=zoom)
    walking = follow(lambda t: draw_person(480 - 40 * min(t - 10, 8), 220, 30, 90), 8, zoom=zoom, start_s=10)
    there = follow(lambda t: draw_person(160 + 15 * np.sin(2 * t), 220, 30, 90), 40, zoom=zoom, start_s=18)
    xs = [480 - 40 * index / 12 for index in range(len(walking))]
    assert all(holds(region, x - 10, 180, x + 10, 260) for region, x in zip(walking, xs, strict=True))
    assert there[-1].left + there[-1].width < 420


def test_cut_or_a_moved_camera_gives_the_whole_frame_back_within_two_seconds() -> None:
    zoom = Zoom()
    assert not whole(follow(swaying, 10, zoom=zoom)[-1])
    assert whole(follow(lambda _: room(seed=5), 2, zoom=zoom, start_s=10)[-1])


def test_size_that_changes_in_the_middle_begins_anew() -> None:
    zoom = Zoom()
    follow(swaying, 10, zoom=zoom)
    region = zoom.update(10.0, room(size_wh=(320, 240)))
    assert region.left + region.width <= 320 and region.top + region.height <= 240


@pytest.mark.parametrize("fps", [5, 60])
def test_seconds_count_not_frames(fps: float) -> None:
    expected, region = follow(swaying, 12, fps=15)[-1], follow(swaying, 12, fps=fps)[-1]
    for one, other in zip(vars(expected).values(), vars(region).values(), strict=True):
        assert one == pytest.approx(other, abs=0.05 * SIZE_WH[0])


@pytest.mark.parametrize("size_wh", [(1, 1), (3, 200), (200, 3), (90, 160)])
def test_any_size_of_picture_is_taken(size_wh: tuple[int, int]) -> None:
    zoom = Zoom()
    for number in range(20):
        region = zoom.update(number / 5, room(number, size_wh))
        assert region.width >= 1 and region.left + region.width <= size_wh[0]
        assert region.height >= 1 and region.top + region.height <= size_wh[1]


def test_first_frame_may_come_late() -> None:
    assert whole(Zoom().update(1e6, room()))
