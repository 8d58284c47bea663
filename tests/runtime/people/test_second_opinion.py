"""The second opinion: its arithmetic against plain formulas, its document, and what a strange file may hold."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from yoga_live.runtime.core.softmax import log_softmax, softmax
from yoga_live.runtime.errors import ModelError
from yoga_live.runtime.people.landmarks import LANDMARKS, mirror_landmarks
from yoga_live.runtime.people.second_opinion import LEAST, Mixture, SecondOpinion, decode_numbers, encode_numbers

from ...opinions import LABELS, OTHERS, PERSON, make_opinion


@pytest.fixture
def logits() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 3, (20, 3))


@pytest.fixture
def landmarks() -> np.ndarray:
    return np.random.default_rng(1).normal(0, 1, (20, LANDMARKS)).astype(np.float32)


def test_each_label_is_answered_where_its_number_is_large() -> None:
    rows = np.zeros((3, LANDMARKS), np.float32)
    rows[0, PERSON], rows[1, OTHERS] = 1.0, 1.0
    answers = make_opinion().classify_landmarks(rows)
    np.testing.assert_allclose(answers, softmax(np.array([[8.0, 0, 4], [0, 16, 4], [0, 0, 4]])), rtol=1e-6)


def test_several_networks_of_several_layers_are_averaged_and_kinds_added_up(landmarks: np.ndarray) -> None:
    rng = np.random.default_rng(2)
    shapes = [(7, LANDMARKS), (4, 7)] * 2
    weights = [(rng.normal(0, 0.3, shape), rng.normal(0, 0.3, shape[0])) for shape in shapes]
    mean, scale = rng.normal(0, 1, LANDMARKS), rng.uniform(0.5, 2, LANDMARKS)
    parts = [mean, scale, *[part.ravel() for pair in weights for part in pair]]
    opinion = make_opinion(
        kinds=(2, 0, 1, 2), widths=(LANDMARKS, 7, 4), networks=2, numbers=encode_numbers(np.concatenate(parts))
    )
    expected = np.zeros((20, 3))
    for first, second in (weights[:2], weights[2:]):
        hidden = np.maximum((landmarks - mean) / scale @ first[0].T + first[1], 0)
        kinds = softmax(hidden @ second[0].T + second[1])
        expected += np.stack([kinds[:, 1], kinds[:, 2], kinds[:, 0] + kinds[:, 3]], axis=1) / 2
    np.testing.assert_allclose(opinion.classify_landmarks(landmarks), expected, atol=0.01)  # FP16


def test_picture_and_mirror_image_are_averaged_with_the_labels_of_the_mirror(landmarks: np.ndarray) -> None:
    plain, both = make_opinion(), make_opinion(mirrors=(1, 0, 2))
    mirrored = plain.classify_landmarks(mirror_landmarks(landmarks))[:, [1, 0, 2]]
    expected = (plain.classify_landmarks(landmarks) + mirrored) / 2
    np.testing.assert_allclose(both.classify_landmarks(landmarks), expected)


def test_the_plain_product_multiplies_square_roots(logits: np.ndarray, landmarks: np.ndarray) -> None:
    opinion = make_opinion()
    product = np.sqrt(softmax(logits) * np.maximum(opinion.classify_landmarks(landmarks), LEAST))
    mixed = np.exp(opinion.combine(logits, landmarks))
    np.testing.assert_allclose(mixed, product / product.sum(axis=1, keepdims=True), rtol=1e-9)


def test_the_network_alone_is_the_network(logits: np.ndarray, landmarks: np.ndarray) -> None:
    mixed = make_opinion(mixture=Mixture.network_alone(3)).combine(logits, landmarks)
    np.testing.assert_allclose(mixed, log_softmax(logits), atol=1e-9)


def test_without_none_only_the_pose_is_mixed(logits: np.ndarray, landmarks: np.ndarray) -> None:
    opinion = make_opinion(("tree", "warrior_2", "plank"), Mixture(((1.0, 0.5),) * 3, ((9.0, 9.0),) * 3, 9.0, 9.0))
    points = np.log(np.maximum(opinion.classify_landmarks(landmarks), LEAST))
    mixed = softmax(log_softmax(logits) + points / 2)
    np.testing.assert_allclose(np.exp(opinion.combine(logits, landmarks)), mixed, rtol=1e-9)


def test_each_pose_has_its_own_weights_of_whether() -> None:
    logs = np.log(np.array([[0.6, 0.0001, 0.3999], [0.0001, 0.6, 0.3999]]))
    other = np.log(np.array([[0.1, 0.0001, 0.8999], [0.0001, 0.1, 0.8999]]))
    mixture = Mixture(((1.0, 0.0),) * 3, ((1.0, 0.0), (0.0, 1.0), (0.0, 0.0)), 0.0)
    is_pose = 1 - np.exp(mixture.mix(logs, other, 2))[:, 2]
    assert is_pose[0] == pytest.approx(0.6, abs=0.01) and is_pose[1] == pytest.approx(0.1, abs=0.01)


def test_bias_and_agreement_speak_of_whether_alone() -> None:
    logs = np.log(np.array([[0.5, 0.25, 0.25]]))
    agreed, opposed = (np.log(np.array([row])) for row in ([0.5, 0.25, 0.25], [0.25, 0.5, 0.25]))
    plain, later = (Mixture(((1.0, 0.0),) * 3, ((1.0, 0.0),) * 3, agreement, 0.0) for agreement in (0.0, 3.0))
    np.testing.assert_allclose(later.mix(logs, agreed, 2), plain.mix(logs, agreed, 2))
    assert later.mix(logs, opposed, 2)[0, 2] > plain.mix(logs, opposed, 2)[0, 2] + 0.05
    biased = np.exp(Mixture(((1.0, 0.0),) * 3, ((1.0, 0.0),) * 3, 0.0, 1.0).mix(logs, agreed, 2))[0]
    assert np.log(biased[:2].sum() / biased[2]) == pytest.approx(np.log(3) + 1)
    assert biased[0] / biased[1] == pytest.approx(2)


def test_extreme_answers_stay_finite() -> None:
    rows = np.zeros((2, LANDMARKS), np.float32)
    rows[:, PERSON] = 1e4, -1e4
    mixed = make_opinion().combine(np.array([[1e4, -1e4, 0], [-1e4, 1e4, 0]]), rows)
    assert np.isfinite(mixed).all()
    np.testing.assert_allclose(np.exp(mixed).sum(axis=1), 1)


def test_what_is_no_table_of_landmarks_is_refused() -> None:
    with pytest.raises(ValueError, match=r"landmarks must be float \(N, 53\); got \(53,\)"):
        make_opinion().combine(np.zeros((1, 3)), np.zeros(53, np.float32))


def test_the_document_is_read_as_it_was_written() -> None:
    mixture = Mixture(((0.7, 0.3),) * 3, ((0.2, 0.9),) * 3, 0.5, -0.25)
    opinion = make_opinion(mixture=mixture, mirrors=(0, 1, 2))
    document = json.loads(json.dumps(opinion.to_document()))
    assert document == opinion.to_document() and "labels" not in document
    assert SecondOpinion.from_document(document, LABELS) == opinion


def test_numbers_survive_as_fp16() -> None:
    values = np.array([0.1, -2.5, 6e4])
    np.testing.assert_allclose(decode_numbers(encode_numbers(values)), values, rtol=1e-3)
    with pytest.raises(ValueError, match="do not fit FP16"):
        encode_numbers(np.array([7e4]))


NUMBERS = 2 * LANDMARKS + 3 * (LANDMARKS + 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kinds": [0, 1, 3]}, "number in kinds"),
        ({"kinds": [0, 1, 1]}, "name each label"),
        ({"kinds": []}, "kinds should be a list"),
        ({"kinds": [0, 1, 2, 2]}, "begin with 53 and end with 4"),
        ({"kinds": [0, 1, 2.0]}, "number in kinds"),
        ({"widths": [53]}, "1 to 6 layers"),
        ({"widths": [52, 3]}, "begin with 53"),
        ({"widths": [53, 100_000, 3]}, "width of a layer"),
        ({"widths": [53, 256, 3]}, "numbers should be 14,701"),
        ({"widths": [53, *[1024] * 5, 3]}, "at most 2,000,000 numbers"),
        ({"networks": 0}, "number of small networks"),
        ({"networks": 2}, "numbers should be"),
        ({"networks": True}, "number of small networks"),
        ({"numbers": "äö"}, "numbers cannot be read"),
        ({"numbers": "AA"}, "numbers cannot be read"),
        ({"numbers": "AAAA"}, "end within one"),
        ({"numbers": 5}, "text in base64"),
        ({"numbers": encode_numbers(np.zeros(NUMBERS))}, "above 0"),
        ({"mirrors": [0, 1]}, "mirrors should be a list"),
        ({"mirrors": [1, 2, 0]}, "in a mirror"),
        ({"temperature": 0}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"threshold": 2}, "threshold"),
        ({"measured": "well"}, "measured"),
        ({"mixture": {}}, "'which' is missing"),
        ({"mixture": 3}, "cannot be read"),
        ({"shift": 3}, "has 'shift', which this version does not know"),
        ({"mixture": {"which": [[1, 0]], "whether": [[1, 0]] * 3}}, "weights of which should be 3 pairs"),
        ({"mixture": {"which": [[1, 0]] * 3, "whether": [[1]] * 3}}, "weights of whether should be 3 pairs"),
        ({"mixture": {"which": [[1, 1e9]] * 3, "whether": [[1, 0]] * 3}}, "a weight of which"),
        ({"mixture": {"which": [[1, 0]] * 3, "whether": [[1, 0]] * 3, "bias": float("inf")}}, "bias"),
        ({"colour": "blue"}, "colour"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_strange_document_is_refused_on_one_line(change: dict[str, Any], message: str) -> None:
    document = {**make_opinion().to_document(), **change}
    with pytest.raises(ModelError, match=message) as caught:
        SecondOpinion.from_document(document, LABELS)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_numbers_that_are_not_finite_are_refused() -> None:
    bad = np.ones(NUMBERS, "<f2")
    bad[200] = np.nan
    import base64

    document = {**make_opinion().to_document(), "numbers": base64.b64encode(bad.tobytes()).decode()}
    with pytest.raises(ModelError, match="finite"):
        SecondOpinion.from_document(document, LABELS)


def test_an_opinion_on_other_labels_is_refused() -> None:
    with pytest.raises(ModelError, match="second opinion"):
        SecondOpinion.from_document(make_opinion().to_document(), ("tree", "none"))
