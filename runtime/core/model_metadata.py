"""The metadata of a pose model: one JSON document in the ONNX file's metadata properties."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..errors import ModelError
from ..system.foreign_files import check_number, check_text, check_whole, parse_json, show
from ..system.plain_text import escape_json, show_name

MODELS = Path(__file__).parent.parent / "models"
SHIPPED_MODELS = {name: MODELS / f"{name}.onnx" for name in ("default", "small")}
"""The shipped models by the names that may be given in place of a file."""
DEFAULT_MODEL = SHIPPED_MODELS["default"]
METADATA_KEY = "yoga_live"
FORMAT = 1
WITH_SECOND_OPINION = 2
"""The format of documents with a second opinion, which older versions cannot read."""
FEATURES = "features"
"""The output that a model may have beside `logits` and `maps`: what its head reads, averaged over the picture."""
UNCALIBRATED_THRESHOLD = 0.5
SMALLEST, LARGEST = 32, 2048
"""Bounds of the input's side in pixels: at 2,048 a frame takes 12.6 MB."""
LEAST_TEMPERATURE, MOST_TEMPERATURE = 0.01, 100
"""Ten times beyond the range that `yoga-calibrate confidence` searches, on both sides."""
MOST_LABELS, LONGEST_LABEL = 10_000, 200
TURNS_OF_DIRECTION = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that reorder the text around them on a screen (Unicode Technical Report 36)."""


def find_model(model: str | Path | None = None) -> Path:
    """The file of a shipped model by its name, or the file that is given; None: the default model.

    A file of the user's with such a name is given as `./small`.
    """
    return SHIPPED_MODELS["default"] if model is None else SHIPPED_MODELS.get(str(model), Path(model))


@dataclass(frozen=True)
class ModelInfo:
    """What a model says of itself.

    labels: in the order of the logits.  size: side of its square input, pixels.  precision: fp32, fp16 or int8.
    temperature: divides the logits before the softmax.  threshold: of the best pose's calibrated probability, 0 to 1;
    below it the answer is `none`.  preprocessing: how a frame becomes the input, in words.  training, calibration:
    where it comes from and how it was measured.  second_opinion: what `SecondOpinion.to_document` gives, a small
    network on key points, with a temperature and a threshold of its own; empty: none.

    Raises ModelError where a value is out of bounds.
    """

    labels: tuple[str, ...]
    size: int
    precision: str = "fp32"
    temperature: float = 1.0
    threshold: float = UNCALIBRATED_THRESHOLD
    preprocessing: str = "letterbox, uint8 BGR, grey 114"
    training: dict[str, Any] = field(default_factory=dict)
    calibration: dict[str, Any] = field(default_factory=dict)
    second_opinion: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            _check_labels(self.labels)
            check_whole(self.size, "the input side", SMALLEST, LARGEST)
            check_number(self.temperature, "the temperature", LEAST_TEMPERATURE, MOST_TEMPERATURE)
            check_number(self.threshold, "the threshold", 0, 1)
            check_text(self.precision, "the precision", 40)
            check_text(self.preprocessing, "the preprocessing", 200)
            for name in ("training", "calibration", "second_opinion"):
                if not isinstance(notes := getattr(self, name), dict):
                    raise ValueError(f"{name} should hold names and values; it is {show(notes)}")
        except ValueError as error:
            raise ModelError(str(error)) from error

    @property
    def person_share(self) -> float:
        """How much of the longer side of a photo a person filled in training, typically, above 0 to 1; 1 if unknown."""
        share = self.training.get("person_share")
        return float(share) if isinstance(share, int | float) and 0 < share <= 1 else 1.0

    def to_json(self) -> str:
        """As a document in the model's file."""
        content = {"format": WITH_SECOND_OPINION if self.second_opinion else FORMAT, **asdict(self)}
        if not self.second_opinion:
            del content["second_opinion"]
        return escape_json(json.dumps(content, ensure_ascii=False))

    @classmethod
    def from_json(cls, text: str, name: object = "the model") -> ModelInfo:
        """Read the metadata document `text` of the file `name`.  Raises ModelError."""
        try:
            content = parse_json(text)
            version = content.pop("format")
            if version not in (FORMAT, WITH_SECOND_OPINION):
                newest = WITH_SECOND_OPINION
                raise ModelError(f"its format is {show(version)}, and this yoga-live reads {newest}: update yoga-live")
            if not isinstance(content["labels"], list):
                raise ModelError(f"the labels should be a list; they are {show(content['labels'])}")
            return cls(**{**content, "labels": tuple(content["labels"])})
        except (ValueError, KeyError, TypeError, AttributeError, ModelError) as error:
            reason = f"{error} is missing" if isinstance(error, KeyError) else error
            raise ModelError(
                f"the metadata of {name} cannot be read ({reason}); export it again with yoga-export"
            ) from error


