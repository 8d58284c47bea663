"""Connections to cameras and streams, as `--camera` names them.

A number, /dev/videoN or a link to it below /dev/v4l is a local camera (OpenCV); csi://N is a Jetson's CSI camera
(OpenCV's GStreamer); rtsp://, rtsps://, http:// and https:// are network streams (FFmpeg).  Names and messages never
hold credentials.
"""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from ..core.frames import DecodedFrame
from ..core.opencv import cv2
from ..core.pace import Pace
from ..core.presentation import Mounting, PresentationReader
from ..core.types import Frame
from ..errors import OptionError, SourceError
from ..photos.limits import RefusedPicture
from ..system.addresses import hide_credentials
from ..system.plain_text import format_count, show_name
from ..system.secret_files import is_secret, read_secret
from .camera_config import CameraConfig
from .camera_list import STABLE, find_number, list_cameras
from .demux import check_picture, open_media, pick_video
from .live import Capture, LiveSource, ReconnectPolicy

STREAMS = ("rtsp", "rtsps", "http", "https")
LONGEST_SLEEP_S = 1.0  # between pictures of a recording: shorter than a stall
OPEN_S, READ_S = 10.0, 5.0
"""Seconds until FFmpeg stops connecting, and stops waiting for a packet."""

DEVICE_POLICY = ReconnectPolicy(give_up_s=60.0)
"""Policy for an unplugged local camera; for a network stream the wait has no limit."""


log = logging.getLogger(__name__)


def open_camera(text: str, config: CameraConfig | None = None) -> LiveSource:
    """Open the camera that `--camera` names, directly or through a file (`@FILE`) or the environment (`env:NAME`).

    Raises OptionError if the text does not name a camera, SourceError if the camera cannot be opened.
    """
    config, given = config or CameraConfig(), text
    text = read_secret("--camera", given)

    def mount(capture: Capture) -> Capture:
        mounting = config.mounting or Mounting()
        return MountedCapture(capture, mounting) if mounting != Mounting() else capture

    if re.fullmatch(r"(/dev/video)?[0-9]{1,4}", text):
        number = int(text.removeprefix("/dev/video"))
        name = f"camera {number}"
        return LiveSource(lambda: mount(DeviceCapture(number, name, config)), name, DEVICE_POLICY)
    if text.startswith(STABLE):
        return LiveSource(lambda: mount(DeviceCapture(find_number(text), show_name(text), config)), text, DEVICE_POLICY)
    scheme, separator, rest = text.partition("://")
    if separator and scheme.lower() in (*STREAMS, "csi"):  # RTSP:// too, which FFmpeg takes for a file
        scheme = scheme.lower()
        text = f"{scheme}://{rest}"
    if separator and scheme == "csi" and re.fullmatch(r"[0-9]{1,2}", rest):
        return LiveSource(lambda: mount(CsiCapture(int(rest), text, config)), text, DEVICE_POLICY)
    if separator and scheme in STREAMS and _has_host(text):
        name = show_name(hide_credentials(text))
        tries = count()
        return LiveSource(lambda: mount(StreamCapture(text, name, is_known=next(tries) > 0)), name)
    said = f"{given} does not hold" if is_secret(given) else f"{hide_credentials(text)} is not"  # maybe a bare password
    raise OptionError(
        f"--camera {said} a camera; give a number, /dev/video2, csi://0, rtsp://HOST/PATH or http://HOST/PATH "
        "(for a file use --video)"
    )


def _has_host(url: str) -> bool:
    try:
        return bool(urlsplit(url).hostname)
    except ValueError:  # [ without ]
        return False


class MountedCapture:
    """A camera mounted sideways, upside down or in front of a mirror: its pictures are corrected as they arrive."""

    def __init__(self, capture: Capture, mounting: Mounting) -> None:
        self._capture, self._mounting, self.rate = capture, mounting, capture.rate

    def read(self) -> Frame | None:
        """Read the next picture."""
        image = self._capture.read()
        return None if image is None else self._mounting.apply(image)

    def release(self) -> None:
        """Free the camera."""
        self._capture.release()


