"""Left and right in the names of classes: mirroring goes off, or swaps their labels."""

from __future__ import annotations

import pytest

from yoga_live.runtime.errors import OptionError
from yoga_live.train.photos.mirroring import (
    choose_mirroring,
    find_sides,
    find_swaps,
    had_mirror_copies,
)


@pytest.mark.parametrize(
    "labels",
    [
        ("left", "right"),
        ("left_arm", "right_arm"),
        ("arm-right", "arm-left"),
        ("warrior left", "warrior right"),
        ("LeftArm", "rightarm"),
        ("left_over_right", "right_over_left"),
        ("arm_l", "arm_r"),
        ("R arm", "L arm"),
        ("L", "R"),
        ("l", "r"),
        ("arm links", "arm rechts"),
        ("jambe_gauche", "jambe_droite"),
        ("pierna izquierda", "pierna derecha"),
        ("brazo izquierdo", "brazo derecho"),
        ("左手", "右手"),
    ],
)
def test_classes_that_differ_only_by_left_and_right_are_a_pair(labels: tuple[str, str]) -> None:
    assert find_sides(("down_dog", *labels, "none")) == (tuple(sorted(labels)),)


@pytest.mark.parametrize(
    "labels",
    [
        ("down_dog", "tree", "none"),
        ("left_arm", "right_leg"),
        ("left_arm", "both_arms"),
        ("upright", "left"),
        ("k", "l", "r"),  # letters of sign language
        ("1", "L", "R"),
        ("l", "up"),
        ("l1", "r1"),
        ("sign_a", "sign_b"),
        ("tall", "tarr"),
        ("left_over_left", "right_over_left"),
    ],
)
def test_other_names_are_no_pair(labels: tuple[str, ...]) -> None:
    assert find_sides(labels) == ()
    assert choose_mirroring(labels).makes_copies and not choose_mirroring(labels).reason


def test_a_pair_turns_mirroring_off_and_the_line_names_both_ways_out() -> None:
    labels = ("left_arm", "right_arm", "none")
    chosen = choose_mirroring(labels)
    assert not chosen.is_on and not chosen.makes_copies
    assert chosen.reason == (
        "left_arm and right_arm differ only by left and right, so training does not mirror the photos; --mirror-swaps "
        "left_arm=right_arm mirrors them and swaps these labels, --mirror mirrors them and keeps the labels"
    )
    assert choose_mirroring(labels, mirror=True).makes_copies
    assert not choose_mirroring(("tree", "chair"), mirror=False).is_on


def test_the_way_out_can_be_typed_as_it_is_named() -> None:
    reason = choose_mirroring(("warrior left", "warrior right", "arm_l", "arm_r")).reason
    assert "--mirror-swaps 'arm_l=arm_r,warrior left=warrior right' mirrors" in reason


def test_many_pairs_are_counted() -> None:
    names = [f"{side}_{word}" for word in ("arm", "leg", "eye", "ear", "hand") for side in ("left", "right")]
    assert "left_eye and right_eye (and 2 more pairs) differ only" in choose_mirroring(names).reason


def test_a_swap_names_the_class_of_each_mirror_image() -> None:
    chosen = choose_mirroring(("left", "right", "up"), swaps=(("right", "left"),))
    assert chosen.is_on and not chosen.makes_copies and not chosen.reason
    assert [chosen.find_partner(label) for label in ("left", "right", "up")] == ["right", "left", "up"]


def test_a_swap_of_words_swaps_every_class_that_has_them() -> None:
    labels = ("left_arm", "right_arm", "leg left", "leg right", "up")
    assert find_swaps((("left", "right"),), labels) == (("left_arm", "right_arm"), ("leg left", "leg right"))


def test_classes_of_any_name_can_be_swapped_and_one_pair_named_twice_counts_once() -> None:
    assert find_swaps((("b", "a"), ("a", "b"), ("c", "d")), ("a", "b", "c", "d")) == (("a", "b"), ("c", "d"))


@pytest.mark.parametrize(
    ("swaps", "line"),
    [
        ((("left", "rigth"),), "--mirror-swaps left=rigth: there is no pose rigth; the poses are left, right, up"),
        ((("x", "y"),), "there is no pose x; the poses are left, right, up"),
        ((("left", "left"),), "left=left: two different poses are needed"),
        ((("left", ""),), "two different poses are needed"),
        (
            (("left", "right"), ("up", "left")),
            "up=left: the mirror image of left cannot be both right and up; name each pose once",
        ),
    ],
)
def test_swaps_that_cannot_be_are_refused(swaps: tuple[tuple[str, str], ...], line: str) -> None:
    with pytest.raises(OptionError, match=line):
        choose_mirroring(("left", "right", "up"), swaps=swaps)


def test_a_word_whose_class_has_no_partner_is_refused() -> None:
    labels = ("left_arm", "right_arm", "left_leg")
    with pytest.raises(OptionError, match="mirror image of left_leg would be right_leg, and there is no such pose"):
        find_swaps((("left", "right"),), labels)
    assert find_swaps((("left_arm", "right_arm"),), labels) == (("left_arm", "right_arm"),)


def test_a_pair_that_the_swaps_leave_out_is_refused_unless_mirroring_is_forced() -> None:
    labels, swaps = ("left", "right", "look_left", "look_right"), (("left", "right"),)
    with pytest.raises(OptionError, match=r"leaves out look_left and look_right.*left=right,look_left=look_right"):
        choose_mirroring(labels, swaps=swaps)
    assert choose_mirroring(labels, mirror=True, swaps=swaps).find_partner("look_left") == "look_left"


def test_a_pair_whose_names_are_taken_is_suggested_in_place_of_what_took_them() -> None:
    labels, swaps = ("left", "right", "up", "low", "high", "none"), (("left", "up"), ("right", "none"), ("low", "high"))
    with pytest.raises(OptionError) as refused:
        choose_mirroring(labels, swaps=swaps)
    assert str(refused.value) == (
        "--mirror-swaps left=up,none=right leaves out left and right, which differ only by left and right; give "
        "--mirror-swaps high=low,left=right, or add --mirror if left=up,none=right is meant"
    )
    assert choose_mirroring(labels, swaps=(("high", "low"), ("left", "right"))).is_on
    assert choose_mirroring(labels, mirror=True, swaps=swaps).find_partner("left") == "up"


def test_a_run_says_whether_mirror_images_were_copies_and_of_an_older_one_the_names_do() -> None:
    plain, sides = ("chair", "tree"), ("left", "right")
    assert had_mirror_copies({"mirror": True, "mirror_swaps": []}, sides)
    assert not had_mirror_copies({"mirror": True, "mirror_swaps": [["left", "right"]]}, sides)
    assert not had_mirror_copies({"mirror": False, "mirror_swaps": []}, plain)
    assert had_mirror_copies({}, plain) and not had_mirror_copies({}, sides)
