"""The mixture: the formula of the file in torch, what is learned where, and what is kept where nothing is gained."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from yoga_live.runtime.core.softmax import log_softmax, softmax  # noqa: E402
from yoga_live.runtime.core.types import Floats, Ints  # noqa: E402
from yoga_live.runtime.people.second_opinion import Mixture  # noqa: E402
from yoga_live.train.landmarks.mixing import (  # noqa: E402
    ALONE,
    LEARNED,
    NETWORK_SHARE,
    PRODUCT,
    Answers,
    fit_mixture,
    learn_mixture,
    mix_tensors,
    weigh_photos,
)

NONE = 3


def answer(targets: Ints, gain: float, seed: int, blur: float = 1.0) -> Floats:
    """Log-probabilities of somebody who sees the truth through noise, and knows how well: float (N, 4)."""
    rng = np.random.default_rng(seed)
    return log_softmax(gain * np.eye(4)[targets] + rng.normal(0, blur, (len(targets), 4)))


def draw_answers(count: int, network: float, landmarks: float, seed: int = 0) -> Answers:
    targets = np.random.default_rng(seed).integers(0, 4, count)
    return Answers(answer(targets, network, seed + 1), answer(targets, landmarks, seed + 2), targets, np.arange(count))


def measure_loss(answers: Answers, mixture: Mixture) -> float:
    mixed = mixture.mix(answers.network, answers.landmarks, NONE)
    return float(-mixed[np.arange(len(answers.targets)), answers.targets].mean())


@pytest.mark.parametrize("none", [NONE, 0, None])
def test_torch_mixes_as_the_runtime_does(none: int | None) -> None:
    rng = np.random.default_rng(0)
    answers = draw_answers(50, 2.0, 1.0)
    weights, rest = rng.normal(0.5, 0.5, (2, 4, 2)), rng.normal(0, 1, 2)
    pairs = [tuple((float(one), float(other)) for one, other in each) for each in weights]
    expected = Mixture(pairs[0], pairs[1], float(rest[0]), float(rest[1])).mix(answers.network, answers.landmarks, none)
    network, landmarks = torch.from_numpy(answers.network), torch.from_numpy(answers.landmarks)
    mixed = mix_tensors(network, landmarks, torch.from_numpy(weights), torch.from_numpy(rest), none)
    np.testing.assert_allclose(mixed.numpy(), expected, atol=1e-12)


def find_share(mixture: Mixture) -> Floats:
    """The network's share of the weights of which, float (C,), without `none`."""
    which = np.array(mixture.which)[:NONE]
    return which[:, 0] / which.sum(axis=1)


def test_few_photos_leave_the_share_that_it_starts_from_and_many_move_it() -> None:
    few, many = (find_share(fit_mixture(draw_answers(count, 4.0, 1.0), NONE)) for count in (4, 4000))
    assert few == pytest.approx(np.full(3, NETWORK_SHARE), abs=0.05)
    assert many.min() > 0.6  # the network sees four times as far


def test_the_learned_mixture_has_the_lower_loss() -> None:
    answers = draw_answers(4000, 4.0, 1.0)
    assert measure_loss(answers, fit_mixture(answers, NONE)) < measure_loss(answers, Mixture.plain_product(4)) - 0.01


def test_near_duplicates_count_once() -> None:
    answers = draw_answers(40, 3.0, 1.0)
    repeated = Answers(*(np.repeat(part, 50, axis=0) for part in vars(answers).values()))
    np.testing.assert_allclose(fit_mixture(repeated, NONE).which, fit_mixture(answers, NONE).which, atol=1e-3)


def test_each_class_counts_the_same_and_none_as_all_poses() -> None:
    targets = np.repeat([0, 1, 2, NONE], [10, 20, 10, 160])
    answers = Answers(np.zeros((200, 4)), np.zeros((200, 4)), targets, np.arange(200))
    weights = weigh_photos(answers, NONE)
    sums = [weights[targets == label].sum() for label in range(4)]
    assert sums == pytest.approx([200 / 6, 200 / 6, 200 / 6, 100], rel=0.12) and weights.sum() == pytest.approx(200)
    rare = weigh_photos(answers.select(np.arange(200) >= 9), NONE)  # a single photo of a class
    assert rare[0] < 4 and rare[0] == pytest.approx(rare.max())
    no_none = weigh_photos(answers.select(targets != NONE), None)
    assert [no_none[at].sum() for at in (slice(0, 10), slice(10, 30), slice(30, 40))] == pytest.approx([40 / 3] * 3)


