"""Several processes that train one network together, with one device each, on one or more machines.

Plain torch.distributed instead of Lightning Fabric or Accelerate: a slice, a sum and a gather are enough, the loop
stays readable and the install small.  Everything but the gradients is exchanged between the CPUs (gloo), also on
machines with GPUs: it is little data, and can be tested without a GPU.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, distributed


@dataclass(frozen=True)
class Workers:
    """This process among the others.  With a single process, every method returns its argument.

    writer_rank: the process that reads and writes the run's folder; the others need no access.  names: such as
    `worker 1 on studio-b`.  patient: process group for long operations; gradients: for the networks' gradients.
    """

    rank: int = 0
    count: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    writer_rank: int = 0
    leads_machine: bool = True
    names: tuple[str, ...] = ("worker 0",)
    patient: distributed.ProcessGroup | None = None
    gradients: distributed.ProcessGroup | None = None

    @property
    def is_writer(self) -> bool:
        """Whether this process reads and writes the run's folder."""
        return self.rank == self.writer_rank

    def own_slice(self, total: int) -> slice:
        """This worker's contiguous slice of `total` items; sizes differ by at most one."""
        return slice(self.rank * total // self.count, (self.rank + 1) * total // self.count)

    def all_gather(self, part: Tensor, total: int) -> Tensor:
        """Join the slices of `total` rows, on the CPU of every worker.  part: this worker's rows."""
        part = part.cpu()
        if self.count == 1:
            return part
        longest = -(-total // self.count)
        padded = part.new_zeros((longest, *part.shape[1:]))
        padded[: len(part)] = part
        parts = [torch.empty_like(padded) for _ in range(self.count)]
        distributed.all_gather(parts, padded, self.patient)
        lengths = [Workers(rank, self.count).own_slice(total) for rank in range(self.count)]
        return torch.cat([p[: s.stop - s.start] for p, s in zip(parts, lengths, strict=True)])

    def all_reduce(self, values: Tensor) -> Tensor:
        """Sum over the workers, on the CPU."""
        values = values.cpu()
        if self.count > 1:
            distributed.all_reduce(values, group=self.patient)
        return values

    def all_reduce_mean(self, tensors: Iterable[Tensor]) -> None:
        """Replace tensors by their mean over all workers, in place.  tensors: float, with equal shapes everywhere."""
        if self.count > 1:
            with torch.no_grad():
                for tensor in tensors:
                    tensor.copy_(self.all_reduce(tensor.clone()) / self.count)

    def barrier(self) -> None:
        """Wait until all workers have come here."""
        if self.count > 1:
            distributed.barrier(self.patient)

    def broadcast_object(self, value: Any) -> Any:
        """Return the writer's value on every worker.  value: JSON-serialisable, ignored on the others."""
        if self.count == 1:
            return value
        text = json.dumps(value if self.is_writer else None).encode()
        length = torch.tensor([len(text)])
        distributed.broadcast(length, self.writer_rank, self.patient)
        content = torch.zeros(int(length), dtype=torch.uint8)
        if self.is_writer:
            content = torch.frombuffer(bytearray(text), dtype=torch.uint8)
        distributed.broadcast(content, self.writer_rank, self.patient)
        return json.loads(content.numpy().tobytes())

    def all_gather_object(self, value: Any) -> list[Any]:
        """Return the values of all workers, by rank, on every worker.  value: JSON-serialisable."""
        if self.count == 1:
            return [value]
        text = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)
        lengths = [torch.zeros(1, dtype=torch.int64) for _ in range(self.count)]
        distributed.all_gather(lengths, torch.tensor([len(text)]), self.patient)
        padded = text.new_zeros(max(int(length) for length in lengths))
        padded[: len(text)] = text
        parts = [torch.empty_like(padded) for _ in range(self.count)]
        distributed.all_gather(parts, padded, self.patient)
        return [json.loads(p[: int(n)].numpy().tobytes()) for p, n in zip(parts, lengths, strict=True)]

    def broadcast(self, tensors: Iterable[Tensor]) -> None:
        """Copy the writer's values to every worker, in place.  tensors: with equal shapes everywhere."""
        if self.count == 1:
            return
        with torch.no_grad():
            for tensor in tensors:
                values = tensor.detach().cpu().contiguous()
                distributed.broadcast(values, self.writer_rank, self.patient)
                if values.data_ptr() != tensor.data_ptr():
                    tensor.copy_(values)

    def broadcast_tensors(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the writer's tensors on the CPU of every worker.  tensors: ignored on the others."""
        if self.count == 1:
            return tensors
        heads = {name: (str(t.dtype).removeprefix("torch."), list(t.shape)) for name, t in tensors.items()}
        received = {}
        for name, (kind, shape) in self.broadcast_object(heads).items():
            received[name] = tensors[name] if self.is_writer else torch.empty(shape, dtype=getattr(torch, kind))
        self.broadcast(received.values())
        return received
