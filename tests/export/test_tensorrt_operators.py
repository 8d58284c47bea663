"""Every graph that goes to TensorRT, walked against the table of what its ONNX parser takes.

TensorRT itself runs on NVIDIA's GPUs alone; its table (operators, types, restrictions) is published.
"""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from yoga_live.calibration.onnx_file import read_model, write_model
from yoga_live.export.engine import EngineOptions, export_engine
from yoga_live.export.fp16 import convert_to_fp16
from yoga_live.export.onnx_export import build_model
from yoga_live.export.people_network import prepare_people_network
from yoga_live.runtime.classifier import DEFAULT_MODEL
from yoga_live.runtime.core.model_metadata import ModelInfo
from yoga_live.runtime.people.finder import PEOPLE_MODEL
from yoga_live.train.fit.config import ARCHS
from yoga_live.train.fit.network import PoseNetwork

TABLE = Path(__file__).with_name("tensorrt_operators.csv")
OPSETS = range(9, 21)
"""Of TensorRT 10.0, the oldest table of the versions that we build with (10.3 and later)."""
NAMES = {
    TensorProto.FLOAT: "FP32",
    TensorProto.FLOAT16: "FP16",
    TensorProto.BFLOAT16: "BF16",
    TensorProto.INT32: "INT32",
    TensorProto.INT64: "INT64",
    TensorProto.INT8: "INT8",
    TensorProto.UINT8: "UINT8",
    TensorProto.BOOL: "BOOL",
}
QUANTISERS = ("QuantizeLinear", "DequantizeLinear")


def read_table() -> dict[str, tuple[set[str], str]]:
    """Types and restriction of every operator."""
    lines = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return {row["operator"]: (set(row["types"].split()), row["restriction"]) for row in csv.DictReader(lines)}


class Walk:
    """A graph with the type and rank of every tensor."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
        graph = self.model.graph
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        self.types: dict[str, int] = {name: tensor.data_type for name, tensor in self.constants.items()}
        self.ranks = {name: len(tensor.dims) for name, tensor in self.constants.items()}
        for value in (*graph.input, *graph.value_info, *graph.output):
            self.types[value.name] = value.type.tensor_type.elem_type
            self.ranks[value.name] = len(value.type.tensor_type.shape.dim)
        self.edges = {value.name for value in (*graph.input, *graph.output)}

    def is_zero(self, name: str) -> bool:
        return name in self.constants and not numpy_helper.to_array(self.constants[name]).any()

    def complaints(self) -> Iterator[str]:
        """What the parser would not take, a line each."""
        for entry in self.model.opset_import:
            if entry.domain not in ("", "ai.onnx") or entry.version not in OPSETS:
                yield f"opset {entry.domain or 'ai.onnx'} {entry.version}"
        table = read_table()
        for node in self.model.graph.node:
            where = f"{node.op_type} {node.output[0]}"
            if node.op_type not in table or node.domain not in ("", "ai.onnx"):
                yield f"{where}: not in the table"
                continue
            types, restriction = table[node.op_type]
            yield from (f"{where}: {problem}" for problem in self._check_types(node, types))
            if restriction and node.op_type not in RESTRICTIONS:
                yield f"{where}: nobody checks that {restriction}"
            elif restriction and not RESTRICTIONS[node.op_type](self, node):
                yield f"{where}: {restriction}"

    def _check_types(self, node: onnx.NodeProto, types: set[str]) -> Iterator[str]:
        """The first input is the data, as the table means it; what is given is checked where nothing is quantised."""
        named = [node.input[0]] if node.input else []
        named += [] if node.op_type in QUANTISERS else [node.output[0]]
        for name in named:
            kind = NAMES.get(self.types.get(name, 0), "unknown")  # pyright: ignore[reportCallIssue, reportArgumentType]
            if kind not in types:
                yield f"{name} is {kind}"
        for name in (*node.input, *node.output):
            if self.types.get(name) == TensorProto.UINT8 and name not in self.edges:
                yield f"{name} is UINT8 inside the network"
            if self.types.get(name) == TensorProto.INT8 and node.op_type not in QUANTISERS:
                yield f"{name} is INT8 without a DequantizeLinear"


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def is_pooling_plain(walk: Walk, node: onnx.NodeProto) -> bool:
    dilations = attributes(node).get("dilations", [])
    return walk.ranks[node.input[0]] in (4, 5) and set(dilations) <= {1} and len(node.output) == 1


def has_constant_axes(walk: Walk, node: onnx.NodeProto) -> bool:
    return "axes" in attributes(node) or len(node.input) < 2 or node.input[1] in walk.constants


def has_zero_point_zero(walk: Walk, node: onnx.NodeProto) -> bool:
    return len(node.input) < 3 or walk.is_zero(node.input[2])


def is_resize_plain(walk: Walk, node: onnx.NodeProto) -> bool:
    """Scales could be computed too, but then the output's shape is not known before it runs."""
    modes = attributes(node)
    known = b"half_pixel", b"pytorch_half_pixel", b"tf_half_pixel_for_nn", b"asymmetric", b"align_corners"
    is_known = modes.get("coordinate_transformation_mode", b"half_pixel") in known
    return is_known and modes.get("mode", b"nearest") in (b"nearest", b"linear") and node.input[2] in walk.constants


