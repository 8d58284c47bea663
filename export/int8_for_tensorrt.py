"""Converts INT8 for a strongly typed TensorRT network: int8 with zero point 0, and FP16 for the rest.

The files for x86 hold uint8 activations, which are three times as fast there as int8.  With zero point 128 both are the
same numbers, 128 apart.  After a ReLU they are unsigned with zero point 0: 255 steps from zero to the largest value,
where int8 has 127, each twice as wide.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, numpy_helper, version_converter

from ..calibration.onnx_file import is_rectifier
from ..runtime.errors import ModelError
from .fp16 import LARGEST, SMALLEST_NORMAL, convert_to_fp16

OPSET = 19
"""First opset whose QuantizeLinear and DequantizeLinear accept FP16 scales; TensorRT 10.3 reads up to 20."""

WORST_SCALE_ERROR = 1e-3
"""Limit of an activation scale's relative error in FP16; twice the rounding error of a normal number."""


def retype_int8(model: onnx.ModelProto) -> onnx.ModelProto:
    """Retype an INT8 pose model for TensorRT; the given model is not changed.

    Activations: uint8 with zero point 128 becomes int8 with zero point 0; unsigned ones, with zero point 0, keep their
    range in 127 steps instead of 255.  Weights: int8 per channel, unchanged unless their scale is too small for FP16's
    normal numbers (`fit_scale`).  Scales, biases and everything between are FP16, because a DequantizeLinear has the
    type of its scale.  Outputs stay float32.  Raises ModelError if the result would be another network.
    """
    nodes = [node for node in model.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    if not nodes:
        raise ModelError("the model is not quantised; make an INT8 model with yoga-calibrate int8")
    _check_unsigned(model)
    retyped = version_converter.convert_version(model, max(OPSET, _read_opset(model)))
    tensors = {tensor.name: tensor for tensor in retyped.graph.initializer}
    done: set[str] = set()
    for node in retyped.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear") and node.input[1] not in done:
            done.add(node.input[1])
            if node.input[0] in tensors:
                _refit_weights(tensors, node)
            else:
                _widen_unsigned(tensors, node)
                _check_scale(tensors, node)
    for node in nodes:
        if node.input[0] not in tensors:
            _shift_zero_point(tensors, node)
    del retyped.graph.value_info[:]  # it names uint8 where int8 is now
    half = convert_to_fp16(retyped)
    onnx.checker.check_model(half, full_check=True)
    return half


def fit_scale(
    values: npt.NDArray[np.int8], scale: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Round scales to FP16, and adapt the integers.  values: int8 (C, ...); scale: float32 (C,) or (1,).

    A normal FP16 number is off by at most 1/2048, which changes no integer.  Below 6.1e-5, as for a sixth of the
    shipped model's weight scales, it may be off by any factor: there the scale is rounded up, so that no integer
    leaves its range, and the integers are rounded again for the new scale.
    """
    rounded = scale.astype(np.float16)
    low = (rounded < scale) & (scale < SMALLEST_NORMAL)
    rounded = np.where(low, np.nextafter(rounded, np.float16(np.inf)), rounded).astype(np.float32)
    ratio = (scale.astype(np.float64) / rounded).reshape(-1, *[1] * (values.ndim - 1))
    return np.rint(values * ratio).clip(-128, 127).astype(np.int8), rounded


def _check_unsigned(model: onnx.ModelProto) -> None:
    """Refuse unsigned activations that may be negative, where int8 would not clip them.  Raises ModelError."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    zeros = {name for name, tensor in constants.items() if _is_unsigned(tensor)}
    makers = {output: node for node in model.graph.node for output in node.output}
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear" and len(node.input) > 2 and node.input[2] in zeros:
            maker = makers.get(node.input[0])
            while maker is not None and maker.op_type in ("MaxPool", "DequantizeLinear", "QuantizeLinear"):
                maker = makers.get(maker.input[0])
            if maker is None or not is_rectifier(maker, constants):
                raise ModelError(
                    f"the activation `{node.input[0]}` is unsigned, but no ReLU keeps it above zero; quantise with "
                    "yoga-calibrate int8"
                )


def _read_opset(model: onnx.ModelProto) -> int:
    return next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))


