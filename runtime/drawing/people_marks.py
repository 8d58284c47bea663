"""Of several people: who holds what, beside each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..core.labels import name_with_side
from ..core.regions import Region
from ..core.types import Hold
from .canvas import Canvas
from .notes import draw_corners, draw_note, find_name_px, find_pad, find_thickness, read_clock
from .text import find_height, fit_text, measure_text


@dataclass(frozen=True)
class PersonMark:
    """One of several people.

    number: their own; box: where they are, pixels; hold: what they hold; note: said of it, such as "switch sides".
    """

    number: int
    box: Region
    hold: Hold
    note: str = ""


def draw_people(
    canvas: Canvas,
    people: Sequence[PersonMark],
    goals_s: Mapping[str, float],
    picture_wh: tuple[int, int],
    taken: list[Region],
    *,
    mirror: bool = False,
) -> None:
    """Mark each box by its corners, and write number, pose and clock above it.

    goals_s: label -> seconds that it is to be held.  taken: where words stand already; is added to.  mirror: the
    picture has been mirrored, the boxes have not.
    """
    for person in people:
        box = person.box
        if mirror:
            box = replace(box, left=picture_wh[0] - box.left - box.width)
        draw_corners(canvas, box, picture_wh)
        name_px, line = find_name_px(picture_wh), find_thickness(picture_wh)
        pad = 2 * find_pad(name_px)
        words, size_px = fit_text(name_person(person, goals_s), name_px, picture_wh[0] - pad)
        right = max(0, min(box.left + measure_text(words, size_px) + pad, picture_wh[0]))
        top = max(0, box.top - find_height(size_px) - line)
        taken.append(draw_note(canvas, words, (right, top), picture_wh, taken, size_px))


def name_person(person: PersonMark, goals_s: Mapping[str, float]) -> str:
    """What is said of somebody: `2`, or `2  Tree left  0:12`."""
    hold = person.hold
    if hold.is_resting:
        return f"{person.number}"
    clock = read_clock(hold.hold_s, goals_s.get(hold.pose))
    return "  ".join(filter(None, (f"{person.number}", name_with_side(hold.pose, hold.side), clock, person.note)))
