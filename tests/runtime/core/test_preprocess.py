"""The letterbox: the whole frame, its shape kept, whatever comes in."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from yoga_live.runtime.core.preprocess import BAR_GREY, as_bgr, letterbox, letterbox_into
from yoga_live.runtime.sources.drawn_figure import POSES, draw_figure

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


LAYOUTS = ("sliced", "flipped", "transposed", "fortran", "padded rows", "reversed channels", "broadcast", "read-only")


@st.composite
def draw_size_wh(draw: st.DrawFn) -> tuple[int, int]:
    """Any size: from 1 x 1 to 4000 x 50 and upright ones alike."""
    long, short = draw(st.integers(1, 4000)), draw(st.integers(1, 50))
    small = draw(st.integers(1, 400)), draw(st.integers(1, 400))
    return draw(st.sampled_from([(long, short), (short, long), small]))


def fill(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def lay_out(frame: np.ndarray, layout: str) -> np.ndarray:
    """The same pixels (H, W, ...) in another memory layout; a broadcast frame repeats its first row."""
    height, width = frame.shape[:2]
    if layout == "sliced":
        wide = np.zeros((height * 2 + 1, width * 3 + 2, *frame.shape[2:]), np.uint8)
        wide[1 : height * 2 + 1 : 2, 2 : width * 3 + 2 : 3] = frame
        return wide[1 : height * 2 + 1 : 2, 2 : width * 3 + 2 : 3]
    if layout == "flipped":
        return np.ascontiguousarray(frame[::-1, ::-1])[::-1, ::-1]
    if layout == "transposed":
        return np.ascontiguousarray(frame.swapaxes(0, 1)).swapaxes(0, 1)
    if layout == "fortran":
        return np.asfortranarray(frame)
    if layout == "padded rows":  # as a decoder's rows are, each with a few bytes behind it
        return np.pad(frame, [(0, 0), (0, 7), *[(0, 0)] * (frame.ndim - 2)])[:, :width]
    if layout == "reversed channels" and frame.ndim == 3:
        return np.ascontiguousarray(frame[:, :, ::-1])[:, :, ::-1]
    if layout == "broadcast":
        return np.broadcast_to(frame[:1], frame.shape)
    copy = frame.copy()
    copy.flags.writeable = False
    return copy


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    draw_size_wh(), st.sampled_from([0, 1, 3, 4]), st.sampled_from(LAYOUTS), st.sampled_from([32, 224]), st.integers(0)
)
def test_frame_of_any_size_channels_and_layout_gives_what_contiguous_bgr_gives(
    size_wh: tuple[int, int], channels: int, layout: str, size: int, seed: int
) -> None:
    width, height = size_wh
    frame = lay_out(fill((height, width, channels) if channels else (height, width), seed), layout)
    before = frame.copy()
    grey = before.reshape(height, width, -1)
    bgr = np.ascontiguousarray(grey[:, :, :3] if channels >= 3 else np.repeat(grey, 3, axis=2))
    boxed = letterbox(frame, size)
    np.testing.assert_array_equal(boxed, letterbox(bgr, size))
    np.testing.assert_array_equal(frame, before)
    content, bars = split_bars(boxed, size_wh)
    assert boxed.shape == (size, size, 3) and boxed.flags.c_contiguous and (bars == BAR_GREY).all()
    assert content.size and bgr.min() <= content.min() and content.max() <= bgr.max()


@settings(deadline=None)
@given(draw_size_wh(), st.sampled_from([32, 224]))
def test_plain_frame_of_any_size_stays_plain(size_wh: tuple[int, int], size: int) -> None:
    frame_bgr = np.full((size_wh[1], size_wh[0], 3), (10, 200, 90), np.uint8)
    content, bars = split_bars(letterbox(frame_bgr, size), size_wh)
    assert (content == (10, 200, 90)).all() and (bars == BAR_GREY).all()


@given(
    st.sampled_from([np.int8, np.int16, np.uint16, np.int32, np.int64, np.float16, np.float32, np.float64, np.bool_]),
    st.sampled_from([(4, 6), (4, 6, 1), (4, 6, 3), (4, 6, 4)]),
)
def test_any_other_dtype_is_refused_on_one_line_that_names_it(dtype: type, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="a frame must be uint8, 0 to 255; got ") as caught:
        letterbox(np.zeros(shape, dtype), 32)
    assert np.dtype(dtype).name in str(caught.value) and "\n" not in str(caught.value)


@given(st.lists(st.integers(0, 7), min_size=0, max_size=5))
def test_any_other_shape_is_refused_on_one_line_that_names_it(shape: list[int]) -> None:
    channels = 1 if len(shape) == 2 else shape[2] if len(shape) == 3 else 0
    frame = np.zeros(shape, np.uint8)
    if frame.size and channels in (1, 3, 4):
        assert letterbox(frame, 32).shape == (32, 32, 3)
        return
    with pytest.raises(ValueError, match="a frame must ") as caught:
        letterbox(frame, 32)
    assert str(tuple(shape)) in str(caught.value) and "\n" not in str(caught.value)
