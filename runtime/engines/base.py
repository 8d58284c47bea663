"""The protocol of engines: letterboxed frames in, logits and class maps out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from ..core.model_metadata import ModelInfo
from ..core.types import Floats, Frame
from ..errors import ModelError

DEVICES = ("auto", "cpu", "cuda", "tensorrt", "openvino")
"""Values of `--device`: automatic, three ONNX Runtime providers by name, and OpenVINO on the CPU."""


class Network(Protocol):
    """Any network that takes frames."""

    device: str

    def infer_outputs(self, outputs: Sequence[str], frames: Frame) -> list[Floats]:
        """frames: uint8 (N, H, W, 3), as the file's input `frames` takes them.  Returns the named outputs, in order."""
        ...


class Engine(Protocol):
    """What the live loop needs from an engine."""

    info: ModelInfo
    device: str

    def infer(self, frames: Frame) -> Floats:
        """frames: uint8 (N, S, S, 3) BGR.  Returns logits, float32 (N, C)."""
        ...

    def infer_maps(self, frames: Frame) -> tuple[Floats, Floats]:
        """Return logits (N, C) and class maps, float32 (N, C, h, w), whose mean plus bias is the logits."""
        ...


@runtime_checkable
class FeatureEngine(Protocol):
    """An engine that can also give features.  feature_size: D, how many; 0 where its file has none."""

    feature_size: int

    def infer_features(self, frames: Frame) -> tuple[Floats, Floats]:
        """Return logits (N, C) and features, float32 (N, D): what the head reads, averaged over the picture."""
        ...


def find_feature_size(engine: Engine) -> int:
    """How many features an engine gives; 0 for an engine or a file without them."""
    return engine.feature_size if isinstance(engine, FeatureEngine) else 0


def infer_features(engine: Engine, frames: Frame) -> tuple[Floats, Floats]:
    """Run an engine for logits (N, C) and features, float32 (N, D).  Raises ModelError where it has none."""
    if not isinstance(engine, FeatureEngine) or not engine.feature_size:
        raise ModelError(
            "this model gives no features: it was exported by an older version; export its run again with yoga-export"
        )
    return engine.infer_features(frames)


def check_features(path: Path, count: int, size: int, features: Floats) -> None:
    """Refuse features of the wrong shape for `count` frames, or that are not finite.  Raises ModelError."""
    if features.shape != (count, size) or not np.isfinite(features).all():
        raise ModelError(f"{path} gives features that are not finite or not {size} each; export it again, or use FP32")


def check_answers(path: Path, info: ModelInfo, count: int, logits: Floats, maps: Floats | None = None) -> None:
    """Refuse outputs of the wrong shape for `count` frames, or with values that are not finite.  Raises ModelError.

    Costs 0.02 ms per frame.  An FP16 network may overflow on a single picture, so a check when it is opened is not
    enough.
    """
    is_whole = logits.shape == (count, len(info.labels)) and bool(np.isfinite(logits).all())
    if maps is not None and is_whole:
        is_whole = maps.shape[:2] == logits.shape and bool(np.isfinite(maps).all())
    if not is_whole:
        raise ModelError(
            f"{path} gives no usable output: values that are not finite, or not one for each of "
            f"{len(info.labels)} labels; export it again, or use FP32"
        )
