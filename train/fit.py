"""Fine-tune: the new head on a frozen backbone first, then everything.

The frozen phase computes each photo's features once and trains the head on them in seconds, as it is the same
linear classifier in every epoch; only the second phase pays for the whole network.
"""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..calibration.metrics import measure_accuracy, measure_nll, measure_recalls
from ..runtime.progress import Progress, track
from .augmentation import Augmentation, augment_frames
from .network import PoseNetwork, normalise, save_weights


@dataclass(frozen=True)
class FitConfig:
    """What `yoga-train fit` was asked for; saved in run.json."""

    weights: str = "imagenet"  # imagenet, none or a file
    epochs_frozen: int = 30  # epochs of the head on cached features
    epochs: int = 12  # epochs of the whole network
    size: int = 224  # side of the network's input, pixels
    batch: int = 32
    rate: float = 1e-3  # top learning rate of the last stage, AdamW
    weight_decay: float = 0.02
    label_smoothing: float = 0.05
    seed: int = 0
    device: str = "auto"
    train_only: str = ""  # file name pattern of photos that are never held out
    augmentation: Augmentation = field(default_factory=Augmentation)


@dataclass(frozen=True)
class SplitFrames:
    """Frames uint8 (N, S, S, 3) BGR and targets int64 (N,) of one split."""

    frames: npt.NDArray[np.uint8]
    targets: npt.NDArray[np.int64]