RESTRICTIONS: dict[str, Callable[[Walk, onnx.NodeProto], bool]] = {
    "AveragePool": is_pooling_plain,
    "MaxPool": is_pooling_plain,
    "Resize": is_resize_plain,
    "QuantizeLinear": has_zero_point_zero,
    "DequantizeLinear": has_zero_point_zero,
    **{name: has_constant_axes for name in ("ReduceMax", "ReduceMean", "ReduceSum", "Squeeze", "Unsqueeze")},
}


def list_complaints(model: onnx.ModelProto) -> list[str]:
    return list(Walk(model).complaints())


@pytest.fixture(scope="module")
def files(exported_model: Path, int8_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What users give `yoga-export engine`: the run's FP32, FP16 and INT8 files, and the shipped model."""
    half = tmp_path_factory.mktemp("half") / "tiny.fp16.onnx"
    model, info = read_model(exported_model)
    write_model(convert_to_fp16(model), ModelInfo(info.labels, info.size, "fp16"), half)
    return {"fp32": exported_model, "fp16": half, "int8": int8_model, "shipped": DEFAULT_MODEL}


NAMED = ("fp32", "fp16", "int8", "shipped")


@pytest.fixture
def parsed(files: dict[str, Path], gpu: Any, tmp_path: Path) -> Callable[[str], onnx.ModelProto]:
    """The bytes that TensorRT's parser is given, as the engine command rewrote them."""

    def parse(name: str) -> onnx.ModelProto:
        path = tmp_path / f"{name}.engine"
        export_engine(files[name], path, EngineOptions(workspace_mb=64), gpu.bindings)
        return onnx.load_from_string(path.read_bytes().split(b"\n", 1)[1])

    return parse


@pytest.mark.parametrize("name", NAMED)
def test_tensorrts_parser_takes_every_graph_that_it_is_given(
    name: str, parsed: Callable[[str], onnx.ModelProto]
) -> None:
    model = parsed(name)
    assert not list_complaints(model)
    kinds = {node.op_type for node in model.graph.node}
    assert {"Conv", "Relu", "Cast"} <= kinds and (name in ("fp32", "fp16")) == (not kinds & set(QUANTISERS))


@pytest.mark.parametrize("arch", ARCHS)
def test_tensorrts_parser_takes_every_architecture_in_fp16(arch: str) -> None:
    model = build_model(PoseNetwork(3, arch=arch).eval(), 32)
    assert not list_complaints(model) and not list_complaints(convert_to_fp16(model))


def test_the_int8_file_for_x86_would_be_refused(files: dict[str, Path]) -> None:
    """Why the engine command rewrites it: and the walk sees it."""
    complaints = list_complaints(onnx.load(files["int8"]))
    assert any("UINT8 inside the network" in line for line in complaints)
    assert any("zero_point must be" in line for line in complaints)


def test_tensorrts_parser_takes_the_people_finder_that_it_is_given_and_not_the_shipped_file() -> None:
    shipped = onnx.load(PEOPLE_MODEL)
    assert not list_complaints(prepare_people_network(shipped))
    complaints = list_complaints(shipped)
    assert any("zero_point must be" in line for line in complaints)


def make_graph(node: onnx.NodeProto, kind: int, opset: int = 18, **constants: np.ndarray) -> onnx.ModelProto:
    """One node between an input `x` of (1, 2, 4, 4) and its outputs."""
    outputs = [helper.make_empty_tensor_value_info(name) for name in node.output]
    given = [helper.make_tensor_value_info("x", kind, [1, 2, 4, 4])]
    given += [helper.make_tensor_value_info("axes", TensorProto.INT64, [2])] if "axes" in node.input[1:] else []
    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph([node], "g", given, outputs, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


ZERO = {"scale": np.float32(0.1), "zero": np.int8(0)}
POOL: dict[str, Any] = {"kernel_shape": [2, 2]}


@pytest.mark.parametrize(
    ("model", "complaint"),
    [
        (make_graph(helper.make_node("Relu", ["x"], ["y"]), TensorProto.FLOAT16), ""),
        (make_graph(helper.make_node("Relu", ["x"], ["y"]), TensorProto.FLOAT16, 22), "opset ai.onnx 22"),
        (make_graph(helper.make_node("Transpose", ["x"], ["y"]), TensorProto.UINT8), "x is UINT8"),
        (make_graph(helper.make_node("Det", ["x"], ["y"]), TensorProto.FLOAT), "not in the table"),
        (make_graph(helper.make_node("MaxPool", ["x"], ["y"], **POOL), TensorProto.FLOAT), ""),
        (make_graph(helper.make_node("MaxPool", ["x"], ["y", "i"], **POOL), TensorProto.FLOAT), "Indices"),
        (
            make_graph(helper.make_node("MaxPool", ["x"], ["y"], **POOL, dilations=[2, 2]), TensorProto.FLOAT),
            "dilations must be",
        ),
        (make_graph(helper.make_node("ReduceMean", ["x", "axes"], ["y"]), TensorProto.FLOAT), "axes must be"),
        (make_graph(helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["y"]), TensorProto.FLOAT, **ZERO), ""),
        (
            make_graph(
                helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["y"]),
                TensorProto.FLOAT,
                **{**ZERO, "zero": np.int8(3)},
            ),
            "y_zero_point must be 0",
        ),
        (
            make_graph(
                helper.make_node("LayerNormalization", ["x", "s"], ["y"]), TensorProto.FLOAT, s=np.ones(4, "f4")
            ),
            "nobody checks",
        ),
    ],
)
def test_the_walk_sees_what_the_parser_would_refuse(model: onnx.ModelProto, complaint: str) -> None:
    complaints = list_complaints(model)
    assert any(complaint in line for line in complaints) if complaint else not complaints


