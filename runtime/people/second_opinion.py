"""A second opinion: what a small network makes of the key points, mixed with what the pose network sees."""

from __future__ import annotations

import base64
import binascii
import itertools
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..core.model_metadata import ModelInfo
from ..core.softmax import log_softmax, softmax
from ..core.types import NO_POSE, Floats
from ..errors import ModelError
from ..system.foreign_files import check_number, check_whole, show
from .landmarks import LANDMARKS, mirror_landmarks

MOST_NETWORKS, MOST_LAYERS, MOST_WIDTH, MOST_KINDS = 8, 6, 1024, 10_000
MOST_NUMBERS = 2_000_000
"""Of all networks together: 4 MB in FP16."""
LARGEST_WEIGHT = 100.0
LEAST = 1e-6
"""Probabilities below it count as this much: what is never seen in training is not impossible."""
LEAST_TEMPERATURE, MOST_TEMPERATURE = 0.01, 100.0
LITTLE_ENDIAN_HALF = np.dtype("<f2")

Pairs = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Mixture:
    """How the probabilities of the pose network and of the key points become one.

    Two questions are mixed: *which* pose it is, if it is one, and *whether* it is one.  With a the network's and b the
    key points' probabilities, each of a pose given that it is one: which = softmax(w0 log a + w1 log b).  The log-odds
    that it is one are those of both, each times its weight, plus `agreement` times log(sum of sqrt(a b)), which is
    negative where they do not agree on which, plus `bias`.  The weights of *whether* are averaged by the probabilities
    of *which*.

    which, whether: a pair of weights for each label, the network's and the key points'; those of `none` do not count.
    """

    which: Pairs
    whether: Pairs
    agreement: float = 1.0
    bias: float = 0.0

    @classmethod
    def plain_product(cls, classes: int) -> Mixture:
        """Make the one that multiplies the square roots of both probabilities."""
        return cls(((0.5, 0.5),) * classes, ((0.5, 0.5),) * classes)

    @classmethod
    def network_alone(cls, classes: int) -> Mixture:
        """Make the one that leaves the key points out."""
        return cls(((1.0, 0.0),) * classes, ((1.0, 0.0),) * classes, 0.0)

    def check(self, classes: int) -> None:
        """Refuse weights of another number of classes, or that are no numbers.  Raises ValueError."""
        for name, pairs in (("which", self.which), ("whether", self.whether)):
            if not isinstance(pairs, tuple) or len(pairs) != classes or not all(len(pair) == 2 for pair in pairs):
                raise ValueError(f"the weights of {name} should be {classes} pairs; they are {show(pairs)}")
            for weight in itertools.chain(*pairs):
                check_number(weight, f"a weight of {name}", -LARGEST_WEIGHT, LARGEST_WEIGHT)
        check_number(self.agreement, "agreement", -LARGEST_WEIGHT, LARGEST_WEIGHT)
        check_number(self.bias, "bias", -LARGEST_WEIGHT, LARGEST_WEIGHT)

    def mix(self, network: Floats, landmarks: Floats, none: int | None) -> Floats:
        """Mix log-probabilities of both, float (N, C).  none: index of `none`, None without it.

        Returns log-probabilities, float64 (N, C).
        """
        which, whether = np.array(self.which), np.array(self.whether)
        poses = [index for index in range(len(which)) if index != none]
        one, other = log_softmax(network[:, poses]), log_softmax(landmarks[:, poses])
        chosen = log_softmax(which[poses, 0] * one + which[poses, 1] * other)
        if none is None:
            return chosen
        weights = np.exp(chosen) @ whether[poses]
        odds = np.stack([_find_odds(network, none), _find_odds(landmarks, none)], axis=1)
        agreement = _sum_logs((one + other) / 2)
        is_pose = (weights * odds).sum(axis=1) + self.agreement * agreement + self.bias
        mixed = np.empty(network.shape)
        mixed[:, poses] = chosen - np.logaddexp(0, -is_pose)[:, None]
        mixed[:, none] = -np.logaddexp(0, is_pose)
        return mixed


def _find_odds(logs: Floats, none: int) -> Floats:
    """The log-odds of a pose, float64 (N,).  logs: log-probabilities, float (N, C)."""
    return _sum_logs(np.delete(logs, none, axis=1)) - logs[:, none]


