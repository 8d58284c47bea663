"""A picture is shown as its file says, and as ffmpeg shows it: to the network, under the overlay, in the copy."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from fractions import Fraction
from math import cos, radians, sin
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from yoga_live.runtime.core.frames import DecodedFrame, TimedFrame
from yoga_live.runtime.core.presentation import Mounting, Presentation, PresentationReader, judge_matrix, read_matrix
from yoga_live.runtime.core.types import Hold
from yoga_live.runtime.drawing.overlay import annotate_frame
from yoga_live.runtime.sinks.video import VideoSink
from yoga_live.runtime.sources.base import SourceInfo
from yoga_live.runtime.sources.video import VideoSource

from ..conftest import set_matrix

WriteClip = Callable[..., Path]
needs_ffmpeg = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg, which shows what is right, is missing")

BLUE, GREEN, RED, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
SHOWN: dict[tuple[float, ...], Callable[[np.ndarray], np.ndarray]] = {  # a, b, c, d -> what a player shows
    (1, 0, 0, 1): lambda image: image,
    (0, 1, -1, 0): lambda image: np.rot90(image, 3),
    (-1, 0, 0, -1): lambda image: np.rot90(image, 2),
    (0, -1, 1, 0): lambda image: np.rot90(image, 1),
    (-1, 0, 0, 1): np.fliplr,
    (1, 0, 0, -1): np.flipud,
    (0, 1, 1, 0): lambda image: image.transpose(1, 0, 2),
    (0, -1, -1, 0): lambda image: np.rot90(image, 2).transpose(1, 0, 2),
    (0, 0, 0, 0): lambda image: image,
    (1, 0, 0, 0): lambda image: image,
    (0, 0, 0, 1): lambda image: image,
    (-2, 0, 0, 2): np.fliplr,
    (0, 0.5, -0.5, 0): lambda image: np.rot90(image, 3),
}
TILTS = (2, 45, 100, 330, 359)


def quartered() -> np.ndarray:
    image = np.empty((48, 64, 3), np.uint8)
    image[:24, :32], image[:24, 32:], image[24:, :32], image[24:, 32:] = RED, GREEN, BLUE, WHITE
    return image


def read_first(path: Path, mounting: Mounting | None = None) -> tuple[SourceInfo, DecodedFrame]:
    with VideoSource(path, mounting=mounting) as source:
        return source.info, next(source.frames())


def ask_ffmpeg(path: Path, to: Path, filters: str = "null") -> np.ndarray:
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(path), "-frames:v", "1", "-vf", filters, str(to)]
    subprocess.run(command, check=True, timeout=60)
    image = cv2.imread(str(to))
    assert image is not None
    return np.asarray(image, np.uint8)


def copy_through(path: Path, to: Path, mounting: Mounting | None = None) -> None:
    with VideoSource(path, mounting=mounting) as source:
        sink = VideoSink(to, source.info)
        for frame in source.frames():
            sink.write(frame)
        sink.close()


def differ(one: np.ndarray, other: np.ndarray) -> float:
    assert one.shape == other.shape
    return float(np.abs(one.astype(int) - other).mean())


@pytest.mark.parametrize("matrix", SHOWN)
def test_a_display_matrix_turns_and_mirrors(write_clip: WriteClip, tmp_path: Path, matrix: tuple[float, ...]) -> None:
    path, expected = write_clip(tmp_path / "a.mp4", [quartered()] * 3), SHOWN[matrix](quartered())
    set_matrix(path, *matrix)
    info, frame = read_first(path)
    assert info.size_wh == frame.size_wh == (expected.shape[1], expected.shape[0])
    assert differ(frame.image_bgr, expected) < 12
    copy_through(path, tmp_path / "copy.mp4")
    assert differ(read_first(tmp_path / "copy.mp4")[1].image_bgr, expected) < 12


@needs_ffmpeg
@pytest.mark.parametrize(
    "matrix", [*SHOWN, *((cos(radians(t)), sin(radians(t)), -sin(radians(t)), cos(radians(t))) for t in (1, *TILTS))]
)
def test_every_matrix_is_shown_as_ffmpeg_shows_it(
    write_clip: WriteClip, tmp_path: Path, matrix: tuple[float, ...]
) -> None:
    path = write_clip(tmp_path / "a.mp4", [quartered()] * 3)
    set_matrix(path, *matrix)
    expected, (_, frame) = ask_ffmpeg(path, tmp_path / "shown.png"), read_first(path)
    assert differ(frame.image_bgr, expected) < 14
    assert differ(frame.to_plain().image_bgr, expected) < 14


def test_a_tilt_leaves_black_corners() -> None:
    grey = np.full((48, 64, 3), 200, np.uint8)
    frame = DecodedFrame(av.VideoFrame.from_ndarray(grey, format="bgr24"), 0, 0, Presentation(tilt_degrees=45))
    assert frame.size_wh == (64, 48)
    assert frame.image_bgr[0, 0].max() <= 3 and abs(int(frame.image_bgr[24, 32, 1]) - 200) <= 3


def test_side_data_that_pyav_does_not_know_hides_no_rotation() -> None:
    class Frame:
        def __init__(self, rotation: int) -> None:
            self.rotation = rotation

        @property
        def side_data(self) -> Any:
            raise ValueError("31 is not a valid Type")

    for degrees, turns in ((0, 0), (90, 1), (180, 2), (-90, 3), (-1 << 31, 0)):
        matrix = read_matrix(Frame(degrees))
        assert (judge_matrix(matrix) if matrix else Presentation()) == Presentation(quarter_turns=turns)


MOUNTINGS = [Mounting(rotate, flip) for rotate in (0, 90, 180, 270) for flip in (False, True)]


@pytest.mark.parametrize("mounting", MOUNTINGS)
def test_the_user_turns_clockwise_and_then_flips_what_the_file_shows(mounting: Mounting) -> None:
    image = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    for said in (Presentation(mirrors=mirrors, quarter_turns=turns) for mirrors in (False, True) for turns in range(4)):
        turned = np.rot90(said.turn(image), -mounting.rotate // 90)
        expected = np.fliplr(turned) if mounting.flip else turned
        assert np.array_equal(said.mount(mounting).turn(image), expected)
    turned = np.rot90(image, -mounting.rotate // 90)
    assert np.array_equal(mounting.apply(image), np.fliplr(turned) if mounting.flip else turned)


def test_a_recording_is_turned_by_hand_after_its_own_matrix(write_clip: WriteClip, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", [quartered()] * 3)
    set_matrix(path, 0, 1, -1, 0)
    info, frame = read_first(path, Mounting(90, flip=True))
    expected = np.fliplr(np.rot90(quartered(), 2))
    assert info.size_wh == (64, 48) and differ(frame.image_bgr, expected) < 12
    copy_through(path, tmp_path / "copy.mp4", Mounting(90, flip=True))
    assert differ(read_first(tmp_path / "copy.mp4")[1].image_bgr, expected) < 12


def write_stretched(path: Path, image: np.ndarray, aspect: Fraction, **codec: Any) -> Path:
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec.get("codec", "libx264"), rate=25, options=codec.get("options", {}))
        stream.height, stream.width = image.shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        for index in range(codec.get("frames", 3)):
            picture = av.VideoFrame.from_ndarray(image, format="bgr24")
            picture.pts = index
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def read_aspect(path: Path) -> tuple[int, int, Fraction | None]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return stream.width, stream.height, stream.sample_aspect_ratio


@pytest.mark.parametrize(
    ("aspect", "turned", "shown_wh", "copied"),
    [
        (Fraction(4, 3), False, (85, 48), (64, 48, Fraction(4, 3))),
        (Fraction(4, 3), True, (48, 85), (48, 64, Fraction(3, 4))),
        (Fraction(1, 2), False, (64, 96), (64, 48, Fraction(1, 2))),
        (Fraction(1, 2), True, (96, 64), (48, 64, Fraction(2, 1))),
        (Fraction(64, 45), False, (91, 48), (64, 48, Fraction(64, 45))),
    ],
)
def test_network_sees_square_pixels_and_the_copy_keeps_their_shape(
    tmp_path: Path, aspect: Fraction, turned: bool, shown_wh: tuple[int, int], copied: tuple[int, int, Fraction]
) -> None:
    path = write_stretched(tmp_path / "a.mp4", quartered(), aspect)
    if turned:
        set_matrix(path, 0, 1, -1, 0)
    info, frame = read_first(path)
    assert info.size_wh == frame.size_wh == shown_wh and frame.image_bgr.shape == (*shown_wh[::-1], 3)
    upright = np.rot90(quartered(), 3) if turned else quartered()
    assert differ(frame.image_bgr, cv2.resize(np.ascontiguousarray(upright), shown_wh)) < 12
    copy_through(path, tmp_path / "copy.mp4")
    assert read_aspect(tmp_path / "copy.mp4") == copied
    assert read_first(tmp_path / "copy.mp4")[0].size_wh == shown_wh


@needs_ffmpeg
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".mpg", ".ts"])
def test_a_stretched_video_looks_as_ffmpeg_shows_it(tmp_path: Path, suffix: str) -> None:
    codec = {".avi": "mpeg4", ".mpg": "mpeg2video"}.get(suffix, "libx264")
    image, aspect = np.repeat(np.repeat(quartered(), 4, 0), 4, 1), Fraction(16, 11)
    if suffix == ".mpg":  # MPEG-2 knows 4:3, 16:9 and 2.21:1 of the whole picture
        aspect = Fraction(4, 3)
    path = write_stretched(tmp_path / f"a{suffix}", image, aspect, codec=codec, frames=30)
    expected = ask_ffmpeg(path, tmp_path / "shown.png", "scale=round(iw*sar):ih")
    assert expected.shape[1] > image.shape[1]
    assert differ(read_first(path)[1].image_bgr, expected) < 6


def test_text_is_drawn_as_wide_as_it_is_meant_once_the_copy_is_shown(tmp_path: Path) -> None:
    image = np.full((360, 320, 3), 60, np.uint8)
    path, hold = write_stretched(tmp_path / "a.mp4", image, Fraction(2)), Hold("tree", 0.9, 12.0)
    info, frame = read_first(path)
    drawn = annotate_frame(frame, hold, colours=info.colours)
    assert isinstance(drawn, DecodedFrame) and drawn.stored_wh == (320, 360) and drawn.size_wh == (640, 360)
    square = annotate_frame(TimedFrame(frame.image_bgr, 0, 0), hold)
    assert differ(drawn.image_bgr, square.image_bgr) < 2.5
    lit, lit_meant = (np.flatnonzero(each.image_bgr[8:38].max(axis=(0, 2)) > 180) for each in (drawn, square))
    assert (
        abs(lit[0] - lit_meant[0]) <= 3 and abs(lit[-1] - lit_meant[-1]) <= 3 and abs(len(lit) - len(lit_meant)) <= 24
    )


def test_regions_and_heat_lie_where_they_belong_on_stretched_pixels(tmp_path: Path) -> None:
    from yoga_live.runtime.core.regions import Roi
    from yoga_live.runtime.core.types import ClassMaps

    image = np.full((180, 160, 3), 60, np.uint8)
    info, frame = read_first(write_stretched(tmp_path / "a.mp4", image, Fraction(2)))
    region = Roi(0.5, 0, 0.5, 1).to_region(info.size_wh)
    assert (region.left, region.width) == (160, 160)
    maps = np.zeros((2, 7, 7), np.float32)
    maps[0, 3, 3] = 5
    class_maps = ClassMaps(maps, ("tree", "none"), region)
    drawn = annotate_frame(frame, Hold("tree", 0.9, 1.0), None, None, region, class_maps, info.colours)
    square = annotate_frame(TimedFrame(frame.image_bgr, 0, 0), Hold("tree", 0.9, 1.0), None, None, region, class_maps)
    assert differ(drawn.image_bgr, square.image_bgr) < 3
    assert differ(drawn.image_bgr[60:150, :150], frame.image_bgr[60:150, :150]) < 1


@pytest.mark.parametrize(
    "aspect", [None, Fraction(1), Fraction(0), Fraction(1, 4000), Fraction(65535, 2), Fraction(-1)]
)
def test_an_aspect_that_is_not_said_or_can_not_be_is_square(aspect: Fraction | None) -> None:
    class Stream:
        sample_aspect_ratio = aspect

    assert PresentationReader(Stream()).read(av.VideoFrame(16, 16)) == Presentation()


def test_pixels_that_are_nearly_square_are_not_scaled_and_keep_their_shape(tmp_path: Path) -> None:
    path = write_stretched(tmp_path / "a.mp4", quartered(), Fraction(160, 159))
    info, frame = read_first(path)
    assert info.size_wh == (64, 48) == frame.stored_wh
    copy_through(path, tmp_path / "copy.mp4")
    assert read_aspect(tmp_path / "copy.mp4") == (64, 48, Fraction(160, 159))
