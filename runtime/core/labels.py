"""How a label is displayed."""

from __future__ import annotations

from .types import NO_POSE

SANSKRIT = {
    "down_dog": "Adho Mukha Śvānāsana",
    "up_dog": "Ūrdhva Mukha Śvānāsana",
    "tree": "Vṛkṣāsana",
    "warrior_2": "Vīrabhadrāsana II",
    "low_lunge": "Añjaneyāsana",
    "plank": "Phalakāsana",
    "goddess": "Utkaṭa Koṇāsana",
    "chair": "Utkaṭāsana",
    "triangle": "Utthita Trikoṇāsana",
    "half_moon": "Ardha Candrāsana",
}
"""Sanskrit names of the default model's poses; other labels have none."""


def name_pose(label: str) -> str:
    """The display name of a label, and `no pose` for `none`."""
    return "no pose" if label == NO_POSE else display_name(label)


def display_name(label: str) -> str:
    """`warrior_2` -> `Warrior 2`; labels in other scripts stay as they are, except for underscores."""
    words = label.replace("_", " ").split()
    return " ".join(word if word[0].isupper() else word[0].upper() + word[1:] for word in words)


def name_with_side(label: str, side: str | None) -> str:
    """The display name of a pose and the side on which it is held: `Tree left`."""
    return display_name(label) if side is None else f"{display_name(label)} {side}"


def explain_sides(*, is_flipped: bool = False) -> str:
    """What left and right mean in a class.  is_flipped: its picture was flipped before anything else."""
    taken = "was mirrored, and --flip has undone that" if is_flipped else "is not mirrored; if it is, give --flip"
    return f"left and right are the person's own, if the picture {taken}"