def read_feature_size(outputs: Mapping[str, tuple[str, Sequence[Any]]]) -> int:
    """Read the size D of the output `features` (N, D); 0 where a file has no such output, or does not say its size.

    outputs: as `read_pose_model` takes them.
    """
    size = outputs[FEATURES][1][1] if FEATURES in outputs else 0
    return size if isinstance(size, int) else 0


def _check_labels(labels: Any) -> None:
    """Refuse labels that are not a list of different, printable names.  Raises ValueError."""
    if not isinstance(labels, tuple) or not 2 <= len(labels) <= MOST_LABELS:
        raise ValueError(f"a pose model needs 2 to {MOST_LABELS} labels; got {show(labels)}")
    for label in labels:
        if not isinstance(label, str) or not is_printable(label) or not 0 < len(label) <= LONGEST_LABEL:
            raise ValueError(f"a label should be a printable name of 1 to {LONGEST_LABEL} letters; got {show(label)}")
    if len(set(labels)) != len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        raise ValueError(f"a pose model needs different labels; {show(twice)} appears twice")


def is_printable(name: str) -> bool:
    """Whether a name is one printable line: no control characters, line ends, surrogates or direction marks."""
    return not any(
        unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") or letter in TURNS_OF_DIRECTION for letter in name
    )


def read_pose_model(
    path: Path,
    document: str | None,
    inputs: Mapping[str, tuple[str, Sequence[Any]]],
    outputs: Mapping[str, tuple[str, Sequence[Any]]],
) -> ModelInfo:
    """Read a model's metadata and check it against its graph.  Raises ModelError.

    inputs, outputs: name -> element type (NumPy's name) and shape.
    """
    if document is None:
        raise ModelError(f"{path} is an ONNX file but not a yoga-live pose model; export one with yoga-export onnx")
    info = ModelInfo.from_json(document, path)
    kind, shape = inputs.get("frames", ("", ()))
    fits = kind == "uint8" and list(shape[1:]) == [info.size, info.size, 3] and len(inputs) == 1
    for name, dimensions in (("logits", 2), ("maps", 4), (FEATURES, 2)):
        kind, shape = outputs.get(name, ("", ()))
        is_right = kind == "float32" and len(shape) == dimensions
        fits = fits and (is_right or (name == FEATURES and name not in outputs))
    if not fits:
        raise ModelError(
            f"{path} should have the input `frames` (N, {info.size}, {info.size}, 3), uint8, and the outputs `logits` "
            f"(N, C) and `maps` (N, C, h, w), and perhaps `features` (N, D), float32; its inputs are "
            f"{_describe(inputs)} and its outputs "
            f"{_describe(outputs)}; export it again with yoga-export onnx"
        )
    for name in ("logits", "maps"):
        if (count := outputs[name][1][1]) != len(info.labels):
            raise ModelError(
                f"{path} has {count} {name} but {len(info.labels)} labels; export it again with yoga-export onnx"
            )
    return info


def _describe(tensors: Mapping[str, tuple[str, Sequence[Any]]]) -> str:
    """Describe tensors for a message; a file may have thousands."""
    told = [f"`{show_name(name)[:40]}` {kind} {tuple(shape)}" for name, (kind, shape) in list(tensors.items())[:3]]
    return ", ".join([*told, *(["..."] if len(tensors) > 3 else [])]).replace("\n", " ")[:300] or "nothing"
