"""How near a smaller model stays: measured on logits whose distance is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from yoga_live.calibration.activation_ranges import METHODS
from yoga_live.calibration.fidelity import Candidate, choose_candidate, measure_fidelity, run_model, score_methods
from yoga_live.calibration.logits import SplitLogits, load_logits
from yoga_live.calibration.onnx_file import read_model
from yoga_live.calibration.quantize import draft_quantisation, draw_sample
from yoga_live.calibration.runs import load_frames, load_run
from yoga_live.runtime.engines.onnxruntime import OnnxEngine


def measure(reference: list[list[float]], logits: list[list[float]], temperature: float = 1.0):
    targets = np.zeros(len(logits), int)
    return measure_fidelity(np.array(reference), SplitLogits(np.array(logits), targets), temperature)


def test_the_same_logits_are_at_no_distance() -> None:
    fidelity = measure([[1.0, 2.0], [3.0, 0.0]], [[1.0, 2.0], [3.0, 0.0]])
    assert (fidelity.agreement.right, fidelity.agreement.total) == (2, 2)
    assert fidelity.divergence == 0 and fidelity.worst_difference == 0


def test_logits_that_all_moved_alike_are_the_same_answer() -> None:
    fidelity = measure([[1.0, 2.0]], [[4.0, 5.0]])
    assert fidelity.divergence == pytest.approx(0, abs=1e-12) and fidelity.worst_difference == 3


def test_divergence_is_kullback_and_leiblers_from_the_reference() -> None:
    fidelity = measure([[np.log(0.5), np.log(0.5)]], [[np.log(0.9), np.log(0.1)]])
    assert fidelity.divergence == pytest.approx(0.5 * np.log(0.5 / 0.9) + 0.5 * np.log(0.5 / 0.1))
    assert fidelity.nll == pytest.approx(-np.log(0.9))
    cooler = measure([[2 * np.log(0.5), 2 * np.log(0.5)]], [[2 * np.log(0.9), 2 * np.log(0.1)]], temperature=2.0)
    assert cooler.divergence == pytest.approx(fidelity.divergence)


def test_the_least_divergence_wins_over_one_answer_more() -> None:
    target = [[1.0, 0.0], [0.05, 0.0]]
    near = Candidate("near", onnx.ModelProto(), np.zeros(0), measure(target, [[1.0, 0.0], [-0.01, 0.0]]))
    far = Candidate("far", onnx.ModelProto(), np.zeros(0), measure(target, [[9.0, 0.0], [6.0, 0.0]]))
    assert near.fidelity.agreement.right < far.fidelity.agreement.right
    assert choose_candidate([far, near]) is near


def test_every_method_is_scored_by_what_its_file_answers(exported_model: Path, trained_run: Path) -> None:
    run = load_run(trained_run)
    full = OnnxEngine(exported_model, "cpu")
    frames, _, _ = load_frames(run, "validation")
    reference = load_logits(full, run, "validation")
    draft = draft_quantisation(exported_model, draw_sample(run))
    candidates = list(score_methods(draft, METHODS, frames, reference))
    assert [candidate.method for candidate in candidates] == list(METHODS)
    scales = {candidate.method: candidate.model.SerializeToString() for candidate in candidates}
    assert len(set(scales.values())) == len(METHODS)  # else there would be nothing to choose from
    for candidate in candidates:
        np.testing.assert_array_equal(run_model(candidate.model, draft.info, frames, "again"), candidate.logits)
        assert candidate.fidelity.divergence < 0.1
    assert draft.info.temperature == 1 and draft.info.labels == read_model(exported_model)[1].labels
