"""A run of two poses without `none` and its model, made by hand: what the commands do where little is there."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from yoga_live.calibration.onnx_file import write_model
from yoga_live.calibration.runs import RunPhoto, write_run_photos
from yoga_live.runtime.core.model_metadata import ModelInfo

COLOURS = {"plank": (190, 90, 60), "tree": (60, 90, 190)}
SPLITS = {"train": 12, "validation": 6, "test": 6}
FINISHED = "2026-01-02T03:04:05+00:00"


def paint(path: Path, rgb: tuple[int, int, int], seed: int) -> str:
    """Write a photo of one colour with much noise; returns its checksum."""
    noise = np.random.default_rng(seed).normal(0, 60, (40, 48, 3))
    Image.fromarray((np.array(rgb) + noise).clip(0, 255).astype(np.uint8)).save(path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="session")
def colour_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two poses: planks are reddish, trees bluish."""
    folder, photos, rows = tmp_path_factory.mktemp("colours") / "run", tmp_path_factory.mktemp("painted"), []
    folder.mkdir()
    for pose, colour in COLOURS.items():
        (photos / pose).mkdir()
        for split, count in SPLITS.items():
            for _ in range(count):
                path = f"{pose}/{len(rows)}.png"
                rows.append(RunPhoto(path, paint(photos / path, colour, len(rows)), pose, len(rows), split))
    write_run_photos(folder / "photos.csv", rows)
    summary = {"labels": list(COLOURS), "config": {"size": 32}, "arch": "by hand", "finished_at": FINISHED}
    summary["metrics"] = {"test": {"accuracy": 1.0, "photos": 12}, "interrupted": False}
    (folder / "run.json").write_text(json.dumps({**summary, "photo_folder": str(photos)}))
    return folder


@pytest.fixture(scope="session")
def colour_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A residual network of three convolutions that answers by what is redder: no pose is `none`."""
    rng = np.random.default_rng(0)
    first = rng.normal(0, 0.05, (6, 3, 3, 3))
    first[0, 0] += 0.5  # a blue detector and a red one, BGR
    first[1, 2] += 0.5
    head = np.zeros((2, 6, 1, 1))
    head[0, 1] = head[1, 0] = 0.5
    weights = {
        "mean": np.full((1, 3, 1, 1), 114.0),
        "deviation": np.full((1, 3, 1, 1), 58.0),
        "first": first,
        "second": rng.normal(0, 0.05, (6, 6, 3, 3)),
        "head": head,
        "bias": np.array([0.01, -0.01]),
    }
    nodes = [
        helper.make_node("Cast", ["frames"], ["cast"], "cast", to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["cast"], ["planes"], "planes", perm=[0, 3, 1, 2]),
        helper.make_node("Sub", ["planes", "mean"], ["centred"], "centre"),
        helper.make_node("Div", ["centred", "deviation"], ["scaled"], "scale"),
        helper.make_node("Conv", ["scaled", "first"], ["wide"], "first_convolution", pads=[1] * 4),
        helper.make_node("Relu", ["wide"], ["positive"], "relu"),
        helper.make_node("Conv", ["positive", "second"], ["branch"], "second_convolution", pads=[1] * 4),
        helper.make_node("Add", ["branch", "positive"], ["sum"], "add"),
        helper.make_node("Relu", ["sum"], ["features"], "last_relu"),
        helper.make_node("Conv", ["features", "head"], ["maps"], "head_convolution"),
        helper.make_node("ReduceMean", ["maps", "axes"], ["mean_maps"], "pool", keepdims=0),
        helper.make_node("Add", ["mean_maps", "bias"], ["logits"], "bias_add"),
    ]
    constants = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()]
    constants.append(numpy_helper.from_array(np.array([2, 3]), "axes"))
    frames = helper.make_tensor_value_info("frames", TensorProto.UINT8, ["batch", 32, 32, 3])
    outputs = [
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2]),
        helper.make_tensor_value_info("maps", TensorProto.FLOAT, ["batch", 2, 32, 32]),
    ]
    graph = helper.make_graph(nodes, "colours", [frames], outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    path = tmp_path_factory.mktemp("colour_model") / "colours.onnx"
    write_model(model, ModelInfo(tuple(COLOURS), 32, training={"run": "colours", "finished_at": FINISHED}), path)
    return path
