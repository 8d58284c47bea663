"""Fine-tune: the new head on a frozen backbone first, then everything.

The frozen phase computes each photo's features once (see `frozen_head.py`); only the second phase pays for the whole
network.  Several workers share every batch: `--batch` counts the photos of all of them, so that a step, and the rate
that suits it, is the same for any number of workers.  What is decided from numbers (the best epoch, when to stop), the
worker that keeps the run decides for all.
A plain torch loop: what a library of loops would take off it (devices, precision, sums over them) is fifty lines here,
and every line of what is left is about poses.
"""

from __future__ import annotations

import logging
import math
import time
import warnings
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ...runtime.errors import RunError
from ...runtime.system.plain_text import format_count
from ...runtime.system.progress import Progress
from ..distributed.collectives import Workers
from ..photos.dataset import PhotoDataset, balance
from ..run_files.log import Epoch, FitLog, Row, as_epoch, describe_epoch
from .augmentation import draw_augmentation, weaken
from .backdrops import Surroundings, find_surroundings
from .checkpoint import CHECKPOINT, Progression, load_checkpoint, load_notes, save_checkpoint
from .config import FitConfig
from .frozen_head import CHUNK, Features, compute_both, fit_head, split_batches
from .network import KindNetwork, PoseNetwork, load_network, prepare, save_weights, shrink
from .precision import choose_precision
from .teacher import ANSWERS, FEATURES, Teacher, make_hint, measure_distance

log = logging.getLogger(__name__)
WEIGHTS = "weights.safetensors"
MANY_STEPS = 400
"""Trainings of fewer steps of the optimizer are gentler in proportion (`Trainer.strength`).

AdamW's first steps move every weight by the rate, whatever the gradient.  One cycle over 24 steps is at its top rate
after seven of them: with 1e-3 the pretrained features are gone before the average gradient is known.
docs/explanation/experiments.md, E15, has what was measured.
"""


