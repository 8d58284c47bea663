"""Rebuilding the small model: the starting weights in torchvision's terms, and every step but the second opinion."""

from __future__ import annotations

import shutil
import sys
from argparse import Namespace
from pathlib import Path

import pytest
import torch

from yoga_live.calibration.onnx_file import read_model
from yoga_live.train.fit.network import IMAGENET_MEAN, IMAGENET_STD, PoseNetwork
from yoga_live.train.fit.tensor_files import write_tensors

sys.path.append(str(Path(__file__).parents[3] / "benchmarks" / "shipped_model"))

from small import list_steps, take_over  # pyright: ignore[reportMissingImports]

QUICK = ("--train-only", "00*", "--size", "32", "--epochs-frozen", "1", "--epochs", "0", "--device", "cpu")


def test_the_first_layer_sees_the_same_through_torchvisions_scale() -> None:
    torch.manual_seed(0)
    theirs, mine = (PoseNetwork(2, arch="mobilenet_v2").eval() for _ in range(2))
    norm = theirs.net.features[0][1]
    torch.nn.init.uniform_(norm.weight, 0.5, 2)
    torch.nn.init.uniform_(norm.running_var, 0.5, 2)
    taken = take_over(theirs.net.state_dict())
    assert not any(name.startswith("classifier") for name in taken)
    mine.net.load_state_dict(taken, strict=False)
    pixels = torch.randint(0, 256, (1, 3, 64, 64)).float()
    mean, std = (255 * torch.tensor(values).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    with torch.inference_mode():
        expected = theirs.net.features[0](pixels / 127.5 - 1)
        found = mine.net.features[0]((pixels - mean) / std)
    inside = (slice(None), slice(None), slice(1, -1), slice(1, -1))  # at the edges both pad with zero
    torch.testing.assert_close(found[inside], expected[inside], rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_photos_become_a_small_int8_model_of_the_same_poses(drawn_photos: Path, tmp_path: Path) -> None:
    shutil.copytree(drawn_photos, tmp_path / "photos")  # gathered already
    weights = tmp_path / "theirs.safetensors"
    write_tensors(weights, PoseNetwork(2, arch="mobilenet_v2").net.state_dict(), {})
    args = Namespace(sources=tmp_path, strangers=tmp_path, weights=weights, work=tmp_path)
    steps = list_steps(args, [*QUICK, "--batch", "16"])
    for output, step in steps[1:-1]:  # the second opinion has tests of its own
        assert step() == 0 and output.exists()
    info = read_model(tmp_path / "small.int8.onnx")[1]
    assert (info.precision, info.size, info.training["arch"]) == ("int8", 32, "mobilenet_v2")
    assert steps[-1][0] == tmp_path / "small.onnx"
