"""Compares a smaller model with the one it was made from, and chooses the nearest candidate."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from ..runtime.core.model_metadata import ModelInfo
from ..runtime.core.softmax import log_softmax
from ..runtime.core.types import Floats, Frame
from ..runtime.engines.onnxruntime import OnnxEngine
from .activation_ranges import METHODS
from .logits import SplitLogits, compute_logits
from .metrics import Accuracy, measure_accuracy, measure_nll
from .onnx_file import write_model
from .quantize import QuantisationDraft


@dataclass(frozen=True)
class Fidelity:
    """One model compared with its reference on the same photos.

    agreement: photos with the same top prediction.  divergence: mean KL divergence of the probabilities from the
    reference's, nats.  worst_difference: of any logit.  nll: mean negative log-likelihood of the truth, nats.
    """

    agreement: Accuracy
    divergence: float
    worst_difference: float
    nll: float


@dataclass(frozen=True)
class Candidate:
    """A quantised model: the method of its ranges, its logits on the photos and its fidelity."""

    method: str
    model: onnx.ModelProto
    logits: Floats
    fidelity: Fidelity


def measure_fidelity(reference: Floats, split: SplitLogits, temperature: float = 1.0) -> Fidelity:
    """Compare logits with a reference's, both float (N, C), probabilities of both at the temperature."""
    expected, other = (log_softmax(logits / temperature) for logits in (reference, split.logits))
    return Fidelity(
        measure_accuracy(split.logits.argmax(axis=1), reference.argmax(axis=1)),
        float((np.exp(expected) * (expected - other)).sum(axis=1).mean()),
        float(np.abs(reference - split.logits).max()),
        measure_nll(split.logits, split.targets, temperature),
    )


def score_methods(
    draft: QuantisationDraft, methods: Iterable[str], frames: Frame, reference: SplitLogits, temperature: float = 1.0
) -> Iterator[Candidate]:
    """Quantise with each method and compare with FP32 on validation photos, uint8 (N, S, S, 3) BGR."""
    for method in methods:
        model = draft.choose_ranges(METHODS[method])
        logits = run_model(model, draft.info, frames, method)
        split = SplitLogits(logits, reference.targets)
        yield Candidate(method, model, logits, measure_fidelity(reference.logits, split, temperature))


def choose_candidate(candidates: Iterable[Candidate]) -> Candidate:
    """Choose the candidate of least divergence from FP32.

    Agreement alone is not enough: on a few hundred photos the methods differ by one or two predictions, which is
    chance, and it ignores confidence.  The divergence weighs every photo and class, and penalises changed
    probabilities, which affect both predictions and confidence.
    """
    return min(candidates, key=lambda candidate: candidate.fidelity.divergence)


def run_model(model: onnx.ModelProto, info: ModelInfo, frames: Frame, title: str) -> Floats:
    """Compute logits, float32 (N, C), of a model without a file."""
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder) / "trial.onnx"
        write_model(model, info, trial)
        return compute_logits(OnnxEngine(trial, "cpu"), frames, title)
