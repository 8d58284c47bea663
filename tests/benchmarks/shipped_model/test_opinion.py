"""Features and a second opinion for a model that has neither: the network's answers stay, other photos are refused."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from yoga_live.calibration.onnx_file import read_model, write_model
from yoga_live.runtime.core.model_metadata import DEFAULT_MODEL
from yoga_live.runtime.engines.onnxruntime import OnnxEngine
from yoga_live.runtime.errors import RunError

sys.path.append(str(Path(__file__).parents[3] / "benchmarks" / "shipped_model"))

from opinion import add_features, check_split  # pyright: ignore[reportMissingImports]


def test_the_shipped_model_gets_features_that_its_head_reads_and_answers_as_before(tmp_path: Path) -> None:
    model, info = read_model(DEFAULT_MODEL)
    add_features(model)
    add_features(model)  # there already: nothing
    write_model(model, info, tmp_path / "a.onnx")
    frames = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
    engine = OnnxEngine(tmp_path / "a.onnx", "cpu")
    logits, features = engine.infer_features(frames)
    assert features.shape == (2, 512) and np.ptp(features, axis=0).max() > 0.01
    np.testing.assert_array_equal(logits, OnnxEngine(DEFAULT_MODEL, "cpu").infer(frames))
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    from onnx import numpy_helper

    weights, bias = (numpy_helper.to_array(tensors[name]) for name in ("unsqueeze_1", "network.resnet.fc.bias"))
    np.testing.assert_allclose(features @ weights[:, :, 0, 0].T + bias, logits, rtol=1e-3, atol=1e-3)


def test_photos_on_which_the_model_is_better_than_it_was_are_refused() -> None:
    targets, splits = np.arange(100) % 4, np.repeat(["train", "test"], 50)
    logits = np.eye(4)[np.where(np.arange(100) % 10 == 0, (targets + 1) % 4, targets)]
    check_split(logits, targets, splits, 0.9)
    with pytest.raises(RunError, match=r"right on 90\.0% of 50 test photos, and was on 96\.4%"):
        check_split(logits, targets, splits, 0.964)
