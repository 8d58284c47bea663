"""A run to one ONNX file: uint8 frames in; logits, class maps and features out; labels in its metadata.

Normalisation is inside.
"""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass
from dataclasses import replace as replace_fields
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from ..calibration.metrics import Accuracy
from ..calibration.onnx_file import write_model
from ..calibration.runs import Run, load_frames
from ..runtime.core.model_metadata import FEATURES
from ..runtime.engines.onnxruntime import OnnxEngine
from ..runtime.errors import ModelError
from ..runtime.system.files import write_then_rename
from ..runtime.system.telemetry import silence_telemetry
from ..train.fit.network import IMAGENET_MEAN, IMAGENET_STD, PoseNetwork, load_network, normalise
from ..train.predict.confidence import read_model_info, read_person_share

OPSET = 18
IR_VERSION = 10
"""ONNX Runtime 1.18 and TensorRT 10.3 (JetPack 6) read both."""

PARITY_TOLERANCE = 1e-3
"""Largest difference of logits between torch and ONNX Runtime, relative to the largest logit."""


@dataclass(frozen=True)
class Parity:
    """How well torch and ONNX Runtime agree on the run's test photos.

    worst_difference, map_difference, feature_difference: of the logits, maps and features, relative to the largest.
    """

    photos: int
    worst_difference: float
    agreement: Accuracy
    map_difference: float
    feature_difference: float = 0.0


class ExportedNetwork(nn.Module):
    """The network as exported: frames uint8 (N, S, S, 3) BGR in; logits (N, C), maps (N, C, h, w), features (N, D) out.

    The first convolution takes BGR and divides by the standard deviation.  The mean cannot be moved there, because a
    convolution pads with zero, which must remain the mean.
    """

    mean: Tensor

    def __init__(self, network: PoseNetwork) -> None:
        super().__init__()
        self.network = copy.deepcopy(network)
        mean, std = (255 * torch.tensor(values).flip(0).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
        self.register_buffer("mean", mean)
        convolution = self.network.first_convolution
        convolution.weight.data = convolution.weight.data.flip(1) / std

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        # The cast comes first: TensorRT refuses to transpose uint8.
        centred = frames.float().permute(0, 3, 1, 2) - self.mean
        features = self.network.features(centred)
        return *self.network.classify_features(features), features.mean(dim=(2, 3))


def export_run(run: Run, path: Path, *, replace: bool = True) -> Parity:
    """Write `path`, if ONNX Runtime agrees with torch on the run's test photos.  Raises ModelError.

    replace: an existing file; otherwise TakenError is raised if one exists by then.
    """
    network = load_network(run.folder / "weights.safetensors", len(run.labels))
    frames, _, _ = load_frames(run, "test")
    model = build_model(network, run.size)
    info = replace_fields(read_model_info(run), training=_summarise(run))
    with write_then_rename(path, replace=replace) as temporary:
        write_model(model, info, temporary)
        parity = measure_parity(network, OnnxEngine(temporary, "cpu"), frames)
        differences = {
            "logit": parity.worst_difference, "map value": parity.map_difference, "feature": parity.feature_difference,
        }  # fmt: skip
        for what, difference in differences.items():
            if difference > PARITY_TOLERANCE:
                raise ModelError(
                    f"the exported graph differs from torch by {difference:.2g} of the largest {what} (limit "
                    f"{PARITY_TOLERANCE:g}); not written. Please report it with the versions of torch and onnx"
                )
    return parity


def build_model(network: PoseNetwork, size: int) -> onnx.ModelProto:
    """Trace the network into ONNX with a dynamic batch."""
    example = torch.zeros((2, size, size, 3), dtype=torch.uint8)  # torch fails on a dynamic batch traced with 1
    silence_telemetry()  # torch's exporter may import ONNX Runtime
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's exporter about itself
        program = torch.onnx.export(
            ExportedNetwork(network).eval(),
            (example,),
            dynamo=True,
            input_names=["frames"],
            output_names=["logits", "maps", FEATURES],
            dynamic_shapes={"frames": {0: torch.export.Dim("batch", min=1, max=1024)}},
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model, full_check=True)
    return model


def measure_parity(network: PoseNetwork, engine: OnnxEngine, frames: np.ndarray) -> Parity:
    """Compare torch and an engine on frames, uint8 (N, S, S, 3) BGR."""
    network = network.eval()
    worst = np.zeros(3)
    same = 0
    for start in range(0, len(frames), 16):
        batch = frames[start : start + 16]
        with torch.inference_mode():
            expected = [output.numpy() for output in _classify(network, batch)]
        found = [*engine.infer_maps(batch), engine.infer_features(batch)[1]]
        worst = np.maximum(worst, [_measure_difference(*pair) for pair in zip(expected, found, strict=True)])
        same += int((expected[0].argmax(axis=1) == found[0].argmax(axis=1)).sum())
    logit, map_value, feature = worst.tolist()
    return Parity(len(frames), logit, Accuracy(same, len(frames)), map_value, feature)


def _classify(network: PoseNetwork, frames: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
    features = network.features(normalise(torch.from_numpy(frames)))
    return *network.classify_features(features), features.mean(dim=(2, 3))


def _measure_difference(expected: np.ndarray, other: np.ndarray) -> float:
    """Largest difference, relative to the largest value expected; infinite where a number is not finite."""
    if not (np.isfinite(expected).all() and np.isfinite(other).all()):
        return float("inf")
    return float(np.abs(expected - other).max() / max(np.abs(expected).max(), 1e-12))


def _summarise(run: Run) -> dict[str, object]:
    test = run.summary["metrics"]["test"]
    return {
        "run": run.folder.name,
        "arch": run.arch,
        "test_accuracy": test["accuracy"],
        "test_photos": test["photos"],
        "finished_at": run.summary.get("finished_at", ""),
        "torch": torch.__version__,
        **read_person_share(run),
    }
