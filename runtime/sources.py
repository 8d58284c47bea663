"""Where frames come from: a camera, a video file, the drawn demo.  Each gives frames with their own time."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .errors import SourceError
from .opencv import cv2
from .preprocess import Frame

LIVE_TIME_BASE = Fraction(1, 90_000)
STALL_S = 5.0
"""A camera that gives no frame for this long is taken as gone."""


@dataclass(frozen=True)
class TimedFrame:
    """image_bgr: uint8 (H, W, 3); time_s: seconds from the start; pts: the same in the source's time base."""

    image_bgr: Frame
    time_s: float
    pts: int


@dataclass(frozen=True)
class SourceInfo:
    """What a source is: size (width, height), nominal rate, length if known, and the file whose sound belongs to it."""

    name: str
    size_wh: tuple[int, int]
    rate: Fraction
    time_base: Fraction
    duration_s: float | None = None
    is_live: bool = False
    audio_from: Path | None = None


class Source(Protocol):
    """Opened by `with`; `frames()` is read once."""

    @property
    def info(self) -> SourceInfo: ...
    def __enter__(self) -> Source: ...
    def __exit__(self, *_: object) -> None: ...
    def frames(self) -> Iterator[TimedFrame]: ...


class VideoSource:
    """A video file or animated GIF, every frame with its own timestamp, upright as a player shows it."""

    def __init__(self, path: Path) -> None:
        import av.error

        if not path.is_file():
            raise SourceError(f"the video {path} does not exist; give the path of a file that does")
        try:
            self._container = av.open(str(path))
        except (av.error.FFmpegError, OSError) as error:
            raise SourceError(f"{path} can't be opened as a video: {error.strerror}") from error
        if not self._container.streams.video:
            kinds = [stream.type for stream in self._container.streams]
            self._container.close()
            raise SourceError(f"{path} holds no video, only {kinds}")
        self._stream = self._container.streams.video[0]
        self._stream.thread_type = "AUTO"
        self._frames = self._decode(path)
        try:
            self._first = next(self._frames, None)
        except SourceError:
            self._container.close()
            raise
        if self._first is None:
            self._container.close()
            raise SourceError(f"{path} holds no readable frame; is it complete?")
        height, width = self._first.image_bgr.shape[:2]
        rate = self._stream.average_rate or self._stream.guessed_rate or Fraction(25)
        length = self._container.duration
        self.info = SourceInfo(
            path.name,
            (width, height),
            Fraction(rate),
            Fraction(self._stream.time_base or LIVE_TIME_BASE),
            length / 1_000_000 if length else None,
            audio_from=path if self._container.streams.audio else None,
        )

    def __enter__(self) -> VideoSource:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def frames(self) -> Iterator[TimedFrame]:
        """Every frame, in order of presentation."""
        if self._first is not None:
            yield self._first
            self._first = None
        yield from self._frames

    def _decode(self, path: Path) -> Iterator[TimedFrame]:
        """Decode; times count from the file's own start, so that sound and picture keep their offset."""
        import av.error

        time_base = Fraction(self._stream.time_base or LIVE_TIME_BASE)
        rate = Fraction(self._stream.average_rate or 25)
        origin = round(Fraction(self._container.start_time or 0, 1_000_000) / time_base)
        last = -1
        try:
            for index, frame in enumerate(self._container.decode(self._stream)):
                pts = frame.pts - origin if frame.pts is not None else round(index / rate / time_base)
                last = pts = max(pts, last + 1)
                image = _turn_upright(np.asarray(frame.to_ndarray(format="bgr24"), np.uint8), frame.rotation)
                yield TimedFrame(image, float(pts * time_base), pts)
        except av.error.FFmpegError as error:
            where = f"after {float(last * time_base):.1f} s" if last >= 0 else "at its first frame"
            raise SourceError(f"{path} is damaged {where}: {error.strerror}; what came before it was kept") from error


def _turn_upright(image: Frame, degrees: int) -> Frame:
    """Apply a phone's rotation flag, in degrees counter-clockwise (as FFmpeg's display matrix has it)."""
    quarter_turns = round(degrees / 90) % 4
    return np.ascontiguousarray(np.rot90(image, quarter_turns)) if quarter_turns else image


class Capture(Protocol):
    """The three calls that `CameraSource` makes of cv2.VideoCapture; a list in a jacket does for tests."""

    def read(self) -> tuple[bool, Any]: ...
    def get(self, propId: int, /) -> float: ...
    def release(self) -> None: ...


class CameraSource:
    """A camera.  A thread keeps the newest frame only, so that a slow network never makes the picture old."""

    def __init__(self, capture: Capture, name: str) -> None:
        self._capture, self._name = capture, name
        self._newest: tuple[Frame, float] | None = None
        self._changed = threading.Condition()
        self._stopping = False
        ok, image = capture.read()
        if not ok:
            capture.release()
            raise SourceError(f"{name} opened but gives no picture; is another program using it?")
        height, width = image.shape[:2]
        rate = capture.get(cv2.CAP_PROP_FPS)
        rate = Fraction(rate).limit_denominator(1001) if 1 <= rate <= 1000 else Fraction(30)
        self.info = SourceInfo(name, (width, height), rate, LIVE_TIME_BASE, is_live=True)
        self._started_s = time.monotonic()
        self._thread = threading.Thread(target=self._grab, name="camera", daemon=True)

    def __enter__(self) -> CameraSource:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        if self._thread.is_alive():
            self._thread.join(timeout=2 * STALL_S)
        self._capture.release()

    def _grab(self) -> None:
        while not self._stopping:
            ok, image = self._capture.read()
            with self._changed:
                if not ok:
                    self._stopping = True
                else:
                    self._newest = (image, time.monotonic() - self._started_s)
                self._changed.notify()

    def frames(self) -> Iterator[TimedFrame]:
        """The newest frame each time one is asked for.  Raises SourceError when the camera is gone."""
        while True:
            with self._changed:
                if not self._changed.wait_for(lambda: self._newest is not None or self._stopping, timeout=STALL_S):
                    raise SourceError(f"{self._name} has given no picture for {STALL_S:.0f} s; is it still plugged in?")
                if self._newest is None:
                    raise SourceError(f"{self._name} stopped giving pictures; is it still plugged in?")
                (image, time_s), self._newest = self._newest, None
            yield TimedFrame(image, time_s, round(time_s / LIVE_TIME_BASE))


def open_camera(index: int, size_wh: tuple[int, int] = (1280, 720), rate: int = 30) -> CameraSource:
    """Open a camera by index; size and rate are wishes, what it really gives is in `info`.  Raises SourceError."""
    name = f"camera {index}"
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # its lines about a missing camera, beside ours
    # Through GStreamer, which OpenCV on a Jetson would try first, the wishes below are not heard.
    capture = cv2.VideoCapture(index, cv2.CAP_V4L2 if sys.platform == "linux" else cv2.CAP_ANY)
    if not capture.isOpened():
        capture.release()
        raise SourceError(f"{name} can't be opened; is it plugged in and allowed?{_list_cameras()}")
    # Without MJPG many webcams send raw pictures at 5 FPS; the order matters to some drivers: format, size, rate.
    capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, size_wh[0])
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size_wh[1])
    capture.set(cv2.CAP_PROP_FPS, rate)
    return CameraSource(capture, name)


def _list_cameras() -> str:
    folder = Path("/dev")
    if not folder.is_dir():
        return ""
    found = sorted(path.name.removeprefix("video") for path in folder.glob("video[0-9]*"))
    return f" (this machine has: {', '.join(found) or 'no camera'})"
