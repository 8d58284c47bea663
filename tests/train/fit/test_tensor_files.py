"""Tensors on a disk that is full, or is not there."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from yoga_live.runtime.errors import OutputError
from yoga_live.train.fit.network import PoseNetwork, save_weights
from yoga_live.train.fit.tensor_files import write_tensors


def test_a_full_disk_is_one_line_and_leaves_what_was_there(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="a limit on the size of files stands in for a full disk")
    path, network = tmp_path / "weights.safetensors", PoseNetwork(2, arch="resnet18")
    write_tensors(path, {"old": torch.ones(3)}, {})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000_000, hard))
    try:
        with pytest.raises(
            OutputError, match=r"cannot write .*weights\.safetensors \(.*[Ff]ile too large.*\); free some space"
        ):
            save_weights(network, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert load_file(path)["old"].tolist() == [1, 1, 1] and list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_gone_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        write_tensors(tmp_path / "gone" / "a.safetensors", {"a": torch.zeros(1)}, {})
