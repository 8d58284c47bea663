"""The learning-rate range test (Smith 2017, Cyclical Learning Rates, section 3.3) on the whole network.

From a new head on the starting weights, the highest rate is raised by the same factor at each batch, and the other
stages' rates with it.  (After the frozen phase the loss hardly decreases: in a test the curve was flat, then diverged.)
The suggestion is the rate with the lowest loss: `fit` only reaches its highest rate briefly, after a warm-up.
"""

from __future__ import annotations

import csv
import io
import logging
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ...runtime.errors import RunError
from ...runtime.system.files import write_text, write_then_rename
from ...runtime.system.plain_text import format_count
from ...runtime.system.progress import Progress
from ..distributed.collectives import Workers
from ..distributed.devices import choose_device
from ..photos.folder import list_poses
from .augmentation import draw_augmentation
from .config import FitConfig, settle_mirroring
from .data import read_training_data, split_frames
from .network import build_network, prepare
from .trainer import Trainer

log = logging.getLogger(__name__)
LOWEST, HIGHEST = 1e-6, 1.0  # top rates tried
SMOOTHING = 0.9  # of the running mean of the losses
CLIMB = 1.5  # times the lowest loss: the rate is too high
BROKEN = 3.0  # times the lowest loss: the test ends


@dataclass(frozen=True)
class RangeTest:
    """rates, losses (smoothed): float (N,); suggestion: rate of the lowest loss; limit: rate of 1.5 times that loss.

    The limit is infinite if the loss never becomes so high.
    """

    rates: npt.NDArray[np.floating]
    losses: npt.NDArray[np.floating]
    suggestion: float
    limit: float


def find_rate(photos: Path, config: FitConfig, steps: int) -> RangeTest:
    """Run the test on the training photos of a photo folder.  Nothing is saved.  Raises YogaLiveError."""
    workers = Workers(device=choose_device(config.device))
    torch.manual_seed(config.seed)
    labels = list_poses(photos)
    config, reason = settle_mirroring(config, labels)
    if reason:
        log.info("%s", reason)
    network = build_network(len(labels), config.weights, config.arch)
    data = read_training_data(photos, config, workers)
    fitter = Trainer(network, {"train": split_frames(data)["train"]}, config, workers, Path())  # it writes nothing here
    rates = np.geomspace(LOWEST, HIGHEST, steps)
    losses = _climb(fitter, rates)
    if len(losses) < 10:
        raise RunError(
            f"the loss diverged after {format_count(len(losses), 'step')}, at a rate of {rates[len(losses)]:.1e}; "
            "look at the photos with yoga-train show"
        )
    return suggest_rate(rates[: len(losses)], losses)


def _climb(fitter: Trainer, rates: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Train a batch at each rate until the loss diverges.  Returns the smoothed losses so far."""
    config, network, split = fitter.config, fitter.network.train(), fitter.splits["train"]
    generator, device = torch.Generator().manual_seed(config.seed), fitter.workers.device
    targets = torch.from_numpy(split.targets)
    optimizer = torch.optim.AdamW(network.parameter_groups(1.0), weight_decay=config.weight_decay)
    shares = [group["lr"] for group in optimizer.param_groups]
    criterion = nn.CrossEntropyLoss(label_smoothing=config.label_smoothing)
    surroundings = fitter.surroundings
    mean, smoothed, waiting = 0.0, [], torch.empty(0, dtype=torch.int64)
    with Progress("learning rates", len(rates), "batches") as progress:
        for step, rate in enumerate(rates):
            for group, share in zip(optimizer.param_groups, shares, strict=True):
                group["lr"] = share * rate
            while len(waiting) < config.batch:
                waiting = torch.cat([waiting, split.draw(generator)])
            rows, waiting = waiting[: config.batch], waiting[config.batch :]
            draws = draw_augmentation(len(rows), config.augmentation, generator, len(surroundings.scenes))
            images = prepare(surroundings.augment(rows.numpy(), config.size, draws, device))
            with fitter.precision.autocast():
                logits = network(images).float()
            loss = criterion(logits, split.swap_targets(targets[rows], draws.is_mirrored).to(device))
            if not math.isfinite(loss.item()):
                break
            optimizer.zero_grad()
            fitter.precision.scaler.scale(loss).backward()
            fitter.precision.scaler.step(optimizer)
            fitter.precision.scaler.update()
            mean = SMOOTHING * mean + (1 - SMOOTHING) * loss.item()
            smoothed.append(mean / (1 - SMOOTHING ** (step + 1)))
            progress.advance(note=f"rate {rate:.1e}  loss {smoothed[-1]:.3f}")
            if smoothed[-1] > BROKEN * min(smoothed):
                break
    return np.array(smoothed)


def suggest_rate(rates: npt.NDArray[np.floating], losses: npt.NDArray[np.floating]) -> RangeTest:
    """Suggest the rate of the lowest loss.  rates, losses: float (N,), smoothed.

    Raises RunError if the loss was lowest at the start: such a network does not learn at any rate.
    """
    lowest = int(losses.argmin())
    if lowest < len(losses) // 10:
        raise RunError(
            f"the loss never decreased: it was lowest, {losses[lowest]:.3f}, at a rate of {rates[lowest]:.1e}; "
            "give more --steps or a larger --batch, and look at the photos with yoga-train show"
        )
    high = np.flatnonzero(losses[lowest:] > CLIMB * losses[lowest])
    limit = float(rates[lowest + high[0]]) if len(high) else math.inf
    return RangeTest(rates, losses, float(rates[lowest]), limit)


def plot_rates(test: RangeTest, path: Path, *, replace: bool = True) -> None:
    """Write the plot, and its numbers as CSV beside it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(test.rates, test.losses, color="#3f6f50")
    height = float(np.interp(math.log(test.suggestion), np.log(test.rates), test.losses))
    axes.plot([test.suggestion], [height], "o", color="#c9743a", markersize=9)
    axes.annotate(f"--rate {test.suggestion:.1e}", (test.suggestion, height), (8, 8), textcoords="offset points")
    axes.set_xscale("log")
    axes.set_xlabel("top learning rate")
    axes.set_ylabel("training loss, smoothed")
    axes.grid(alpha=0.25)
    with write_then_rename(path, replace=replace) as temporary:
        figure.savefig(temporary, dpi=110)
    table = io.StringIO()
    rows = ((f"{rate:.6g}", f"{loss:.6g}") for rate, loss in zip(test.rates, test.losses, strict=True))
    csv.writer(table, lineterminator="\n").writerows([("rate", "loss"), *rows])
    write_text(path.with_suffix(".csv"), table.getvalue(), replace=replace)
