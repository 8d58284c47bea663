"""Models without `none`, and labels that seem to mean it."""

from __future__ import annotations

import pytest

from yoga_live.runtime.core.none_class import describe_lookalike, describe_missing_none, find_none_lookalikes


@pytest.mark.parametrize(
    "label", ["None", "NONE", "no_class", "no-class", "No Pose", "background", "Negative", "other", "Others", "unknown"]
)
def test_a_label_that_means_none_is_found(label: str) -> None:
    assert find_none_lookalikes(("tree", label, "plank")) == (label,)
    assert repr(label) in describe_lookalike(label, has_none=False)


@pytest.mark.parametrize("label", ["none", "tree", "nonechair", "other_side", "noble", "mother", "_", "瑜伽"])
def test_none_itself_and_poses_are_left_alone(label: str) -> None:
    assert not find_none_lookalikes((label, "tree"))


def test_what_to_do_depends_on_whether_there_is_a_folder_none() -> None:
    assert "rename its folder to none" in describe_lookalike("None", has_none=False)
    assert "move its photos into the folder none" in describe_lookalike("None", has_none=True)


def test_a_missing_none_is_said_with_what_to_do() -> None:
    assert describe_missing_none(("tree", "none"), "add some") == ""
    assert describe_missing_none(("tree", "None"), "add some").endswith(
        "empty rooms and people doing nothing; add some"
    )
