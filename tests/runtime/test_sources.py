"""Frames with their own times: files of every kind, cameras that lag, hang and die."""

import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from yoga_live.runtime import sources
from yoga_live.runtime.errors import SourceError
from yoga_live.runtime.sources import CameraSource, TimedFrame, VideoSource, open_camera

BLUE, GREEN, RED, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
WriteClip = Callable[..., Path]


def shades(count: int) -> list[tuple[int, int, int]]:
    """Frame i is grey 20 + 8 i: its number can be read from the decoded picture."""
    return [(20 + 8 * i,) * 3 for i in range(count)]


def read(path: Path) -> list[TimedFrame]:
    with VideoSource(path) as source:
        return list(source.frames())


def numbers(frames: list[TimedFrame]) -> list[int]:
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


MATRICES = {  # degrees clockwise that a player turns the picture -> a, b, c, d of ISO 14496-12's matrix
    90: (0, 1, -1, 0),
    180: (-1, 0, 0, -1),
    270: (0, -1, 1, 0),
}


def set_rotation(path: Path, degrees: int) -> None:
    """Write a phone's rotation flag into the track header."""
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 4 + 40
    a, b, c, d = ((value * 0x10000) & 0xFFFFFFFF for value in MATRICES[degrees])
    for place, value in zip((0, 4, 12, 16), (a, b, c, d), strict=True):
        content[at + place : at + place + 4] = value.to_bytes(4, "big")
    path.write_bytes(content)


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
                assert "what came before it was kept" in str(error)
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
            assert "what came before it was kept" in str(error)
    assert counted >= 10


def test_audio_only_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "song.m4a"
    with av.open(str(path), "w", format="mp4") as container:
        track: Any = container.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), format="fltp", layout="mono")
        frame.rate, frame.pts = 48000, 0
        container.mux(track.encode(frame))
        container.mux(track.encode(None))
    with pytest.raises(SourceError, match=r"song\.m4a holds no video, only \['audio'\]"):
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


class ListCapture:
    """A list in a jacket is a camera; it dies when the list ends.  `pace_s`: between pictures."""

    def __init__(self, pictures: list[np.ndarray], pace_s: float = 0.005, rate: float = 30.0) -> None:
        self.pictures, self.pace_s, self.rate = iter(pictures), pace_s, rate
        self.released = 0
        self.go = threading.Event()
        self.go.set()

    def read(self) -> tuple[bool, Any]:
        self.go.wait(20)
        time.sleep(self.pace_s)
        picture = next(self.pictures, None)
        return picture is not None, picture

    def get(self, propId: int, /) -> float:
        return self.rate

    def release(self) -> None:
        self.released += 1


def numbered(count: int) -> list[np.ndarray]:
    return [np.full((6, 8, 3), i, np.uint8) for i in range(count)]


def test_slow_consumer_gets_the_newest_frame_not_the_oldest() -> None:
    capture = ListCapture(numbered(200), pace_s=0.005)
    seen = []
    with CameraSource(capture, "camera 0") as source:
        for frame in source.frames():
            seen.append((int(frame.image_bgr[0, 0, 0]), frame.time_s))
            time.sleep(0.08)
            if len(seen) == 6:
                break
    shown, times_s = zip(*seen, strict=True)
    assert all(later - earlier >= 3 for earlier, later in pairwise(shown))
    assert all(later > earlier for earlier, later in pairwise(times_s))


def test_no_frame_is_given_twice_to_a_fast_consumer() -> None:
    capture = ListCapture(numbered(12), pace_s=0.01)
    shown = []
    with CameraSource(capture, "camera 0") as source, pytest.raises(SourceError):
        shown.extend(int(frame.image_bgr[0, 0, 0]) for frame in source.frames())
    assert shown == sorted(set(shown)) and shown[-1] == 11


def test_camera_that_dies_gives_its_last_frame_then_a_source_error() -> None:
    capture = ListCapture(numbered(3))
    with (
        pytest.raises(SourceError, match="camera 7 stopped giving pictures"),
        CameraSource(capture, "camera 7") as source,
    ):
        for _ in source.frames():
            pass
    assert capture.released == 1


def test_camera_that_hangs_is_taken_as_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "STALL_S", 0.2)
    capture = ListCapture(numbered(9))
    with CameraSource(capture, "camera 0") as source:
        frames = source.frames()
        next(frames)
        capture.go.clear()
        with pytest.raises(SourceError, match="has given no picture for"):
            for _ in frames:
                pass
        capture.go.set()
    assert capture.released == 1


def test_camera_is_released_when_the_loop_breaks() -> None:
    capture = ListCapture(numbered(100))
    with pytest.raises(KeyboardInterrupt), CameraSource(capture, "camera 0") as source:
        next(source.frames())
        raise KeyboardInterrupt
    assert capture.released == 1
    assert not any(thread.name == "camera" for thread in threading.enumerate())


def test_camera_without_a_first_picture_is_refused_and_released() -> None:
    capture = ListCapture([])
    with pytest.raises(SourceError, match="camera 0 opened but gives no picture"):
        CameraSource(capture, "camera 0")
    assert capture.released == 1


@pytest.mark.parametrize(
    ("told", "rate"),
    [
        (30.0, Fraction(30)),
        (29.97002997, Fraction(30000, 1001)),
        (0.0, Fraction(30)),
        (float("nan"), Fraction(30)),
        (-1.0, 30),
    ],
)
def test_rate_of_a_camera_is_exact_or_a_sane_guess(told: float, rate: Fraction) -> None:
    source = CameraSource(ListCapture(numbered(1), rate=told), "camera 0")
    assert source.info.rate == rate
    assert source.info.is_live and source.info.size_wh == (8, 6) and source.info.duration_s is None


def test_time_of_a_camera_frame_and_its_pts_agree() -> None:
    with CameraSource(ListCapture(numbered(50)), "camera 0") as source:
        frame = next(source.frames())
    assert float(frame.pts * source.info.time_base) == pytest.approx(frame.time_s, abs=1e-4)


def test_camera_that_is_not_there_is_refused_in_silence(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SourceError, match="camera 97 can't be opened; is it plugged in"):
        open_camera(97)
    assert capfd.readouterr().err == ""


def test_camera_is_asked_through_v4l2_which_hears_size_and_format(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    import cv2

    asked = []

    class Absent:
        def __init__(self, index: int, backend: int) -> None:
            asked.append((index, backend))

        def isOpened(self) -> bool:
            return False

        def release(self) -> None:
            pass

    monkeypatch.setattr(cv2, "VideoCapture", Absent)
    for platform, backend in (("linux", cv2.CAP_V4L2), ("darwin", cv2.CAP_ANY)):
        monkeypatch.setattr(sys, "platform", platform)
        with pytest.raises(SourceError):
            open_camera(2)
        assert asked[-1] == (2, backend)
