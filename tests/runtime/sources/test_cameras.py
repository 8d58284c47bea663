"""What `--camera` names: found, refused in one line, never with a credential in it; a real MJPEG stream."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from yoga_live.runtime.core.presentation import Mounting
from yoga_live.runtime.errors import OptionError, SourceError
from yoga_live.runtime.sources import cameras
from yoga_live.runtime.sources.camera_config import CameraConfig
from yoga_live.runtime.sources.cameras import StreamCapture, check_gstreamer, describe_pipeline, open_camera, sane_rate
from yoga_live.runtime.system.addresses import hide_credentials


def test_a_camera_that_is_not_there_is_refused_in_silence(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SourceError, match="cannot open camera 97; check that it is plugged in"):
        open_camera("97")
    with pytest.raises(SourceError, match="cannot open camera 98"):
        open_camera("/dev/video98")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "text",
    [
        "front",
        "class.mp4",
        "-1",
        "csi://",
        "csi://a",
        "rtsp://",
        "ftp://host/a",
        "",
        "rtsp://[bad/x",
        "²",
        "csi://²",
        "9" * 20,
    ],
)
def test_what_names_no_camera_is_refused_with_the_choices(text: str) -> None:
    with pytest.raises(OptionError, match="give a number, /dev/video2, csi://0, rtsp://"):
        open_camera(text)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://anna:geheim@10.0.0.4:554/cam?token=geheim#geheim", "rtsp://10.0.0.4:554/cam"),
        ("rtsp://anna:ge@heim@host/cam", "rtsp://host/cam"),
        ("http://host:81/stream", "http://host:81/stream"),
        ("rtsp://host", "rtsp://host"),
        ("http://host?key=geheim", "http://host"),
        ("0", "0"),
        ("rtsp://admin:se#cret@host/x", "rtsp://host/x"),
        ("rtsp://admin:12/3?4@host:554/x", "rtsp://host:554/x"),
        ("rtsp://host/user=admin_password=tlJw_channel=1_stream=0.sdp?real_stream", "rtsp://host/..."),
        ("http://host/a/user:geheim/b", "http://host/a/.../b"),
        ("anna:geheim@host/cam", "host/cam"),
        ("rtsp:anna:ge//heim@host", "host"),
    ],
)
def test_credentials_are_in_no_name(address: str, shown: str) -> None:
    assert hide_credentials(address) == shown


@pytest.mark.parametrize("address", ["rtsp://anna:geheim@127.0.0.1:9/cam", "http://127.0.0.1:9/cam?key=geheim"])
def test_an_unreachable_stream_is_one_line_without_credentials(address: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SourceError, match=r"127.0.0.1:9/cam: Connection refused") as caught:
        open_camera(address)
    assert "geheim" not in str(caught.value) + capfd.readouterr().err
    assert caught.value.__cause__ is None


def test_an_address_in_capitals_is_the_same_camera() -> None:
    with pytest.raises(SourceError, match=r"rtsp://127.0.0.1:9/Cam: Connection refused"):
        open_camera("RTSP://127.0.0.1:9/Cam")


def test_csi_without_gstreamer_says_why() -> None:
    with pytest.raises(SourceError, match=r"csi://0 needs OpenCV with GStreamer.*on a Jetson use the system's"):
        check_gstreamer("csi://0", lambda: "  Video I/O:\n    GStreamer:                   NO\n")
    with pytest.raises(SourceError, match="needs OpenCV with GStreamer"):
        check_gstreamer("csi://0", lambda: "no word of it")
    check_gstreamer("csi://0", lambda: "    GStreamer:                   YES (1.20.3)\n")


def test_the_pipeline_asks_for_what_was_wished_and_drops_old_frames() -> None:
    pipeline = describe_pipeline(1, CameraConfig((1920, 1080), 60))
    assert "sensor-id=1" in pipeline and "width=1920, height=1080, framerate=60/1" in pipeline
    assert pipeline.endswith("appsink drop=true max-buffers=1 sync=false")


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
    assert sane_rate(told) == rate


class MjpegHandler(BaseHTTPRequestHandler):
    """What an IP camera sends; hangs up after as many pictures as the server has for one visit."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        with suppress(OSError):
            for number in range(self.server.pictures):  # pyright: ignore[reportAttributeAccessIssue]
                picture = np.full((48, 64, 3), 40 + number % 100, np.uint8)
                jpeg = cv2.imencode(".jpg", picture)[1].tobytes()
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                self.wfile.write(head.encode() + jpeg + b"\r\n")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def mjpeg_address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), MjpegHandler)
    server.pictures = 400  # pyright: ignore[reportAttributeAccessIssue]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/stream?token=geheim"
    server.shutdown()
    server.server_close()


def test_an_mjpeg_stream_is_read_and_read_again_when_it_hangs_up(
    mjpeg_address: str, caplog: pytest.LogCaptureFixture
) -> None:
    with open_camera(mjpeg_address) as source:
        assert source.info.size_wh == (64, 48) and source.info.is_live
        assert source.info.name.startswith("http://127.0.0.1:") and "geheim" not in source.info.name
        for frame in source.frames():
            assert frame.image_bgr.shape == (48, 64, 3)
            if source.reconnected == 2:
                break
    assert "geheim" not in caplog.text


