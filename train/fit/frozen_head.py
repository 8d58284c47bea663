"""The frozen phase: each photo's features are computed once, then the head is trained on them in seconds.

On a frozen backbone the head is the same linear classifier in every epoch, so no epoch has to run the network again;
fastai runs it in each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ...runtime.system.progress import Progress
from ..distributed.collectives import Workers
from ..photos.dataset import PhotoDataset
from .config import FitConfig
from .network import PoseNetwork, prepare, shrink
from .precision import Precision

CHUNK = 64  # photos of one forward pass
RATE = 7e-3  # top learning rate of the head, AdamW
BATCH = 64
"""Measured on features at 96 pixels, 3 seeds: 3e-3 and 128 gave 85.3 % after 5 epochs and 88.6 % after 30, 5e-3 and 64
gave 86.8 and 89.4 %, 1e-2 and 32 gave 88.4 and 88.6 %."""


@dataclass(frozen=True)
class Features:
    """Mean features, float (M, F), of photos and of their mirror images, float (0,) if these are not trained on."""

    plain: Tensor
    mirrored: Tensor

    def take(self, rows: npt.NDArray[np.integer]) -> Features:
        """Select the features of some photos."""
        mirrored = self.mirrored[torch.from_numpy(rows)] if len(self.mirrored) else self.mirrored
        return Features(self.plain[torch.from_numpy(rows)], mirrored)


def compute_both(
    network: PoseNetwork,
    photos: PhotoDataset,
    precision: Precision,
    workers: Workers,
    title: str,
    *,
    size: int,
    mirror: bool = True,
) -> Features:
    """Compute the features of photos, seen at `size` pixels, and, with `mirror`, of their mirror images."""
    plain = _compute(network, photos, precision, workers, title, size, mirror=False)
    if not mirror:
        return Features(plain, torch.empty(0))
    return Features(plain, _compute(network, photos, precision, workers, title, size, mirror=True))


def _compute(
    network: PoseNetwork,
    photos: PhotoDataset,
    precision: Precision,
    workers: Workers,
    title: str,
    size: int,
    *,
    mirror: bool,
) -> Tensor:
    network.eval()
    own = np.arange(len(photos))[workers.own_slice(len(photos))]
    parts: list[Tensor] = [torch.empty((0, network.feature_size))]
    with torch.inference_mode(), Progress(title, len(own), "photos") as progress:
        for start in range(0, len(own), CHUNK):
            frames = torch.from_numpy(photos.take(own[start : start + CHUNK])).to(workers.device)
            with precision.autocast():
                images = prepare(shrink(frames.flip(2) if mirror else frames, size))
                parts.append(network.features(images).mean(dim=(2, 3)).float().cpu())
            progress.advance(len(frames))
    return workers.all_gather(torch.cat(parts), len(photos)).clone()


def fit_head(
    features: Features,
    targets: npt.NDArray[np.int64],
    weights: npt.NDArray[np.floating],
    head: nn.Linear,
    config: FitConfig,
    generator: torch.Generator,
    mirrored_targets: npt.NDArray[np.int64] | None = None,
) -> None:
    """Train a head, on the CPU and in place.  targets: int (M,); weights: float (M,), their frequency.

    mirrored_targets: int (M,), those of the mirror images, negative where they have none; None: the same.
    """
    x, y, draw = features.plain, torch.from_numpy(targets), torch.from_numpy(weights)
    if len(features.mirrored):
        others = y if mirrored_targets is None else torch.from_numpy(mirrored_targets)
        x, y = torch.cat([x, features.mirrored]), torch.cat([y, others])
        draw = draw.repeat(2) * (y >= 0)
    optimizer = torch.optim.AdamW(head.parameters(), lr=RATE, weight_decay=config.weight_decay)
    steps = config.epochs_frozen * len(split_batches(torch.arange(len(y)), BATCH))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=RATE, total_steps=max(steps, 2))
    criterion = nn.CrossEntropyLoss(label_smoothing=config.label_smoothing)
    with Progress("frozen", config.epochs_frozen, "epochs") as progress:
        for _ in range(config.epochs_frozen):
            loss = torch.zeros(())
            for rows in split_batches(torch.multinomial(draw, len(y), True, generator=generator), BATCH):
                loss = criterion(head(x[rows]), y[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
            progress.advance(note=f"loss {loss.item():.3f}")


def split_batches(rows: Tensor, batch: int, least: int = 2) -> list[Tensor]:
    """Cut into batches; a last one of less than `least` joins the previous: trained batch norm needs two per device."""
    parts = list(torch.split(rows, batch))
    if len(parts) > 1 and len(parts[-1]) < least:
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts
