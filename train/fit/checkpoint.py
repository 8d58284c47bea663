"""The state of a training in one file, written in one step, so that `--resume` works after any interruption.

Plain tensors and JSON (safetensors): no pickle, so a checkpoint that somebody sends cannot run code.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from ...calibration.runs import MOST_EPOCHS
from ...runtime.errors import RunError
from ...runtime.system.foreign_files import check_number, check_whole, open_plain, parse_json, show
from ..distributed.collectives import Workers
from .tensor_files import open_tensors, write_tensors

CHECKPOINT = "checkpoint.safetensors"
MOMENTS = ("exp_avg", "exp_avg_sq", "step")  # AdamW's state of each parameter


@dataclass(frozen=True)
class Progression:
    """Everything that changes while a network is trained."""

    network: nn.Module
    average: nn.Module | None
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    scaler: torch.amp.GradScaler
    generator: torch.Generator


def save_checkpoint(path: Path, progression: Progression, notes: dict[str, Any]) -> None:
    """Write a checkpoint.  notes: JSON-serialisable, returned by `load_notes`.  Raises OutputError."""
    tensors = {f"network.{name}": value for name, value in progression.network.state_dict().items()}
    if progression.average is not None:
        tensors |= {f"average.{name}": value for name, value in progression.average.state_dict().items()}
    state = progression.optimizer.state_dict()
    for index, moments in state["state"].items():
        tensors |= {f"optimizer.{index}.{name}": moments[name] for name in MOMENTS}
    tensors["generator"] = progression.generator.get_state()
    content = {
        "notes": notes,
        "groups": state["param_groups"],
        "schedule": progression.schedule.state_dict(),
        "scaler": progression.scaler.state_dict(),
    }
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    write_tensors(path, tensors, {"state": json.dumps(content)})


def load_notes(path: Path) -> dict[str, Any] | None:
    """Read a checkpoint's notes; None if there is no checkpoint.  Raises RunError."""
    if not path.exists():
        return None
    notes = _read_state(path)["notes"]
    try:
        _check_notes(notes)
    except (KeyError, ValueError, TypeError) as error:
        raise RunError(f"{path} cannot be read ({error!r}); train again with another --to") from error
    return notes


def _check_notes(notes: Any) -> None:
    """Check the types of the notes that a training resumes with.  Raises KeyError, ValueError or TypeError."""
    check_whole(notes["epoch"], "epoch", 0, MOST_EPOCHS)
    check_whole(notes["best_epoch"], "best_epoch", 0, MOST_EPOCHS)
    if not isinstance(notes["best_nll"], int | float):
        raise ValueError(f"best_nll is {show(notes['best_nll'])}")
    rows, inner = notes["log"], notes["notes"]
    if not isinstance(rows, list) or not isinstance(inner, dict):
        raise ValueError("it holds no log or notes")
    for row in rows:
        check_whole(row["epoch"], "an epoch of the log", 0, MOST_EPOCHS)
        check_number(row["seconds"], "the seconds of an epoch", 0, 1e12)
    if inner:
        check_number(inner["frozen"]["seconds"], "the seconds of the frozen phase", 0, 1e12)
        if not isinstance(inner["config"], dict):
            raise ValueError(f"config is {show(inner['config'])}")


def load_checkpoint(path: Path, progression: Progression, workers: Workers) -> None:
    """Restore the state of a training on every worker; only the writer reads the file.  Raises RunError."""
    content, tensors = _read_all(path) if workers.is_writer else ({}, {})
    content, tensors = workers.broadcast_object(content), workers.broadcast_tensors(tensors)
    try:
        progression.network.load_state_dict(_strip(tensors, "network."))
        if progression.average is not None:
            progression.average.load_state_dict(_strip(tensors, "average."))
        progression.optimizer.load_state_dict(_gather_optimizer(tensors, content["groups"]))
        progression.schedule.load_state_dict(content["schedule"])
        progression.scaler.load_state_dict(content["scaler"])
        progression.generator.set_state(tensors["generator"])
    except (RuntimeError, LookupError, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise RunError(f"{path} does not match this training ({error!r}); train again with another --to") from error


def _read_all(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    content = _read_state(path)
    try:
        with open_tensors(path) as file:
            return content, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise RunError(f"{path} cannot be read ({error!r}); train again with another --to") from error


def _gather_optimizer(tensors: dict[str, Tensor], groups: list[dict[str, Any]]) -> dict[str, Any]:
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in _strip(tensors, "optimizer.").items():
        index, _, kind = name.partition(".")
        moments.setdefault(int(index), {})[kind] = value
    for group in groups:
        group["betas"] = tuple(group["betas"])
    return {"state": moments, "param_groups": groups}


def _strip(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _read_state(path: Path) -> dict[str, Any]:
    try:
        with open_plain(path), open_tensors(path) as file:
            state = parse_json((file.metadata() or {})["state"])
        for name, kind in (("groups", list), ("schedule", dict), ("scaler", dict), ("notes", dict)):
            if not isinstance(state[name], kind):
                raise ValueError(f"{name} is {show(state[name])}")
        return state
    except (SafetensorError, KeyError, ValueError, TypeError, OSError) as error:
        raise RunError(f"{path} cannot be read ({error!r}); train again with another --to") from error