def test_the_rate_of_a_stream_is_measured_once_so_that_less_is_missed_when_it_is_back(
    mjpeg_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, opens = [], av.open
    monkeypatch.setattr(av, "open", lambda *a, **more: (asked.append(more["options"]), opens(*a, **more))[1])
    with open_camera(mjpeg_address) as source:
        for _ in source.frames():
            if source.reconnected == 2:
                break
    assert ["fpsprobesize" in options for options in asked[:3]] == [False, True, True]


def test_a_stream_whose_tags_are_no_utf8_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"  # whose tags come first
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "Cafe"
        track: Any = container.add_stream("mjpeg", rate=25)
        track.width, track.height, track.pix_fmt = 64, 48, "yuvj420p"
        for pts in range(100):
            picture = av.VideoFrame(64, 48, "yuvj420p")
            picture.pts = pts
            container.mux(track.encode(picture))
    assert b"Cafe" in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(b"Cafe", b"Caf\xe9"))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            with suppress(OSError):
                self.wfile.write(path.read_bytes())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        stream = StreamCapture(f"http://127.0.0.1:{server.server_address[1]}/a.avi", "the stream")
        image = stream.read()
        stream.release()
        server.shutdown()
    assert image is not None and image.shape == (48, 64, 3)


def test_a_device_is_asked_for_mjpg_first_then_size_and_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    wishes = []

    class Device:
        def __init__(self, number: int, backend: int) -> None:
            assert (number, backend) == (0, cv2.CAP_V4L2)  # which hears the wishes, GStreamer does not

        def isOpened(self) -> bool:
            return True

        def set(self, prop: int, value: float) -> bool:
            wishes.append((prop, value))
            return True

        def get(self, prop: int) -> float:
            return 25.0

        def read(self) -> tuple[bool, np.ndarray]:
            return True, np.zeros((480, 640, 3), np.uint8)

        def release(self) -> None:
            pass

    monkeypatch.setattr(cameras.cv2, "VideoCapture", Device)
    monkeypatch.setattr(sys, "platform", "linux")
    with open_camera("0", CameraConfig((1920, 1080), 60)) as source:
        next(source.frames())
    mjpg = cv2.VideoWriter.fourcc(*"MJPG")
    assert wishes == [
        (cv2.CAP_PROP_FOURCC, mjpg), (cv2.CAP_PROP_FRAME_WIDTH, 1920), (cv2.CAP_PROP_FRAME_HEIGHT, 1080),
        (cv2.CAP_PROP_FPS, 60),
    ]  # fmt: skip
    assert source.info.size_wh == (640, 480) and source.info.rate == 25


@pytest.mark.parametrize(
    ("mounting", "size_wh"),
    [(Mounting(90), (48, 64)), (Mounting(180, flip=True), (64, 48)), (Mounting(flip=True), (64, 48))],
)
def test_a_camera_that_hangs_sideways_is_turned_before_anything_sees_it(
    mjpeg_address: str, mounting: Mounting, size_wh: tuple[int, int]
) -> None:
    with open_camera(mjpeg_address) as source:
        plain = next(source.frames()).image_bgr
    with open_camera(mjpeg_address, CameraConfig(mounting=mounting)) as source:
        frame = next(source.frames())
    assert source.info.size_wh == size_wh == frame.image_bgr.shape[1::-1]
    assert frame.image_bgr.shape == mounting.apply(plain).shape
    turned = np.rot90(plain, -mounting.rotate // 90)
    expected = np.fliplr(turned) if mounting.flip else turned
    assert np.array_equal(mounting.apply(plain), expected)


def write_stream(path: Path, aspect: Fraction, count: int = 25) -> str:
    """A clip that is read as a stream is: by its address, through FFmpeg."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25, options={"crf": "4"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        for index in range(count):
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 9 * index % 256, np.uint8), format="bgr24")
            picture.pts = index
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return str(path)


def test_a_stream_of_pixels_that_are_not_square_is_shown_as_it_is_meant(tmp_path: Path) -> None:
    capture = cameras.StreamCapture(write_stream(tmp_path / "a.ts", Fraction(4, 3), 500), "stream")
    image = capture.read()
    capture.release()
    assert image is not None and image.shape == (48, 85, 3)


def test_damaged_pictures_of_a_stream_are_left_out_and_told_ever_more_seldom(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Picture:
        """As PyAV gives it, but marked as the decoder marks what it made up."""

        def __init__(self, picture: Any, is_corrupt: bool) -> None:
            self._picture, self.is_corrupt = picture, is_corrupt

        def __getattr__(self, name: str) -> Any:
            return getattr(self._picture, name)

    address = write_stream(tmp_path / "a.mp4", Fraction(1))
    capture = cameras.StreamCapture(address, "stream")
    with av.open(address) as container:
        decoded = list(container.decode(video=0))
    capture._frames = (Picture(frame, index % 3 > 0) for index, frame in enumerate(decoded))
    shades = []
    while (image := capture.read()) is not None:
        shades.append(round(float(image.mean()) / 9))
    capture.release()
    assert shades == list(range(0, 25, 3))
    assert [line.split(" damaged")[0] for line in caplog.messages if "damaged" in line] == [
        f"stream: skipped {n}" for n in (1, 2, 4, 8, 16)
    ]
