"""Learns how the answers of the pose network and of the key points are mixed, on photos that neither has learned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...calibration.confidence import fit_temperature
from ...runtime.core.softmax import log_softmax
from ...runtime.core.types import Floats, Ints
from ...runtime.people.second_opinion import Mixture

ALONE, PRODUCT, LEARNED = "network alone", "plain product", "learned"
FOLDS = 5
NETWORK_SHARE = 0.3
"""The network's part of the weights of both, from which they are drawn away by what the photos say.

Held-out photos of the same sources speak for more of it than photos of others: there the network loses far more than
key points do.  With 0.3 five measurements are within 1 point of their best, on photos of the same sources and of others
(docs/explanation/people.md); with 0.5 those of other sources lose up to 9 points of which pose it is.
"""
SCALE, SHARE, OWN, REST = 1.0, 200.0, 20.0, 5.0
"""How strongly the mixture is drawn to its start: the loss, in nats, of being off by 1 of the logarithm of the weights'
sum, of the network's share, of a class's own weights, of agreement and bias."""
STEPS = 100
MOST_WEIGHT = 3.0
"""Each class counts the same in what is learned, and `none` as much as all poses; a photo at most this often.

Where most photos are of `none`, it would else swallow poses: of strangers' photos of poses 63 % were answered and 76 %
are, of their other exercises 96 % and 92 % were and are `none` (docs/explanation/experiments.md, E22).
"""


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

    name: `learned`, or `plain product` or `network alone` where that is better than what comes before it.
    """

    mixture: Mixture
    name: str
    losses: dict[str, float]


def learn_mixture(answers: Answers, none: int | None) -> LearnedMixture:
    """Learn the mixture, unless the network alone has a lower loss in cross-validation over the groups.

    none: index of `none`, None without it.  The plain product of square roots is the second choice.  Each candidate has
    a temperature of its own.  Where no photo is of `none`, only *which* pose is learned; *whether* it is one is then
    mixed by the share that the weights start from: learned, it would be yes without exception.
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
    name = next((name for name in (LEARNED, PRODUCT) if losses[name] < losses[ALONE]), ALONE)
    return LearnedMixture(candidates[name](answers), name, {name: round(loss, 5) for name, loss in losses.items()})


def _learn_which(answers: Answers, none: int) -> LearnedMixture:
    """Learn which pose it is from photos that all show one."""
    poses = [index for index in range(answers.network.shape[1]) if index != none]
    targets = answers.targets - (answers.targets > none)
    network, landmarks = (log_softmax(logs[:, poses]) for logs in (answers.network, answers.landmarks))
    learned = learn_mixture(Answers(network, landmarks, targets, answers.groups), None)
    if learned.name == ALONE:
        return replace(learned, mixture=Mixture.network_alone(len(poses) + 1))
    start = start_mixture(len(poses) + 1)
    which = (*learned.mixture.which[:none], start.which[none], *learned.mixture.which[none:])
    return replace(learned, mixture=replace(start, which=which))


def start_mixture(classes: int) -> Mixture:
    """Make the mixture that learning starts from."""
    pairs = ((NETWORK_SHARE, 1 - NETWORK_SHARE),) * classes
    return Mixture(pairs, pairs)


def _spread_groups(groups: Ints) -> Ints:
    """The fold of each photo, int (N,), whole groups at a time."""
    _, numbers = np.unique(groups, return_inverse=True)
    numbers = numbers.reshape(-1)
    order = np.random.default_rng(0).permutation(int(numbers.max()) + 1)
    return order[numbers] % FOLDS


def _cross_validate(answers: Answers, folds: Ints, none: int | None, fit: Callable[[Answers], Mixture]) -> float:
    """Mean loss of photos, nats, each with a mixture and a temperature that were learned without its fold."""
    weights, total = weigh_photos(answers, none), 0.0
    for fold in np.unique(folds):
        known, rest = answers.select(folds != fold), answers.select(folds == fold)
        mixture = fit(known)
        temperature = fit_temperature(mixture.mix(known.network, known.landmarks, none), known.targets, known.groups)
        mixed = log_softmax(mixture.mix(rest.network, rest.landmarks, none) / temperature)
        losses = -mixed[np.arange(len(rest.targets)), rest.targets]
        total += float((weights[folds == fold] * losses).sum())
    return total / float(weights.sum())


def weigh_photos(answers: Answers, none: int | None) -> Floats:
    """How much each photo counts, float64 (N,): each group as one photo, each class the same, `none` as all poses.

    A photo counts at most `MOST_WEIGHT` times as much as its class's number of photos would make it.  none: index of
    `none`, None without it.
    """
    _, numbers, counts = np.unique(answers.groups, return_inverse=True, return_counts=True)
    weights = 1 / counts[numbers.reshape(-1)]
    total, labels = weights.sum(), np.unique(answers.targets)
    poses = len(labels) - (none in labels)
    shares = {
        label: 1.0 if not poses else 0.5 if label == none else (0.5 if none in labels else 1.0) / poses
        for label in labels
    }
    factors = np.ones(len(weights))
    for label in labels:
        is_label = answers.targets == label
        factors[is_label] = min(shares[label] * total / weights[is_label].sum(), MOST_WEIGHT)
    weights = weights * factors
    return weights * total / weights.sum()


def fit_mixture(answers: Answers, none: int | None) -> Mixture:
    """Find the weights of least loss, drawn to a network's share of 0.3: with few photos it is about that.

    Photos count as `weigh_photos` says.
    """
    classes = answers.network.shape[1]
    network, landmarks = (torch.tensor(logs, dtype=torch.float64) for logs in (answers.network, answers.landmarks))
    parts = torch.from_numpy(weigh_photos(answers, none))
    rows, targets = torch.arange(len(answers.targets)), torch.from_numpy(np.asarray(answers.targets, np.int64))
    scale, share = (torch.zeros(2, dtype=torch.float64, requires_grad=True) for _ in range(2))  # which, whether
    own = torch.zeros(2, classes, 2, dtype=torch.float64, requires_grad=True)
    rest = torch.zeros(2, dtype=torch.float64, requires_grad=True)  # agreement from one, bias from zero
    optimizer = torch.optim.LBFGS([scale, share, own, rest], max_iter=STEPS, line_search_fn="strong_wolfe")

    def make() -> tuple[Tensor, Tensor]:
        """The weights (2, C, 2) of which and whether; agreement and bias."""
        network_share = NETWORK_SHARE + share
        weights = scale.exp()[:, None] * torch.stack([network_share, 1 - network_share], dim=1)
        return weights[:, None] + own, rest + torch.tensor([1.0, 0.0])

    def close() -> Tensor:
        optimizer.zero_grad()
        mixed = mix_tensors(network, landmarks, *make(), none)
        loss = -(parts * mixed[rows, targets]).sum() + SCALE * scale.square().sum() + SHARE * share.square().sum()
        loss = loss + OWN * own.square().sum() + REST * rest.square().sum()
        loss.backward()
        return loss

    optimizer.step(close)  # pyright: ignore[reportArgumentType]  # a tensor is as good as a float
    weights, (agreement, bias) = (part.detach().tolist() for part in make())
    which, whether = (tuple((one, other) for one, other in pairs) for pairs in weights)
    return Mixture(which, whether, agreement, bias)


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
