"""INT8 retyped for TensorRT: the same numbers, signed, and FP16 wherever it is not INT8."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from onnx import TensorProto, numpy_helper

from yoga_live.calibration.runs import load_frames, load_run
from yoga_live.export.int8_for_tensorrt import fit_scale, retype_int8
from yoga_live.runtime.errors import ModelError


def replace_weights(model: onnx.ModelProto, name: str, values: np.ndarray) -> None:
    [tensor] = [tensor for tensor in model.graph.initializer if tensor.name == name]
    tensor.CopyFrom(numpy_helper.from_array(values, name))


def test_the_maps_are_the_same_to_the_last_bit_where_fp16_holds_every_number(
    exact_int8: onnx.ModelProto, run_plainly, noise: np.ndarray
) -> None:
    logits, maps = run_plainly(exact_int8, noise)
    retyped_logits, retyped_maps = run_plainly(retype_int8(exact_int8), noise)
    assert len(np.unique(maps)) > 50
    np.testing.assert_array_equal(retyped_maps, maps)
    np.testing.assert_allclose(retyped_logits, logits, rtol=2e-3)  # a mean of 64 numbers is rounded to FP16
    assert retyped_logits.dtype == retyped_maps.dtype == np.float32


def make_unsigned(model: onnx.ModelProto) -> None:
    """Move the rounding of the exact network to after its ReLU: 255 steps of 127/128 from zero, all exact in FP16."""
    relu = next(node for node in model.graph.node if node.op_type == "Relu")
    nodes = {node.output[0]: node for node in model.graph.node}
    relu.input[0], relu.output[0] = "c1", "cut"
    for name, entries in {
        "q2": ["cut", "unsigned_scale", "unsigned"],
        "d2": ["q2", "unsigned_scale", "unsigned"],
    }.items():
        del nodes[name].input[:]
        nodes[name].input.extend(entries)
    nodes["maps"].input[0] = "d2"
    model.graph.node.remove(relu)
    model.graph.node.insert([node.output[0] for node in model.graph.node].index("q2"), relu)
    model.graph.initializer.append(numpy_helper.from_array(np.array(0, np.uint8), "unsigned"))
    model.graph.initializer.append(numpy_helper.from_array(np.array(127 / 64, np.float32), "unsigned_scale"))


def test_unsigned_activations_keep_their_range_in_half_the_steps(
    exact_int8: onnx.ModelProto, run_plainly, noise: np.ndarray
) -> None:
    make_unsigned(exact_int8)
    expected = run_plainly(exact_int8, noise)[1]
    retyped = retype_int8(exact_int8)
    scale = next(tensor for tensor in retyped.graph.initializer if tensor.name == "unsigned_scale")
    assert numpy_helper.to_array(scale) == np.float16(255 / 64)
    maps = run_plainly(retyped, noise)[1]
    assert 0 < np.abs(maps - expected).max() <= 6 * (255 + 127) / 64 / 2 * 0.25  # 6 inputs, each off by half a step


def test_unsigned_activations_that_may_be_below_zero_are_refused(exact_int8: onnx.ModelProto) -> None:
    make_unsigned(exact_int8)
    next(node for node in exact_int8.graph.node if node.op_type == "Relu").op_type = "Neg"
    with pytest.raises(ModelError, match="`cut` is unsigned, but no ReLU"):
        retype_int8(exact_int8)


def test_a_real_network_stays_as_near_to_fp32_as_its_int8_file(
    exported_model: Path, int8_model: Path, trained_run: Path, run_plainly
) -> None:
    frames = np.concatenate([load_frames(load_run(trained_run), split)[0] for split in ("validation", "test")])
    full, small = (run_plainly(onnx.load(path), frames)[0] for path in (exported_model, int8_model))
    retyped = run_plainly(retype_int8(onnx.load(int8_model)), frames)[0]
    assert (retyped.argmax(axis=1) == small.argmax(axis=1)).all()
    # int8 has half of the steps after a ReLU: twice the error, four times its square
    assert np.square(retyped - full).mean() < 6 * np.square(small - full).mean()


def test_nothing_is_float32_but_the_outputs_and_nothing_uint8_but_the_frames(int8_model: Path) -> None:
    model = onnx.load(int8_model)
    before = model.SerializeToString(deterministic=True)
    retyped = retype_int8(model)
    assert model.SerializeToString(deterministic=True) == before
    inferred = onnx.shape_inference.infer_shapes(retyped, strict_mode=True, data_prop=True).graph
    types = {value.name: value.type.tensor_type.elem_type for value in [*inferred.value_info, *inferred.output]}
    assert {name for name, kind in types.items() if kind == TensorProto.FLOAT} == {"logits", "maps", "features"}
    assert TensorProto.UINT8 not in types.values() and TensorProto.INT8 in types.values()
    assert {tensor.data_type for tensor in retyped.graph.initializer} == {
        TensorProto.FLOAT16,
        TensorProto.INT8,
        TensorProto.INT64,
    }
    assert retyped.opset_import[0].version == 19 and retyped.ir_version == 10
    assert retyped.metadata_props == model.metadata_props
    kinds = [node.op_type for node in retyped.graph.node]
    assert kinds.count("Cast") == 4  # frames in; logits, maps and features out
    for kind in ("QuantizeLinear", "DequantizeLinear", "Conv"):
        assert kinds.count(kind) == [node.op_type for node in model.graph.node].count(kind)


def test_a_file_that_is_signed_already_is_taken_too(exact_int8: onnx.ModelProto, run_plainly, noise) -> None:
    expected = run_plainly(retype_int8(exact_int8), noise)[1]
    replace_weights(exact_int8, "zero", np.array(0, np.int8))
    for info in list(exact_int8.graph.value_info):
        exact_int8.graph.value_info.remove(info)
    np.testing.assert_array_equal(run_plainly(retype_int8(exact_int8), noise)[1], expected)


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("zero", np.array(127, np.uint8), "`centred` is uint8 with zero point 127"),
        ("in_scale", np.array(1e-7, np.float32), "scale 1e-07, which FP16 cannot hold"),
        ("in_scale", np.array(600, np.float32), "scale 600, which FP16 cannot hold"),
        ("first_scale", np.full(6, 700, np.float32), "the scales of `first`, 700 to 700"),
        ("first_scale", np.zeros(6, np.float32), "the scales of `first`, 0 to 0"),
        ("first_zero", np.ones(6, np.int8), "zero points up to 1"),
        ("head", np.full((3, 6, 1, 1), 7e4, np.float32), "`head` hold 7e"),
    ],
)
def test_what_would_not_be_the_same_network_is_refused(
    exact_int8: onnx.ModelProto, name: str, values: np.ndarray, reason: str
) -> None:
    replace_weights(exact_int8, name, values)
    with pytest.raises(ModelError) as caught:
        retype_int8(exact_int8)
    assert reason in str(caught.value) and "\n" not in str(caught.value)


def test_a_model_in_floating_point_is_refused(make_network) -> None:
    with pytest.raises(ModelError, match="not quantised; make an INT8 model"):
        retype_int8(make_network())


@settings(max_examples=200, deadline=None)
@given(
    arrays(np.int8, (4, 9)),
    arrays(np.float32, 4, elements=st.floats(-9, 2.5, width=32).map(lambda power: float(np.float32(10**power)))),
)
def test_weights_keep_their_values_whatever_their_scale(values: np.ndarray, scale: np.ndarray) -> None:
    fitted, rounded = fit_scale(values, scale)
    assert (rounded == rounded.astype(np.float16)).all()
    expected, new = values * scale[:, None].astype(float), fitted * rounded[:, None].astype(float)
    allowed = np.where(scale < 6.1e-5, 0.51 * rounded, 127 * scale / 2047)  # half a step; FP16's rounding of the scale
    assert (np.abs(expected - new) <= allowed[:, None]).all()
    normal = scale >= 6.2e-5
    np.testing.assert_array_equal(fitted[normal], values[normal])
