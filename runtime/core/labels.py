"""How a label is shown to people."""

from __future__ import annotations

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
"""Second line under the names of the default model's poses; other labels have none."""


def display_name(label: str) -> str:
    """`warrior_2` -> `Warrior 2`; a label in any script stays as its owner wrote it, underscores aside."""
    words = label.replace("_", " ").split()
    return " ".join(word if word[0].isupper() else word[0].upper() + word[1:] for word in words)