def _sum_logs(logs: Floats) -> Floats:
    highest = logs.max(axis=1)
    return highest + np.log(np.exp(logs - highest[:, None]).sum(axis=1))


@dataclass(frozen=True)
class SecondOpinion:
    """Small networks on a person's key points, and how their answer is mixed with the pose network's.

    labels: those of the model.  kinds: for each output of the small networks the index of its label.  widths: of their
    layers, from 53 inputs to one output a kind.  networks: how many are averaged.  numbers: mean and scale of the
    inputs, then weights (out, in) and biases of each layer of each network, FP16 in base64.  mirrors: the index of the
    label that each label has in a mirror, where answers are averaged over picture and mirror image; else empty.
    temperature, threshold: as `ModelInfo` has them, of both together.  measured: how good it is, and how it was made.

    Raises ValueError where a value is out of bounds.
    """

    labels: tuple[str, ...]
    kinds: tuple[int, ...]
    widths: tuple[int, ...]
    networks: int
    numbers: str
    mixture: Mixture
    mirrors: tuple[int, ...] = ()
    temperature: float = 1.0
    threshold: float = 0.5
    measured: dict[str, Any] = field(default_factory=dict)

    def apply_to(self, info: ModelInfo) -> ModelInfo:
        """What the model says of itself, with the temperature and threshold of both together."""
        return replace(info, temperature=self.temperature, threshold=self.threshold)

    def __post_init__(self) -> None:
        classes = len(self.labels)
        _check_indices(self.kinds, "kinds", classes, MOST_KINDS)
        if {*self.kinds} != {*range(classes)}:
            raise ValueError("kinds should name each label")
        _check_indices(self.mirrors, "mirrors", classes, classes)
        if self.mirrors and [self.mirrors[other] for other in self.mirrors] != [*range(classes)]:
            raise ValueError("mirrors should be the labels that labels have in a mirror, one for each")
        check_whole(self.networks, "the number of small networks", 1, MOST_NETWORKS)
        if not isinstance(self.widths, tuple) or not 2 <= len(self.widths) <= MOST_LAYERS + 1:
            raise ValueError(f"widths should be those of 1 to {MOST_LAYERS} layers; they are {show(self.widths)}")
        for width in self.widths[1:-1]:
            check_whole(width, "the width of a layer", 1, MOST_WIDTH)
        if (self.widths[0], self.widths[-1]) != (LANDMARKS, len(self.kinds)):
            raise ValueError(f"widths should begin with {LANDMARKS} and end with {len(self.kinds)}")
        self.mixture.check(classes)
        check_number(self.temperature, "the temperature", LEAST_TEMPERATURE, MOST_TEMPERATURE)
        check_number(self.threshold, "the threshold", 0, 1)
        if not isinstance(self.measured, dict):
            raise ValueError(f"measured should hold names and values; it is {show(self.measured)}")
        self._check_numbers()

    def _check_numbers(self) -> None:
        layers = itertools.pairwise(self.widths)
        wanted = 2 * LANDMARKS + self.networks * sum((inputs + 1) * outputs for inputs, outputs in layers)
        if wanted > MOST_NUMBERS:
            raise ValueError(f"the small networks should have at most {MOST_NUMBERS:,} numbers; they have {wanted:,}")
        if not isinstance(self.numbers, str) or len(self.numbers) > 4 * MOST_NUMBERS:
            raise ValueError(f"numbers should be text in base64; it is {show(self.numbers)}")
        values = decode_numbers(self.numbers)
        if len(values) != wanted or not np.isfinite(values).all():
            raise ValueError(f"numbers should be {wanted:,} finite ones; they are {len(values):,}")
        if not (values[LANDMARKS : 2 * LANDMARKS] > 0).all():
            raise ValueError("the scales of the inputs should be above 0")

    @cached_property
    def _parts(self) -> tuple[Floats, Floats, list[list[tuple[Floats, Floats]]]]:
        """Mean and scale of the inputs, and the layers of each network: weights (in, out) and biases."""
        values = decode_numbers(self.numbers).astype(np.float32)
        mean, scale, at = values[:LANDMARKS], values[LANDMARKS : 2 * LANDMARKS], 2 * LANDMARKS
        networks = []
        for _ in range(self.networks):
            layers = []
            for inputs, outputs in itertools.pairwise(self.widths):
                end = at + inputs * outputs
                layers.append((values[at:end].reshape(outputs, inputs).T, values[end : end + outputs]))
                at = end + outputs
            networks.append(layers)
        return mean, scale, networks

    @property
    def none(self) -> int | None:
        """The index of `none`; None without it."""
        return self.labels.index(NO_POSE) if NO_POSE in self.labels else None

    def classify_landmarks(self, landmarks: Floats) -> Floats:
        """What the key points alone say.  landmarks: float32 (N, 53), zeros for nobody.

        Returns probabilities, float64 (N, C), in the order of the labels.  Raises ValueError for another shape.
        """
        if landmarks.ndim != 2 or landmarks.shape[1] != LANDMARKS:
            raise ValueError(f"landmarks must be float (N, {LANDMARKS}); got {landmarks.shape}")
        answers = self._run(landmarks)
        if self.mirrors:
            answers = (answers + self._run(mirror_landmarks(landmarks))[:, list(self.mirrors)]) / 2
        return answers

    def _run(self, landmarks: Floats) -> Floats:
        mean, scale, networks = self._parts
        answers = np.zeros((len(landmarks), len(self.labels)))
        for layers in networks:
            values = (np.asarray(landmarks, np.float32) - mean) / scale
            for number, (weights, biases) in enumerate(layers):
                values = values @ weights + biases
                if number < len(layers) - 1:
                    values = np.maximum(values, 0)
            np.add.at(answers.T, np.array(self.kinds), softmax(values).T)
        return answers / self.networks

    def combine(self, logits: Floats, landmarks: Floats) -> Floats:
        """Mix what the network and the key points say.

        logits: of the pose network, float (N, C).  landmarks: float32 (N, 53), see `measure_landmarks`; zeros for
        nobody.  Returns logits of both together, float64 (N, C), to be divided by `temperature`.
        """
        points = np.log(np.maximum(self.classify_landmarks(landmarks), LEAST))
        return self.mixture.mix(log_softmax(logits), points, self.none)

    def to_document(self) -> dict[str, Any]:
        """As a part of a model's metadata, JSON-serialisable; the labels are the model's."""
        document = asdict(self)
        del document["labels"]
        return json.loads(json.dumps(document))  # lists, as they are read

    @classmethod
    def from_document(cls, document: Mapping[str, Any], labels: tuple[str, ...]) -> SecondOpinion:
        """Read what `to_document` wrote.  labels: of the model.  Raises ModelError."""
        try:
            content, mixture = dict(document), dict(document["mixture"])
            known = {each.name for each in fields(cls)}, {each.name for each in fields(Mixture)}
            if unknown := sorted((content.keys() - known[0]) | (mixture.keys() - known[1])):
                raise ValueError(f"it has {show(unknown[0])}, which this version does not know")
            pairs = {name: tuple(tuple(pair) for pair in mixture[name]) for name in ("which", "whether")}
            content["mixture"] = Mixture(**{**mixture, **pairs})
            lists = {name: tuple(content[name]) for name in ("kinds", "widths", "mirrors")}
            return cls(labels, **{**content, **lists})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            reason = f"{error} is missing" if isinstance(error, KeyError) else error
            raise ModelError(
                f"the second opinion of the model cannot be read ({reason}); export it again with yoga-export"
            ) from error


def _check_indices(values: Any, name: str, classes: int, most: int) -> None:
    if not isinstance(values, tuple) or len(values) not in ((0, classes) if name == "mirrors" else range(1, most + 1)):
        raise ValueError(f"{name} should be a list of labels; it is {show(values)}")
    for value in values:
        check_whole(value, f"a number in {name}", 0, classes - 1)


def encode_numbers(values: Floats) -> str:
    """Write numbers as FP16 in base64.  Raises ValueError where one does not fit."""
    with np.errstate(over="ignore"):
        half = np.asarray(values).astype(LITTLE_ENDIAN_HALF)
    if not np.isfinite(half).all():
        raise ValueError("the numbers of a small network do not fit FP16")
    return base64.b64encode(half.tobytes()).decode("ascii")


def decode_numbers(text: str) -> Floats:
    """Read what `encode_numbers` wrote, float16 (N,).  Raises ValueError."""
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"numbers cannot be read: {error}") from error
    if len(content) % 2:
        raise ValueError("numbers cannot be read: they end within one")
    return np.frombuffer(content, LITTLE_ENDIAN_HALF)
