"""The only module that imports OpenCV, so that a missing OpenCV is one clear line."""

from __future__ import annotations

from ..errors import MissingPackageError

try:
    import cv2
except ImportError as error:
    if "libGL" in str(error) or "libgthread" in str(error) or "libglib" in str(error):
        raise MissingPackageError(
            f"OpenCV is installed but a system library is missing ({error}); run: apt-get install libgl1 libglib2.0-0"
        ) from error
    raise MissingPackageError(
        f"OpenCV is not installed ({error}); run: pip install opencv-python "
        "(on a Jetson use the system's OpenCV: python3 -m venv --system-site-packages)"
    ) from error

__all__ = ["cv2"]
