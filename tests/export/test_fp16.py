"""FP16: half of everything inside, the same doors, and no Cast but at them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, numpy_helper

from yoga_live.export.fp16 import convert_to_fp16, weigh_subnormals
from yoga_live.runtime.errors import ModelError


def test_every_number_inside_is_float16_and_casts_stand_at_the_doors_alone(make_network) -> None:
    model = make_network()
    before = model.SerializeToString(deterministic=True)
    half = convert_to_fp16(model)
    assert model.SerializeToString(deterministic=True) == before
    onnx.checker.check_model(half, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(half, strict_mode=True).graph
    types = {value.name: value.type.tensor_type.elem_type for value in [*inferred.value_info, *inferred.output]}
    assert {name for name, kind in types.items() if kind == TensorProto.FLOAT} == {"logits", "maps"}
    assert {tensor.data_type for tensor in half.graph.initializer} == {TensorProto.FLOAT16, TensorProto.INT64}
    casts = [(node.input[0], node.output[0]) for node in half.graph.node if node.op_type == "Cast"]
    assert [cast[0] for cast in casts][:1] == ["frames"] and {cast[1] for cast in casts[1:]} == {"logits", "maps"}
    assert len(half.graph.node) == len(model.graph.node) + 2
    assert (half.ir_version, half.opset_import) == (model.ir_version, model.opset_import)
    assert half.graph.input == model.graph.input and half.metadata_props == model.metadata_props


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), gain=st.floats(0.1, 20))
def test_answers_stay_those_of_fp32_on_any_frames(make_network, run_plainly, seed: int, gain: float) -> None:
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 256, (rng.integers(1, 4), 32, 32, 3), dtype=np.uint8)
    frames[0] = rng.integers(0, 256, 3)  # one colour
    model = make_network(gain, seed % 1000)
    for expected, half in zip(run_plainly(model, frames), run_plainly(convert_to_fp16(model), frames), strict=True):
        assert half.dtype == np.float32 and half.shape == expected.shape
        assert np.abs(half - expected).max() <= 0.005 * np.abs(expected).max() + 0.002


@pytest.mark.parametrize("value", [7e4, -7e4, np.inf, np.nan])
def test_a_weight_beyond_fp16_is_refused_by_name(make_network, value: float) -> None:
    model = make_network()
    [tensor] = [tensor for tensor in model.graph.initializer if tensor.name == "second"]
    values = numpy_helper.to_array(tensor).copy()
    values[0, 0, 0, 0] = value
    tensor.CopyFrom(numpy_helper.from_array(values, "second"))
    with pytest.raises(ModelError, match="weights `second` hold"):
        convert_to_fp16(model)


def test_the_share_of_weights_that_lose_digits_is_counted(make_network) -> None:
    model = make_network()
    assert weigh_subnormals(model) == 0
    total = sum(numpy_helper.to_array(tensor).size for tensor in model.graph.initializer) - 2  # but the axes
    [tensor] = [tensor for tensor in model.graph.initializer if tensor.name == "third_bias"]
    values = np.array([1e-5, -1e-9, 6.0e-5, 6.2e-5, 0, 1, 1, 1], np.float32)
    tensor.CopyFrom(numpy_helper.from_array(values, "third_bias"))
    assert weigh_subnormals(model) == pytest.approx(3 / total)
