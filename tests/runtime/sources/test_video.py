"""Frames with their own times: files of every kind."""

import shutil
import subprocess
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from yoga_live.runtime.core.frames import TimedFrame
from yoga_live.runtime.errors import SourceError
from yoga_live.runtime.sources.time_range import TimeRange
from yoga_live.runtime.sources.video import VideoSource

from ..conftest import MATRICES, set_rotation

BLUE, GREEN, RED, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
WriteClip = Callable[..., Path]


def shades(count: int) -> list[tuple[int, int, int]]:
    """Frame i is grey 20 + 8 i: its number can be read from the decoded picture."""
    return [(shade, shade, shade) for shade in range(20, 20 + 8 * count, 8)]


def read(path: Path) -> list[TimedFrame]:
    with VideoSource(path) as source:
        return list(source.frames())


def numbers(frames: Sequence[TimedFrame]) -> list[int]:
    return [round((float(frame.image_bgr.mean()) - 20) / 8) for frame in frames]


def test_every_frame_of_a_file_comes_once_in_order_with_its_time(write_clip: WriteClip, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", shades(25), rate=Fraction(24000, 1001))
    with VideoSource(path) as source:
        frames = list(source.frames())
    assert numbers(frames) == list(range(25))
    assert [f.time_s for f in frames] == pytest.approx([i * 1001 / 24000 for i in range(25)], abs=1e-6)
    assert [f.time_s for f in frames] == pytest.approx([float(f.pts * source.info.time_base) for f in frames])
    assert source.info.rate == Fraction(24000, 1001)
    assert source.info.size_wh == (64, 48) and source.info.duration_s == pytest.approx(25 * 1001 / 24000, abs=0.05)
    assert source.info.audio_from is None and not source.info.is_live


def test_variable_frame_rate_keeps_each_frames_own_time(write_clip: WriteClip, tmp_path: Path) -> None:
    times_ms = [0, 10, 500, 520, 1700, 1733]
    for suffix in (".mp4", ".mkv"):
        path = write_clip(tmp_path / f"a{suffix}", shades(6), pts=times_ms, time_base=Fraction(1, 1000))
        frames = read(path)
        assert [round(f.time_s * 1000) for f in frames] == times_ms
        assert numbers(frames) == list(range(6))


def test_b_frames_come_in_order_of_presentation(write_clip: WriteClip, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25, options={"bf": "3", "b-adapt": "0", "crf": "5"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index, shade in enumerate(shades(20)):
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), shade, np.uint8), format="bgr24")
            picture.pts = index
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    frames = read(path)
    assert numbers(frames) == list(range(20))
    assert [f.time_s for f in frames] == pytest.approx([i / 25 for i in range(20)], abs=1e-6)


def test_file_whose_clock_starts_late_counts_from_its_start(write_clip: WriteClip, tmp_path: Path) -> None:
    frames = read(write_clip(tmp_path / "a.ts", shades(10)))
    assert frames[0].time_s == pytest.approx(0, abs=1e-3)
    assert frames[-1].time_s == pytest.approx(9 / 25, abs=1e-3)


def quartered() -> np.ndarray:
    image = np.empty((48, 64, 3), np.uint8)
    image[:24, :32], image[:24, 32:], image[24:, :32], image[24:, 32:] = RED, GREEN, BLUE, WHITE
    return image


