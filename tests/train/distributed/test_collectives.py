"""Two processes train as one does: shares, sums, and the losses of every epoch."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from yoga_live.calibration.runs import load_run
from yoga_live.runtime.errors import DeviceError
from yoga_live.train.distributed.collectives import Workers
from yoga_live.train.distributed.launcher import check_devices


@pytest.mark.parametrize("total", [0, 1, 2, 7, 32])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_shares_cover_everything_once_and_differ_by_one_at_most(total: int, count: int) -> None:
    shares = [list(range(total))[Workers(rank, count).own_slice(total)] for rank in range(count)]
    assert [item for share in shares for item in share] == list(range(total))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_alone_everything_is_given_back() -> None:
    workers = Workers()
    assert workers.is_writer and torch.equal(workers.all_reduce(torch.ones(2)), torch.ones(2))
    assert torch.equal(workers.all_gather(torch.arange(5), 5), torch.arange(5))
    assert workers.broadcast_object({"epoch": 3}) == {"epoch": 3} and workers.all_gather_object("here") == ["here"]
    head = {"fc": torch.ones(2)}
    workers.broadcast(head.values())
    assert workers.broadcast_tensors(head) is head
    workers.barrier()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_more_devices_than_there_are_are_refused() -> None:
    with pytest.raises(DeviceError, match="CPU cores"):
        check_devices("cpu", (os.cpu_count() or 1) + 1)


TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def list_words(photos: Path, weights: Path, to: Path, *options: str) -> list[str]:
    return [
        *("fit", str(photos), "--to", str(to), "--weights", str(weights), "--epochs-frozen", "3", "--epochs", "2"),
        *("--size", "32", "--batch", "12", "--device", "cpu", "--rate", "1e-4", "--arch", "resnet18", *options),
    ]


def read_numbers(run: Path) -> np.ndarray:
    with (run / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return np.array([[float(row["train_loss"] or 0), float(row["validation_nll"])] for row in rows])


@pytest.mark.slow
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two CPU cores")
def test_two_processes_have_the_losses_of_one_with_the_same_global_batch(
    drawn_photos: Path, start_weights: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from yoga_live.train.cli.main import main

    photos = tmp_path / "photos"
    for pose in drawn_photos.iterdir():
        (photos / pose.name).mkdir(parents=True)
        for path in sorted(pose.iterdir())[:7]:
            shutil.copy2(path, photos / pose.name)
    for name, options in {"one": (), "two": ("--devices", "2")}.items():
        assert main(list_words(photos, start_weights, tmp_path / name, *options)) == 0
        assert capfd.readouterr().out.count("kept epoch") == 1  # one of the workers speaks
    command = [*TORCHRUN, "-m", "yoga_live.train", *list_words(photos, start_weights, tmp_path / "torchrun")]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, check=False)
    assert done.returncode == 0 and done.stdout.count("kept epoch") == 1, done.stderr
    one = read_numbers(tmp_path / "one")
    assert one.shape == (3, 2)
    for name in ("two", "torchrun"):
        # BF16 sums of another order; each batch of 12 is two of 6
        np.testing.assert_allclose(read_numbers(tmp_path / name), one, rtol=0.02)
        assert load_run(tmp_path / name).photos == load_run(tmp_path / "one").photos
        assert json.loads((tmp_path / name / "run.json").read_text())["devices"] == 2


def test_a_worker_that_fails_is_one_line(ask, drawn_photos: Path, tmp_path: Path) -> None:
    from yoga_live.train.cli.main import main

    (tmp_path / "bad.pth").write_text("no weights")
    threads = os.environ.get("OMP_NUM_THREADS")
    answer = ask(
        main, "fit", drawn_photos, "--to", tmp_path / "run", "--weights", tmp_path / "bad.pth", "--device", "cpu",
        "--devices", 2,
    )  # fmt: skip
    assert "bad.pth" in answer.refusal() and not (tmp_path / "run").exists()
    assert os.environ.get("OMP_NUM_THREADS") == threads  # what is set for the workers stays with them
