"""Where annotated frames go: what a sink is, and the window; files are in video.py."""

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
"""How long the first window may take; importing OpenCV is the most of it."""


class StopWatching(Exception):
    """The person in front of the window pressed q or closed it."""


class Sink(Protocol):
    """Takes annotated frames, which are its own to keep; `close` finishes what it holds, also after an error.

    `complete` comes before it where the source has given all it has: it did not break, nobody stopped it.  `break_off`
    comes before it where what was written is not the whole: somebody stopped a recording, or something else broke.
    """

    def write(self, frame: TimedFrame) -> None: ...
    def complete(self) -> None: ...
    def break_off(self) -> None: ...
    def close(self) -> None: ...


class WindowSink:
    """A window; q or Esc quits, f switches full screen.  paced: show each frame at its own time (a recorded video)."""

    def __init__(self, size_wh: tuple[int, int], *, paced: bool = False, is_checked: bool = False) -> None:
        """is_checked: `check_display` has been asked.  Raises DeviceError."""
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
        """Hear keys while there is nothing to show.  Raises StopWatching."""
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
        """Nothing follows the last picture."""

    def break_off(self) -> None:
        """A window keeps nothing."""

    def _wait_ms(self, time_s: float) -> int:
        """How long until this frame has been due; at least the millisecond that the window needs."""
        return max(1, round(self._pace.wait_s(time_s) * 1000)) if self._pace else 1

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
    try:
        result = subprocess.run([sys.executable, "-c", trial], capture_output=True, timeout=TRIAL_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise DeviceError(
            f"the display {os.environ.get('DISPLAY') or os.environ.get('WAYLAND_DISPLAY')} has not answered within "
            f"{TRIAL_S:.0f} s; add --save FILE.mp4 or --timeline FILE.csv"
        ) from error
    if result.returncode:
        lines = result.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise DeviceError(
            f"this machine can't show a window ({lines[-1].strip()[:160]}); "
            "add --save FILE.mp4 or --timeline FILE.csv, or replace opencv-python-headless by opencv-python"
        )
