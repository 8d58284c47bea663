"""Starts the workers of a training: `--devices N` starts N with torchrun's launcher, unless torchrun started them."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from ...runtime.errors import DeviceError, RunError, Stopped, YogaLiveError
from ...runtime.system.cli_runner import log_to_stderr
from ...runtime.system.plain_text import format_count


def is_worker() -> bool:
    """Whether torchrun started this process."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


def leads_machine() -> bool:
    """Whether this is the first of this machine's processes."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def leads_training() -> bool:
    """Whether this is the first process of all machines, which prints for all."""
    return os.environ.get("RANK", "0") == "0"


def check_devices(name: str, count: int) -> None:
    """Refuse more devices than exist.  Raises DeviceError."""
    import torch

    from .devices import choose_device

    device = choose_device(name)
    if device.type == "cuda" and (device.index is not None or count > torch.cuda.device_count()):
        raise DeviceError(
            f"--devices {count}: torch sees {format_count(torch.cuda.device_count(), 'GPU')}; give at most that many, "
            "and --device cuda"
        )
    cores = os.cpu_count() or 1
    if device.type == "cpu" and count > cores:
        raise DeviceError(
            f"--devices {count}: this machine has {format_count(cores, 'CPU core')}; give at most that many"
        )


def launch_workers(work: Callable[[], None], device: str, count: int) -> None:
    """Run `work`, which must be picklable, in `count` local processes.  Raises YogaLiveError if one of them fails."""
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    check_devices(device, count)
    for name in ("torch.distributed.elastic", "torch.distributed.launcher"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # the failure is reported below
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id=f"yoga-train-{os.getpid()}",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
    )
    threads = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = threads or str(max(1, (os.cpu_count() or 1) // count))
    try:
        elastic_launch(config, run_worker)(work)
    except SignalException as error:  # Ctrl-C or SIGTERM; the last checkpoint is kept for --resume
        raise Stopped(int(error.sigval)) from error
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        said = failure.error_file_data.get("message", failure.message)
        text = str(said.get("message", said)) if isinstance(said, dict) else str(said)
        raise RunError(f"worker {rank} of --devices {count} failed: {' '.join(text.split())}") from error
    finally:
        if threads is None:  # only for the workers
            del os.environ["OMP_NUM_THREADS"]


def run_worker(work: Callable[[], None]) -> None:
    """Run one worker: the first prints progress, one of each other machine prints errors, the rest is silent."""
    log_to_stderr("yoga-train")
    if os.environ["RANK"] == "0":
        work()
        return
    logging.disable(logging.INFO if leads_machine() else logging.WARNING)
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        work()


def run_under_torchrun(work: Callable[[], None]) -> None:
    """Run one worker that torchrun started; an error of all of a machine's workers is printed once."""
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # a lost connection is reported once, without stack traces
    try:
        run_worker(work)
    except YogaLiveError:
        if leads_machine():
            raise
        sys.exit(2)
    except KeyboardInterrupt as error:
        if leads_machine():
            raise
        sys.exit(128 + (error.number if isinstance(error, Stopped) else signal.SIGINT))
