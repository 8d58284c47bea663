"""Cameras as Linux lists them, in a folder that plays /."""

from __future__ import annotations

from pathlib import Path

import pytest

from yoga_live.runtime.errors import SourceError
from yoga_live.runtime.sources.camera_list import ListedCamera, find_number, list_cameras
from yoga_live.runtime.sources.cameras import open_camera


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number, name in ((0, "C930e\n"), (1, "C930e\n"), (10, "Loopback\n")):
        (tmp_path / f"sys/class/video4linux/video{number}").mkdir(parents=True)
        (tmp_path / f"sys/class/video4linux/video{number}/name").write_text(name)
        (tmp_path / "dev").mkdir(exist_ok=True)
        (tmp_path / f"dev/video{number}").touch()
    (tmp_path / "dev/v4l/by-id").mkdir(parents=True)
    for number in (0, 1):
        (tmp_path / f"dev/v4l/by-id/usb-C930e-video-index{number}").symlink_to(f"../../video{number}")
    return tmp_path


def test_cameras_have_names_and_stable_paths(root: Path) -> None:
    (root / "dev/videos").touch()  # something else
    (root / "dev/video2").touch()  # of which the system says nothing
    assert list_cameras(root) == [
        ListedCamera(0, "C930e", "/dev/v4l/by-id/usb-C930e-video-index0"),
        ListedCamera(1, "C930e", "/dev/v4l/by-id/usb-C930e-video-index1"),
        ListedCamera(2, "", ""),
        ListedCamera(10, "Loopback", ""),
    ]


def test_a_machine_without_cameras_or_without_these_folders_has_none(tmp_path: Path) -> None:
    assert list_cameras(tmp_path) == []


def test_a_stable_path_leads_to_the_camera_of_the_moment(root: Path) -> None:
    link = root / "dev/v4l/by-id/usb-C930e-video-index0"
    assert find_number(str(link)) == 0
    link.unlink()
    link.symlink_to("../../video10")
    assert find_number(str(link)) == 10


def test_a_stable_path_to_nothing_is_refused() -> None:
    with pytest.raises(SourceError, match=r"usb-none is not a connected camera; .* yoga-live cameras"):
        open_camera("/dev/v4l/by-id/usb-none")
