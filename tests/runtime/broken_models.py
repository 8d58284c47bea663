"""Ways in which a pose model, or the record of an engine, can be broken: name -> what breaks it so."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from yoga_live.runtime.core.model_metadata import ModelInfo

LABELS = ("tree", "warrior_2", "none")
Change = Callable[[Any], Any]
"""Changes a model in place, or returns the bytes of the file instead."""


def say(**values: Any) -> Change:
    """Other values in the metadata; `...` takes one out."""

    def change(model: Any) -> None:
        content = {**json.loads(ModelInfo(LABELS, 32).to_json()), **values}
        document = json.dumps({name: value for name, value in content.items() if value is not ...})
        helper.set_model_props(model, {"yoga_live": document})

    return change


def write_document(text: str) -> Change:
    return lambda model: helper.set_model_props(model, {"yoga_live": text})


def cut(share: float) -> Change:
    return lambda model: (content := model.SerializeToString())[: int(len(content) * share)]


def flip(seed: int) -> Change:
    def change(model: Any) -> bytes:
        content, draw = bytearray(model.SerializeToString()), random.Random(seed)
        for _ in range(6):
            content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        return bytes(content)

    return change


def bytes_of(content: bytes) -> Change:
    return lambda model: content


def constant(name: str) -> Callable[[Any], Any]:
    return lambda model: next(tensor for tensor in model.graph.initializer if tensor.name == name)


def set_input(
    element: int = TensorProto.UINT8, shape: tuple[Any, ...] = ("N", 32, 32, 3), name: str = "frames"
) -> Change:
    def change(model: Any) -> None:
        model.graph.input[0].CopyFrom(helper.make_tensor_value_info(name, element, shape))
        model.graph.node[0].input[0] = name

    return change


def set_output(number: int, shape: tuple[Any, ...], element: int = TensorProto.FLOAT, name: str = "") -> Change:
    def change(model: Any) -> None:
        old = model.graph.output[number].name
        model.graph.output[number].CopyFrom(helper.make_tensor_value_info(name or old, element, shape))

    return change


def drop_output(number: int) -> Change:
    def change(model: Any) -> None:
        del model.graph.output[number]

    return change


def add_input(model: Any) -> None:
    model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))


def set_divisor(value: float) -> Change:
    """Every map and logit is divided by it."""

    def change(model: Any) -> None:
        constant("sixteen")(model).CopyFrom(numpy_helper.from_array(np.array([value], np.float32), "sixteen"))

    return change


def break_maps_alone(model: Any) -> None:
    """Maps are not finite, logits are."""
    model.graph.node.append(helper.make_node("Log", ["minus"], ["broken"]))
    model.graph.initializer.append(numpy_helper.from_array(np.array([-1.0], np.float32), "minus"))
    model.graph.node.append(helper.make_node("Add", ["maps_whole", "broken"], ["maps"]))
    for node in model.graph.node[:-1]:
        for names in (node.input, node.output):
            names[:] = ["maps_whole" if name == "maps" else name for name in names]


def change_node(number: int, **values: Any) -> Change:
    def change(model: Any) -> None:
        for name, value in values.items():
            setattr(model.graph.node[number], name, value)

    return change


def rewire(number: int, name: str) -> Change:
    def change(model: Any) -> None:
        model.graph.node[number].input[0] = name

    return change


def set_opset(domain: str, version: int) -> Change:
    def change(model: Any) -> None:
        del model.opset_import[:]
        model.opset_import.append(helper.make_opsetid(domain, version))

    return change


def set_ir(version: int) -> Change:
    return lambda model: setattr(model, "ir_version", version)


def drop_graph(model: Any) -> None:
    model.ClearField("graph")


def drop_opset(model: Any) -> None:
    del model.opset_import[:]


def drop_nodes(model: Any) -> None:
    del model.graph.node[:]


def repeat_node(model: Any) -> None:
    model.graph.node.append(model.graph.node[1])


def turn_nodes(model: Any) -> None:
    nodes = list(model.graph.node)[::-1]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def claim(dims: list[int], content: bytes = b"\0\0\x80\x41") -> Change:
    """A constant that says it is larger than its bytes."""

    def change(model: Any) -> None:
        tensor = constant("sixteen")(model)
        tensor.CopyFrom(TensorProto(name="sixteen", data_type=TensorProto.FLOAT, dims=dims, raw_data=content))

    return change


def keep_outside(location: str, attribute: bool = False) -> Change:
    """Weights in another file."""

    def change(model: Any) -> None:
        tensor = TensorProto(name="sixteen", data_type=TensorProto.FLOAT, dims=[1])
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)
        tensor.external_data.add(key="length", value="4")
        if attribute:
            model.graph.node.insert(0, helper.make_node("Constant", [], ["other"], value=tensor))
        else:
            constant("sixteen")(model).CopyFrom(tensor)

    return change


def expand(size: int) -> Change:
    """The mean is blown up to `size` numbers before it is used."""

    def change(model: Any) -> None:
        model.graph.initializer.append(numpy_helper.from_array(np.array([size, 1, 1, 1], np.int64), "huge"))
        model.graph.node.insert(1, helper.make_node("Expand", ["floats", "huge"], ["grown"]))
        model.graph.node[2].input[0] = "grown"

    return change


def misfit(model: Any) -> None:
    """A shape that no picture has, asked for while it runs."""
    model.graph.initializer.append(numpy_helper.from_array(np.array([7, 7], np.int64), "seven"))
    model.graph.node.insert(1, helper.make_node("Reshape", ["floats", "seven"], ["shaped"]))
    model.graph.node[2].input[0] = "shaped"


def nest_graphs(depth: int) -> Change:
    """Field 7 (graph), 1 (node), 5 (attribute), 6 (graph), and so on; protocol buffers by hand."""

    def change(model: Any) -> bytes:
        inner = b""
        for _ in range(depth):
            for tag in (0x32, 0x2A, 0x0A):  # g of an attribute, attribute of a node, node of a graph
                length, size = len(inner), bytearray()
                while length > 0x7F:
                    size.append(length & 0x7F | 0x80)
                    length >>= 7
                inner = bytes([tag, *size, length]) + inner
        end, size = len(inner), bytearray()
        while end > 0x7F:
            size.append(end & 0x7F | 0x80)
            end >>= 7
        return model.SerializeToString() + bytes([0x3A, *size, end]) + inner

    return change


def say_twice(model: Any) -> None:
    for threshold in (0.1, 0.9):
        entry = model.metadata_props.add()
        entry.key, entry.value = "yoga_live", ModelInfo(LABELS, 32, threshold=threshold).to_json()


def say_in_latin_1(model: Any) -> bytes:
    content = say(labels=["tree", "sv\u00e4n", "none"])(model) or model.SerializeToString()
    return content.replace(b"sv\\u00e4n", b"sv\xe4n\xff\xfe\xfd\xfc\xfb")


NESTED = 100_000
BYTES: dict[str, Change] = {
    "empty": bytes_of(b""),
    "one byte": bytes_of(b"\x08"),
    "text": bytes_of(b"this is no model\n"),
    "html": bytes_of(b"<!doctype html><html><body>404</body></html>"),
    "zeros": bytes_of(bytes(1000)),
    "ones": bytes_of(b"\xff" * 1000),
    "noise": bytes_of(random.Random(1).randbytes(4000)),
    "png": bytes_of(b"\x89PNG\r\n\x1a\n" + bytes(100)),
    "zip": bytes_of(b"PK\x03\x04" + bytes(100)),
    "no end of a number": bytes_of(b"\x80" * 20),
    "length beyond the end": bytes_of(b"\x3a\xff\xff\xff\xff\x7f"),
    "length of 2 ** 63": bytes_of(b"\x3a" + b"\xff" * 8 + b"\x7f"),
    "graphs in graphs, 60 deep": nest_graphs(60),
    "graphs in graphs, 3000 deep": nest_graphs(3000),
    **{f"cut at {share:.0%}": cut(share) for share in (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)},
}
DOCUMENTS: dict[str, Change] = {
    "no metadata": lambda model: model.ClearField("metadata_props"),
    "metadata twice": say_twice,
    "metadata in Latin 1": say_in_latin_1,
    **{f"document {text!r}": write_document(text) for text in ("", "{", "[]", "3", "null", "{}", '"text"', "NaN")},
    "lists in lists": write_document("[" * NESTED),
    "whole lists in lists": write_document("[" * NESTED + "]" * NESTED),
    "objects in objects": write_document('{"a":' * NESTED),
    "lists in training": write_document('{"format": 1, "training": ' + "[" * NESTED + "]" * NESTED + "}"),
    "forty deep": say(training=json.loads('{"a":' * 40 + "1" + "}" * 40)),
    "another format": say(format=3),
    "format as text": say(format="1"),
    "no format": say(format=...),
    "a field too many": say(colour="blue"),
}
VALUES: dict[str, tuple[Any, ...]] = {
    "labels": (
        ..., None, "ab", 7, {}, [], ["tree"], [1, 2, 3], ["tree", "tree", "none"], ["tree", None, "none"],
        ["tree", ["a"], "none"], ["tree", "", "none"], ["tree", "\ud800", "none"], ["tree", "a\x1b[2J", "none"],
        ["tree", "a\nb", "none"], ["tree", "\u2028", "none"], ["tree", "\u202eeert", "none"],
        ["tree", "a" * 10_000, "none"], ["tree", "none"], ["a", "b", "c", "none"], [str(n) for n in range(10_001)],
    ),
    "size": (..., None, "32", True, 32.0, 0, -32, 31, 64, 200_000, 10**9, 10**30, 1e300, [32]),
    "temperature": (None, "1", True, [1], 0, -1, 1e-308, 5e-324, 1e308, float("inf"), float("nan"), 10**400),
    "threshold": (None, "0.5", True, -0.1, 1.1, float("inf"), float("nan")),
    "precision": (None, 16, ["fp32"], "x" * 1000, "fp32\nfp16"),
    "preprocessing": (None, 1, "x" * 1000),
    "training": (None, 1, "x", [1]),
    "calibration": (None, 1, "x", [1]),
}  # fmt: skip
DOCUMENTS.update(
    {f"{name} {str(value)[:24]!r}": say(**{name: value}) for name, values in VALUES.items() for value in values}
)
GRAPHS: dict[str, Change] = {
    "no graph": drop_graph,
    "no nodes": drop_nodes,
    "another input": set_input(name="images"),
    "floats in": set_input(TensorProto.FLOAT),
    "64 pixels in": set_input(shape=("N", 64, 64, 3)),
    "planes first": set_input(shape=("N", 3, 32, 32)),
    "three dimensions in": set_input(shape=(32, 32, 3)),
    "two inputs": add_input,
    "no logits": drop_output(0),
    "no maps": drop_output(1),
    "another output": set_output(0, ("N", 3), name="answers"),
    "doubles out": set_output(0, ("N", 3), TensorProto.DOUBLE),
    "whole numbers out": set_output(0, ("N", 3), TensorProto.INT64),
    "an element type of tomorrow": set_input(99),
    "a constant of 2 ** 40 numbers": claim([2**40]),
    "a constant of 2 ** 62 numbers": claim([2**62, 4]),
    "a constant of -1 numbers": claim([-1]),
    "a constant without its bytes": claim([1], b""),
    "an unknown operator": change_node(1, op_type="Meditate"),
    "an unknown domain": change_node(1, domain="org.example"),
    "a loop": rewire(1, "maps"),
    "nothing at the input": rewire(1, "nobody"),
    "an answer twice": repeat_node,
    "opset 999": set_opset("", 999),
    "opset 0": set_opset("", 0),
    "no opset": drop_opset,
    "IR 999": set_ir(999),
    **{
        f"weights in {place or 'nowhere'}{' of a node' * attribute}": keep_outside(place, attribute)
        for place in ("/etc/passwd", "../../etc/passwd", "/dev/zero", "weights.bin", "")
        for attribute in (False, True)
    },
}
ANSWERS: dict[str, Change] = {
    "NaN": set_divisor(float("nan")),
    "infinity": set_divisor(0.0),
    "the smallest divisor": set_divisor(1e-45),
    "a shape that does not fit": misfit,
    "more memory than there is": expand(2**50),
}
ODD: dict[str, Change] = {
    "nodes backwards": turn_nodes,
    "flat logits": set_output(0, (3,)),
    "deep logits": set_output(0, ("N", 3, 1)),
    "flat maps": set_output(1, ("N", 3)),
    "other maps": set_output(1, ("N", 5, 1, 1)),
    "another opset": set_opset("org.example", 1),
    "IR 0": set_ir(0),
    "negative sizes": set_input(shape=(-5, 32, 32, 3)),
    "maps alone are NaN": break_maps_alone,
    **{f"flipped bits {seed}": flip(seed) for seed in range(30)},
}
"""Some engines take them, some don't."""
REFUSED = {**BYTES, **DOCUMENTS, **GRAPHS}