class DeviceCapture:
    """A local camera."""

    def __init__(self, number: int, name: str, config: CameraConfig) -> None:
        _silence_opencv()
        # GStreamer, which OpenCV on a Jetson would try first, ignores the settings below.
        self._capture = cv2.VideoCapture(number, cv2.CAP_V4L2 if sys.platform == "linux" else cv2.CAP_ANY)
        if not self._capture.isOpened():
            self._capture.release()
            raise SourceError(f"cannot open {name}; check that it is plugged in and permitted{_list_cameras()}")
        # Without MJPG many webcams send raw pictures at 5 FPS; some drivers need this order: format, size, rate.
        self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, config.size_wh[0])
        self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, config.size_wh[1])
        self._capture.set(cv2.CAP_PROP_FPS, config.rate)
        self.rate = sane_rate(self._capture.get(cv2.CAP_PROP_FPS))

    def read(self) -> Frame | None:
        """Read the next picture."""
        ok, image = self._capture.read()
        return np.asarray(image, np.uint8) if ok else None

    def release(self) -> None:
        """Free the device."""
        self._capture.release()


class CsiCapture(DeviceCapture):
    """A camera on a Jetson's CSI connector, through NVIDIA's nvarguscamerasrc."""

    def __init__(self, sensor: int, name: str, config: CameraConfig) -> None:
        check_gstreamer(name)
        self._capture = cv2.VideoCapture(describe_pipeline(sensor, config), cv2.CAP_GSTREAMER)
        if not self._capture.isOpened():
            self._capture.release()
            raise SourceError(
                f"cannot open {name}: nvarguscamerasrc delivered no picture; check the ribbon cable, and try "
                f"`gst-launch-1.0 nvarguscamerasrc sensor-id={sensor} num-buffers=1 ! fakesink`"
            )
        self.rate = sane_rate(self._capture.get(cv2.CAP_PROP_FPS))


def describe_pipeline(sensor: int, config: CameraConfig) -> str:
    """GStreamer's pipeline for a CSI camera: NV12 in NVIDIA's memory to BGR, old frames dropped."""
    width, height = config.size_wh
    return (
        f"nvarguscamerasrc sensor-id={sensor} ! "
        f"video/x-raw(memory:NVMM), width={width}, height={height}, framerate={config.rate}/1, format=NV12 ! "
        "nvvidconv ! video/x-raw, format=BGRx ! videoconvert ! video/x-raw, format=BGR ! "
        "appsink drop=true max-buffers=1 sync=false"
    )


def check_gstreamer(name: str, build: Callable[[], str] = cv2.getBuildInformation) -> None:
    """Raise SourceError if this OpenCV has no GStreamer; pip's has none."""
    found = re.search(r"GStreamer:\s*(\S+)", build())
    if not found or found[1] != "YES":
        raise SourceError(
            f"{name} needs OpenCV with GStreamer, which this one ({cv2.__version__}) lacks, as all of pip's do; on a "
            "Jetson use the system's: pip uninstall opencv-python, in a venv made with --system-site-packages"
        )


