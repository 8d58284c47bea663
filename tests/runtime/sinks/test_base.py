"""The window: shown, closed, paced, or refused in one line."""

import socket

import numpy as np
import pytest

from yoga_live.runtime.core import pace
from yoga_live.runtime.core.frames import TimedFrame
from yoga_live.runtime.errors import DeviceError
from yoga_live.runtime.sinks import base
from yoga_live.runtime.sinks.base import StopWatching, WindowSink, check_display


def test_no_display_is_a_device_error_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base.sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(DeviceError, match=r"no display found .*--save FILE\.mp4"):
        check_display()


@pytest.mark.filterwarnings("ignore")
def test_display_that_refuses_is_a_device_error_not_the_end_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", "127.0.0.1:77")
    with pytest.raises(DeviceError, match="cannot show a window"):
        check_display()


class FakeWindows:
    """The window calls of OpenCV that `WindowSink` makes; `keys` are pressed one a frame."""

    WINDOW_NORMAL = WINDOW_KEEPRATIO = WINDOW_GUI_NORMAL = WND_PROP_VISIBLE = WND_PROP_FULLSCREEN = 0
    WINDOW_FULLSCREEN = 1

    def __init__(self, keys: list[int], visible: float = 1.0) -> None:
        self.keys, self.visible = iter(keys), visible
        self.modes: list[int] = []
        self.shown = self.destroyed = 0
        self.waits_ms: list[int] = []

    def namedWindow(self, *_: object) -> None: ...
    def resizeWindow(self, *_: object) -> None: ...

    def imshow(self, _: str, image: np.ndarray) -> None:
        self.shown += 1

    def waitKey(self, delay_ms: int) -> int:
        self.waits_ms.append(delay_ms)
        return next(self.keys, -1)

    def getWindowProperty(self, *_: object) -> float:
        return self.visible

    def setWindowProperty(self, _: str, __: int, mode: int) -> None:
        self.modes.append(mode)

    def destroyAllWindows(self) -> None:
        self.destroyed += 1


def open_window(monkeypatch: pytest.MonkeyPatch, windows: FakeWindows) -> WindowSink:
    monkeypatch.setattr(base, "cv2", windows)
    monkeypatch.setattr(base, "check_display", lambda: None)
    return WindowSink((64, 48))


@pytest.mark.parametrize("key", [ord("q"), 27, 0x100000 + ord("q")])
def test_q_or_escape_ends_watching(monkeypatch: pytest.MonkeyPatch, key: int) -> None:
    windows = FakeWindows([-1, key])
    sink = open_window(monkeypatch, windows)
    frame = TimedFrame(np.zeros((48, 64, 3), np.uint8), 0.0, 0)
    sink.write(frame)
    with pytest.raises(StopWatching):
        sink.write(frame)
    sink.close()
    assert windows.shown == 2 and windows.destroyed == 1


def test_closing_the_window_ends_watching(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StopWatching):
        open_window(monkeypatch, FakeWindows([], visible=0)).write(TimedFrame(np.zeros((48, 64, 3), np.uint8), 0.0, 0))


def test_f_switches_full_screen_and_back(monkeypatch: pytest.MonkeyPatch) -> None:
    windows = FakeWindows([ord("f"), -1, ord("f")])
    sink = open_window(monkeypatch, windows)
    for frame in [TimedFrame(np.zeros((48, 64, 3), np.uint8), n / 25, n) for n in range(3)]:
        sink.write(frame)
    assert windows.modes == [1, 0]


def test_a_recording_that_begins_late_is_shown_at_once_also_by_a_machine_that_was_just_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pace.time, "monotonic", lambda: 40.0)
    shown = pace.Pace()
    assert shown.wait_s(600.0) == 0 and shown.wait_s(600.5) == pytest.approx(0.5)


@pytest.mark.parametrize("paced", [False, True])
def test_recorded_video_is_shown_in_its_own_time(monkeypatch: pytest.MonkeyPatch, paced: bool) -> None:
    windows = FakeWindows([])
    monkeypatch.setattr(base, "cv2", windows)
    monkeypatch.setattr(base, "check_display", lambda: None)
    window = WindowSink((64, 48), paced=paced)
    windows.visible = 1.0
    for number in range(3):
        window.write(TimedFrame(np.zeros((48, 64, 3), np.uint8), number * 0.5, number))
    if paced:  # the fake does not wait, so that the third frame comes a whole second early
        assert windows.waits_ms[0] == 1 and 1 < windows.waits_ms[1] <= 500 < windows.waits_ms[2] <= 1000
    else:
        assert windows.waits_ms == [1, 1, 1]


def test_a_display_that_never_answers_is_a_device_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        if port < 6000:
            pytest.skip("this machine gives ports that no display can have")
        monkeypatch.setenv("DISPLAY", f"127.0.0.1:{port - 6000}")
        monkeypatch.setenv("QT_QPA_PLATFORM", "xcb")
        monkeypatch.setattr(base, "TRIAL_S", 4.0)
        with pytest.raises(DeviceError, match=r"the display 127\.0\.0\.1:\d+ did not answer|cannot show a window"):
            check_display()


def test_a_display_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(base, "cv2", FakeWindows([]))
    monkeypatch.setattr(base, "check_display", lambda: asked.append(True))
    WindowSink((64, 48), is_checked=True)
    assert asked == []
    WindowSink((64, 48))
    assert asked == [True]


def test_keys_are_heard_while_there_is_nothing_to_show(monkeypatch: pytest.MonkeyPatch) -> None:
    windows = FakeWindows([-1, ord("f"), ord("q")])
    sink = open_window(monkeypatch, windows)
    sink.idle()  # before its first picture a window is not there yet
    assert windows.waits_ms == []
    sink.write(TimedFrame(np.zeros((48, 64, 3), np.uint8), 0.0, 0))
    sink.idle()
    assert windows.modes == [1] and windows.shown == 1
    with pytest.raises(StopWatching):
        sink.idle()
