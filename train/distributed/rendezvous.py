"""Joins the workers that torchrun (or `--devices`) started, and shares the reason when one of them ends."""

from __future__ import annotations

import os
import re
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import torch
from torch import distributed
from torch.distributed.distributed_c10d import PrefixStore

from ...runtime.errors import DeviceError, RunError, YogaLiveError
from .collectives import Workers
from .devices import choose_device, choose_own_device
from .heartbeat import HOW_TO_GO_ON, Heartbeat, describe_lost_meeting
from .launcher import leads_machine

MEETING = timedelta(minutes=5)  # for all workers to connect to each other
PATIENCE = timedelta(hours=12)  # for one machine to decode its photos; the heartbeat finds lost ones earlier


@contextmanager
def join_workers(device_name: str) -> Iterator[Workers]:
    """Join the processes that torchrun (or `--devices`) started, or work alone.  Raises YogaLiveError.

    An error that ends one of them inside the block also ends the others, with a RunError.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1 or "RANK" not in os.environ:
        yield Workers(device=choose_own_device(device_name) if "RANK" in os.environ else choose_device(device_name))
        return
    workers, watch = _meet(int(os.environ["RANK"]), count)
    try:
        workers = _take_device(workers, device_name)
        yield workers
        workers.barrier()
    except (Exception, KeyboardInterrupt) as error:
        if watch.has_heard or is_connection_error(error):
            raise RunError(watch.find_reason()) from error
        if not watch.report(_describe(error)) and isinstance(error, KeyboardInterrupt):
            # torchrun ends its workers when it loses the machine that it meets the others at
            raise RunError(describe_lost_meeting()) from error
        raise
    else:
        distributed.destroy_process_group()  # not after an error: NCCL would wait for dead workers
    finally:
        watch.stop()


def is_connection_error(error: BaseException) -> bool:
    """Whether torch raised this because another worker is lost, not because of an error in this one."""
    if isinstance(error, distributed.DistError):
        return True
    return isinstance(error, RuntimeError) and re.search("gloo|nccl", str(error), re.IGNORECASE) is not None


def _meet(rank: int, count: int) -> tuple[Workers, Heartbeat]:
    """Connect all workers to each other and start the heartbeat.  Raises RunError."""
    leads = leads_machine()
    try:
        distributed.init_process_group("gloo", timeout=MEETING)
        patient: Any = distributed.new_group(backend="gloo", timeout=PATIENCE)
        workers = Workers(rank, count, leads_machine=leads, patient=patient, gradients=patient)
        names = tuple(f"worker {r} on {host}" for r, host in enumerate(workers.all_gather_object(socket.gethostname())))
        address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        store = distributed.TCPStore(address, port, is_master=False, timeout=MEETING)  # pyright: ignore[reportPrivateImportUsage]
        round_name = workers.broadcast_object(secrets.token_hex(4))  # torchrun may keep one store through all restarts
        watch = Heartbeat(PrefixStore(round_name, store), rank, names, speaks=leads)
        workers.barrier()
    except (RuntimeError, ValueError) as error:
        where = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
        text = str(error).strip().splitlines()[0]
        raise RunError(
            f"the {count} workers could not connect to each other at {where} ({text}); check that the machines reach "
            "each other on every port, and set their network card: GLOO_SOCKET_IFNAME=eth0 NCCL_SOCKET_IFNAME=eth0"
        ) from error
    watch.start()
    return replace(workers, names=names), watch


def _take_device(workers: Workers, name: str) -> Workers:
    """Choose the device; gradients are exchanged between GPUs if there are any.  Raises DeviceError."""
    device = choose_own_device(name)
    kinds = workers.all_gather_object(device.type)
    other = next((rank for rank, kind in enumerate(kinds) if kind != kinds[0]), 0)
    if other:
        raise DeviceError(
            f"{workers.names[0]} would train on {kinds[0]}, {workers.names[other]} on {kinds[other]}; give them the "
            "same --device, such as --device cpu"
        )
    gradients = workers.patient
    if device.type == "cuda":
        torch.cuda.set_device(device)
        gradients = distributed.new_group(backend="nccl")
    return replace(workers, device=device, gradients=gradients)


def _describe(error: BaseException) -> str:
    """Describe for the other workers why this one ends."""
    if isinstance(error, KeyboardInterrupt):
        return f"stopped (Ctrl-C or SIGTERM); {HOW_TO_GO_ON}"
    text = " ".join(str(error).split())
    return text if isinstance(error, YogaLiveError) else f"{type(error).__name__}: {text[:300]}"