POLYGRAPHY = shutil.which("polygraphy", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])))


ABOUT_ITSELF = (  # warnings that say nothing of the model
    "'colored' module is not installed",
    "is dynamic",  # the batch; polygraphy draws inputs for one frame
    "Will generate data of shape",
    "Could not find a CPU kernel and hence cannot constant fold",  # ONNX Runtime on CPUs, of FP16
)


@pytest.mark.skipif(POLYGRAPHY is None, reason="polygraphy is not installed: pip install polygraphy onnx-graphsurgeon")
@pytest.mark.parametrize("question", [("inspect", "model"), ("check", "lint")], ids=" ".join)
@pytest.mark.parametrize("name", NAMED)
def test_polygraphy_finds_nothing(
    name: str, question: tuple[str, str], parsed: Callable[[str], onnx.ModelProto], tmp_path: Path
) -> None:
    path = tmp_path / "given.onnx"
    onnx.save(parsed(name), path)
    answer = subprocess.run([str(POLYGRAPHY), *question, str(path)], capture_output=True, text=True, check=False)
    said = answer.stdout + answer.stderr
    assert answer.returncode == 0, said
    warnings = [line for line in said.splitlines() if line.startswith(("[W]", "[E]", "[!]"))]
    assert not [line for line in warnings if not any(known in line for known in ABOUT_ITSELF)], said