def make_model() -> Any:
    """Logits are the mean of blue, green and red over 16."""
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["frames"], ["floats"], "cast", to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["floats", "middle"], ["means"], "mean", keepdims=1),
            helper.make_node("Transpose", ["means"], ["colours"], "turn", perm=[0, 3, 1, 2]),
            helper.make_node("Conv", ["colours", "kernel"], ["first"], "convolve first"),
            helper.make_node("Relu", ["first"], ["positive"], "cut"),
            helper.make_node("Conv", ["positive", "kernel"], ["middle_maps"], "convolve again"),
            helper.make_node("Conv", ["middle_maps", "kernel"], ["last_maps"], "convolve"),
            helper.make_node("Div", ["last_maps", "sixteen"], ["maps"], "divide"),
            helper.make_node("ReduceMean", ["maps", "last"], ["logits"], "pool", keepdims=0),
        ],
        "colours",
        [helper.make_tensor_value_info("frames", TensorProto.UINT8, ["N", 32, 32, 3])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 3]),
            helper.make_tensor_value_info("maps", TensorProto.FLOAT, ["N", 3, 1, 1]),
        ],
        [
            numpy_helper.from_array(np.array([1, 2]), "middle"),
            numpy_helper.from_array(np.array([2, 3]), "last"),
            numpy_helper.from_array(np.array([16.0], np.float32), "sixteen"),
            numpy_helper.from_array(np.eye(3, dtype=np.float32)[:, :, None, None], "kernel"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    say()(model)
    return model


FAULTS_AT_START = frozenset({"an unknown domain", "opset 999", "IR 999", "opset 0"})
RECORD: dict[str, Any] = {
    "format": 1,
    "model": json.loads(ModelInfo(LABELS, 32).to_json()),
    "gpu": {"name": "Orin", "compute_capability": "8.7", "multiprocessors": 8},
    "tensorrt": "10.3.0",
    "source": "yoga.onnx",
    "network_sha256": "00",
    "engine_sha256": "00",
    "built_with": {"workspace_mb": 512},
}
RECORDS: dict[str, str] = {
    "empty": "",
    "a list": "[]",
    "nested": "[" * NESTED,
    "nested inside": json.dumps({**RECORD, "built_with": 1}).replace("1}", '{"a":' * NESTED),
    "another format": json.dumps({**RECORD, "format": 2}),
    **{f"no {name}": json.dumps({key: value for key, value in RECORD.items() if key != name}) for name in RECORD},
    **{f"{name} is a number": json.dumps({**RECORD, name: 7}) for name in RECORD if name != "format"},
    "a source elsewhere": json.dumps({**RECORD, "source": "../yoga.onnx"}),
    "a source at the root": json.dumps({**RECORD, "source": "/etc/passwd"}),
    "no source at all": json.dumps({**RECORD, "source": ""}),
    "a source with a zero": json.dumps({**RECORD, "source": "a\0b"}),
    "half a GPU": json.dumps({**RECORD, "gpu": {"name": "Orin"}}),
    "a GPU of 1.5": json.dumps({**RECORD, "gpu": {**RECORD["gpu"], "multiprocessors": 1.5}}),
    "a workspace of text": json.dumps({**RECORD, "built_with": {"workspace_mb": "512 --force"}}),
    "a model of 200000 pixels": json.dumps({**RECORD, "model": {**RECORD["model"], "size": 200_000}}),
}
