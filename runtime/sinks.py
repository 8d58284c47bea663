"""Where annotated frames go: a window, an MP4 file."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .audio import AudioTrack
from .errors import DeviceError, OutputError
from .files import check_output
from .opencv import cv2
from .preprocess import Frame
from .sources import SourceInfo, TimedFrame

WINDOW = "yoga-live"
BT709 = 1
"""Number of BT.709 in H.273's tables of primaries, transfer and matrix; the range's 1 is `limited`."""


class StopWatching(Exception):
    """The person in front of the window pressed q or closed it."""


class Sink(Protocol):
    """Takes annotated frames; `close` finishes what it holds, also after an error."""

    def write(self, frame: TimedFrame) -> None: ...
    def close(self) -> None: ...


class WindowSink:
    """A window; q or Esc quits, f switches full screen.  paced: show each frame at its own time (a recorded video)."""

    def __init__(self, size_wh: tuple[int, int], *, paced: bool = False) -> None:
        check_display()
        cv2.namedWindow(WINDOW, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        self._paced, self._zero_s = paced, 0.0
        cv2.resizeWindow(WINDOW, *size_wh)
        self._full = False

    def write(self, frame: TimedFrame) -> None:
        """Show one frame.  Raises StopWatching."""
        cv2.imshow(WINDOW, frame.image_bgr)
        key = cv2.waitKey(self._wait_ms(frame.time_s)) & 0xFF
        if key in (ord("q"), 27) or cv2.getWindowProperty(WINDOW, cv2.WND_PROP_VISIBLE) < 1:
            raise StopWatching
        if key == ord("f"):
            self._full = not self._full
            mode = cv2.WINDOW_FULLSCREEN if self._full else cv2.WINDOW_NORMAL
            cv2.setWindowProperty(WINDOW, cv2.WND_PROP_FULLSCREEN, mode)

    def _wait_ms(self, time_s: float) -> int:
        """How long until this frame has been due; at least the millisecond that the window needs."""
        if not self._paced:
            return 1
        now_s = time.monotonic()
        self._zero_s = max(self._zero_s, now_s - time_s)  # behind: go on from here instead of hurrying after
        return max(1, round((self._zero_s + time_s - now_s) * 1000))

    def close(self) -> None:
        """Close the window."""
        cv2.destroyAllWindows()


def check_display() -> None:
    """Raise DeviceError where no window can be shown.

    A window is tried in another process, because Qt ends the whole process when a display refuses it.
    """
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise DeviceError("no display was found ($DISPLAY is not set); add --save FILE.mp4 or --timeline FILE.csv")
    trial = "import cv2; cv2.namedWindow('trial'); cv2.destroyAllWindows()"
    result = subprocess.run([sys.executable, "-c", trial], capture_output=True, timeout=60, check=False)
    if result.returncode:
        lines = result.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise DeviceError(
            f"this machine can't show a window ({lines[-1].strip()[:160]}); "
            "add --save FILE.mp4 or --timeline FILE.csv, or replace opencv-python-headless by opencv-python"
        )


class VideoSink:
    """H.264 in MP4 that every browser plays: yuv420p, BT.709, index first, the source's times and sound."""

    def __init__(self, path: Path, info: SourceInfo, *, force: bool = False) -> None:
        import av.error

        check_video_output(path, force=force)
        self._path, self._info = path, info
        self._temporary = path.with_name(f".{path.stem}.part{os.getpid()}{path.suffix}")
        self._av: Any = av
        self._end_s: float | None = None  # time of the last frame
        try:
            self._container = av.open(str(self._temporary), "w", format="mp4", options={"movflags": "+faststart"})
            self._stream = self._add_stream(info)
            self._audio = AudioTrack(info.audio_from, self._container) if info.audio_from else None
        except (av.error.FFmpegError, OSError) as error:
            self._temporary.unlink(missing_ok=True)
            raise OutputError(f"{path} can't be written: {error}") from error

    def _add_stream(self, info: SourceInfo) -> Any:
        width, height = info.size_wh
        stream: Any = self._container.add_stream("libx264", rate=info.rate, options={"preset": "veryfast", "crf": "20"})
        stream.width, stream.height, stream.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
        stream.time_base = stream.codec_context.time_base = info.time_base
        context = stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = BT709
        context.color_range = 1
        return stream

    def write(self, frame: TimedFrame) -> None:
        """Encode one frame at its own time, stretched if of another size.  Raises OutputError, say on a full disk."""
        picture = self._av.VideoFrame.from_ndarray(_make_even(frame.image_bgr), format="bgr24")
        picture = picture.reformat(self._stream.width, self._stream.height, "yuv420p", dst_colorspace=BT709)
        picture.pts, picture.time_base = frame.pts, self._info.time_base
        self._end_s = frame.time_s
        self._encode(picture)
        self._add_sound(frame.time_s)

    def _encode(self, picture: Any) -> None:
        with self._naming_the_file():
            self._container.mux(self._stream.encode(picture))

    def _add_sound(self, until_s: float) -> None:
        for packet in self._audio.read_until(until_s) if self._audio else ():
            with self._naming_the_file():
                self._container.mux(packet)

    @contextmanager
    def _naming_the_file(self) -> Iterator[None]:
        try:
            yield
        except (self._av.error.FFmpegError, OSError) as error:
            raise OutputError(f"{self._path} can't be written further: {error}") from error

    def close(self) -> None:
        """Finish the file and give it its name: what was annotated so far is playable, however the loop ended.

        Without a single frame there is no file.
        """
        try:
            if self._end_s is not None:
                self._encode(None)
                self._add_sound(self._end_s + float(1 / self._info.rate))
        finally:
            self._give_name()

    def _give_name(self) -> None:
        try:
            with self._naming_the_file():
                if self._audio:
                    self._audio.close()
                self._container.close()
                if self._end_s is not None:
                    self._temporary.replace(self._path)
        finally:
            self._temporary.unlink(missing_ok=True)


def check_video_output(path: Path, *, force: bool = False) -> None:
    """Refuse a path that is no MP4 or is taken.  Raises OutputError."""
    if path.suffix.lower() != ".mp4":
        raise OutputError(f"{path} should end in .mp4: that is what browsers and phones play")
    check_output(path, force=force)


def _make_even(image: Frame) -> Frame:
    """Repeat the last row or column where a side is odd: 4:2:0 needs even sides."""
    height, width = image.shape[:2]
    if height % 2 or width % 2:
        image = np.asarray(cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE), np.uint8)
    return image
