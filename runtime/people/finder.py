"""Find the people in a frame with MoveNet MultiPose."""

from __future__ import annotations

import hashlib
import logging
from copy import copy
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..core.opencv import cv2
from ..core.preprocess import as_bgr, halve
from ..core.regions import Region
from ..core.types import Frame
from ..engines.base import Network
from ..engines.factory import open_network
from ..errors import DeviceError, MissingPackageError, ModelError, OptionError
from ..system.files import find_cache_folder
from .decoding import HEADS, decode_heads
from .people import People

log = logging.getLogger(__name__)

PEOPLE_MODEL = Path(__file__).parent.parent / "models" / "people" / "movenet_multipose.onnx"
"""The shipped network."""
SIDE = 256
"""Longer side of the network's input, pixels: what it was trained with."""
SIDE_STEP = 32
LARGEST_SIDE = 1024
ENGINE_SIDE = 640
"""The largest that a TensorRT engine takes: what `TwoScaleFinder` looks for small people with."""
LARGEST_MARGIN = 0.25
MIN_SCORE = 0.2
"""The rule of `benchmarks/people_finder/measure.py` chooses 0.21.  0.25 would miss a quarter of the head stands."""
MOST_PEOPLE = 10
"""The published graph stops at six; more cost no false people."""
LARGEST_MOST, LARGEST_THREADS = 1000, 1024
"""Far above what is useful: ONNX Runtime hangs when it starts a million threads."""


class PeopleFinder:
    """Find the people in single frames::

        finder = PeopleFinder()
        people = finder.find(frame_bgr)                 # people.boxes, people.keypoints, people.scores

    One or two people are found nearly always; with more of them in one frame, each is smaller, and a larger `side`
    misses fewer.  For photos that end where the person ends, `margin=0.08, min_score=0.25` misses fewer.

    One instance is for one thread at a time.
    """

    def __init__(
        self,
        device: str = "auto",
        threads: int | None = None,
        *,
        side: int = SIDE,
        margin: float = 0.0,
        most: int = MOST_PEOPLE,
        min_score: float = MIN_SCORE,
    ) -> None:
        """Load the shipped network.

        device: auto, cpu, cuda, openvino or tensorrt; the last needs the engine of `yoga-export engine --people`, and
        runs on the CPU, which is logged with the reason, where that cannot be used.  threads: how many the CPU's
        engines use; None: one a core.  side: the longer side of the network's input in pixels, a multiple of 32; the
        time grows with its square.  margin: width of a black border that is put around the picture, as a fraction of
        its longer side, 0 to 0.25; the people in it get smaller, and fewer of several are found.  most: return at most
        so many people.  min_score: leave out people below this score, 0 to 1.

        Raises DeviceError where the device is missing, MissingPackageError where its engine is not installed,
        ModelError where the shipped file is damaged, ValueError where a number is out of bounds.
        """
        _check_side(side)
        _check_whole("most", most, 1, LARGEST_MOST)
        if threads is not None:
            _check_whole("threads", threads, 1, LARGEST_THREADS)
        _check_number("margin", margin, LARGEST_MARGIN)
        _check_number("min_score", min_score, 1)
        self._side, self._margin, self._most, self._min_score = side, margin, most, min_score
        self._network: Network = (
            _open_engine(side, threads) if device == "tensorrt" else open_network(PEOPLE_MODEL, device, threads)
        )

    def resize(self, side: int) -> PeopleFinder:
        """The same network with an input of another longer side, pixels; for the same thread.

        Raises ValueError where `side` is out of bounds; a TensorRT engine takes up to 640.
        """
        _check_side(side)
        if self.device == "tensorrt" and side > ENGINE_SIDE:
            raise ValueError(f"side must be up to {ENGINE_SIDE} in a TensorRT engine; got {side}")
        other = copy(self)
        other._side = side
        return other

    @property
    def device(self) -> str:
        """Where the network runs: cpu, cuda, openvino or tensorrt."""
        return self._network.device

    def find(
        self, frame_bgr: npt.NDArray[np.generic], region: Region | None = None, *, min_score: float | None = None
    ) -> People:
        """Find the people of one frame, the surest first.

        frame_bgr: uint8 (H, W, 3) BGR, as OpenCV gives it; grey (H, W) and BGRA (H, W, 4) are taken too.  region: look
        at this part alone, in pixels; the people are in pixels of the whole frame all the same.  min_score: another one
        than the finder's, for this frame.

        Raises ValueError if it is no uint8 image, ModelError where the network's output is not finite, DeviceError
        where the network fails.
        """
        if region is not None and not isinstance(region, Region):
            raise ValueError(f"region must be a Region(left, top, width, height); got {region!r}")
        if region and (min(region.left, region.top) < 0 or 0 in region.cut(frame_bgr).shape[:2]):
            raise ValueError(f"{region} does not lie in the frame, which has shape {np.shape(frame_bgr)}")
        image = as_bgr(region.cut(frame_bgr) if region else frame_bgr)
        height, width = image.shape[:2]
        frames, (border, inner_w, inner_h) = fit_frame(image, self._side, self._margin)
        outputs = self._network.infer_outputs(HEADS, frames)
        if not all(np.isfinite(output).all() for output in outputs):
            raise ModelError(f"{PEOPLE_MODEL} gives values that are not finite on {self.device}; try --device cpu")
        heads = {name: output[0] for name, output in zip(HEADS, outputs, strict=True)}
        people = decode_heads(heads, self._most).transform((1, 1), (-border, -border)).clip((inner_w, inner_h))
        people = people.select(people.scores >= (self._min_score if min_score is None else min_score))
        people = people.select(np.argsort(-people.scores, kind="stable"))
        shift_xy = (region.left, region.top) if region else (0, 0)
        return people.transform((width / inner_w, height / inner_h), shift_xy)