def test_poses_are_not_swallowed_where_most_photos_are_of_none() -> None:
    answers = draw_answers(8000, 1.5, 1.5)
    kept = (answers.targets == NONE) | (np.arange(8000) % 20 == 0)
    learned = fit_mixture(answers.select(kept), NONE)
    test = draw_answers(4000, 1.5, 1.5, seed=50)
    right = learned.mix(test.network, test.landmarks, NONE).argmax(axis=1) == test.targets
    is_none = test.targets == NONE
    assert right[~is_none].mean() > 0.7 and right[is_none].mean() > 0.85  # 0.61 and 0.98 where each photo counts once


def test_a_label_of_which_the_network_knows_nothing_is_left_to_the_key_points() -> None:
    answers = draw_answers(8000, 3.0, 2.0)
    network = answers.network.copy()
    network[:, 0] = np.random.default_rng(9).normal(-1.5, 1, len(network))
    learned = fit_mixture(Answers(log_softmax(network), answers.landmarks, answers.targets, answers.groups), NONE)
    which = np.array(learned.which)
    assert which[0, 0] < 0.8 * which[1, 0] and which[0, 0] < 0.8 * which[2, 0]


def test_an_independent_second_opinion_is_mixed_in() -> None:
    learned = learn_mixture(draw_answers(600, 2.0, 2.0), NONE)
    assert learned.name in (PRODUCT, LEARNED) and learned.losses[learned.name] < learned.losses[ALONE] - 0.05
    test = draw_answers(2000, 2.0, 2.0, seed=50)
    right = learned.mixture.mix(test.network, test.landmarks, NONE).argmax(axis=1) == test.targets
    assert right.mean() > (test.network.argmax(axis=1) == test.targets).mean() + 0.08


def test_a_second_opinion_that_knows_nothing_leaves_the_network_alone() -> None:
    answers = draw_answers(300, 3.0, 0.0)
    learned = learn_mixture(answers, NONE)
    assert learned.name == ALONE and learned.mixture == Mixture.network_alone(4)
    assert set(learned.losses) == {ALONE, PRODUCT, LEARNED}
    np.testing.assert_allclose(
        softmax(learned.mixture.mix(answers.network, answers.landmarks, NONE)), softmax(answers.network)
    )


def test_without_photos_of_none_whether_it_is_a_pose_is_not_learned() -> None:
    answers = draw_answers(900, 2.0, 2.0)
    poses = answers.select(answers.targets != NONE)
    learned = learn_mixture(poses, NONE)
    assert learned.name == LEARNED and learned.mixture.whether == ((NETWORK_SHARE, 1 - NETWORK_SHARE),) * 4
    assert (learned.mixture.agreement, learned.mixture.bias) == (1.0, 0.0)
    which = np.array(learned.mixture.which)[:NONE]
    assert which.min() > 0.5 and learned.mixture.which[NONE] == (NETWORK_SHARE, 1 - NETWORK_SHARE)
    test = draw_answers(2000, 2.0, 2.0, seed=50)
    mixed = learned.mixture.mix(test.network, test.landmarks, NONE)
    is_none = test.targets == NONE
    assert (mixed.argmax(axis=1) == test.targets)[is_none].mean() > 0.8
    first = np.array([NONE, 0, 1, 2])  # `none` may stand elsewhere among the labels
    moved = Answers(poses.network[:, first], poses.landmarks[:, first], poses.targets + 1, poses.groups)
    np.testing.assert_allclose(learn_mixture(moved, 0).mixture.which[1:], which, atol=1e-3)


def test_a_second_opinion_that_knows_nothing_is_left_out_without_photos_of_none_too() -> None:
    answers = draw_answers(300, 3.0, 0.0)
    learned = learn_mixture(answers.select(answers.targets != NONE), NONE)
    assert learned.name == ALONE and learned.mixture == Mixture.network_alone(4)
