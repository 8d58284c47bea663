"""A steady crop around movement, so that a distant person fills the network's input.  Times are in seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ..core.opencv import cv2
from ..core.preprocess import as_bgr, halve
from ..core.regions import WHOLE, Box, Region
from ..core.types import Floats, Frame
from .steady_crop import SteadyConfig, SteadyCrop


@dataclass(frozen=True)
class ZoomConfig:
    """How the person is found, and how calmly the crop follows.  No value depends on a model."""

    side: int = 160  # width of the grey picture for motion detection; averaging removes the camera's noise
    background_s: float = 3.0  # time constant of the background, from which motion is the difference
    level: float = 8.0  # grey levels by which a moving pixel must differ, and
    noise_ratio: float = 6.0  # times the median difference, so that drifting light and noise are not motion
    least_share: float = 0.001  # a smaller fraction of moving pixels is not a person
    most_share: float = 0.4  # a larger fraction is a cut or a moved camera
    memory_s: float = 5.0  # time constant of the old place while as much moves elsewhere; a still person does not fade
    margin: float = 0.15  # fraction of the longer side, on every side, for stretched arms
    least_side: float = 0.3  # fraction of the frame's shorter side; a smaller crop has too few pixels
    most_side: float = 0.75  # fraction of the frame's longer side; a larger crop gains too little, so the whole frame
    steady: SteadyConfig = field(default_factory=SteadyConfig)


class Motion:
    """Remembers where something moved, so that the place of a person who now holds still is not lost."""

    def __init__(self, config: ZoomConfig) -> None:
        self._config = config
        self._background: Floats | None = None
        self._heat: Floats | None = None
        self._time_s = 0.0

    def update(self, time_s: float, frame_bgr: Frame) -> Box | None:
        """Take the frame at `time_s`.  Returns the box around the movement, None if nothing or everything moves."""
        config = self._config
        small = self._shrink(frame_bgr)
        elapsed_s, self._time_s = max(time_s - self._time_s, 0.0), time_s
        if self._background is None or self._heat is None or self._background.shape != small.shape:
            self._background, self._heat = small, np.zeros_like(small)
            return None
        difference = small - self._background
        difference = np.abs(difference - np.median(difference))  # a change of light everywhere is not motion
        if (difference > config.level).mean() > config.most_share:
            self._background, self._heat = small, np.zeros_like(small)
            return None
        moving = difference > max(config.level, config.noise_ratio * float(np.median(difference)))
        moving_share = float(moving.mean())
        self._background += (1 - math.exp(-elapsed_s / config.background_s)) * (small - self._background)
        if moving_share >= config.least_share:
            hot_share = max(float((self._heat > 0.5).mean()), 1e-6)
            fading = min(1.0, moving_share / hot_share) * elapsed_s / config.memory_s
            self._heat *= math.exp(-fading)
            self._heat[moving] = 1.0
        return self._bound(self._heat > 0.3)

    def _shrink(self, frame_bgr: Frame) -> Floats:
        height, width = frame_bgr.shape[:2]
        scale = min(1.0, self._config.side / width)
        size_wh = max(1, round(width * scale)), max(1, round(height * scale))
        small = cv2.resize(halve(as_bgr(frame_bgr), *size_wh), size_wh, interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.float32)

    def _bound(self, hot: npt.NDArray[np.bool_]) -> Box | None:
        """Compute the box without a hundredth of the hot pixels at each edge, so that specks do not stretch it."""
        total = int(hot.sum())
        if total < self._config.least_share * hot.size:
            return None
        left, right = _trim(hot.sum(axis=0), total)
        top, bottom = _trim(hot.sum(axis=1), total)
        return Box(left, top, right, bottom)


class Zoom:
    """Chooses the part of the frame to classify: calm, never narrower than the movement, the whole frame if unsure."""

    def __init__(self, config: ZoomConfig | None = None) -> None:
        self._config = config or ZoomConfig()
        self._motion = Motion(self._config)
        self._crop = SteadyCrop(self._config.steady)

    def update(self, time_s: float, frame_bgr: Frame) -> Region:
        """Take the frame at `time_s` (seconds, never decreasing), uint8 (H, W, 3).  Returns its crop."""
        height, width = frame_bgr.shape[:2]
        found = self._motion.update(time_s, frame_bgr)
        target = self._frame_person(found, (width, height)) if found else WHOLE
        return self._crop.update(time_s, target).to_region((width, height))

    def _frame_person(self, found: Box, size_wh: tuple[int, int]) -> Box:
        """Compute a square in pixels around the box, with margin, moved (and if necessary cut) to fit in the frame."""
        config, (width, height) = self._config, size_wh
        wide, high = (found.right - found.left) * width, (found.bottom - found.top) * height
        side = max(max(wide, high) * (1 + 2 * config.margin), config.least_side * min(size_wh))
        crop_w, crop_h = min(side, width), min(side, height)
        if max(crop_w, crop_h) > config.most_side * max(size_wh):
            return WHOLE
        left, right = _place((found.left + found.right) / 2, crop_w / width)
        top, bottom = _place((found.top + found.bottom) / 2, crop_h / height)
        return Box(left, top, right, bottom)


def _place(centre: float, side: float) -> tuple[float, float]:
    """Compute an interval of this length around the centre, moved into 0 to 1."""
    start = min(max(centre - side / 2, 0.0), max(1 - side, 0.0))
    return start, min(start + side, 1.0)


def _trim(counts: npt.NDArray[np.integer], total: int) -> tuple[float, float]:
    """Find where the sums along one axis start and end, as fractions of the axis, without a hundredth at each end."""
    running = np.cumsum(counts)
    first = int(np.searchsorted(running, 0.01 * total, side="right"))
    last = int(np.searchsorted(running, 0.99 * total, side="left"))
    return first / len(counts), (last + 1) / len(counts)
