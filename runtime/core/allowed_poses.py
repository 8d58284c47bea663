"""Restrict answers to some of a model's poses (`--poses`), without claiming more than was seen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..errors import OptionError
from ..system.suggestions import suggest_word
from .types import NO_POSE, Floats

NONE_PART = 0.25
"""How much of the probability of the other poses counts as `none`, 0 to 1: they are taken to be four times as rare as
the model takes them to be.  A choice: photos do not tell it from 1, nor strangers' photos from 0
(docs/explanation/experiments.md, E24)."""


@dataclass(frozen=True)
class AllowedPoses:
    """The poses that may be answered.

    model_labels: all labels of the model, in its order.  poses: those allowed, in its order, without `none`.

    The probability of the other poses is not merely shared out among those that are allowed: someone in another pose
    would then be called one of them with high confidence.  `NONE_PART` of it counts as `none`, which is an answer even
    where the model has no such class; then all is scaled to sum 1.
    """

    model_labels: tuple[str, ...]
    poses: tuple[str, ...]

    @cached_property
    def excluded(self) -> tuple[str, ...]:
        """The other poses, in the model's order."""
        return tuple(label for label in self.model_labels if label not in self.poses and label != NO_POSE)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """What is answered, in the model's order: the allowed poses and `none`, last where the model has none."""
        kept = tuple(label for label in self.model_labels if label in self.poses or label == NO_POSE)
        return kept if NO_POSE in kept else (*kept, NO_POSE)

    def restrict(self, probabilities: Floats) -> Floats:
        """Restrict probabilities.

        probabilities: float (N, C), in the order of the model's labels.  Returns float64 (N, K), in the order of
        `labels`, sum 1.
        """
        whole = dict(zip(self.model_labels, np.asarray(probabilities, np.float64).T, strict=True))
        nothing = np.zeros(len(probabilities))
        others = sum((whole[each] for each in self.excluded), nothing)
        columns = [whole.get(label, nothing) + (NONE_PART * others if label == NO_POSE else 0) for label in self.labels]
        kept = np.stack(columns, axis=1)
        return kept / np.maximum(kept.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)


def allow_poses(poses: Iterable[str], labels: tuple[str, ...]) -> AllowedPoses | None:
    """Check the names of poses.  labels: of the model.  Returns None where all its poses are allowed.

    `none` may be named, and is answered anyway.  Raises OptionError where there is no pose, or one the model lacks.
    """
    names, known = [name.strip() for name in poses], [label for label in labels if label != NO_POSE]
    for name in names:
        if name not in labels and name != NO_POSE:
            meant = suggest_word(name.replace(" ", "_").lower(), known)
            raise OptionError(f"--poses: this model has no pose {name!r}; give some of {', '.join(known)}{meant}")
    if not (wanted := set(names) - {NO_POSE}):
        seen = f"only names {NO_POSE}, which is answered anyway" if names else "names no pose"
        raise OptionError(f"--poses {seen}; give one or more of {', '.join(known)}")
    allowed = tuple(label for label in known if label in wanted)
    return None if len(allowed) == len(known) else AllowedPoses(labels, allowed)


def split_poses(text: str | None) -> tuple[str, ...] | None:
    """Split `tree,warrior_2` at its commas; None where there is no text."""
    return None if text is None else tuple(name for name in (part.strip() for part in text.split(",")) if name)


def explain_excluded(pose: str, poses: Iterable[str]) -> str:
    """Say that a pose which an option names is not among those of `--poses`."""
    return f"{pose} is not among --poses {','.join(poses)}; add it there, or leave this out"