@pytest.mark.parametrize("degrees", MATRICES)
def test_phone_video_is_turned_upright(write_clip: WriteClip, tmp_path: Path, degrees: int) -> None:
    path = write_clip(tmp_path / "a.mp4", [quartered()] * 3)
    set_rotation(path, degrees)
    expected = np.rot90(quartered(), -degrees // 90)
    with VideoSource(path) as source:
        assert source.info.size_wh == (expected.shape[1], expected.shape[0])
        for frame in source.frames():
            assert frame.image_bgr.shape == expected.shape
            assert np.abs(frame.image_bgr.astype(int) - expected).mean() < 12


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg, which shows how players turn a video, is not installed")
@pytest.mark.parametrize("degrees", MATRICES)
def test_turned_video_looks_as_ffmpeg_shows_it(write_clip: WriteClip, tmp_path: Path, degrees: int) -> None:
    import cv2

    path, shown = write_clip(tmp_path / "a.mp4", [quartered()] * 3), tmp_path / "shown.png"
    set_rotation(path, degrees)
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-frames:v", "1", str(shown)]
    subprocess.run(command, check=True, timeout=60)
    expected = cv2.imread(str(shown))
    assert np.abs(read(path)[0].image_bgr.astype(int) - expected).mean() < 12


@pytest.mark.parametrize("size_wh", [(63, 47), (2, 2), (161, 90)])
def test_odd_sizes_are_read_whole(write_clip: WriteClip, tmp_path: Path, size_wh: tuple[int, int]) -> None:
    path = write_clip(tmp_path / "a.mkv", shades(3), size_wh=size_wh, codec="ffv1", pix_fmt="bgr0")
    frames = read(path)
    assert frames[0].image_bgr.shape == (size_wh[1], size_wh[0], 3) and numbers(frames) == [0, 1, 2]


def test_gif_is_a_video(write_clip: WriteClip, tmp_path: Path) -> None:
    from PIL import Image

    pictures = [Image.new("RGB", (40, 30), colour) for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=200)
    frames = read(tmp_path / "a.gif")
    assert [f.time_s for f in frames] == pytest.approx([0, 0.2, 0.4])
    assert [int(f.image_bgr[0, 0].argmax()) for f in frames] == [2, 1, 0]


def test_truncated_file_keeps_what_came_before(write_clip: WriteClip, tmp_path: Path) -> None:
    noise = list(np.random.default_rng(0).integers(0, 256, (30, 48, 64, 3), dtype=np.uint8))
    for suffix, options in [(".mp4", {"movflags": "+faststart"}), (".mkv", {}), (".ts", {})]:
        whole = write_clip(tmp_path / f"whole{suffix}", noise, options=options)
        path = tmp_path / f"half{suffix}"
        path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
        counted = 0
        with VideoSource(path) as source:
            try:
                for _ in source.frames():
                    counted += 1
            except SourceError as error:
                assert "the frames before that were used" in str(error)
        assert 8 <= counted < 30


def test_bytes_lost_in_the_middle_end_in_frames_or_one_source_error(write_clip: WriteClip, tmp_path: Path) -> None:
    noise = list(np.random.default_rng(0).integers(0, 256, (30, 48, 64, 3), dtype=np.uint8))
    path = write_clip(tmp_path / "a.mkv", noise)
    content = bytearray(path.read_bytes())
    half = len(content) // 2
    content[half : half + 5000] = bytes(5000)
    path.write_bytes(content)
    counted = 0
    with VideoSource(path) as source:
        try:
            for _ in source.frames():
                counted += 1
        except SourceError as error:
            assert "the frames before that were used" in str(error)
    assert counted >= 10


def test_audio_only_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "song.m4a"
    with av.open(str(path), "w", format="mp4") as container:
        track: Any = container.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), format="fltp", layout="mono")
        frame.rate, frame.pts = 48000, 0
        container.mux(track.encode(frame))
        container.mux(track.encode(None))
    with pytest.raises(SourceError, match=r"song\.m4a has no video stream, only audio"):
        VideoSource(path)


@pytest.mark.parametrize("content", [b"", b"just text, no video at all " * 20, bytes(5000)])
def test_what_is_no_video_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"a\.mp4"):
        VideoSource(path)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="does not exist"):
        VideoSource(tmp_path / "no.mp4")


def test_file_cut_before_its_first_frame_is_refused(write_clip: WriteClip, tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "whole.mp4", shades(5), options={"movflags": "+faststart"}).read_bytes()
    path = tmp_path / "a.mp4"
    path.write_bytes(whole[: whole.index(b"mdat") + 8])
    with pytest.raises(SourceError, match=r"a\.mp4"):
        VideoSource(path)


