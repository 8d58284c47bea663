"""Answers restricted to a few poses."""

import numpy as np
import pytest

from yoga_live.runtime.core.allowed_poses import AllowedPoses, allow_poses, split_poses
from yoga_live.runtime.errors import OptionError

LABELS = ("tree", "triangle", "none", "warrior_2")


def test_poses_and_none_keep_the_models_order() -> None:
    allowed = allow_poses(["warrior_2", " tree", "tree"], LABELS)
    assert allowed and allowed.labels == ("tree", "none", "warrior_2")
    assert allowed.poses == ("tree", "warrior_2") and allowed.excluded == ("triangle",)


def test_another_pose_is_not_called_an_allowed_one() -> None:
    allowed = AllowedPoses(LABELS, ("tree", "warrior_2"))
    tree, none, warrior = allowed.restrict(np.array([[0.01, 0.95, 0.01, 0.03]]))[0]
    assert tree + none + warrior == pytest.approx(1)
    assert none > 0.5 > warrior  # shared out, warrior_2 would have 0.6


def test_a_doubt_between_an_allowed_and_another_pose_is_resolved() -> None:
    allowed = AllowedPoses(LABELS, ("tree", "warrior_2"))
    _, _, warrior = allowed.restrict(np.array([[0.0, 0.55, 0.03, 0.42]]))[0]
    assert 0.42 < warrior < 0.9 and warrior > 0.5  # and yet less than without the other pose, 0.93


def test_where_the_model_has_no_none_the_other_poses_become_one() -> None:
    allowed = allow_poses(["tree"], ("tree", "triangle"))
    assert allowed and allowed.labels == ("tree", "none")
    tree, none = allowed.restrict(np.array([[0.02, 0.98]]))[0]
    assert none > 0.5 and tree + none == pytest.approx(1)


def test_no_pose_left_out_restricts_nothing() -> None:
    assert allow_poses(["tree", "triangle", "warrior_2"], LABELS) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("tree,warior_2", "no pose 'warior_2'; give some of tree, triangle, warrior_2; did you mean warrior_2?"),
        ("", "names no pose; give one or more of tree, triangle, warrior_2"),
        (" , ", "names no pose"),
        ("none", "only names none, which is answered anyway; give one or more of tree"),
    ],
)
def test_poses_that_cannot_be_answered_are_one_clear_line(text: str, reason: str) -> None:
    with pytest.raises(OptionError) as caught:
        allow_poses(split_poses(text) or (), LABELS)
    assert reason in str(caught.value) and "\n" not in str(caught.value)
