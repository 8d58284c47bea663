"""What `--camera` names and is no camera, or never gives a picture: one true line, and an end."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from yoga_live.runtime.core.types import Frame
from yoga_live.runtime.errors import SourceError
from yoga_live.runtime.sources import cameras, live
from yoga_live.runtime.sources.camera_opening import Opening
from yoga_live.runtime.sources.cameras import open_camera
from yoga_live.runtime.sources.live import LiveSource, ReconnectPolicy

RATE, COUNT = 20, 30  # 1.5 s


class QuietHandler(SimpleHTTPRequestHandler):
    """A web server as anybody runs it."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def write_video(path: Path, **options: str) -> None:
    with av.open(str(path), "w", options=options) as container:
        stream: Any = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 64, 48, "yuv420p", 5
        for number in range(COUNT):
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), number * 8, np.uint8), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def watch(address: str) -> tuple[int, float, bool]:
    """How many frames came, in how many seconds; whether the source took itself for a camera that was lost."""
    started_s = time.monotonic()
    with open_camera(address) as source:
        frames = sum(frame.lost_s is None for frame in source.frames())
    return frames, time.monotonic() - started_s, bool(source.reconnected)


def check_once(address: str, caplog: pytest.LogCaptureFixture) -> None:
    frames, took_s, was_lost = watch(address)
    assert not was_lost and frames > 20 and 1.0 < took_s < 15  # 30 were written, the newest are given
    assert caplog.text.count("is a recording, not a camera; it is played once (for a file use --video FILE)") == 1
    assert "lost" not in caplog.text


def test_a_playlist_that_has_ended_is_played_once_in_its_own_time(
    served: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_video(tmp_path / "class.m3u8", hls_time="0.5", hls_list_size="0")
    assert "#EXT-X-ENDLIST" in (tmp_path / "class.m3u8").read_text()
    check_once(f"{served}/class.m3u8", caplog)


def test_a_video_file_on_a_web_server_is_played_once(
    served: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_video(tmp_path / "class.mp4")
    check_once(f"{served}/class.mp4", caplog)


def test_bare_jpegs_in_a_file_are_played_once(served: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pictures = [np.full((48, 64, 3), number * 5, np.uint8) for number in range(40)]
    content = b"".join(cv2.imencode(".jpg", picture)[1].tobytes() for picture in pictures)
    (tmp_path / "class.mjpeg").write_bytes(content)
    check_once(f"{served}/class.mjpeg", caplog)


def test_a_short_recording_of_a_simple_server_is_played_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """FFmpeg reads all of it to look at it, and the server does not say that it can go back."""
    noise = np.random.default_rng(0).integers(0, 256, (144, 192, 3), dtype=np.uint8)
    picture = cv2.imencode(".jpg", noise)[1].tobytes()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(picture) * 40))
            self.end_headers()
            self.wfile.write(picture * 40)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        check_once(f"http://127.0.0.1:{server.server_port}/class.mjpeg", caplog)
        server.shutdown()


def test_a_playlist_that_still_grows_is_a_camera(served: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_video(tmp_path / "class.m3u8", hls_time="0.5", hls_list_size="0", hls_flags="omit_endlist")
    with open_camera(f"{served}/class.m3u8") as source:
        assert next(source.frames()).image_bgr.shape == (48, 64, 3)
    assert "is a recording" not in caplog.text


class Recording:
    """Three pictures, then the end, or an error."""

    rate, is_recording = Fraction(25), True

    def __init__(self, error: SourceError | None = None) -> None:
        self._pictures, self._error, self.released = [np.zeros((4, 4, 3), np.uint8)] * 3, error, False

    def read(self) -> Frame | None:
        time.sleep(0.02)
        if self._pictures:
            return self._pictures.pop()
        if self._error:
            raise self._error
        return None

    def release(self) -> None:
        self.released = True


def test_a_recording_ends_and_is_not_connected_again() -> None:
    made: list[Recording] = []
    with LiveSource(lambda: made.append(Recording()) or made[-1], "a recording") as source:
        assert 1 <= len(list(source.frames())) <= 3
    assert len(made) == 1 and made[0].released


def test_a_recording_that_breaks_off_says_so() -> None:
    with (
        LiveSource(lambda: Recording(SourceError("it broke off")), "a recording") as source,
        pytest.raises(SourceError, match="broke off"),
    ):
        list(source.frames())


class SilentCapture:
    """Opens, and never gives a picture."""

    rate = Fraction(25)

    def __init__(self) -> None:
        self.end, self.released = threading.Event(), threading.Event()

    def read(self) -> Frame | None:
        self.end.wait(20)
        return np.zeros((4, 4, 3), np.uint8)

    def release(self) -> None:
        self.released.set()


def test_a_camera_that_never_gives_a_picture_is_given_up_with_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(live, "TELL_S", 0.1)
    camera = SilentCapture()
    with pytest.raises(SourceError, match="camera 7 delivered no picture within 0 s; check that it is sending"):
        LiveSource(lambda: camera, "camera 7", ReconnectPolicy(first_s=0.3))
    assert "waiting for the first picture of camera 7" in caplog.text
    camera.end.set()
    assert camera.released.wait(10)  # what comes too late is not left open


def test_a_stream_that_accepts_and_says_nothing_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cameras, "OPEN_S", 0.5)
    monkeypatch.setattr(cameras, "READ_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        for scheme in ("http", "rtsp"):
            with pytest.raises(SourceError, match="cannot open"):
                open_camera(f"{scheme}://{address}/video")


def test_whoever_waits_for_an_opening_hears_its_error() -> None:
    def fail() -> int:
        raise SourceError("it is gone")

    with pytest.raises(SourceError, match="gone"):
        Opening(fail, lambda found: None).wait(10)
    assert Opening(lambda: 5, lambda found: None).wait(10) == 5
