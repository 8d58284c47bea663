"""The letterbox: the whole frame, its shape kept, whatever comes in."""

import numpy as np
import pytest

from yoga_live.runtime.figure import POSES, draw_figure
from yoga_live.runtime.preprocess import BAR_GREY, as_bgr, letterbox, letterbox_into

SIZES_WH = [(1, 1), (1, 9), (9, 1), (1, 3000), (3000, 1), (31, 57), (224, 224), (225, 223), (640, 360), (899, 451)]
SIZES_WH += [(1280, 720), (1920, 1080), (1079, 1919)]


def split_bars(boxed: np.ndarray, size_wh: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The pixels of content and of bars, where the aspect ratio says that they lie."""
    size, (width, height) = boxed.shape[0], size_wh
    new_w = max(1, round(width * size / max(size_wh)))
    new_h = max(1, round(height * size / max(size_wh)))
    inside = np.zeros((size, size), bool)
    top, left = (size - new_h) // 2, (size - new_w) // 2
    inside[top : top + new_h, left : left + new_w] = True
    return boxed[inside], boxed[~inside]


@pytest.mark.parametrize("size_wh", SIZES_WH)
@pytest.mark.parametrize("size", [224, 97])
def test_letterbox_keeps_the_aspect_and_greys_the_rest(size_wh: tuple[int, int], size: int) -> None:
    frame_bgr = np.full((size_wh[1], size_wh[0], 3), (10, 200, 90), np.uint8)
    content, bars = split_bars(letterbox(frame_bgr, size), size_wh)
    assert (content == (10, 200, 90)).all()
    assert (bars == BAR_GREY).all()


def test_letterbox_overwrites_all_of_out() -> None:
    frame_bgr = np.random.default_rng(0).integers(0, 256, (50, 121, 3), dtype=np.uint8)
    for garbage in (0, 255):
        out = np.full((64, 64, 3), garbage, np.uint8)
        letterbox_into(frame_bgr, out)
        np.testing.assert_array_equal(out, letterbox(frame_bgr, 64))


def test_letterbox_fills_a_slot_of_a_batch_and_leaves_its_neighbours() -> None:
    batch = np.full((3, 64, 64, 3), 7, np.uint8)
    letterbox_into(np.zeros((30, 40, 3), np.uint8), batch[1])
    assert (batch[0] == 7).all() and (batch[2] == 7).all() and not (batch[1] == 7).any()


@pytest.mark.parametrize("size_wh", [(120, 80), (640, 480), (899, 451), (1279, 719), (1920, 1080)])
def test_content_does_not_drift(size_wh: tuple[int, int]) -> None:
    """White squares near the corners land where plain proportion puts them, within a pixel of the output."""
    width, height = size_wh
    size, side = 224, max(2, max(size_wh) // 30)
    scale = size / max(size_wh)
    left, top = (size - round(width * scale)) // 2, (size - round(height * scale)) // 2
    for x, y in [
        (0, 0),
        (width - side, 0),
        (0, height - side),
        (width - side, height - side),
        (width // 2, height // 3),
    ]:
        frame_bgr = np.zeros((height, width, 3), np.uint8)
        frame_bgr[y : y + side, x : x + side] = 255
        boxed = letterbox(frame_bgr, size)[:, :, 0].astype(float)
        boxed[boxed == BAR_GREY] = 0
        rows, columns = np.indices(boxed.shape)
        centre = (boxed * columns).sum() / boxed.sum() + 0.5, (boxed * rows).sum() / boxed.sum() + 0.5
        expected = left + (x + side / 2) * scale, top + (y + side / 2) * scale
        assert np.abs(np.subtract(centre, expected)).max() < 1


def test_shrinking_averages_instead_of_skipping_pixels() -> None:
    """A one-pixel checkerboard is grey from afar; a resize that skips pixels shows it as black, white or stripes."""
    rows, columns = np.indices((1080, 1920))
    board = np.repeat((((rows + columns) % 2) * 255).astype(np.uint8)[:, :, None], 3, axis=2)
    content, _ = split_bars(letterbox(board, 224), (1920, 1080))
    assert content.min() > 110 and content.max() < 145


def test_halving_first_changes_a_photo_by_little() -> None:
    import cv2

    frame_bgr = draw_figure(POSES["triangle"], (1280, 720))
    exact = cv2.resize(frame_bgr, (224, 126), interpolation=cv2.INTER_AREA)
    boxed = letterbox(frame_bgr, 224)[49:175]
    assert np.abs(boxed.astype(int) - exact).mean() < 1


def test_grey_and_bgra_frames_give_the_picture_of_their_bgr_twin() -> None:
    grey = np.random.default_rng(1).integers(0, 256, (40, 60), dtype=np.uint8)
    expected = letterbox(np.repeat(grey[:, :, None], 3, axis=2), 48)
    np.testing.assert_array_equal(letterbox(grey, 48), expected)
    np.testing.assert_array_equal(letterbox(grey[:, :, None], 48), expected)
    bgra = np.dstack([grey, grey, grey, np.zeros_like(grey)])
    np.testing.assert_array_equal(letterbox(bgra, 48), expected)


@pytest.mark.parametrize("channels", [0, 1, 3, 4])
@pytest.mark.parametrize(
    "view",
    [
        np.s_[::-1],
        np.s_[:, ::-1],
        np.s_[::-1, ::-1],
        np.s_[::2, ::3],
        np.s_[5:77, 3:100],
        np.s_[::-2, 1:-1],
    ],
    ids=str,
)
def test_any_memory_layout_gives_what_its_contiguous_copy_gives(channels: int, view: tuple[slice, ...]) -> None:
    shape = (90, 130, channels) if channels else (90, 130)
    frame = np.random.default_rng(2).integers(0, 256, shape, dtype=np.uint8)[view]
    np.testing.assert_array_equal(letterbox(frame, 64), letterbox(np.ascontiguousarray(frame), 64))


def test_rgb_reversed_and_transposed_views_are_taken() -> None:
    frame = np.random.default_rng(3).integers(0, 256, (90, 130, 3), dtype=np.uint8)
    for view in (frame[:, :, ::-1], frame.transpose(1, 0, 2), np.asfortranarray(frame), np.rot90(frame)):
        np.testing.assert_array_equal(letterbox(view, 64), letterbox(np.ascontiguousarray(view), 64))


def test_a_read_only_frame_is_taken_and_stays_as_it_was() -> None:
    frame = np.random.default_rng(4).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    before = frame.copy()
    frame.flags.writeable = False
    letterbox(frame, 64)
    np.testing.assert_array_equal(frame, before)


@pytest.mark.parametrize(
    ("frame", "seen"),
    [
        (np.zeros((4, 4, 3), np.float32), "float32"),
        (np.zeros((4, 4, 3), np.uint16), "uint16"),
        (np.zeros((4, 4, 2), np.uint8), "(4, 4, 2)"),
        (np.zeros((4, 4, 5), np.uint8), "(4, 4, 5)"),
        (np.zeros((0, 4, 3), np.uint8), "(0, 4, 3)"),
        (np.zeros((1, 4, 4, 3), np.uint8), "(1, 4, 4, 3)"),
        (np.zeros(12, np.uint8), "(12,)"),
    ],
)
def test_what_is_no_frame_is_refused_with_what_it_was(frame: np.ndarray, seen: str) -> None:
    with pytest.raises(ValueError, match="a frame must ") as caught:
        as_bgr(frame)
    assert seen in str(caught.value)
