"""Trains the small networks on key points, in seconds on a CPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ...runtime.core.types import Floats
from ...runtime.people.landmarks import LANDMARKS, mirror_landmarks
from ...runtime.people.second_opinion import Mixture, SecondOpinion, encode_numbers
from ...runtime.system.progress import Progress

Numbers = npt.NDArray[np.int64]
LEAST_SCALE = 0.01
"""Inputs that hardly vary, such as the number of others in photos of one, are not blown up."""


@dataclass(frozen=True)
class NetworkConfig:
    """How the small networks are trained.

    hidden: widths of the hidden layers.  networks: how many, from other random weights.  noise: standard deviation that
    is added to the standardised inputs.  rate: top learning rate of AdamW, in one cycle.
    """

    hidden: tuple[int, ...] = (256, 256)
    networks: int = 2
    dropout: float = 0.3
    noise: float = 0.08
    label_smoothing: float = 0.05
    epochs: int = 40
    batch: int = 128
    rate: float = 2e-3
    seed: int = 0


@dataclass(frozen=True)
class Kinds:
    """The classes of the small networks: the folders of photos, so that a class may hold several.

    numbers: int (N,), of each photo.  labels: int (K,), the label of each kind.  mirrors: int (K,), the kind of a
    mirror image of each, -1 where it is not known; None: photos are not mirrored.  partners: int (C,), the label of a
    mirror image of each label.
    """

    numbers: Numbers
    labels: Numbers
    mirrors: Numbers | None
    partners: Numbers

    def select(self, rows: Numbers) -> Kinds:
        """Select photos; the kinds that none of them has are left out."""
        used, numbers = np.unique(self.numbers[rows], return_inverse=True)
        mirrors = self.mirrors
        if mirrors is not None:
            places = np.full(len(self.labels), -1)
            places[used] = np.arange(len(used))
            mirrors = np.where(mirrors[used] >= 0, places[mirrors[used]], -1)
        return Kinds(numbers.reshape(-1), self.labels[used], mirrors, self.partners)

    def add(self, names: Sequence[str], label: int) -> Kinds:
        """Append photos of further kinds of one label.  names: of the kind of each photo."""
        found, numbers = np.unique(np.asarray(names), return_inverse=True)
        count = len(self.labels)
        own = np.arange(count, count + len(found))
        mirrors = None if self.mirrors is None else np.concatenate([self.mirrors, own])
        labels = np.concatenate([self.labels, np.full(len(found), label)])
        return Kinds(np.concatenate([self.numbers, own[numbers.reshape(-1)]]), labels, mirrors, self.partners)


def name_kinds(
    paths: Sequence[str], labels: tuple[str, ...], partners: Numbers | None = None, *, mirror: bool = True
) -> Kinds:
    """Number the folders of photos.  paths: inside the photo folder, with /, `none/standing/1.jpg`.

    partners: int (C,), the label of a mirror image of each, None: the same.  mirror: whether photos are mirrored.
    """
    own = np.arange(len(labels)) if partners is None else partners
    folders = [path.rpartition("/")[0] for path in paths]
    names = sorted({*folders})
    places = {name: number for number, name in enumerate(names)}
    label_of = np.array([labels.index(name.partition("/")[0]) for name in names], np.int64)
    mirrors = np.arange(len(names))
    for number, name in enumerate(names):
        partner = int(own[label_of[number]])
        if partner != label_of[number]:  # the same folder of the other pose, else its only one
            others = [place for place in range(len(names)) if label_of[place] == partner]
            wanted = places.get("/".join([labels[partner], *name.split("/")[1:]]))
            mirrors[number] = wanted if wanted is not None else others[0] if len(others) == 1 else -1
    numbers = np.array([places[folder] for folder in folders], np.int64)
    return Kinds(numbers, label_of, mirrors if mirror else None, own)


def fit_networks(
    landmarks: Floats, kinds: Kinds, labels: tuple[str, ...], config: NetworkConfig | None = None
) -> SecondOpinion:
    """Train the small networks.  landmarks: float32 (N, 53).  Returns them with the plain product as mixture.

    Every label needs a photo.
    """
    config = config or NetworkConfig()
    inputs, targets = landmarks, kinds.numbers
    if kinds.mirrors is not None:
        mirrored = kinds.mirrors[targets]
        inputs = np.concatenate([landmarks, mirror_landmarks(landmarks)[mirrored >= 0]])
        targets = np.concatenate([targets, mirrored[mirrored >= 0]])
    mean, scale = inputs.mean(axis=0), np.maximum(inputs.std(axis=0), LEAST_SCALE)
    mean, scale = (part.astype("<f2").astype(np.float32) for part in (mean, scale))  # as the file will have them
    x, y = torch.from_numpy((inputs - mean) / scale), torch.from_numpy(targets)
    weights = 1 / np.sqrt(np.maximum(np.bincount(targets, minlength=len(kinds.labels)), 1))
    parts: list[Floats] = [mean, scale]
    with Progress("key points", config.networks * config.epochs, "epochs") as progress:
        for number in range(config.networks):
            network = _train(x, y, torch.from_numpy(weights).float(), config, config.seed + number, progress)
            parts += [values.detach().numpy().ravel() for values in network.parameters()]
    return SecondOpinion(
        labels=labels,
        kinds=tuple(kinds.labels.tolist()),
        widths=(LANDMARKS, *config.hidden, len(kinds.labels)),
        networks=config.networks,
        numbers=encode_numbers(np.concatenate(parts)),
        mixture=Mixture.plain_product(len(labels)),
        mirrors=() if kinds.mirrors is None else tuple(kinds.partners.tolist()),
    )


def _train(x: Tensor, y: Tensor, weights: Tensor, config: NetworkConfig, seed: int, progress: Progress) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        widths = (x.shape[1], *config.hidden, len(weights))
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers += [nn.Linear(inputs, outputs), nn.ReLU(), nn.Dropout(config.dropout)]
        network = nn.Sequential(*layers[:-2])
        optimizer = torch.optim.AdamW(network.parameters(), lr=config.rate)
        steps = config.epochs * -(-len(y) // config.batch)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.rate, total_steps=max(steps, 2))
        criterion = nn.CrossEntropyLoss(weights, label_smoothing=config.label_smoothing)
        for _ in range(config.epochs):
            for rows in torch.split(torch.randperm(len(y), generator=generator), config.batch):
                noisy = x[rows] + config.noise * torch.randn((len(rows), x.shape[1]), generator=generator)
                loss = criterion(network(noisy), y[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
            progress.advance()
    return network
