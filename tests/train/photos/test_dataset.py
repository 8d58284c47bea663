"""Drawing: rare poses oftener, and inside a pose rare parts."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from yoga_live.train.photos.dataset import PhotoDataset, balance


def test_rare_poses_are_drawn_oftener_than_their_share() -> None:
    targets = np.array([0] * 900 + [1] * 100)
    split = PhotoDataset(np.zeros((1000, 1, 1, 3), np.uint8), targets)
    drawn = targets[split.draw(torch.Generator().manual_seed(0)).numpy()]
    assert len(drawn) == 1000
    assert 0.2 < (drawn == 1).mean() < 0.3  # square roots: 10 of 40


def test_parts_share_their_pose_as_square_roots_and_leave_its_share_alone() -> None:
    targets = np.array([0] * 500 + [1] * 100)
    parts = np.array([0] * 400 + [1] * 100 + [0] * 100)
    weights = balance(targets, parts)
    plain = balance(targets)
    np.testing.assert_allclose(weights[:500].sum(), plain[:500].sum())
    np.testing.assert_allclose(weights[500:], plain[500:])
    np.testing.assert_allclose(weights[:400].sum() / weights[400:500].sum(), 2)  # 20 to 10


def test_a_split_draws_by_its_own_weights_where_it_has_some() -> None:
    frames, targets = np.zeros((4, 1, 1, 3), np.uint8), np.array([0, 0, 1, 1])
    split = PhotoDataset(frames, targets, weights=np.array([0.0, 1.0, 0.0, 0.0]))
    assert split.draw(torch.Generator().manual_seed(0)).tolist() == [1, 1, 1, 1]


def test_kinds_are_counted_where_there_are_some() -> None:
    frames, targets = np.zeros((3, 1, 1, 3), np.uint8), np.array([0, 0, 1])
    assert PhotoDataset(frames, targets).kind_count == 0
    assert PhotoDataset(frames, targets, kinds=np.array([-1, 2, 0])).kind_count == 3
    assert PhotoDataset(frames, targets, kinds=np.array([-1, -1, -1])).kind_count == 0
