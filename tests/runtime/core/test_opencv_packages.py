"""Two packages of OpenCV in one environment overwrite each other; that is said on one line."""

import importlib
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from yoga_live.runtime.cli import main
from yoga_live.runtime.core.opencv_packages import PACKAGES, describe_clash


def write_package(folder: Path, name: str) -> None:
    """What pip leaves of an installed package beside its files."""
    info = folder / f"{name.replace('-', '_')}-4.99.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 4.99.0\n")


def find_in(folder: Path) -> Callable[[str], str]:
    def find(package: str) -> str:
        for found in metadata.distributions(path=[str(folder)], name=package):
            return found.version
        raise metadata.PackageNotFoundError(package)

    return find


@pytest.mark.parametrize("package", PACKAGES)
def test_one_of_them_is_nothing_to_talk_about(tmp_path: Path, package: str) -> None:
    write_package(tmp_path, package)
    assert describe_clash(find_in(tmp_path)) == ""


def test_none_is_somebody_else_s_to_say(tmp_path: Path) -> None:
    assert describe_clash(find_in(tmp_path)) == ""


def test_two_are_named_with_what_to_do(tmp_path: Path) -> None:
    for package in PACKAGES[:2]:
        write_package(tmp_path, package)
    line = describe_clash(find_in(tmp_path))
    assert line.startswith("opencv-python and opencv-python-headless are installed together and ") and "\n" not in line
    assert "pip uninstall opencv-python opencv-python-headless" in line


def test_the_command_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for package in PACKAGES[:2]:
        write_package(tmp_path, package)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    arguments = ["--video", str(tmp_path / "missing.mp4"), "--timeline", str(tmp_path / "a.csv")]
    assert main.main(arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and lines[0].startswith("yoga-live: opencv-python and opencv-python-headless are installed")
