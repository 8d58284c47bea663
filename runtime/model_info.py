"""What a pose model says of itself: one JSON document in the ONNX file's metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .errors import ModelError
from .plain_text import escape_json

METADATA_KEY = "yoga_live"
FORMAT = 1
UNCALIBRATED_THRESHOLD = 0.5


@dataclass(frozen=True)
class ModelInfo:
    """Labels in the order of the logits, input side in pixels, and the calibration that turns logits into answers.

    temperature divides the logits; below `threshold` (calibrated probability of the best pose) the answer is `none`.
    """

    labels: tuple[str, ...]
    size: int
    precision: str = "fp32"
    temperature: float = 1.0
    threshold: float = UNCALIBRATED_THRESHOLD
    preprocessing: str = "letterbox, uint8 BGR, grey 114"
    training: dict[str, Any] = field(default_factory=dict)
    calibration: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.labels) < 2 or len(set(self.labels)) != len(self.labels):
            raise ModelError(f"a pose model needs at least two different labels; got {list(self.labels)}")
        if self.size < 32:
            raise ModelError(f"the input side must be at least 32 pixels; got {self.size}")
        if not 0 < self.temperature < 1000:
            raise ModelError(f"the temperature must be above 0 and below 1000; got {self.temperature}")
        if not 0 <= self.threshold <= 1:
            raise ModelError(f"the threshold must be between 0 and 1; got {self.threshold}")

    def to_json(self) -> str:
        return escape_json(json.dumps({"format": FORMAT, **asdict(self)}, ensure_ascii=False))

    @classmethod
    def from_json(cls, text: str) -> ModelInfo:
        """Read the metadata document.  Raises ModelError."""
        try:
            content = json.loads(text)
            version = content.pop("format")
            if version != FORMAT:
                raise ModelError(f"the model's metadata has format {version}, this yoga-live reads {FORMAT}; update it")
            return cls(**{**content, "labels": tuple(content["labels"])})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(
                f"the model's metadata can't be read ({error}); export it again with yoga-export"
            ) from error


def read_pose_model(
    path: Path,
    document: str | None,
    inputs: Mapping[str, tuple[str, Sequence[Any]]],
    outputs: Mapping[str, Sequence[Any]],
) -> ModelInfo:
    """What the file says of itself, checked against its graph.  Raises ModelError.

    inputs: name -> element type as NumPy names it, and shape; outputs: name -> shape.
    """
    if document is None:
        raise ModelError(f"{path} is an ONNX file but no pose model of yoga-live; export one with yoga-export onnx")
    info = ModelInfo.from_json(document)
    kind, shape = inputs.get("frames", ("", ()))
    fits = kind == "uint8" and list(shape[1:]) == [info.size, info.size, 3]
    if not fits or "maps" not in outputs or "logits" not in outputs:
        raise ModelError(
            f"{path} should take `frames` (N, {info.size}, {info.size}, 3), uint8, and give `logits` and `maps`; "
            f"it takes {dict(inputs)} and gives {list(outputs)}"
        )
    if outputs["logits"][-1] != len(info.labels):
        raise ModelError(f"{path} gives {outputs['logits'][-1]} logits but names {len(info.labels)} labels")
    return info
