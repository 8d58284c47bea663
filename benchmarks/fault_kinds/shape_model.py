"""A pose model that says which way up and how wide a picture is, so that the answer tells what the network saw.

The picture is four quadrants of plain colour; each label is a turn or mirror image of it at one aspect ratio, each
logit the distance to its template.  Written with the `onnx` package as a pose model of ours is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]

SIDE = 64
GREY = 114
QUADRANTS_RGB = ((230, 30, 30), (30, 200, 30), (30, 30, 230), (230, 220, 30))
"""Top left, top right, bottom right, bottom left."""
ASPECTS = {"21x9": 2.37, "16x9": 1.778, "4x3": 1.333, "square": 1.0, "3x4": 0.75, "9x16": 0.5625, "9x21": 0.42}
TURNS = ("upright", "left", "down", "right", "mirror", "mirror_left", "mirror_down", "mirror_right")
"""Quarter turns anticlockwise, of the picture and of its mirror image."""
BETWEEN = 1.5
"""A template is near too where its squared distance is at most so many times the nearest one's."""
SHARPNESS = 60.0
"""Squared distance a logit; neighbouring templates lie hundreds apart."""


def draw_quadrants(width: int, height: int) -> Pixels:
    """The reference picture.  Returns uint8 (height, width, 3), RGB."""
    picture = np.empty((height, width, 3), np.uint8)
    middle_x, middle_y = width // 2, height // 2
    places = (np.s_[:middle_y, :middle_x], np.s_[:middle_y, middle_x:], np.s_[middle_y:, middle_x:])
    for place, colour in zip((*places, np.s_[middle_y:, :middle_x]), QUADRANTS_RGB, strict=True):
        picture[place] = colour
    return picture


def turn(picture: Pixels, name: str) -> Pixels:
    """One of `TURNS` of a picture."""
    number = TURNS.index(name)
    return np.ascontiguousarray(np.rot90(picture[:, ::-1] if number >= 4 else picture, number % 4))


def letterbox(picture: Pixels) -> Pixels:
    """Fit a picture into SIDE x SIDE on grey, by Pillow: the truth that is no code of the product."""
    from PIL import Image

    height, width = picture.shape[:2]
    scale = SIDE / max(width, height)
    size_wh = max(round(width * scale), 1), max(round(height * scale), 1)
    small = np.asarray(Image.fromarray(picture).resize(size_wh, Image.Resampling.BOX))
    frame = np.full((SIDE, SIDE, 3), GREY, np.uint8)
    left, top = (SIDE - size_wh[0]) // 2, (SIDE - size_wh[1]) // 2
    frame[top : top + size_wh[1], left : left + size_wh[0]] = small
    return frame


def draw_templates() -> dict[str, Pixels]:
    """label -> what the network sees of it, uint8 (SIDE, SIDE, 3) RGB; `plain` pictures too, which are no shape."""
    templates = {}
    for turned in TURNS:
        for name, aspect in ASPECTS.items():
            height = 240
            width = round(height * aspect)
            upright = turn(draw_quadrants(*((height, width) if TURNS.index(turned) % 2 else (width, height))), turned)
            templates[f"{turned}_{name}"] = letterbox(upright)
    for name, level in (("black", 0), ("grey", GREY), ("white", 255)):
        templates[name] = np.full((SIDE, SIDE, 3), level, np.uint8)
    return templates


def name_shapes(picture_rgb: Pixels) -> list[str]:
    """Labels whose templates are nearest to a picture, uint8 (H, W, 3) RGB, the nearest first.

    More than one where the picture lies between two: rounding may then decide.
    """
    frame = letterbox(picture_rgb).astype(np.float32)
    distances = {label: float(((frame - each) ** 2).sum()) for label, each in _templates().items()}
    ranked = sorted(distances, key=lambda label: distances[label])
    return [label for label in ranked if distances[label] <= BETWEEN * distances[ranked[0]] or label == ranked[0]]


@lru_cache(maxsize=1)
def _templates() -> dict[str, Pixels]:
    return draw_templates()


def write_shape_model(path: Path) -> Path:
    """Write the model of `draw_templates`."""
    templates = draw_templates()
    weights = np.stack([each[:, :, ::-1].reshape(-1) for each in templates.values()]).astype(np.float32) / 255
    return write_linear_model(path, list(templates), 2 * weights.T, -(weights**2).sum(axis=1), 1 / SHARPNESS)


def write_linear_model(
    path: Path,
    labels: Sequence[Any],
    weights: npt.NDArray[np.float32],
    bias: npt.NDArray[np.float32],
    scale: float = 1.0,
    more: Mapping[str, Any] | None = None,
) -> Path:
    """Write logits = scale * (frame / 255 @ weights + bias) as a pose model.

    weights: float32 (SIDE * SIDE * 3, C), rows in the order of a BGR frame.  more: replaces entries of its metadata.
    """
    import onnx

    document = {"format": 1, "labels": list(labels), "size": SIDE, "precision": "fp32", "temperature": 1.0}
    document |= {"threshold": 0.0, "preprocessing": "letterbox, uint8 BGR, grey 114", "training": {}, "calibration": {}}
    model = make_linear_graph((weights * scale).astype(np.float32), (bias * scale).astype(np.float32))
    onnx.helper.set_model_props(model, {"yoga_live": json.dumps({**document, **(more or {})})})
    onnx.save(model, str(path))
    return path


def make_linear_graph(weights: npt.NDArray[np.float32], bias: npt.NDArray[np.float32], side: int = SIDE) -> Any:
    """The graph of `write_linear_model`, without metadata."""
    from onnx import TensorProto, helper, numpy_helper

    classes = weights.shape[1]
    nodes = [
        helper.make_node("Cast", ["frames"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["floats", "most"], ["shares"]),
        helper.make_node("Flatten", ["shares"], ["rows"], axis=1),
        helper.make_node("Gemm", ["rows", "weights", "bias"], ["logits"]),
        helper.make_node("Unsqueeze", ["logits", "axes"], ["maps"]),
    ]
    constants = [
        numpy_helper.from_array(np.array(255, np.float32), "most"),
        numpy_helper.from_array(weights, "weights"),
        numpy_helper.from_array(bias, "bias"),
        numpy_helper.from_array(np.array([2, 3], np.int64), "axes"),
    ]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("frames", TensorProto.UINT8, ["N", side, side, 3])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", classes]),
            helper.make_tensor_value_info("maps", TensorProto.FLOAT, ["N", classes, 1, 1]),
        ],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
