"""Detects several installed OpenCV packages of pip, which all write into one folder, `cv2`."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata

PACKAGES = ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless")


def describe_clash(find_version: Callable[[str], str] = metadata.version) -> str:
    """Describe OpenCV packages that have overwritten each other in one line; empty if there is at most one."""
    found = [package for package in PACKAGES if _is_installed(package, find_version)]
    if len(found) < 2:
        return ""
    return (
        f"{' and '.join(found)} are installed together and overwrite each other's files, so windows or videos may "
        f"fail; run: pip uninstall {' '.join(found)}, then pip install the one you want"
    )


def _is_installed(package: str, find_version: Callable[[str], str]) -> bool:
    try:
        find_version(package)
    except metadata.PackageNotFoundError:
        return False
    return True
