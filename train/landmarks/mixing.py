"""Learns how the answers of the pose network and of the key points are mixed, on photos that neither has learned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...calibration.confidence import fit_temperature
from ...calibration.metrics import measure_nll
from ...runtime.core.softmax import log_softmax
from ...runtime.core.types import Floats, Ints
from ...runtime.people.second_opinion import Mixture

ALONE, PRODUCT, LEARNED = "network alone", "plain product", "learned"
FOLDS = 5
SHARED, OWN = 5.0, 20.0
"""How strongly weights are drawn to those of the plain product, and a class's own weights to those that all share: the
loss, in nats, of being off by 1."""
STEPS = 60


@dataclass(frozen=True)
class Answers:
    """What network and key points say of the same photos.

    network, landmarks: log-probabilities, float (N, C).  targets: int (N,).  groups: int (N,), photos that are right or
    wrong together, such as near-duplicates, or those of one source.
    """

    network: Floats
    landmarks: Floats
    targets: Ints
    groups: Ints

    def select(self, rows: npt.NDArray[np.bool_]) -> Answers:
        """Select photos.  rows: bool (N,)."""
        return Answers(self.network[rows], self.landmarks[rows], self.targets[rows], self.groups[rows])


@dataclass(frozen=True)
class LearnedMixture:
    """The mixture that is chosen, and the loss of each candidate on photos it was not learned on, nats.

    name: `network alone`, `plain product` or `learned`.
    """

    mixture: Mixture
    name: str
    losses: dict[str, float]


def learn_mixture(answers: Answers, none: int | None) -> LearnedMixture:
    """Choose the mixture with the least loss by cross-validation over the groups.

    none: index of `none`, None without it.  The network alone is kept unless a mixture is better; each candidate has a
    temperature of its own.  Where no photo is of `none`, only *which* pose is learned; *whether* it is one is then
    mixed as the plain product does: learned, it would be yes without exception.
    """
    if none is not None and not (answers.targets == none).any():
        return _learn_which(answers, none)
    classes = answers.network.shape[1]
    candidates: dict[str, Callable[[Answers], Mixture]] = {
        ALONE: lambda _: Mixture.network_alone(classes),
        PRODUCT: lambda _: Mixture.plain_product(classes),
        LEARNED: lambda part: fit_mixture(part, none),
    }
    folds = _spread_groups(answers.groups)
    losses = {name: _cross_validate(answers, folds, none, fit) for name, fit in candidates.items()}
    name = min(losses, key=lambda name: losses[name])  # the first of equals
    return LearnedMixture(candidates[name](answers), name, {name: round(loss, 5) for name, loss in losses.items()})


def _learn_which(answers: Answers, none: int) -> LearnedMixture:
    """Learn which pose it is from photos that all show one."""
    poses = [index for index in range(answers.network.shape[1]) if index != none]
    targets = answers.targets - (answers.targets > none)
    network, landmarks = (log_softmax(logs[:, poses]) for logs in (answers.network, answers.landmarks))
    learned = learn_mixture(Answers(network, landmarks, targets, answers.groups), None)
    plain = Mixture.plain_product(len(poses) + 1)
    if learned.name == ALONE:
        return replace(learned, mixture=Mixture.network_alone(len(poses) + 1))
    which = [*learned.mixture.which[:none], plain.which[none], *learned.mixture.which[none:]]
    return replace(learned, mixture=replace(plain, which=tuple(which)))


def _spread_groups(groups: Ints) -> Ints:
    """The fold of each photo, int (N,), whole groups at a time."""
    _, numbers = np.unique(groups, return_inverse=True)
    numbers = numbers.reshape(-1)
    order = np.random.default_rng(0).permutation(int(numbers.max()) + 1)
    return order[numbers] % FOLDS


def _cross_validate(answers: Answers, folds: Ints, none: int | None, fit: Callable[[Answers], Mixture]) -> float:
    """Mean loss of photos, nats, each with a mixture and a temperature that were learned without its fold."""
    total = 0.0
    for fold in np.unique(folds):
        known, rest = answers.select(folds != fold), answers.select(folds == fold)
        mixture = fit(known)
        temperature = fit_temperature(mixture.mix(known.network, known.landmarks, none), known.targets, known.groups)
        mixed = mixture.mix(rest.network, rest.landmarks, none)
        total += len(rest.targets) * measure_nll(mixed, rest.targets, temperature)
    return total / len(answers.targets)


def fit_mixture(answers: Answers, none: int | None) -> Mixture:
    """Find the weights of least loss, drawn to those of the plain product: with few photos they are these.

    Each group counts as one photo.
    """
    classes = answers.network.shape[1]
    network, landmarks = (torch.tensor(logs, dtype=torch.float64) for logs in (answers.network, answers.landmarks))
    _, numbers, counts = np.unique(answers.groups, return_inverse=True, return_counts=True)
    share = torch.from_numpy(1 / counts[numbers.reshape(-1)])
    rows, targets = torch.arange(len(answers.targets)), torch.from_numpy(np.asarray(answers.targets, np.int64))
    shared = torch.zeros(2, 2, dtype=torch.float64, requires_grad=True)  # which, whether; from one half
    own = torch.zeros(2, classes, 2, dtype=torch.float64, requires_grad=True)
    rest = torch.zeros(2, dtype=torch.float64, requires_grad=True)  # agreement from one, bias from zero
    optimizer = torch.optim.LBFGS([shared, own, rest], max_iter=STEPS, line_search_fn="strong_wolfe")

    def close() -> Tensor:
        optimizer.zero_grad()
        weights = 0.5 + shared[:, None] + own
        mixed = mix_tensors(network, landmarks, weights, rest + torch.tensor([1.0, 0.0]), none)
        loss = -(share * mixed[rows, targets]).sum()
        loss = loss + SHARED * (shared.square().sum() + rest.square().sum()) + OWN * own.square().sum()
        loss.backward()
        return loss

    optimizer.step(close)  # pyright: ignore[reportArgumentType]  # a tensor is as good as a float
    which, whether = (0.5 + shared[:, None] + own).detach().tolist()
    agreement, bias = (rest + torch.tensor([1.0, 0.0])).tolist()
    return Mixture(
        tuple((one, other) for one, other in which), tuple((one, other) for one, other in whether), agreement, bias
    )


def mix_tensors(network: Tensor, landmarks: Tensor, weights: Tensor, rest: Tensor, none: int | None) -> Tensor:
    """Mix as `Mixture.mix` does.  weights: (2, C, 2), of which and whether; rest: agreement and bias."""
    poses = [index for index in range(network.shape[1]) if index != none]
    one, other = (logs[:, poses].log_softmax(1) for logs in (network, landmarks))
    chosen = (weights[0, poses, 0] * one + weights[0, poses, 1] * other).log_softmax(1)
    if none is None:
        return chosen
    odds = torch.stack([logs[:, poses].logsumexp(1) - logs[:, none] for logs in (network, landmarks)], dim=1)
    is_pose = (chosen.exp() @ weights[1, poses] * odds).sum(1)
    is_pose = is_pose + rest[0] * ((one + other) / 2).logsumexp(1) + rest[1]
    mixed = torch.empty_like(network)
    mixed[:, poses] = chosen + torch.nn.functional.logsigmoid(is_pose)[:, None]
    mixed[:, none] = torch.nn.functional.logsigmoid(-is_pose)
    return mixed
