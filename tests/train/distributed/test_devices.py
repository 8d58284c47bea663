"""Devices: what was asked for is there, and each worker of a machine has its own."""

from __future__ import annotations

import pytest
import torch

from yoga_live.runtime.errors import DeviceError
from yoga_live.train.distributed.devices import choose_device, choose_own_device


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.parametrize("name", ["cuda", "cuda:1"])
def test_a_gpu_that_was_asked_for_and_is_missing_is_an_error(name: str) -> None:
    with pytest.raises(DeviceError, match=f"--device {name}"):
        choose_device(name)


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cpu:many", "", "meta"])
def test_an_unknown_device_is_refused(name: str) -> None:
    with pytest.raises(DeviceError, match=f"--device {name}"):
        choose_device(name)


def test_auto_takes_what_is_there() -> None:
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert choose_device("cpu").type == "cpu"


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    return monkeypatch


@pytest.mark.parametrize("rank", ["1", "3"])
def test_a_worker_takes_the_gpu_of_its_local_rank_whatever_its_rank_among_all(
    two_gpus: pytest.MonkeyPatch, rank: str
) -> None:
    for name, value in (("RANK", rank), ("LOCAL_RANK", "1"), ("LOCAL_WORLD_SIZE", "2")):
        two_gpus.setenv(name, value)
    assert choose_own_device("auto") == choose_own_device("cuda") == torch.device("cuda", 1)
    assert choose_own_device("cpu") == torch.device("cpu")


def test_more_workers_than_gpus_and_a_shared_gpu_are_refused(two_gpus: pytest.MonkeyPatch) -> None:
    two_gpus.setenv("LOCAL_RANK", "2")
    two_gpus.setenv("LOCAL_WORLD_SIZE", "3")
    with pytest.raises(DeviceError, match="3 workers on a machine where torch sees 2 GPUs"):
        choose_own_device("auto")
    with pytest.raises(DeviceError, match="cannot share a GPU"):
        choose_own_device("cuda:1")
