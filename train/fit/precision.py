"""Mixed precision, if the machine is faster with it."""

from __future__ import annotations

import logging

import torch

from ..distributed.collectives import Workers

log = logging.getLogger(__name__)


class Precision:
    """BF16 on recent GPUs and CPUs, FP16 with a scaled loss on older GPUs, else FP32."""

    def __init__(self, device: torch.device, dtype: torch.dtype | None = None) -> None:
        self.device = device
        if dtype is not None:
            self.dtype = dtype
        elif device.type == "cuda":
            self.dtype = torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
        else:
            self.dtype = torch.bfloat16 if _cpu_has_bfloat16() else torch.float32
        self.scaler = torch.amp.GradScaler(enabled=self.dtype == torch.float16)

    def autocast(self, *, exact: bool = False) -> torch.autocast:
        """Make the context of the forward pass; exact: FP32, for reported numbers."""
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32 and not exact)

    @property
    def name(self) -> str:
        return str(self.dtype).removeprefix("torch.")


def choose_precision(workers: Workers) -> Precision:
    """Choose the fastest precision; FP32 if the machines differ, because their gradients are summed."""
    precision = Precision(workers.device)
    names = workers.all_gather_object(precision.name)
    if len(set(names)) == 1:
        return precision
    log.info("the machines support different precisions (%s); using float32", ", ".join(sorted(set(names))))
    return Precision(workers.device, torch.float32)


def _cpu_has_bfloat16() -> bool:
    """Whether the CPU multiplies BF16 in hardware; emulation is slower than FP32."""
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, lambda: False)() for name in checks)
