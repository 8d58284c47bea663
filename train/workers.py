"""Several processes that train one network together, a device each: plain torch.distributed.

Plain torch rather than Lightning Fabric or Accelerate: what is needed is a share, a sum and a gather, which
torch.distributed has; the loop stays readable and the install small.  Started by `--devices N` or by torchrun itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, distributed


@dataclass(frozen=True)
class Workers:
    """This process among the others.  Alone, every method gives back what it was given."""

    rank: int = 0
    count: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def is_first(self) -> bool:
        """The one that writes files and shows progress."""
        return self.rank == 0

    def share(self, total: int) -> slice:
        """This worker's contiguous share of `total` things; shares differ by one at most."""
        return slice(self.rank * total // self.count, (self.rank + 1) * total // self.count)

    def gather(self, part: Tensor, total: int) -> Tensor:
        """Put the shares of `total` rows together, on the CPU of every worker.  part: this worker's rows."""
        if self.count == 1:
            return part.cpu()
        longest = -(-total // self.count)
        padded = part.new_zeros((longest, *part.shape[1:]), device=self.device)
        padded[: len(part)] = part
        parts = [torch.empty_like(padded) for _ in range(self.count)]
        distributed.all_gather(parts, padded)
        lengths = [Workers(rank, self.count).share(total) for rank in range(self.count)]
        return torch.cat([p[: s.stop - s.start].cpu() for p, s in zip(parts, lengths, strict=True)])

    def sum(self, values: Tensor) -> Tensor:
        """Add up over the workers."""
        if self.count > 1:
            values = values.to(self.device)
            distributed.all_reduce(values)
        return values

    def wait(self) -> None:
        """Go on when all have come here."""
        if self.count > 1:
            distributed.barrier()


@contextmanager
def join_workers(device: torch.device) -> Iterator[Workers]:
    """Join the processes that torchrun (or `--devices`) started; alone where there are none.

    A GPU that was not asked for by number is taken by local rank.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1 or "RANK" not in os.environ:
        yield Workers(device=device)
        return
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    if device.type == "cuda":
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Workers(int(os.environ["RANK"]), count, device)
    finally:
        distributed.destroy_process_group()
