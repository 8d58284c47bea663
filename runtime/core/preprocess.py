"""The only preprocessing: training, calibration, export checks and the live loop all call `letterbox`.

The whole frame is kept (a wide down dog or a tall tree is never cropped); the normalisation is inside the ONNX graph,
so the result is plain uint8 BGR.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .opencv import cv2
from .types import Frame

BAR_GREY = 114
"""Grey of the letterbox bars: ImageNet's mean brightness, 0.449 * 255, so that they are near zero in the network."""


def as_bgr(frame: npt.NDArray[np.generic]) -> Frame:
    """Convert a grey (H, W), (H, W, 1) or BGRA (H, W, 4) frame to BGR (H, W, 3).  uint8 only.

    Raises ValueError for another dtype or shape.
    """
    if not isinstance(frame, np.ndarray):
        hint = "; OpenCV gives None for a picture that it cannot read" if frame is None else ""
        raise ValueError(f"a frame must be a NumPy array, uint8 (H, W, 3); got {type(frame).__name__}{hint}")
    if frame.dtype != np.uint8:
        raise ValueError(f"a frame must be uint8, 0 to 255; got {frame.dtype}")
    if frame.size == 0 or frame.ndim not in (2, 3):
        raise ValueError(f"a frame must be (H, W), (H, W, 1), (H, W, 3) or (H, W, 4); got shape {frame.shape}")
    image = np.asarray(frame, dtype=np.uint8)
    channels = 1 if image.ndim == 2 else image.shape[2]
    if channels == 3:
        return image
    if channels == 1:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), dtype=np.uint8)
    if channels == 4:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGRA2BGR), dtype=np.uint8)
    raise ValueError(f"a frame must have 1, 3 or 4 channels; got shape {frame.shape}")


def letterbox(frame_bgr: npt.NDArray[np.generic], size: int) -> Frame:
    """Letterbox one frame.  frame_bgr: uint8 (H, W, 3), or grey or BGRA.  Returns uint8 (S, S, 3), BGR, grey bars."""
    out = np.empty((size, size, 3), np.uint8)
    letterbox_into(frame_bgr, out)
    return out


def letterbox_into(frame_bgr: npt.NDArray[np.generic], out: Frame) -> None:
    """Letterbox one frame into `out`, uint8 (S, S, 3), a buffer of the caller."""
    image = as_bgr(frame_bgr)
    size = out.shape[0]
    height, width = image.shape[:2]
    left, top, new_w, new_h = fit_inside((width, height), size)
    out[:top] = out[top + new_h :] = BAR_GREY
    out[top : top + new_h, :left] = out[top : top + new_h, left + new_w :] = BAR_GREY
    inner = out[top : top + new_h, left : left + new_w]
    if size >= max(height, width):
        inner[...] = cv2.resize(image, (new_w, new_h), interpolation=cv2.INTER_LINEAR)
    else:
        inner[...] = cv2.resize(halve(image, new_w, new_h), (new_w, new_h), interpolation=cv2.INTER_AREA)


def fit_inside(size_wh: tuple[int, int], size: int) -> tuple[int, int, int, int]:
    """Where a picture of this width and height is in its letterbox of `size`: left, top, width, height, pixels."""
    return fit_inside_wh(size_wh, (size, size))


def fit_inside_wh(size_wh: tuple[int, int], into_wh: tuple[int, int]) -> tuple[int, int, int, int]:
    """Where a whole picture is in a frame of another width and height: left, top, width, height, pixels."""
    width, height = size_wh
    scale = min(into_wh[0] / width, into_wh[1] / height)
    new_w, new_h = max(1, round(width * scale)), max(1, round(height * scale))
    return (into_wh[0] - new_w) // 2, (into_wh[1] - new_h) // 2, new_w, new_h


def halve(image: Frame, new_w: int, new_h: int) -> Frame:
    """Halve while at least twice the target: 2x2 averages are vectorised, so 720p costs a quarter of one INTER_AREA."""
    while image.shape[1] >= 2 * new_w and image.shape[0] >= 2 * new_h and min(image.shape[:2]) >= 2:
        half_h, half_w = image.shape[0] // 2, image.shape[1] // 2
        even = image[: half_h * 2, : half_w * 2]
        image = np.asarray(cv2.resize(even, (half_w, half_h), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return image