class Trainer:
    """One training: holds the network, the splits and the folder it writes to.

    Without validation photos, as in the folds, the last epoch is kept.  on_epoch: is called after each epoch, first
    after the frozen phase, by the worker that writes.  teacher: the whole network also learns its answers.

    Several workers reach the same weights: all draw the same photos and random numbers, and each works on its part of
    every batch.
    """

    def __init__(
        self,
        network: PoseNetwork,
        splits: dict[str, PhotoDataset],
        config: FitConfig,
        workers: Workers,
        folder: Path,
        on_epoch: Callable[[Epoch], None] | None = None,
        teacher: Teacher | None = None,
    ) -> None:
        self.network = network.to(workers.device)
        self.splits, self.config, self.workers, self.folder = splits, config, workers, folder
        self.precision = choose_precision(workers)
        self.best_epoch = 0
        self.teacher = teacher
        self._on_epoch = on_epoch if workers.is_writer else None
        self.is_stopped = False  # by Ctrl-C or a callback, perhaps after the last epoch
        self.notes: dict[str, Any] = {}  # kept in the checkpoint for the caller
        self.head_logits: dict[str, npt.NDArray[np.floating]] = {}  # of the frozen phase, if it ran here
        self._best_nll = math.inf
        self._done_epochs = 0
        self.strength = self._measure_strength()
        self._augmentation = weaken(config.augmentation, self.strength)
        self._generator = torch.Generator().manual_seed(config.seed)
        self._log = FitLog(folder if workers.is_writer else None)
        kinds, hint = splits["train"].kind_count if config.kinds else 0, make_hint(self.network, teacher)
        self._trained = KindNetwork(self.network, kinds, hint).to(workers.device)
        self._criterion: Callable[[Tensor, Tensor], Tensor] = nn.CrossEntropyLoss(
            ignore_index=-1, label_smoothing=config.label_smoothing, reduction="sum"
        )

    def resume(self) -> bool:
        """Resume an interrupted training in this folder.  False if it had not reached the second phase."""
        state = self.workers.broadcast_object(load_notes(self.folder / CHECKPOINT) if self.workers.is_writer else None)
        if state is None:
            return False
        self._done_epochs, self.best_epoch, self._best_nll = state["epoch"], state["best_epoch"], state["best_nll"]
        self._log = FitLog(self.folder if self.workers.is_writer else None, state["log"])
        self.notes = state["notes"]
        return True

    def _measure_strength(self) -> float:
        """How much of the configured rate is used, and of the variety of photos: 1 where there are many steps.

        A network of random weights has nothing to lose.
        """
        steps = self._count_steps()
        return min(1.0, steps / MANY_STEPS) if self.network.freeze_norm and steps else 1.0

    def _count_steps(self) -> int:
        """Steps of the optimizer in all epochs of the whole network."""
        return len(self._split_epoch(torch.arange(len(self.splits["train"])))) * self.config.epochs

    def describe_strength(self) -> str:
        """One line for the log where the training is gentler than it was configured, else nothing."""
        if self.strength == 1:
            return ""
        share = "under 1%" if self.strength < 0.01 else f"{min(self.strength, 0.99):.0%}"
        return (
            f"a short training, {format_count(self._count_steps(), 'step')} of the whole network: its learning rate, "
            f"{self.config.rate * self.strength:.1e} at most, and the variation of the photos are "
            f"{share} of what {MANY_STEPS} steps or more are given; more photos or more --epochs train it harder"
        )

    @cached_property
    def surroundings(self) -> Surroundings:
        """The surroundings of the people in the training photos, which may be replaced."""
        return find_surroundings(self.splits["train"], self.config.augmentation, self.workers)

    @property
    def log_rows(self) -> list[Row]:
        """The rows of log.csv so far."""
        return self._log.rows

    def compute_features(self) -> dict[str, Features]:
        """Run the frozen backbone once over every split, and over the mirrored training photos if they are mirrored."""
        found = {}
        for name, split in self.splits.items():
            mirror, title = name == "train" and self.config.mirror is not False, f"features of {name}"
            size = self.config.size
            found[name] = compute_both(
                self.network, split, self.precision, self.workers, title, size=size, mirror=mirror
            )
        return found

    def fit_head(self, features: dict[str, Features] | None = None) -> dict[str, npt.NDArray[np.floating]]:
        """Train the head on the frozen backbone.  Returns the logits of every split, float (N, C)."""
        features = features or self.compute_features()
        head = nn.Linear(self.network.feature_size, self.network.head.out_features)
        train = self.splits["train"]
        if self.workers.is_writer:
            mirrored = None if train.partners is None else train.partners[train.targets]
            fit_head(features["train"], train.targets, train.draw_weights, head, self.config, self._generator, mirrored)
            self._fit_kinds(features["train"])
        state = self._generator.get_state()
        self.workers.broadcast([*head.state_dict().values(), *self._kinds_state(), state])
        self._generator.set_state(state)
        self.network.head.load_state_dict(head.state_dict())
        with torch.inference_mode():
            logits = {name: head(table.plain).numpy() for name, table in features.items()}
        self.head_logits = logits
        self._end_epoch(0, self.network, logits.get("validation"), None, 0.0, 0.0)
        return logits

    def _fit_kinds(self, features: Features) -> None:
        """Train the second head on the frozen backbone, if kinds are known."""
        kinds, config = self.splits["train"].kinds, self.config
        if self._trained.kinds is not None and kinds is not None and config.epochs:
            known = np.flatnonzero(kinds >= 0)
            head = nn.Linear(self._trained.kinds.in_features, self._trained.kinds.out_features)
            own, mirrored = kinds[known], self._mirror_kinds(known)
            fit_head(features.take(known), own, balance(own), head, config, self._generator, mirrored)
            self._trained.kinds.load_state_dict(head.state_dict())

    def _mirror_kinds(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64] | None:
        """Kinds of the mirror images of training photos, -1 where that is another class; None: the same as theirs."""
        train = self.splits["train"]
        if train.partners is None or train.kinds is None:
            return None
        targets = train.targets[rows]
        return np.where(train.partners[targets] == targets, train.kinds[rows], -1)

    def _kinds_state(self) -> list[Tensor]:
        return [] if self._trained.kinds is None else list(self._trained.kinds.state_dict().values())

    def fit_all(self) -> None:
        """Fine-tune the whole network, from the checkpoint if there is one."""
        progression = self._start()
        path = self.folder / CHECKPOINT
        if self._done_epochs or self.workers.broadcast_object(path.exists()):
            load_checkpoint(path, progression, self.workers)
        elif self.workers.is_writer and self.config.epochs:
            self._save_checkpoint(progression)
        if not self._done_epochs and self.head_logits:  # a resumed training has reported it
            self._report_epoch()
        model: nn.Module = self._trained
        if self.workers.count > 1:
            model = _distribute(model, self.workers, buffers=not self.network.freeze_norm)
        for epoch in range(self._done_epochs + 1, self.config.epochs + 1):
            if self._is_stale(epoch - 1):
                count = format_count(self.config.patience, "epoch")
                log.info("stopped early: no better validation loss for %s", count)
                break
            started_s = time.monotonic()
            loss = self._train_epoch(epoch, model, progression)
            self._share_statistics(progression)
            kept = self.network if progression.average is None else _unwrap(progression.average)
            logits = self.predict(self.splits["validation"], network=kept) if "validation" in self.splits else None
            rate = float(progression.schedule.get_last_lr()[-1])
            self._end_epoch(epoch, kept, logits, loss, rate, time.monotonic() - started_s)
            if self.workers.is_writer and epoch < self.config.epochs:
                self._save_checkpoint(progression)
            self._report_epoch()
        self._log.close()

    def _report_epoch(self) -> None:
        """Report the newest epoch, which is on disk by now: what the caller raises ends the training there."""
        if self._on_epoch is not None:
            self._on_epoch(as_epoch(self._log.rows[-1]))

    @property
    def is_done(self) -> bool:
        """Whether no epoch is left."""
        return self._done_epochs >= self.config.epochs

    def predict(
        self, photos: PhotoDataset, *, exact: bool = False, network: PoseNetwork | None = None
    ) -> npt.NDArray[np.floating]:
        """Compute logits, float (N, C).  exact: in FP32, for reported numbers."""
        network = (network or self.network).eval()
        own = np.arange(len(photos))[self.workers.own_slice(len(photos))]
        parts: list[Tensor] = [torch.empty((0, network.head.out_features), device=self.workers.device)]
        with torch.inference_mode():
            for start in range(0, len(own), CHUNK):
                frames = torch.from_numpy(photos.take(own[start : start + CHUNK])).to(self.workers.device)
                with self.precision.autocast(exact=exact):
                    parts.append(network(prepare(shrink(frames, self.config.size))).float())
        return self.workers.all_gather(torch.cat(parts), len(photos)).numpy()

    def load_best(self) -> None:
        """Load the weights of the best epoch, which the run keeps, on every worker."""
        if self.workers.is_writer:
            classes = self.network.head.out_features
            self.network = load_network(self.folder / WEIGHTS, classes).to(self.workers.device)
        self.workers.broadcast(self.network.state_dict().values())

    def _start(self) -> Progression:
        steps = self._count_steps()
        rate = self.config.rate * self.strength
        groups = self.network.parameter_groups(rate)
        for module in filter(None, (self._trained.kinds, self._trained.hint)):
            groups.append({"params": list(module.parameters()), "lr": rate})
        optimizer = torch.optim.AdamW(groups, weight_decay=self.config.weight_decay, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            [float(str(group["lr"])) for group in groups],
            total_steps=max(steps, 2),
        )
        average = None
        if self.config.averaging:
            decay = 1 - 1 / max(self.config.averaging * (steps // max(self.config.epochs, 1)), 1)
            trained_norm = not self.network.freeze_norm
            average = AveragedModel(self.network, None, None, get_ema_multi_avg_fn(decay), use_buffers=trained_norm)
        return Progression(self._trained, average, optimizer, schedule, self.precision.scaler, self._generator)

    def _train_epoch(self, epoch: int, model: nn.Module, progression: Progression) -> float:
        self.network.train()
        split = self.splits["train"]
        targets = torch.from_numpy(split.targets)
        kinds = None if split.kinds is None else torch.from_numpy(split.kinds)
        size = early_size(self.config.size) if epoch <= self._count_early() else self.config.size
        places, device = len(self.surroundings.scenes), self.workers.device
        total = torch.zeros(3, device=device)  # loss, correct predictions, photos
        drawn = split.draw(self._generator)
        self.workers.broadcast([drawn])  # processors may round differently and draw different photos
        batches = self._split_epoch(drawn)
        often = 1 if device.type == "cpu" else min(10, max(1, len(batches) // 20))  # a note waits for the GPU
        with Progress(f"epoch {epoch}/{self.config.epochs} at {size} px", len(targets), "photos") as progress:
            for step, rows in enumerate(batches):
                draws = draw_augmentation(len(rows), self._augmentation, self._generator, places)
                share = self.workers.own_slice(len(rows))
                own = rows[share]
                side = size if self.teacher is None else max(self.config.size, self.teacher.size)
                views = self.surroundings.augment(own.numpy(), side, draws.take(share), device)
                answers = None if self.teacher is None else self.teacher.answer(shrink(views, self.teacher.size))
                images = prepare(shrink(views, size))
                truth = split.swap_targets(targets[own], draws.take(share).is_mirrored)
                own_kinds = None if kinds is None else torch.where(truth == targets[own], kinds[own], -1).to(device)
                truth = truth.to(device)
                with self.precision.autocast():
                    logits, kind_logits, hint = model(images)
                logits = logits.float()
                loss = pose_loss = self._criterion(logits, truth)
                if answers is not None:
                    distance, apart = measure_distance(logits, hint, answers)
                    loss = (1 - ANSWERS) * pose_loss + ANSWERS * distance + FEATURES * apart
                if kind_logits is not None and own_kinds is not None:
                    kind_loss = self._criterion(kind_logits.float(), own_kinds)
                    loss = loss + self.config.kinds * kind_loss
                self._step(loss * (self.workers.count / len(rows)), progression)
                right = (logits.argmax(1) == truth).sum()
                total += torch.stack([pose_loss.detach(), right.float(), right.new_tensor(len(own)).float()])
                progress.advance(len(rows), _format_note(total, epoch) if step % often == 0 else "")
        _format_note(total, epoch)
        loss_sum, _, count = self.workers.all_reduce(total).tolist()
        return loss_sum / count

    def _step(self, loss: Tensor, progression: Progression) -> None:
        """One step of the optimizer.  loss: this worker's part of the batch's mean, times the number of workers."""
        progression.optimizer.zero_grad()
        progression.scaler.scale(loss).backward()
        progression.scaler.step(progression.optimizer)
        progression.scaler.update()
        progression.schedule.step()
        if isinstance(progression.average, AveragedModel):
            progression.average.update_parameters(self.network)

    def _share_statistics(self, progression: Progression) -> None:
        """Average trained batch norm over the workers, which saw different parts of the batches."""
        if not self.network.freeze_norm:
            for module in filter(None, (self.network, progression.average)):
                self.workers.all_reduce_mean(values for values in module.buffers() if values.is_floating_point())

    def _split_epoch(self, rows: Tensor) -> list[Tensor]:
        return split_batches(rows, self.config.batch, least=2 * self.workers.count)

    def _count_early(self) -> int:
        """How many epochs are at the early size: half of them, fewer below MANY_STEPS, none below half of those."""
        return int(self.config.epochs // 2 * max(0.0, 2 * self.strength - 1))

    def _is_stale(self, epoch: int) -> bool:
        """Early stopping.  In the first half the rate is still high and the validation loss is noisy."""
        patience = self.config.patience
        return 0 < patience <= epoch - max(self.best_epoch, self.config.epochs // 2)

    def _end_epoch(
        self,
        epoch: int,
        network: PoseNetwork,
        logits: npt.NDArray[np.floating] | None,
        loss: float | None,
        rate: float,
        seconds: float,
    ) -> None:
        """Log the epoch and save the weights if validation NLL fell: it sees confidence, where accuracy is coarse."""
        targets = self.splits["validation"].targets if logits is not None else None
        row = self.workers.broadcast_object(describe_epoch(epoch, loss, logits, targets, rate, seconds))
        nll = math.inf if logits is None else float(row["validation_nll"])
        self._done_epochs = epoch
        if logits is None or nll < self._best_nll:
            self._best_nll, self.best_epoch = nll, epoch
            if self.workers.is_writer:
                save_weights(network, self.folder / WEIGHTS)
        self._log.add(row)

    def _save_checkpoint(self, progression: Progression) -> None:
        state = {
            "epoch": self._done_epochs,
            "best_epoch": self.best_epoch,
            "best_nll": self._best_nll,
            "log": self._log.rows,
            "notes": self.notes,
        }
        save_checkpoint(self.folder / CHECKPOINT, progression, state)


def early_size(size: int) -> int:
    """Side of the first half of the epochs: 5/7 of it, a multiple of 32 (progressive resizing)."""
    return max(32, size * 5 // 7 // 32 * 32)


def _format_note(total: Tensor, epoch: int) -> str:
    loss, right, count = total.tolist()
    if not math.isfinite(loss):
        raise RunError(f"the loss became {loss} in epoch {epoch}; train with a lower --rate (yoga-train lr-find)")
    return f"loss {loss / count:.3f}  accuracy {right / count:.1%}"


def _distribute(model: nn.Module, workers: Workers, *, buffers: bool) -> nn.Module:
    """Average the gradients of all workers in every backward pass.  buffers: whether they are trained too."""
    for text in (
        "`broadcast_buffers` is deprecated",
        "Grad strides do not match",
    ):  # its successor is younger than 2.4;
        warnings.filterwarnings("ignore", message=text)  # and channels last costs DDP one cheap copy
    return DistributedDataParallel(model, broadcast_buffers=buffers, process_group=workers.gradients)


def _unwrap(average: nn.Module) -> PoseNetwork:
    assert isinstance(average, AveragedModel)
    network = average.module
    assert isinstance(network, PoseNetwork)
    return network
