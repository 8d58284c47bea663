"""Workers of two machines: each with photos and a cache of its own, only one with the run's folder.

Two processes on this machine play the machines, joined as torchrun would; in the last test by torchrun itself.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from yoga_live.calibration.runs import load_run
from yoga_live.train.distributed.rendezvous import is_connection_error
from yoga_live.train.fit.checkpoint import CHECKPOINT
from yoga_live.train.run_files.predictions import FOLDS, load_predictions

PROGRAM = Path(__file__).parents[1].joinpath("held_worker.py")
OPTIONS = ("--weights", "none", "--epochs-frozen", "2", "--epochs", "3", "--size", "32", "--batch", "8",
           "--device", "cpu", "--arch", "resnet18")  # fmt: skip
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix" or (os.cpu_count() or 1) < 2, reason="needs two CPU cores and signals"),
]


@dataclass
class Machine:
    """One machine: its folder holds photos and the cache, and maybe the run."""

    folder: Path
    process: Any = None  # a multiprocessing.Process

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def photos(self) -> Path:
        return next(path for path in self.folder.iterdir() if path.name in ("photos", "elsewhere"))

    @property
    def words(self) -> str:
        return (self.folder / "words.txt").read_text()

    @property
    def error(self) -> str:
        """Its one error line."""
        lines = [line for line in self.words.splitlines() if "error:" in line]
        assert len(lines) == 1 and "Traceback" not in self.words, self.words
        return lines[0]

    def end(self, seconds: float = 150) -> int | None:
        """Wait for the end.  Returns the exit code, None if it goes on."""
        assert self.process is not None
        self.process.join(seconds)
        return self.process.exitcode

    def kill(self, number: int = signal.SIGKILL) -> None:
        assert self.process is not None and self.process.pid is not None
        os.kill(self.process.pid, number)


@pytest.fixture(scope="module")
def starter() -> Any:
    """Starts processes that have torch already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["yoga_live.train.fit.run", "torch.utils.tensorboard.writer"])
    return context


@contextmanager
def set_up_machines(drawn_photos: Path, folder: Path) -> Iterator[tuple[Machine, Machine]]:
    """Two machines with the same photos, six a pose, at places of their own."""
    pair = Machine(folder / "a"), Machine(folder / "b")
    for machine, place in zip(pair, ("photos", "elsewhere"), strict=True):
        for pose in drawn_photos.iterdir():
            (machine.folder / place / pose.name).mkdir(parents=True)
            for path in sorted(pose.iterdir())[:6]:
                shutil.copy2(path, machine.folder / place / pose.name)
    yield pair
    for machine in pair:
        if machine.process is not None and machine.process.is_alive():
            machine.kill()
            machine.process.join(10)


@pytest.fixture
def machines(drawn_photos: Path, tmp_path: Path) -> Iterator[tuple[Machine, Machine]]:
    with set_up_machines(drawn_photos, tmp_path) as pair:
        yield pair


Start = Callable[..., None]


def find_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


