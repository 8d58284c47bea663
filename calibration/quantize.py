"""INT8 quantisation: the same network in a quarter of the bytes and about a third of the time on a CPU."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from ..runtime.core.model_metadata import FEATURES, ModelInfo
from ..runtime.core.types import Frame
from ..runtime.errors import ModelError, RunError
from ..runtime.system.item_failures import name_exception
from ..runtime.system.telemetry import silence_telemetry
from .activation_ranges import MagnitudeHistogram, RangeMethod, collect_histograms
from .int8_options import LEAST_SAMPLE, SAMPLE_PER_CLASS, Treatment
from .onnx_file import is_rectifier, read_model
from .runs import Run, RunPhoto, load_frames

DEFAULT_TREATMENT = Treatment()

OUTPUT_SUFFIX = "_QuantizeLinear_Input"
"""What ONNX Runtime's tools append to the name of a quantised output of the graph."""


@dataclass(frozen=True)
class CalibrationSample:
    """A class-balanced sample of training photos.  frames: uint8 (N, S, S, 3) BGR."""

    frames: Frame
    counts: dict[str, int]


def draw_sample(run: Run, per_class: int = SAMPLE_PER_CLASS) -> CalibrationSample:
    """Choose up to `per_class` training photos of each class, spread over its duplicate groups, and decode them.

    Raises RunError if a class has none, or all classes together have fewer than 8.
    """
    chosen: list[RunPhoto] = []
    for label in run.labels:
        rows = [photo for photo in run.photos if photo.split == "train" and photo.pose == label]
        one_a_group = list({photo.group: photo for photo in rows}.values())
        rows = one_a_group if len(one_a_group) >= per_class else rows
        chosen += [rows[i] for i in _spread(len(rows), per_class)]
    counts = {label: sum(photo.pose == label for photo in chosen) for label in run.labels}
    absent = [label for label, count in counts.items() if not count]
    if absent:
        raise RunError(
            f"{run.folder} has no training photo of {', '.join(absent)}; add photos, as INT8 needs all classes"
        )
    if len(chosen) < LEAST_SAMPLE:
        raise RunError(
            f"INT8 needs at least {LEAST_SAMPLE} training photos for the activation ranges; got {len(chosen)} "
            f"(of {sum(photo.split == 'train' for photo in run.photos)} in {run.folder}): give a larger --per-class"
        )
    frames, _, read = load_frames(replace(run, photos=tuple(chosen)), "train")
    return CalibrationSample(frames, {label: sum(photo.pose == label for photo in read) for label in run.labels})


def _spread(total: int, most: int) -> list[int]:
    """Choose up to `most` of `total` indices, evenly spread."""
    return np.unique(np.linspace(0, total - 1, min(total, most)).astype(int)).tolist() if total else []


@dataclass(frozen=True)
class Scale:
    """What the scale of an activation covers: the range of this float tensor, in this many steps from zero."""

    tensor: str
    levels: int


class QuantisationDraft:
    """A pose model with Q/DQ nodes and INT8 weights, whose activation ranges are measured but not chosen."""

    def __init__(
        self, model: onnx.ModelProto, info: ModelInfo, scales: dict[str, Scale], seen: dict[str, MagnitudeHistogram]
    ) -> None:
        self.info = replace(info, precision="int8", temperature=1.0)
        self._model, self._scales, self._seen = model, scales, seen

    def choose_ranges(self, method: RangeMethod) -> onnx.ModelProto:
        """Set each activation's scale, so that the range chosen by the method is 127 steps, or 255 if unsigned."""
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        constants = {tensor.name: tensor for tensor in model.graph.initializer}
        ranges = {name: method(histogram) for name, histogram in self._seen.items()}
        for name, scale in self._scales.items():
            step = np.float32(ranges[scale.tensor] / scale.levels)
            step = step if step >= np.finfo(np.float32).tiny else np.float32(1)  # always zero: any scale works
            constants[name].CopyFrom(numpy_helper.from_array(np.array(step), name))
        return model


def draft_quantisation(
    path: Path, sample: CalibrationSample, treatment: Treatment = DEFAULT_TREATMENT
) -> QuantisationDraft:
    """Insert Q/DQ nodes into a pose model: per-channel int8 weights, uint8 activations.  Biases stay float.

    uint8, because int8 activations take three times as long on x86.  Symmetric (zero point 128), so that a TensorRT
    engine can retype them to int8 with zero point 0; after a ReLU unsigned (zero point 0), which gives one more bit,
    and lets the convolution or sum before it round and clip in one pass.  Raises ModelError.
    """
    _, info = read_model(path)
    if info.precision != "fp32":
        raise ModelError(f"{path} is already {info.precision.upper()}; give the FP32 model that yoga-export onnx wrote")
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        try:
            quantised = _insert_quantisers(path, prepared, sample.frames[:1], treatment)
            scales = _plan_scales(quantised)
            tensors = sorted({scale.tensor for scale in scales.values()})
            _expose(prepared, tensors)
        except Exception as error:  # also of ONNX Runtime's tools, about a graph that yoga-export did not make
            raise ModelError(f"{path} cannot be quantised: {name_exception(error)}; use FP32") from error
        try:
            seen = collect_histograms(prepared, tensors, sample.frames)
        except ValueError as error:
            raise ModelError(f"{path} cannot be quantised: {error}; train it again") from error
    return QuantisationDraft(quantised, info, scales, seen)