def _refit_weights(tensors: dict[str, TensorProto], node: onnx.NodeProto) -> None:
    """Set a constant's DequantizeLinear to a scale that FP16 can hold."""
    values, scale = (numpy_helper.to_array(tensors[name]) for name in node.input[:2])
    axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 1)
    zero = numpy_helper.to_array(tensors[node.input[2]]) if len(node.input) > 2 else np.zeros(1)
    if values.dtype != np.int8 or zero.any() or (scale.size > 1 and axis != 0):
        raise ModelError(
            f"the constant `{node.input[0]}` is {values.dtype} along axis {axis} with zero points up to {zero.max()}, "
            "not int8 along axis 0 with zero point 0; quantise with yoga-calibrate int8"
        )
    if not (scale.min() > 0 and scale.max() * 128 <= LARGEST):
        raise ModelError(
            f"the scales of `{node.input[0]}`, {scale.min():.3g} to {scale.max():.3g}, do not fit FP16; use FP32"
        )
    values, rounded = fit_scale(values, scale.reshape(-1))
    tensors[node.input[0]].CopyFrom(numpy_helper.from_array(values, node.input[0]))
    tensors[node.input[1]].CopyFrom(numpy_helper.from_array(rounded.reshape(scale.shape), node.input[1]))


def _check_scale(tensors: dict[str, TensorProto], node: onnx.NodeProto) -> None:
    """Refuse an activation whose scale FP16 cannot hold, because its integers cannot be adapted."""
    if node.input[1] not in tensors:
        raise ModelError(f"the scale `{node.input[1]}` is computed, not constant; quantise with yoga-calibrate int8")
    scale = float(numpy_helper.to_array(tensors[node.input[1]]).reshape(-1)[0])
    error = abs(float(np.float16(scale)) / scale - 1) if 0 < scale * 128 <= LARGEST else float("inf")
    if error > WORST_SCALE_ERROR:
        raise ModelError(
            f"the activation `{node.input[0]}` has the scale {scale:.3g}, which FP16 cannot hold; use FP32, or "
            "quantise with photos that show the poses"
        )


def _widen_unsigned(tensors: dict[str, TensorProto], node: onnx.NodeProto) -> None:
    """Set the scale of unsigned activations to cover their range with int8's 127 steps from zero."""
    zero, scale = (tensors.get(name) for name in (node.input[2] if len(node.input) > 2 else "", node.input[1]))
    if zero is not None and scale is not None and _is_unsigned(zero):
        step = numpy_helper.to_array(scale) * np.float32(255 / 127)
        scale.CopyFrom(numpy_helper.from_array(step, scale.name))


def _is_unsigned(zero: TensorProto) -> bool:
    return zero.data_type == TensorProto.UINT8 and not numpy_helper.to_array(zero).any()


def _shift_zero_point(tensors: dict[str, TensorProto], node: onnx.NodeProto) -> None:
    """Convert uint8 to int8 with zero point 0: from 128, subtract 128 on both sides; from 0, unchanged."""
    name = node.input[2] if len(node.input) > 2 else ""
    zero = numpy_helper.to_array(tensors[name]) if name in tensors else np.zeros(1, np.uint8)
    if zero.dtype == np.int8 and not zero.any():
        return  # already converted, or shifted for another node
    if name not in tensors or zero.dtype != np.uint8 or ((zero != 128) & (zero != 0)).any():
        raise ModelError(
            f"the activation `{node.input[0]}` is {zero.dtype} with zero point {int(zero.reshape(-1)[0])}; TensorRT "
            "takes symmetric ones and those from zero on; quantise with yoga-calibrate int8"
        )
    tensors[name].CopyFrom(numpy_helper.from_array(np.zeros(zero.shape, np.int8), name))
