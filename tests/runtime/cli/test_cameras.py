"""`yoga-live cameras`: a line for each camera of this machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from yoga_live.runtime.cli import cameras
from yoga_live.runtime.cli.main import main
from yoga_live.runtime.sources.camera_list import ListedCamera


def test_cameras_are_listed_with_their_stable_path(ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    found = [ListedCamera(0, "Webcam\x1b[2J", "/dev/v4l/by-id/usb-webcam-index0"), ListedCamera(12, "Loopback", "")]
    monkeypatch.setattr(cameras, "list_cameras", lambda: found)
    answer = ask(main, "cameras")
    assert answer.code == 0 and "\x1b" not in answer.out
    assert [line.split()[0] for line in answer.out.splitlines()] == ["/dev/video0", "/dev/video12"]
    assert answer.out.splitlines()[0].endswith("/dev/v4l/by-id/usb-webcam-index0")


def test_no_camera_is_one_line(ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cameras, "list_cameras", list)
    answer = ask(main, "cameras")
    assert answer.code == 0 and answer.out.startswith("no camera found") and answer.out.count("\n") == 1
