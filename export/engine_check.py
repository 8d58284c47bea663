"""Whether an engine that was just built gives the answers of the file that it was built from."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from ..runtime.core.preprocess import letterbox
from ..runtime.core.types import Frame
from ..runtime.engines.base import Engine
from ..runtime.engines.onnxruntime import OnnxEngine
from ..runtime.errors import MissingPackageError, ModelError
from ..runtime.sources.drawn_figure import POSES, draw_figure

log = logging.getLogger(__name__)

FIGURES = ("standing", "tree", "warrior_2", "down_dog", "chair", "goddess")

GROSS_DIFFERENCE = 0.25
"""Of the largest logit: a kernel that is wrong; the shipped INT8 file, retyped and rounded to FP16, is off by 0.016."""


def check_engine(engine: Engine, source: Path) -> None:
    """Refuse an engine whose answers to drawn figures are not numbers, or grossly other ones than the ONNX file's.

    Without ONNX Runtime only the first is checked, and said.  Raises ModelError.
    """
    frames = draw_frames(engine.info.size)
    logits, maps = engine.infer_maps(frames)
    if not (np.isfinite(logits).all() and np.isfinite(maps).all()):
        raise ModelError(f"the engine built from {source} gives values that are no numbers; not written")
    try:
        expected = OnnxEngine(source, "cpu").infer(frames)
    except MissingPackageError:
        log.warning("the engine was not compared with %s: pip install onnxruntime for that", source)
        return
    difference = float(np.abs(logits - expected).max() / np.abs(expected).max())
    same = int((logits.argmax(axis=1) == expected.argmax(axis=1)).sum())
    log.info(
        "on %d drawn figures the engine gives %d of ONNX Runtime's answers, logits within %.2g of the largest",
        *(len(frames), same, difference),
    )
    if difference > GROSS_DIFFERENCE:
        raise ModelError(
            f"the engine's logits differ from those of {source} by {difference:.2g} of the largest (limit "
            f"{GROSS_DIFFERENCE:g}); not written. Please report it with the versions of TensorRT and the driver"
        )


def draw_frames(size: int) -> Frame:
    """The figures, mirrored too.  Returns uint8 (N, size, size, 3) BGR."""
    drawn = [letterbox(draw_figure(POSES[name], (960, 540)), size) for name in FIGURES]
    return np.stack([*drawn, *[frame[:, ::-1] for frame in drawn]])