def _insert_quantisers(path: Path, prepared: Path, frames: Frame, treatment: Treatment) -> onnx.ModelProto:
    """Write the folded float graph to `prepared` and return it with Q/DQ nodes, whose scales are still of one photo."""
    silence_telemetry()
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    reader: Any = _Reader(frames)  # not derived from ONNX Runtime's class, which is imported only here
    quant_pre_process(str(path), str(prepared), skip_symbolic_shape=True)
    quantised = prepared.with_name("quantised.onnx")
    quantize_static(
        str(prepared),
        str(quantised),
        reader,
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod.MinMax,
        nodes_to_exclude=_float_nodes(onnx.load(prepared), treatment),
        extra_options={"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False},
    )
    model = onnx.load(quantised)
    _drop_unused_domains(model)
    _round_once_at_rectifiers(model)
    return model


def _round_once_at_rectifiers(model: onnx.ModelProto) -> None:
    """Leave out the rounding between a convolution or sum and its ReLU or ReLU6, and make what comes after unsigned.

    With a rounding on both sides the ReLU runs alone, in float, between two conversions: an eighth of the network's
    time.  Values below zero are cut in any case, so that the levels for them are worth more above it.
    """
    graph = model.graph
    producers = {output: node for node in graph.node for output in node.output}
    readers = Counter(name for node in graph.node for name in node.input)
    dropped: set[str] = set()
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for relu in [node for node in graph.node if is_rectifier(node, constants)]:
        rounded = producers.get(relu.input[0])
        if rounded is not None and rounded.op_type == "DequantizeLinear" and readers[rounded.output[0]] == 1:
            quantiser = producers[rounded.input[0]]
            relu.input[0] = quantiser.input[0]
            dropped |= {rounded.output[0], *(quantiser.output if readers[quantiser.output[0]] == 1 else ())}
    kept = [node for node in graph.node if node.output[0] not in dropped]
    del graph.node[:]
    graph.node.extend(kept)
    for node in kept:
        if node.op_type == "QuantizeLinear" and _reads_rectifier(node, producers, constants):
            constants[node.input[2]].CopyFrom(numpy_helper.from_array(np.zeros((), np.uint8), node.input[2]))
    used = {name for node in kept for name in node.input}
    constants_kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(constants_kept)


def _reads_rectifier(
    node: onnx.NodeProto, producers: dict[str, onnx.NodeProto], constants: Mapping[str, onnx.TensorProto]
) -> bool:
    producer = producers.get(node.input[0].removesuffix(OUTPUT_SUFFIX))
    return producer is not None and is_rectifier(producer, constants)


def _plan_scales(quantised: onnx.ModelProto) -> dict[str, Scale]:
    """Name, for the scale of each activation, the float tensor whose range it is to cover."""
    zeros = {tensor.name: tensor for tensor in quantised.graph.initializer}
    scales: dict[str, Scale] = {}
    for node in quantised.graph.node:
        if node.op_type == "QuantizeLinear":
            is_unsigned = not numpy_helper.to_array(zeros[node.input[2]]).any()
            tensor = node.input[0].removesuffix(OUTPUT_SUFFIX)
            scales.setdefault(node.input[1], Scale(tensor, 255 if is_unsigned else 127))  # a pool shares its input's
    return scales


def _expose(path: Path, tensors: list[str]) -> None:
    """Make tensors outputs of the graph in the file."""
    model = onnx.load(path)
    outputs = {output.name for output in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in tensors if name not in outputs)
    onnx.save(model, path)


def _drop_unused_domains(model: onnx.ModelProto) -> None:
    """Leave out the operator sets that ONNX Runtime's tools declare and no node uses."""
    used = {node.domain for node in model.graph.node}
    kept = [entry for entry in model.opset_import if entry.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)


def _float_nodes(model: onnx.ModelProto, treatment: Treatment) -> list[str]:
    """Names of the nodes that stay in floating point."""
    head, convolution = _head_nodes(model)
    first = next(node.name for node in model.graph.node if node.op_type == "Conv")
    names = head - {convolution} if treatment.head else head
    names |= set() if treatment.first else {first}
    return sorted(names)


def _head_nodes(model: onnx.ModelProto) -> tuple[set[str], str]:
    """Names of the nodes from the feature maps to the logits, and of the convolution among them."""
    producers = {output: node for node in model.graph.node for output in node.output}
    maps = producers["maps"]
    names = {maps.name}
    wanted = ["logits"]
    while wanted:
        node = producers.get(wanted.pop())
        if node is not None and node.name not in names:
            names.add(node.name)
            wanted += [name for name in node.input if name != "maps"]
    if FEATURES in {output.name for output in model.graph.output}:
        names.add(producers[FEATURES].name)  # an average of what the head reads
    return names, maps.name


class _Reader:
    """ONNX Runtime's CalibrationDataReader, one frame at a time."""

    def __init__(self, frames: Frame) -> None:
        self._frames = iter(frames)

    def get_next(self) -> dict[str, npt.NDArray[Any]] | None:
        frame = next(self._frames, None)
        return None if frame is None else {"frames": frame[None]}
