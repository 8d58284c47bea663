"""The protocol of sinks, which take annotated frames, and the window; files are in video.py."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Protocol

from ..core.frames import TimedFrame
from ..core.opencv import cv2
from ..core.pace import Pace
from ..errors import DeviceError

WINDOW = "yoga-live"
TRIAL_S = 30.0
"""Seconds that the first window may take, mostly for importing OpenCV."""


class StopWatching(Exception):
    """The user pressed q in the window, or closed it."""


class Sink(Protocol):
    """Takes annotated frames and owns them; `close` finishes the output, also after an error.

    Before `close`, `complete` is called if the source was read to its end, and `break_off` if the output is incomplete:
    the user stopped a recording, or an error ended it.
    """

    def write(self, frame: TimedFrame) -> None: ...
    def complete(self) -> None: ...
    def break_off(self) -> None: ...
    def close(self) -> None: ...


class WindowSink:
    """A window; q or Esc quits, f toggles full screen.  paced: show each frame at its own time (a recorded video)."""

    def __init__(self, size_wh: tuple[int, int], *, paced: bool = False, is_checked: bool = False) -> None:
        """is_checked: `check_display` has been called already.  Raises DeviceError."""
        if not is_checked:
            check_display()
        cv2.namedWindow(WINDOW, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        self._pace = Pace() if paced else None
        cv2.resizeWindow(WINDOW, *size_wh)
        self._full = self._shown = False

    def write(self, frame: TimedFrame) -> None:
        """Show one frame.  Raises StopWatching."""
        cv2.imshow(WINDOW, frame.image_bgr)
        self._shown = True
        self._take_key(self._wait_ms(frame.time_s))

    def idle(self) -> None:
        """React to keys while there is nothing to show.  Raises StopWatching."""
        if self._shown:
            self._take_key(1)

    def _take_key(self, wait_ms: int) -> None:
        key = cv2.waitKey(wait_ms) & 0xFF
        if key in (ord("q"), 27) or cv2.getWindowProperty(WINDOW, cv2.WND_PROP_VISIBLE) < 1:
            raise StopWatching
        if key == ord("f"):
            self._full = not self._full
            mode = cv2.WINDOW_FULLSCREEN if self._full else cv2.WINDOW_NORMAL
            cv2.setWindowProperty(WINDOW, cv2.WND_PROP_FULLSCREEN, mode)

    def complete(self) -> None:
        """Do nothing after the last picture."""

    def break_off(self) -> None:
        """Do nothing: a window keeps nothing."""

    def _wait_ms(self, time_s: float) -> int:
        """Milliseconds until this frame is due; at least 1, which the window needs."""
        return max(1, round(self._pace.wait_s(time_s) * 1000)) if self._pace else 1

    def close(self) -> None:
        """Close the window."""
        cv2.destroyAllWindows()


def check_display() -> None:
    """Raise DeviceError if no window can be shown.

    The check opens a window in another process, because Qt ends the whole process if a display refuses it.
    """
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise DeviceError("no display found ($DISPLAY is not set); add --save FILE.mp4 or --timeline FILE.csv")
    trial = "import cv2; cv2.namedWindow('trial'); cv2.destroyAllWindows()"
    try:
        result = subprocess.run([sys.executable, "-c", trial], capture_output=True, timeout=TRIAL_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise DeviceError(
            f"the display {os.environ.get('DISPLAY') or os.environ.get('WAYLAND_DISPLAY')} did not answer within "
            f"{TRIAL_S:.0f} s; add --save FILE.mp4 or --timeline FILE.csv"
        ) from error
    if result.returncode:
        lines = result.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise DeviceError(
            f"this machine cannot show a window ({lines[-1].strip()[:160]}); "
            "add --save FILE.mp4 or --timeline FILE.csv, or replace opencv-python-headless with opencv-python"
        )