def find_engine_path() -> Path:
    """Where `yoga-export engine --people` writes.  Raises OptionError for a user without a home folder."""
    return find_cache_folder("tensorrt") / "people.engine"


def _open_engine(side: int, threads: int | None) -> Network:
    """The network in TensorRT, or on the CPU, with the reason in one line, where it cannot be."""
    from ..engines.tensorrt_network import open_people_engine

    try:
        if side > ENGINE_SIDE:
            raise ModelError(f"its TensorRT engine takes a side of up to {ENGINE_SIDE}, not {side}")
        return open_people_engine(find_engine_path(), hashlib.sha256(PEOPLE_MODEL.read_bytes()).hexdigest())
    except (ModelError, DeviceError, MissingPackageError, OptionError) as error:
        log.warning("the people finder runs on the CPU: %s", error)
        return open_network(PEOPLE_MODEL, "cpu", threads)


def fit_frame(image: Frame, side: int = SIDE, margin: float = 0.0) -> tuple[Frame, tuple[int, int, int]]:
    """Fit a picture into the network's input: at the upper left behind its border, black to the right and below.

    image: uint8 (H, W, 3) BGR.  side: of the longer side, border included, pixels.  margin: width of the border, as a
    fraction of the picture's longer side.  Returns uint8 (1, h, w, 3) RGB, h and w multiples of 32, and the border's
    width and the picture's width and height there.
    """
    height, width = image.shape[:2]
    scale = side / (max(height, width) * (1 + 2 * margin))
    border = round(margin * scale * max(height, width))
    inner_w, inner_h = max(1, round(width * scale)), max(1, round(height * scale))
    frames = np.zeros((1, _round_up(inner_h + 2 * border), _round_up(inner_w + 2 * border), 3), np.uint8)
    method = cv2.INTER_LINEAR if scale >= 1 else cv2.INTER_AREA
    small = cv2.resize(halve(image, inner_w, inner_h), (inner_w, inner_h), interpolation=method)
    frames[0, border : border + inner_h, border : border + inner_w] = small[:, :, ::-1]
    return frames, (border, inner_w, inner_h)


def _check_side(side: object) -> None:
    _check_whole("side", side, SIDE_STEP, LARGEST_SIDE)
    if isinstance(side, int) and side % SIDE_STEP:
        raise ValueError(f"side must be a multiple of {SIDE_STEP} up to {LARGEST_SIDE}; got {side}")


def _check_whole(name: str, value: object, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{name} must be a whole number from {least} to {most:,}; got {value!r}")


def _check_number(name: str, value: object, most: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most:
        raise ValueError(f"{name} must be 0 to {most}; got {value!r}")


def _round_up(length: int) -> int:
    return -(-length // SIDE_STEP) * SIDE_STEP
