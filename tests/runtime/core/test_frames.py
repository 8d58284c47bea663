"""A file's frames: the planes they were decoded to, upright and plain for the encoder, BGR for who looks."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import numpy as np
import pytest

from yoga_live.runtime.core.frames import FULL, Colours, DecodedFrame
from yoga_live.runtime.core.presentation import Presentation
from yoga_live.runtime.sources.video import VideoSource

COLOURS = [(255, 255, 255), (0, 0, 0), (40, 90, 200), (150, 205, 120)]
FORMATS = ["yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "gray", "bgr24", "bgra"]


def smooth_picture(size_wh: tuple[int, int]) -> np.ndarray:
    """No sharp colours: 4:2:0 keeps it nearly as it is."""
    y, x = np.mgrid[: size_wh[1], : size_wh[0]]
    level = 40 + 170 * (x / max(size_wh[0] - 1, 1) + y / max(size_wh[1] - 1, 1)) / 2
    return np.stack([level, level * 0.8, level * 0.9], axis=2).round().astype(np.uint8)


def decoded(size_wh: tuple[int, int], pixels: str = "yuv420p", degrees: int = 0) -> DecodedFrame:
    picture = av.VideoFrame.from_ndarray(smooth_picture(size_wh), format="bgr24")
    picture = picture if pixels == "bgr24" else picture.reformat(format=pixels, dst_colorspace=1)
    return DecodedFrame(picture, 1.5, 3, Presentation(quarter_turns=degrees // 90 % 4))


@pytest.mark.parametrize("pixels", FORMATS)
@pytest.mark.parametrize("degrees", [0, 90, 180, -90])
def test_a_plain_frame_shows_the_same_picture(pixels: str, degrees: int) -> None:
    frame = decoded((96, 64), pixels, degrees)
    plain = frame.to_plain()
    assert (plain.time_s, plain.pts, plain.presentation) == (1.5, 3, Presentation())
    assert plain.picture.format.name == "yuv420p" and plain.picture.color_range != FULL
    assert plain.image_bgr.shape == frame.image_bgr.shape == (*frame.size_wh[::-1], 3)
    assert np.abs(plain.image_bgr.astype(int) - frame.image_bgr).max() <= 6


@pytest.mark.parametrize("size_wh", [(63, 47), (64, 47), (1, 1), (33, 32)])
@pytest.mark.parametrize("degrees", [0, 90])
def test_odd_sides_become_even_by_repeating_the_edge(size_wh: tuple[int, int], degrees: int) -> None:
    frame = decoded(size_wh, degrees=degrees)
    width, height = frame.size_wh
    plain = frame.to_plain()
    assert plain.size_wh == (width + width % 2, height + height % 2)
    luma, seen = plain.view_planes()[0], frame.image_bgr
    assert (luma[:, -1] == luma[:, width - 1]).all() and (luma[-1] == luma[height - 1]).all()
    assert np.abs(plain.image_bgr[:height, :width].astype(int) - seen).max() <= 8


def test_what_is_plain_already_is_not_copied_but_to_be_drawn_on() -> None:
    frame = decoded((64, 48))
    assert frame.to_plain() is frame
    before = frame.view_planes()[0].copy()
    copy = frame.copy_plain()
    copy.view_planes()[0][:] = 16
    assert (frame.view_planes()[0] == before).all()
    assert copy.image_bgr.max() < 100 and (copy.time_s, copy.pts) == (1.5, 3)


@pytest.mark.parametrize("matrix", [1, 5, 6])
def test_a_colour_becomes_what_swscale_makes_of_it(matrix: int) -> None:
    colours = Colours(matrix=matrix)
    for colour in COLOURS:
        picture = av.VideoFrame.from_ndarray(np.full((16, 16, 3), colour, np.uint8), format="bgr24")
        yuv = DecodedFrame(picture.reformat(format="yuv420p", dst_colorspace=min(matrix, 5)), 0, 0).view_planes()
        assert np.abs(np.subtract([plane[4, 4] for plane in yuv], colours.to_yuv(colour), dtype=int)).max() <= 1


def test_white_does_not_glare_in_hdr() -> None:
    assert Colours().to_yuv((255, 255, 255)) == (235, 128, 128)
    assert Colours(9, 16, 9).to_yuv((255, 255, 255))[0] == 143  # 58 % of PQ's signal are 203 cd/m2, BT.2408
    assert Colours(9, 18, 9).to_yuv((255, 255, 255))[0] == 180


def test_a_file_frame_is_converted_anew_and_can_be_changed(write_clip: Callable[..., Path], tmp_path: Path) -> None:
    with VideoSource(write_clip(tmp_path / "a.mp4", [(9, 90, 9)])) as source:
        frame = next(source.frames())
    frame.image_bgr[:] = 0
    assert frame.image_bgr.max() > 60


def test_a_frame_that_two_threads_ask_for_at_once_comes_to_both() -> None:
    """PyAV's converter of a picture hangs, or crashes, where two threads are in it."""

    class Picture:
        """Takes its time, and notes who comes in the meantime."""

        width, height, inside, most = 4, 2, 0, 0

        def to_ndarray(self, format: str) -> np.ndarray:
            self.inside += 1
            self.most = max(self.most, self.inside)
            time.sleep(0.02)
            self.inside -= 1
            return np.zeros((2, 4, 3), np.uint8)

    picture = Picture()
    frame = DecodedFrame(picture, 0.0, 0)
    with ThreadPoolExecutor(4) as pool:
        images = list(pool.map(lambda each: each.image_bgr, [frame, frame.move(1.0, 1)] * 4))
    assert len(images) == 8 and picture.most == 1


def test_frames_are_converted_in_two_threads_side_by_side() -> None:
    frames = [decoded((320, 240), "yuv444p") for _ in range(60)]
    seen: list[list[int]] = [[], []]

    def look(number: int) -> None:
        seen[number] += [int(frame.image_bgr.sum(dtype=np.int64)) for frame in frames]

    threads = [threading.Thread(target=look, args=(number,), daemon=True) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(seen[0]) == len(seen[1]) == 60 and seen[0] == seen[1]