def test_sound_of_a_file_is_named(write_clip: WriteClip, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", shades(10), sound="aac")
    with VideoSource(path) as source:
        assert source.info.audio_from == path


@pytest.mark.parametrize("full_range", [False, True])
def test_black_and_white_are_read_as_black_and_white(tmp_path: Path, full_range: bool) -> None:
    """Phones record full range; read as limited, greys would be stretched."""
    path = tmp_path / "a.mp4"
    ramp = np.linspace(0, 255, 64).astype(np.uint8)[None, :, None].repeat(48, axis=0).repeat(3, axis=2)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p" if full_range else "yuv420p"
        for index in range(3):
            picture = av.VideoFrame.from_ndarray(ramp, format="bgr24").reformat(format=stream.pix_fmt)
            picture.pts = index
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    assert np.abs(read(path)[0].image_bgr.astype(int) - ramp).max() <= 6


def read_part(path: Path, time_range: TimeRange) -> tuple[list[TimedFrame], VideoSource]:
    with VideoSource(path, time_range=time_range) as source:
        return list(source.frames()), source


CONTAINERS = [
    (".mp4", "libx264", {"movflags": "+faststart"}),
    (".mp4", "libx264", {"movflags": "frag_keyframe+empty_moov"}),
    (".mkv", "libx264", {}),
    (".ts", "libx264", {}),
    (".ts", "mpeg2video", {}),
    (".mpg", "mpeg2video", {}),
    (".avi", "mpeg4", {}),
    (".webm", "libvpx", {}),
    (".h264", "libx264", {}),
]


@pytest.mark.parametrize(("suffix", "codec", "options"), CONTAINERS)
def test_a_part_has_the_very_frames_of_the_whole(
    write_clip: WriteClip, tmp_path: Path, suffix: str, codec: str, options: dict[str, str]
) -> None:
    images = [np.full((48, 64, 3), (i * 37 % 256, i * 11 % 256, i), np.uint8) for i in range(250)]
    path = write_clip(tmp_path / f"a{suffix}", images, codec=codec, options=options)
    whole = read(path)
    for time_range in (TimeRange(0, 0.2), TimeRange(0.33, 0.5), TimeRange(4.0, 4.6), TimeRange(6.04), TimeRange(9.9)):
        expected = [
            f for f in whole if f.time_s >= time_range.start_s - 1e-6 and f.time_s < (time_range.end_s or 99) - 1e-6
        ]
        frames, source = read_part(path, time_range)
        assert [(f.time_s, f.pts) for f in frames] == [(f.time_s, f.pts) for f in expected]
        assert all(np.array_equal(f.image_bgr, e.image_bgr) for f, e in zip(frames, expected, strict=True))
        assert source.info.start_pts == (expected[0].pts if time_range.start_s else 0)


def test_frames_at_an_open_group_of_pictures_are_not_torn(tmp_path: Path) -> None:
    """B-frames in front of a key frame need pictures from before it."""
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25)
        stream.options = {
            "x264-params": "open-gop=1:keyint=25:min-keyint=25:bframes=6:b-adapt=0:scenecut=0",
            "crf": "9",
        }
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
        for index in range(150):
            picture = av.VideoFrame.from_ndarray(np.roll(noise, index, axis=1), format="bgr24")
            picture.pts = index
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    whole = read(path)
    for number in range(46, 54):
        frames, _ = read_part(path, TimeRange(number / 25, (number + 3) / 25))
        assert [f.pts for f in frames] == [f.pts for f in whole[number : number + 3]]
        assert all(
            np.array_equal(f.image_bgr, e.image_bgr) for f, e in zip(frames, whole[number : number + 3], strict=True)
        )


def test_a_part_begins_near_a_key_frame_not_at_the_beginning(
    write_clip: WriteClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25, options={"g": "25"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(1000):
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), index % 200, np.uint8), format="bgr24")
            picture.pts = index
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    decoded: list[Any] = []
    real = VideoSource._decode_from

    def spy(self: VideoSource, *arguments: Any) -> Any:
        for frame in real(self, *arguments):
            decoded.append(frame.pts)
            yield frame

    monkeypatch.setattr(VideoSource, "_decode_from", spy)
    frames, _ = read_part(path, TimeRange(36, 37))
    assert len(frames) == 25 and len(decoded) < 130


def test_variable_frame_rate_is_cut_by_time(write_clip: WriteClip, tmp_path: Path) -> None:
    times_ms = [0, 10, 500, 520, 1700, 1733, 2500]
    path = write_clip(tmp_path / "a.mkv", shades(7), pts=times_ms, time_base=Fraction(1, 1000))
    frames, _ = read_part(path, TimeRange(0.5, 1.733))
    assert [round(f.time_s * 1000) for f in frames] == [500, 520, 1700]


def test_a_part_beyond_the_end_or_between_two_frames_is_refused(write_clip: WriteClip, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", shades(25), sound="aac")
    with pytest.raises(SourceError, match=r"--from 1:30 is after the end of .*a\.mp4, which lasts 0:01"):
        VideoSource(path, time_range=TimeRange(90))
    with pytest.raises(SourceError, match=r"has no frame at or after 0:00\.41 and before 0:00\.43"):
        VideoSource(path, time_range=TimeRange(0.41, 0.43))


def test_the_length_is_that_of_the_part(write_clip: WriteClip, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", shades(25))
    for time_range, length_s in ((TimeRange(0.2), 0.8), (TimeRange(0.2, 0.6), 0.4), (TimeRange(0.2, 60), 0.8)):
        assert read_part(path, time_range)[1].info.duration_s == pytest.approx(length_s, abs=0.05)


def test_a_gif_says_how_long_each_frame_lasts(tmp_path: Path) -> None:
    from PIL import Image

    pictures = [Image.new("RGB", (40, 30), (60 * i, 0, 0)) for i in range(4)]
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=[20, 350, 70, 2500])
    frames = read(tmp_path / "a.gif")
    assert [f.time_s for f in frames] == pytest.approx([0, 0.02, 0.37, 0.44])
    assert frames[-1].lasts_s == pytest.approx(2.5)


@pytest.mark.parametrize("pix_fmt", ["yuv422p", "yuv420p10le", "yuv422p10le", "yuv444p"])
def test_four_two_two_and_ten_bits_have_the_same_colours(write_clip: WriteClip, tmp_path: Path, pix_fmt: str) -> None:
    frames = read(write_clip(tmp_path / "a.mp4", [quartered()] * 3, pix_fmt=pix_fmt))
    assert np.abs(frames[1].image_bgr.astype(int) - quartered()).mean() < 8
