"""A network in FP16 on whatever device there is, and what its layers give: a GPU's own kernels, no simulation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


def run_on(network: Any, frames: Any, device: str) -> Any:
    """Logits, float32 (N, C) on the CPU."""
    with torch.inference_mode():
        return network.to(device)(frames.to(device))[0].float().cpu()


class HalfNetwork(torch.nn.Module):
    """The exported network with every tensor in FP16 from the frames on, as the FP16 file has it."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network.half()

    def forward(self, frames: Any) -> tuple[Any, Any]:
        inner = self.network
        centred = frames.half().permute(0, 3, 1, 2) - inner.mean
        return inner.network.classify_features(inner.network.features(centred))


def watch_layers(network: Any, frames: Any, device: str) -> tuple[float, list[str]]:
    """The largest finite number that a layer gave, and the layers that gave one that is not finite, in their order."""
    largest, broken = [0.0], []

    def look(name: str) -> Callable[..., None]:
        def note(_: Any, __: Any, answer: Any) -> None:
            if torch.is_tensor(answer):
                finite = torch.isfinite(answer)
                largest[0] = max(largest[0], float(answer.float().where(finite, 0).abs().max()))
                if not bool(finite.all()) and name not in broken:
                    broken.append(name)

        return note

    hooks = [m.register_forward_hook(look(name)) for name, m in network.named_modules() if not list(m.children())]
    run_on(network, frames, device)
    for hook in hooks:
        hook.remove()
    return largest[0], broken