class Precision:
    """Mixed precision where the machine is fast at it: BF16 on recent GPUs and CPUs, FP16 on older GPUs, else FP32."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        if device.type == "cuda":
            self.dtype = torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
        else:
            self.dtype = torch.bfloat16 if _cpu_has_bfloat16() else torch.float32
        self.scaler = torch.amp.GradScaler(enabled=self.dtype == torch.float16)

    def autocast(self) -> torch.autocast:
        """Context for the forward pass."""
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)

    @property
    def name(self) -> str:
        return str(self.dtype).removeprefix("torch.")


def _cpu_has_bfloat16() -> bool:
    """True where the CPU multiplies BF16 in hardware; emulated, it is slower than FP32."""
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, lambda: False)() for name in checks)


class Fitter:
    """One training: holds the network, the splits and the run folder it writes to."""

    def __init__(
        self,
        network: PoseNetwork,
        splits: dict[str, SplitFrames],
        config: FitConfig,
        device: torch.device,
        folder: Path,
    ) -> None:
        self.network = network.to(device)
        self.splits, self.config, self.device, self.folder = splits, config, device, folder
        self.precision = Precision(device)
        self.best_epoch = 0
        self._best_nll = math.inf
        self._generator = torch.Generator().manual_seed(config.seed)
        self._log: list[dict[str, object]] = []
        self._criterion = nn.CrossEntropyLoss(label_smoothing=config.label_smoothing)

    def fit_head(self) -> npt.NDArray[np.floating]:
        """Train the head on the frozen backbone.  Returns the test logits, float (N, C)."""
        features = {name: self._compute_features(split, name) for name, split in self.splits.items()}
        mirrored = SplitFrames(self.splits["train"].frames[:, :, ::-1], self.splits["train"].targets)
        x = torch.cat([features["train"], self._compute_features(mirrored, "train, mirrored")])
        y = torch.from_numpy(self.splits["train"].targets).repeat(2)
        head = nn.Linear(x.shape[1], self.network.resnet.fc.out_features)
        optimizer = torch.optim.AdamW(head.parameters(), lr=3e-3, weight_decay=self.config.weight_decay)
        batches = self.config.epochs_frozen * len(_split_batches(torch.arange(len(y)), 128))
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=max(batches, 2))
        with Progress("frozen", self.config.epochs_frozen, "epochs") as progress:
            for _ in range(self.config.epochs_frozen):
                loss = torch.zeros(())
                for rows in _split_batches(self._draw_balanced(y), 128):
                    loss = self._criterion(head(x[rows]), y[rows])
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    schedule.step()
                progress.advance(note=f"loss {loss.item():.3f}")
        self.network.resnet.fc.load_state_dict(head.state_dict())
        with torch.inference_mode():
            self._keep_if_best(0, head(features["validation"]).numpy(), loss=None, seconds=0.0)
            return head(features["test"]).numpy()

    def fit_all(self) -> None:
        """Fine-tune the whole network; Ctrl-C ends it early and keeps the best epoch so far."""
        steps = len(_split_batches(torch.arange(len(self.splits["train"].targets)), self.config.batch))
        groups = self.network.parameter_groups(self.config.rate)
        optimizer = torch.optim.AdamW(groups, weight_decay=self.config.weight_decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            [float(str(group["lr"])) for group in groups],
            total_steps=max(steps * self.config.epochs, 2),
        )
        for epoch in range(1, self.config.epochs + 1):
            started_s = time.monotonic()
            loss = self._train_epoch(epoch, optimizer, schedule)
            logits = self.predict(self.splits["validation"].frames)
            self._keep_if_best(epoch, logits, loss, time.monotonic() - started_s)

    def _train_epoch(
        self, epoch: int, optimizer: torch.optim.Optimizer, schedule: torch.optim.lr_scheduler.LRScheduler
    ) -> float:
        self.network.train()
        frames, targets = self.splits["train"].frames, torch.from_numpy(self.splits["train"].targets)
        batches = _split_batches(self._draw_balanced(targets), self.config.batch)
        size = early_size(self.config.size) if epoch <= self.config.epochs // 2 else self.config.size
        losses: list[float] = []
        right = seen = 0
        with Progress(f"epoch {epoch}/{self.config.epochs} at {size} px", len(targets), "photos") as progress:
            for rows in batches:
                batch = torch.from_numpy(frames[rows.numpy()]).to(self.device)
                images = augment_frames(batch, size, self.config.augmentation, self._generator)
                truth = targets[rows].to(self.device)
                with self.precision.autocast():
                    logits = self.network(normalise(images)).float()
                    loss = self._criterion(logits, truth)
                optimizer.zero_grad()
                self.precision.scaler.scale(loss).backward()
                self.precision.scaler.step(optimizer)
                self.precision.scaler.update()
                schedule.step()
                losses.append(loss.item())
                right, seen = right + int((logits.argmax(1) == truth).sum()), seen + len(rows)
                progress.advance(len(rows), f"loss {np.mean(losses[-20:]):.3f}  accuracy {right / seen:.1%}")
        return float(np.mean(losses))

    def predict(self, frames: npt.NDArray[np.uint8], *, exact: bool = False) -> npt.NDArray[np.floating]:
        """Logits float (N, C) of frames uint8 (N, S, S, 3) BGR; exact: in FP32, as reported numbers are."""
        self.network.eval()
        parts: list[Tensor] = []
        with torch.inference_mode():
            for batch in _iterate_frames(frames, 64):
                with torch.autocast(self.device.type, enabled=False) if exact else self.precision.autocast():
                    parts.append(self.network(normalise(batch.to(self.device))).float().cpu())
        return torch.cat(parts).numpy()

    def _compute_features(self, split: SplitFrames, title: str) -> Tensor:
        self.network.eval()
        parts: list[Tensor] = []
        batches = math.ceil(len(split.frames) / 64)
        with torch.inference_mode():
            for batch in track(_iterate_frames(split.frames, 64), f"features of {title}", batches, "batches"):
                with self.precision.autocast():
                    parts.append(self.network.features(normalise(batch.to(self.device))).mean(dim=(2, 3)).float().cpu())
        return torch.cat(parts).clone()

    def _draw_balanced(self, targets: Tensor) -> Tensor:
        """Draw an epoch's photos with replacement, rare poses oftener: weight 1 / sqrt(photos of the pose)."""
        counts = torch.bincount(targets).clamp(min=1).float()
        return torch.multinomial(counts.rsqrt()[targets], len(targets), True, generator=self._generator)

    def _keep_if_best(self, epoch: int, logits: npt.NDArray[np.floating], loss: float | None, seconds: float) -> None:
        """Log the epoch and save the weights if validation NLL fell: it sees confidence, where accuracy is coarse."""
        targets = self.splits["validation"].targets
        nll = measure_nll(logits, targets)
        answers = logits.argmax(axis=1)
        row: dict[str, object] = {
            "epoch": epoch,
            "train_loss": "" if loss is None else round(loss, 5),
            "validation_nll": round(nll, 5),
            "validation_accuracy": round(measure_accuracy(answers, targets).value, 5),
            "validation_mean_recall": round(float(np.nanmean(measure_recalls(answers, targets, logits.shape[1]))), 5),
            "seconds": round(seconds, 2),
        }
        if nll < self._best_nll:
            self._best_nll, self.best_epoch = nll, epoch
            save_weights(self.network, self.folder / "weights.safetensors")
        self._log.append(row)
        with (self.folder / "log.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(row), lineterminator="\n")
            writer.writeheader()
            writer.writerows(self._log)


def early_size(size: int) -> int:
    """Side of the first half of the epochs: 5/7 of it, a multiple of 32 (progressive resizing)."""
    return max(32, size * 5 // 7 // 32 * 32)


def _split_batches(rows: Tensor, batch: int) -> list[Tensor]:
    """Cut into batches; a last batch of one joins its neighbour, since batch norm (--weights none) needs two."""
    parts = list(torch.split(rows, batch))
    if len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts


def _iterate_frames(frames: npt.NDArray[np.uint8], batch: int) -> Iterator[Tensor]:
    for start in range(0, len(frames), batch):
        yield torch.from_numpy(np.ascontiguousarray(frames[start : start + batch]))
