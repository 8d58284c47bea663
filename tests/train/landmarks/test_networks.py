"""The small networks: what they learn, what kinds are, and that a file answers as what was trained."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

from yoga_live.runtime.people.landmarks import LANDMARKS, mirror_landmarks
from yoga_live.runtime.people.second_opinion import SecondOpinion
from yoga_live.train.landmarks.networks import Kinds, NetworkConfig, fit_networks, name_kinds

from .bodies import LABELS, pose_bodies

QUICK = NetworkConfig(hidden=(32,), epochs=12)


def test_folders_are_kinds_and_those_of_a_label_know_it() -> None:
    paths = ["none/sitting/1.jpg", "none/2.jpg", "tree/3.jpg", "none/sitting/4.jpg"]
    kinds = name_kinds(paths, ("tree", "none"))
    assert kinds.numbers.tolist() == [1, 0, 2, 1] and kinds.labels.tolist() == [1, 1, 0]
    assert kinds.mirrors is not None and kinds.mirrors.tolist() == [0, 1, 2] and kinds.partners.tolist() == [0, 1]
    assert name_kinds(paths, ("tree", "none"), mirror=False).mirrors is None


def test_the_mirror_image_of_a_kind_is_the_same_folder_of_the_other_pose() -> None:
    labels = ("arm_left", "arm_right", "none")
    paths = ["arm_left/sit/1.jpg", "arm_left/stand/2.jpg", "arm_right/sit/3.jpg", "arm_right/lie/4.jpg", "none/5.jpg"]
    kinds = name_kinds(paths, labels, np.array([1, 0, 2]))
    names = ["arm_left/sit", "arm_left/stand", "arm_right/lie", "arm_right/sit", "none"]
    assert kinds.mirrors is not None
    assert dict(zip(names, kinds.mirrors.tolist(), strict=True)) == {
        "arm_left/sit": 3, "arm_left/stand": -1, "arm_right/lie": -1, "arm_right/sit": 0, "none": 4,
    }  # fmt: skip
    flat = name_kinds(["arm_left/1.jpg", "arm_right/2.jpg", "none/3.jpg"], labels, np.array([1, 0, 2]))
    assert flat.mirrors is not None and flat.mirrors.tolist() == [1, 0, 2]


def test_kinds_without_photos_are_left_out_of_a_selection() -> None:
    kinds = Kinds(np.array([2, 0, 2, 1]), np.array([0, 0, 1]), np.array([1, 0, 2]), np.array([0, 1]))
    chosen = kinds.select(np.array([0, 1]))
    assert chosen.numbers.tolist() == [1, 0] and chosen.labels.tolist() == [0, 1]
    assert chosen.mirrors is not None and chosen.mirrors.tolist() == [-1, 1]  # the mirror's kind has no photo


def test_people_at_other_things_are_added_as_kinds_of_none() -> None:
    kinds = name_kinds(["tree/1.jpg", "none/2.jpg"], ("tree", "none")).add(["sitting", "dancing", "sitting"], 1)
    assert kinds.numbers.tolist() == [1, 0, 3, 2, 3] and kinds.labels.tolist() == [1, 0, 1, 1]
    assert kinds.mirrors is not None and kinds.mirrors.tolist() == [0, 1, 2, 3]


def test_bodies_are_told_apart_and_nobody_is_none() -> None:
    landmarks, targets = pose_bodies(60, seed=0)
    opinion = fit_networks(landmarks, name_kinds([f"{LABELS[t]}/1.jpg" for t in targets], LABELS), LABELS, QUICK)
    others, truth = pose_bodies(60, seed=1)
    answers = opinion.classify_landmarks(others)
    assert (answers.argmax(axis=1) == truth).mean() > 0.95
    assert opinion.classify_landmarks(np.zeros((1, LANDMARKS), np.float32))[0, 2] > 0.5
    assert opinion.widths == (LANDMARKS, 32, 3) and opinion.networks == 2 and opinion.mirrors == (0, 1, 2)
    again = SecondOpinion.from_document(json.loads(json.dumps(opinion.to_document())), LABELS)
    np.testing.assert_array_equal(again.classify_landmarks(others), answers)


def test_sides_that_are_each_others_mirror_images_are_told_apart() -> None:
    landmarks, targets = pose_bodies(60, seed=0)
    chosen = targets == 0
    left = landmarks[chosen]
    right = mirror_landmarks(left)
    labels = ("arm_left", "arm_right")
    both, truth = np.concatenate([left, right]), np.repeat([0, 1], len(left))
    kinds = name_kinds([f"{labels[t]}/1.jpg" for t in truth], labels, np.array([1, 0]))
    opinion = fit_networks(both, kinds, labels, QUICK)
    answers = opinion.classify_landmarks(both)
    assert opinion.mirrors == (1, 0) and (answers.argmax(axis=1) == truth).mean() > 0.95
    np.testing.assert_allclose(answers[: len(left)], answers[len(left) :, ::-1], atol=1e-6)
    one_sided = fit_networks(left, replace(kinds, numbers=kinds.numbers[: len(left)]), labels, QUICK)
    assert one_sided.classify_landmarks(right).argmax(axis=1).mean() > 0.95  # learned from mirror images alone


def test_the_same_seed_gives_the_same_networks_and_leaves_torchs_alone() -> None:
    import torch

    landmarks, targets = pose_bodies(20, seed=0)
    kinds = name_kinds([f"{LABELS[t]}/1.jpg" for t in targets], LABELS)
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, second = (fit_networks(landmarks, kinds, LABELS, replace(QUICK, epochs=2)) for _ in range(2))
    assert first == second and torch.equal(torch.random.get_rng_state(), before)
    assert fit_networks(landmarks, kinds, LABELS, replace(QUICK, epochs=2, seed=1)) != first
