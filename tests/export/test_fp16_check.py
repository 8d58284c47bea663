"""Overflow and rounding in FP16, told from FP32 graphs."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from yoga_live.export.fp16 import convert_to_fp16
from yoga_live.export.fp16_check import LEAST_HEADROOM, check_headroom, measure_magnitudes, round_activations
from yoga_live.runtime.errors import ModelError


def list_answers(model: onnx.ModelProto, frames: np.ndarray) -> dict[str, np.ndarray]:
    """What every node gives."""
    import onnxruntime

    shown = onnx.ModelProto()
    shown.CopyFrom(onnx.shape_inference.infer_shapes(model))
    shown.graph.output.extend(shown.graph.value_info)
    session = onnxruntime.InferenceSession(shown.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, map(np.asarray, session.run(names, {"frames": frames})), strict=True))


def test_the_largest_number_of_every_node_is_found_over_all_batches(make_network, noise, run_plainly) -> None:
    model = make_network(gain=30)
    measured = measure_magnitudes(model, noise)  # twelve frames: a batch of eight and one of four
    answers = list_answers(model, noise)
    expected = {
        "Sub `centred`": answers["centred"],
        "Div `normal`": answers["normal"],
        "Conv `first`": answers["c1"],
        "Conv `second`": answers["c2"],
        "Conv `third`": answers["c3"],
        "Add `sum`": answers["sum"],
        "Conv `head`": answers["maps"],
        "ReduceMean `means`": answers["maps"].sum(axis=(2, 3)),  # on its way to a mean
        "Add `logits`": answers["logits"],
    }
    found = {magnitude.node: magnitude.largest for magnitude in measured.magnitudes}
    assert found == pytest.approx({name: np.abs(values).max() for name, values in expected.items()}, rel=1e-5)
    assert [m.largest for m in measured.magnitudes] == sorted(found.values(), reverse=True)
    np.testing.assert_allclose(measured.logits, answers["logits"], rtol=1e-4, atol=1e-4)


def test_a_network_that_overflows_is_refused_and_the_node_named(make_network, noise) -> None:
    nearest = check_headroom(measure_magnitudes(make_network(), noise))
    assert nearest.headroom == pytest.approx(65504 / nearest.largest) and nearest.headroom > 100
    gain = 0.9 * nearest.headroom / LEAST_HEADROOM  # biases aside, everything grows with it
    assert check_headroom(measure_magnitudes(make_network(gain / 2), noise)).headroom > LEAST_HEADROOM
    with pytest.raises(ModelError, match=r"FP16 might overflow: \w+ `\w+` reaches [\d,]+ on"):
        check_headroom(measure_magnitudes(make_network(gain * 2), noise))


def test_a_sum_that_overflows_is_refused_although_its_mean_does_not(make_network, noise) -> None:
    measured = measure_magnitudes(make_network(gain=400), noise)
    largest = {magnitude.node: magnitude.largest for magnitude in measured.magnitudes}
    scale = 65504 / LEAST_HEADROOM / largest["Conv `head`"] / 2
    model = make_network(gain=400)
    [tensor] = [tensor for tensor in model.graph.initializer if tensor.name == "head"]
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(scale), "head"))
    with pytest.raises(ModelError, match="FP16 might overflow: ReduceMean `means`"):
        check_headroom(measure_magnitudes(model, noise))


def test_answers_that_are_not_finite_are_refused(make_network, noise) -> None:
    model = make_network()
    [tensor] = [tensor for tensor in model.graph.initializer if tensor.name == "bias"]
    tensor.CopyFrom(numpy_helper.from_array(np.array([0, np.nan, 0], np.float32), "bias"))
    with pytest.raises(ModelError, match="not finite"):
        check_headroom(measure_magnitudes(model, noise))


def test_the_rounding_graph_computes_what_numpy_computes_in_half_precision(noise, run_plainly) -> None:
    frames = helper.make_tensor_value_info("frames", TensorProto.UINT8, [12, 32, 32, 3])
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("logits", "maps")]
    constants = {"a": np.array(116.3, np.float32), "b": np.array(57.4, np.float32), "c": np.array(0.3371, np.float32)}
    nodes = [
        helper.make_node("Cast", ["frames"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["x", "a"], ["y"]),
        helper.make_node("Div", ["y", "b"], ["z"]),
        helper.make_node("Relu", ["z"], ["logits"]),
        helper.make_node("Mul", ["logits", "c"], ["maps"]),
    ]
    weights = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "tiny", [frames], outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    a, b, c = (np.float16(value) for value in constants.values())
    logits = np.maximum((noise.astype(np.float16) - a) / b, np.float16(0))
    rounding = round_activations(convert_to_fp16(model))
    answers = run_plainly(rounding, noise)
    np.testing.assert_array_equal(answers[0], logits.astype(np.float32))
    np.testing.assert_array_equal(answers[1], (logits * c).astype(np.float32))


def test_rounding_survives_onnx_runtimes_optimiser(make_network, noise, run_plainly) -> None:
    rounding = round_activations(convert_to_fp16(make_network()))
    answers = list_answers(rounding, noise)
    for name in ("c1", "r1", "sum", "deep", "graph_output_cast_1"):
        np.testing.assert_array_equal(answers[name], answers[name].astype(np.float16).astype(np.float32))
    assert (answers["c1_exact"] != answers["c1"]).mean() > 0.9
    assert np.abs(answers["logits"] - run_plainly(make_network(), noise)[0]).max() < 0.01