class StreamCapture:
    """A network stream, through FFmpeg: RTSP over TCP, MJPEG or anything else over HTTP."""

    def __init__(self, url: str, name: str, *, is_known: bool = False) -> None:
        """is_known: its rate was measured before; measuring it would lose twenty pictures."""
        import av.error

        options = {"rtsp_transport": "tcp", "fflags": "nobuffer", "flags": "low_delay"}
        if is_known:
            options["fpsprobesize"] = "0"
        self._errors: Any = (av.error.FFmpegError, OSError)
        self._name, self._pace, self._read = name, Pace(), 0
        stream = self._open(url, options)
        self.is_recording, self._damaged = _has_end(self._container, url), 0
        self._may_be_short = not self.is_recording and not is_known and _is_bare(self._container, url)
        self._url = url
        if self.is_recording:
            self._play_once()
        else:
            self._begin(stream)

    def _begin(self, stream: Any) -> None:
        self._frames = self._container.decode(stream)
        self._presentation = PresentationReader(stream)
        self.rate = sane_rate(float(stream.average_rate or stream.guessed_rate or 0))

    def _play_once(self) -> None:
        """Restart from the beginning, as the first pictures were read to probe it."""
        log.warning("%s is a recording, not a camera; it is played once (for a file use --video FILE)", self._name)
        self._container.close()
        self.is_recording, self._may_be_short = True, False
        self._begin(self._open(self._url, {"rtsp_transport": "tcp"}))

    def _open(self, url: str, options: dict[str, str]) -> Any:
        """Connect.  Returns the video stream.  Raises SourceError."""
        try:
            self._container: Any = open_media(url, options=options, timeout=(OPEN_S, READ_S))
        except self._errors as error:
            reason = error.strerror or "no answer"
            raise SourceError(f"cannot open {self._name}: {reason}") from None  # the error names the URL
        stream = pick_video(self._container)
        if stream is None:
            self._container.close()
            raise SourceError(f"{self._name} has no video stream")
        self._stream = stream
        try:
            self._check_picture()
        except SourceError:
            self._container.close()
            raise
        stream.thread_type = "SLICE"  # frame threads would delay one frame per thread
        return stream

    def read(self) -> Frame | None:
        """Read the next picture as shown; damaged ones are skipped.  Pictures of a recording arrive at their own times.

        Raises SourceError if a recording is cut off.
        """
        try:
            for frame in self._frames:
                if self.is_recording:
                    self._wait_for(frame)
                self._may_be_short = False
                if not frame.is_corrupt:
                    return DecodedFrame(frame, 0.0, 0, self._presentation.read(frame)).image_bgr
                self._damaged += 1
                if self._damaged & (self._damaged - 1) == 0:  # 1, 2, 4, 8, ...
                    log.warning("%s: skipped %s so far", self._name, format_count(self._damaged, "damaged picture"))
        except self._errors as error:
            self._check_picture()
            if self.is_recording:
                raise SourceError(f"{self._name} ended early: {error.strerror or 'no answer'}") from None
            return None
        if not self._may_be_short:
            return None
        self._play_once()
        return self.read()

    def _check_picture(self) -> None:
        """Raise SourceError if pictures are too large, which another connection would not change."""
        try:
            check_picture(self._stream)
        except RefusedPicture as error:
            raise SourceError(f"{self._name} {error}") from None

    def _wait_for(self, frame: Any) -> None:
        """Wait until a recording's picture is due."""
        time_s = frame.time if frame.time is not None else float(self._read / self.rate)
        time.sleep(min(self._pace.wait_s(time_s), LONGEST_SLEEP_S))
        self._read += 1

    def release(self) -> None:
        """Hang up."""
        self._container.close()


def _has_end(container: Any, url: str) -> bool:
    """Whether a stream has a length: a file on a web server, or a playlist that has ended (HLS, DASH).

    A camera that sends one JPEG after the other may state a meaningless length, and a single picture may be requested
    repeatedly.
    """
    kind = container.format.name
    if kind == "mpjpeg" or kind.startswith("image2") or kind.endswith("_pipe"):
        return False
    if (container.duration or 0) > 0:
        return True
    return url.startswith("http") and not kind.startswith(("hls", "dash")) and container.size > 0


def _is_bare(container: Any, url: str) -> bool:
    """Whether this may be a short file, read completely while probing, whose server gives no length."""
    kind = container.format.name
    return url.startswith("http") and not kind.startswith(("mpjpeg", "hls", "dash"))


def sane_rate(told: float) -> Fraction:
    """Return a device's frame rate, or 30 if the value is impossible."""
    return Fraction(told).limit_denominator(1001) if 1 <= told <= 1000 else Fraction(30)


def _silence_opencv() -> None:
    """Silence OpenCV's own messages; depending on the version it has one of two functions for that."""
    if levels := getattr(cv2.utils, "logging", None):
        levels.setLogLevel(levels.LOG_LEVEL_SILENT)
    else:  # 4.8
        cv2.setLogLevel(0)  # pyright: ignore[reportAttributeAccessIssue]


def _list_cameras() -> str:
    if not Path("/dev").is_dir():
        return ""
    found = [str(camera.number) for camera in list_cameras()]
    return f" (cameras of this machine: {', '.join(found) or 'none'})"


__all__ = ["CameraConfig", "Capture", "open_camera"]