@pytest.fixture(scope="module")
def undisturbed(drawn_photos: Path, start: Start, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of two machines that nothing happens to."""
    with set_up_machines(drawn_photos, tmp_path_factory.mktemp("undisturbed")) as (a, b):
        start(a, b)
        assert (a.end(), b.end()) == (0, 0), a.words + b.words
        assert not b.run.exists() and b.words == ""  # one speaks for all
        assert a.words.count("kept epoch") == a.words.count("epoch 3/3") == 1
        assert len(list((b.folder / "cache" / "yoga-live" / "frames").iterdir())) == 1  # decoded where they lie
        return a.run


@pytest.fixture(scope="module")
def start(starter: Any) -> Start:
    """Start one worker on each machine, in the order of their ranks: start(first, second, "--resume", LOST_S="3")."""

    def run(*arguments: Machine | str, **environment: str) -> None:
        machines = [argument for argument in arguments if isinstance(argument, Machine)]
        port = find_port()
        for rank, machine in enumerate(machines):
            worker = {
                "environment": {
                    "RANK": str(rank), "WORLD_SIZE": str(len(machines)), "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1",
                    "GROUP_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port,
                    "XDG_CACHE_HOME": str(machine.folder / "cache"), "NODE": machine.folder.name, **environment,
                },
                "arguments": ["fit", str(machine.photos), "--to", str(machine.run), *OPTIONS,
                              *(argument for argument in arguments if isinstance(argument, str)),
                              *environment.get(f"ONLY_{machine.folder.name}", "").split()],
                "words": str(machine.folder / "words.txt"),
            }  # fmt: skip
            machine.process = starter.Process(
                target=runpy.run_path,
                args=(str(PROGRAM),),
                kwargs={"init_globals": {"WORKER": worker}, "run_name": "__main__"},
            )
            machine.process.start()

    return run


def wait_for(condition: Callable[[], bool], seconds: float = 150) -> None:
    until_s = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until_s
        time.sleep(0.02)


def assert_same_training(run: Path, other: Path) -> None:
    first, second = (load_file(folder / "weights.safetensors") for folder in (run, other))
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert (run / "predictions.csv").read_bytes() == (other / "predictions.csv").read_bytes()
    assert not (run / CHECKPOINT).exists()


def hold_both(start: Start, hold: Path, first: Machine, second: Machine, *options: str, **environment: str) -> None:
    """Start both and wait until they are in the middle of the second epoch."""
    hold.touch()
    start(first, second, *options, HOLD=str(hold), **environment)
    wait_for(lambda: all(hold.with_name(f"hold.{machine.folder.name}").exists() for machine in (first, second)))


def test_a_run_goes_on_where_it_lies_after_that_machine_was_lost(
    machines: tuple[Machine, Machine], undisturbed: Path, start: Start, tmp_path: Path
) -> None:
    a, b = machines
    hold = tmp_path / "hold"
    hold_both(start, hold, a, b)
    a.kill()
    hold.unlink()
    killed_s = time.monotonic()
    assert b.end() == 2 and time.monotonic() - killed_s < 40
    assert "lost" in b.error and "--resume" in b.error
    assert not b.run.exists() and (a.run / CHECKPOINT).exists()

    start(b, a, "--resume")  # the other way round, as torchrun may number them now
    assert (a.end(), b.end()) == (0, 0), a.words + b.words
    assert not b.run.exists()
    assert "of worker 1 on" in b.words  # says where the run is
    assert_same_training(a.run, undisturbed)

    start(a, b, "--resume")
    assert (a.end(), b.end()) == (0, 0)
    assert "already finished" in a.words
    assert_same_training(a.run, undisturbed)


def test_a_run_of_two_machines_says_so_and_its_evaluation_is_whole(undisturbed: Path) -> None:
    run = load_run(undisturbed)
    assert run.summary["devices"] == run.summary["machines"] == 2
    predictions = load_predictions(run)
    assert len(predictions.probabilities) == len(run.photos) == 24
    np.testing.assert_allclose(predictions.probabilities.sum(axis=1), 1, atol=1e-4)


def test_folds_are_answered_by_both_and_kept_by_one(machines: tuple[Machine, Machine], start: Start) -> None:
    a, b = machines
    start(a, b, "--folds", "2", "--epochs", "0")
    assert (a.end(), b.end()) == (0, 0), a.words + b.words
    whole = (a.run / FOLDS).read_bytes()
    assert load_predictions(load_run(a.run)).probabilities.shape == (24, 4)
    assert not b.run.exists() and not (a.run / "folds").exists()
    (a.run / FOLDS).unlink()  # as if both had been stopped before the folds
    start(a, b, "--folds", "2", "--epochs", "0", "--resume")
    assert (a.end(), b.end()) == (0, 0), a.words + b.words
    assert (a.run / FOLDS).read_bytes() == whole and "fold 2 of 2" in a.words


def test_why_one_ends_is_one_line_on_both_and_neither_hangs(
    machines: tuple[Machine, Machine], start: Start, tmp_path: Path
) -> None:
    a, b = machines
    hold = tmp_path / "hold"
    hold_both(start, hold, a, b)
    b.kill(signal.SIGTERM)
    assert b.end(40) == 143  # it waits no longer than for the other to hear why
    hold.unlink()
    assert a.end(40) == 2
    assert "worker 1 on" in a.error and "stopped (Ctrl-C or SIGTERM)" in a.error and "--resume" in a.error
    assert not (a.run / "run.json").exists() and (a.run / CHECKPOINT).exists()

    # the same run goes on alone: another number of workers, the same global batch
    start(a, "--resume")
    assert a.end() == 0, a.words
    assert json.loads((a.run / "run.json").read_text())["devices"] == 1


def test_a_machine_that_falls_silent_is_noticed(
    machines: tuple[Machine, Machine], start: Start, tmp_path: Path
) -> None:
    a, b = machines
    hold_both(start, tmp_path / "hold", a, b, LOST_S="4", GRACE_S="2")
    b.kill(signal.SIGSTOP)  # as without power: no connection is closed
    (tmp_path / "hold").unlink()
    assert a.end(60) == 2
    assert "no heartbeat from worker 1 on" in a.error and " for 4 s" in a.error


@pytest.mark.parametrize("case", ["content", "missing", "options", "weights", "batch", "folder"])
def test_machines_that_do_not_agree_are_refused_in_one_line_on_both(
    machines: tuple[Machine, Machine], start: Start, case: str
) -> None:
    a, b = machines
    photo = b.folder / "elsewhere" / "tree" / "00.png"
    options: dict[str, str] = {}
    if case == "content":  # of the same length
        photo.write_bytes(photo.read_bytes()[:-1] + b"x")
        expected = "tree/00.png is sha256"
    elif case == "missing":
        photo.unlink()
        expected = "tree/00.png is"
    elif case == "options":
        options["ONLY_b"] = "--seed 3"
        expected = "--seed is 0 for worker 0"
    elif case == "weights":
        (a.folder / "bad.pth").write_text("no weights")
        options = {"ONLY_a": f"--weights {a.folder / 'bad.pth'}", "ONLY_b": "--weights not_needed_here.pth"}
        expected = "bad.pth"
    elif case == "batch":
        options = {"ONLY_a": "--batch 3", "ONLY_b": "--batch 3"}
        expected = "--batch 3 is too small for 2 workers"
    else:
        a.run.mkdir()
        (a.run / "diary.txt").touch()
        expected = "exists already"
    start(a, b, **options)
    assert (a.end(), b.end()) == (2, 2), a.words + b.words
    assert expected in a.error and expected in b.error
    assert not b.run.exists() and not (a.run / "photos.csv").exists()


def test_a_machine_that_never_comes_is_not_waited_for_without_end(
    machines: tuple[Machine, Machine], start: Start
) -> None:
    (a, _) = machines
    start(a, WORLD_SIZE="2", MEETING_S="3")
    assert a.end(60) == 2
    assert "2 workers could not connect to each other at 127.0.0.1:" in a.error and "GLOO_SOCKET_IFNAME" in a.error


def test_what_is_wrong_here_is_not_taken_for_a_lost_worker() -> None:
    assert is_connection_error(RuntimeError("[/gloo/transport/tcp/pair.cc:561] Connection closed by peer"))
    assert is_connection_error(torch.distributed.DistNetworkError("Broken pipe"))
    assert not is_connection_error(RuntimeError("CUDA out of memory")) and not is_connection_error(OSError("disk full"))


def run_torchrun(machine: Machine, port: str, hold: Path) -> subprocess.Popen[bytes]:
    """Start torchrun on a machine, in a process group of its own."""
    environment = os.environ | {
        "XDG_CACHE_HOME": str(machine.folder / "cache"), "NODE": machine.folder.name, "HOLD": str(hold),
        "OMP_NUM_THREADS": "1", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
    }  # fmt: skip
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1"),
        *("--max-restarts", "3", "--rdzv-backend", "c10d", "--rdzv-endpoint", f"127.0.0.1:{port}", "--rdzv-id", "test"),
        *("--rdzv-conf", f"is_host={int(machine.folder.name == 'a')},keep_alive_interval=1", str(PROGRAM)),
        *("fit", str(machine.photos), "--to", str(machine.run), *OPTIONS, "--resume"),
    ]
    with (machine.folder / "words.txt").open("wb") as words:
        return subprocess.Popen(command, stdout=words, stderr=words, env=environment, start_new_session=True)


@pytest.mark.skipif(sys.platform != "linux", reason="finds torchrun's workers in /proc")
def test_torchrun_goes_on_by_itself_when_a_machine_that_was_lost_comes_back(
    machines: tuple[Machine, Machine], undisturbed: Path, tmp_path: Path
) -> None:
    a, b = machines
    hold, port = tmp_path / "hold", find_port()
    hold.touch()
    agents = [run_torchrun(machine, port, hold) for machine in machines]
    try:
        wait_for(lambda: all(hold.with_name(f"hold.{machine.folder.name}").exists() for machine in machines))
        for child in children_of(agents[1].pid):
            os.kill(child, signal.SIGKILL)
        os.killpg(agents[1].pid, signal.SIGKILL)
        agents[1].wait()
        hold.unlink()
        agents.append(run_torchrun(b, port, hold))
        assert [agent.wait(240) for agent in (agents[0], agents[2])] == [0, 0], a.words + b.words
    finally:
        for agent in agents:
            if agent.poll() is None:
                agent.terminate()  # and with it its worker
                agent.wait(60)
    words = a.words + b.words  # after a restart torchrun may number b first, and the first speaks
    assert words.count("epoch 1/3") == words.count("epoch 3/3") == words.count("kept epoch") == 1
    assert not b.run.exists()
    assert_same_training(a.run, undisturbed)


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
