"""INT8: the same network in a quarter of the bytes and about a third of the time on a CPU."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from ..runtime.errors import ModelError
from ..runtime.model_info import ModelInfo
from ..runtime.preprocess import Frame
from .onnx_file import read_model
from .runs import Run, RunPhoto, load_frames

SAMPLE_PER_CLASS = 24


@dataclass(frozen=True)
class CalibrationSample:
    """A class-balanced sample of training photos.  frames: uint8 (N, S, S, 3) BGR."""

    frames: Frame
    counts: dict[str, int]


def draw_sample(run: Run, per_class: int = SAMPLE_PER_CLASS) -> CalibrationSample:
    """Take up to `per_class` training photos of each class, spread over its groups; only those are decoded."""
    chosen: list[RunPhoto] = []
    for label in run.labels:
        rows = [photo for photo in run.photos if photo.split == "train" and photo.pose == label]
        one_a_group = list({photo.group: photo for photo in rows}.values())
        rows = one_a_group if len(one_a_group) >= per_class else rows
        chosen += [rows[int(i)] for i in np.unique(np.linspace(0, len(rows) - 1, per_class).astype(int))]
    counts = {label: sum(photo.pose == label for photo in chosen) for label in run.labels}
    frames, _, _ = load_frames(replace(run, photos=tuple(chosen)), "train")
    return CalibrationSample(frames, counts)


def quantize_model(path: Path, sample: CalibrationSample) -> tuple[onnx.ModelProto, ModelInfo]:
    """Quantise a pose model with Q/DQ nodes: per-channel int8 weights, symmetric uint8 activations (zero point 128).

    uint8 because int8 activations take three times as long on x86; symmetric so that an engine for TensorRT can
    retype them to int8 with zero point 0, the same numbers.  The head stays in floating point: it is a thousandth of
    the work and its rounding would go straight into the logits.  Raises ModelError.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    _, info = read_model(path)
    if info.precision == "int8":
        raise ModelError(f"{path} is INT8 already; give the FP32 model that it was made from")
    reader: Any = _Reader(sample.frames)  # not derived from ONNX Runtime's class, which is imported only here
    with tempfile.TemporaryDirectory() as folder:
        prepared, quantised = Path(folder) / "prepared.onnx", Path(folder) / "int8.onnx"
        quant_pre_process(str(path), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(quantised),
            reader,
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            nodes_to_exclude=_head_nodes(onnx.load(prepared)),
            extra_options={"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False},
        )
        model = onnx.load(quantised)
    _drop_unused_domains(model)
    return model, replace(info, precision="int8", temperature=1.0)


def _drop_unused_domains(model: onnx.ModelProto) -> None:
    """Leave out the operator sets that ONNX Runtime's tools declare and no node uses."""
    used = {node.domain for node in model.graph.node}
    kept = [entry for entry in model.opset_import if entry.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)


def _head_nodes(model: onnx.ModelProto) -> list[str]:
    """Names of the nodes from the feature maps to the logits: all that `maps` or `logits` alone need."""
    producers = {output: node for node in model.graph.node for output in node.output}
    maps = producers["maps"]
    names = {maps.name}
    wanted = ["logits"]
    while wanted:
        node = producers.get(wanted.pop())
        if node is not None and node.name not in names:
            names.add(node.name)
            wanted += [name for name in node.input if name != "maps"]
    return sorted(names)


class _Reader:
    """ONNX Runtime's CalibrationDataReader, one frame at a time."""

    def __init__(self, frames: Frame) -> None:
        self._frames = iter(frames)

    def get_next(self) -> dict[str, npt.NDArray[Any]] | None:
        frame = next(self._frames, None)
        return None if frame is None else {"frames": frame[None]}
