"""Where the overlay's words stand, and how large they are: at most 12 % of the picture, and not over the feet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from .text import LEAST_PX, find_height

Place = Literal["corner", "bottom", "below", "none", "beside"]
"""corner: a card in the upper left corner, where neither feet nor mat are; bottom: one line along the lower edge;
below: a strip under the picture, which becomes taller; none: no words and no marks; beside: marks alone, because the
words stand beside the picture, as on the live page."""
PLACES: tuple[Place, ...] = get_args(Place)
CARD_WIDTH_SHARE = 0.43  # of a wide picture: hands that are raised in its middle stay free
PANEL_SHARE = 0.085  # of the picture's area; the rate and the label of the zoom take up to 3 % more
NAME_SHARE, SMALL_SHARE, PAD_SHARE = 0.08, 0.037, 0.02  # of the unit: letters of the pose, of the rest, and the margin


@dataclass(frozen=True)
class Panel:
    """The ground that words are drawn on.

    at: left and top; most_width: pixels; height: pixels; name_px, small_px: sizes of letters; lines: 1 or 2.
    is_card: it is only as wide as its words.
    """

    at: tuple[int, int]
    most_width: int
    height: int
    name_px: int
    small_px: int
    pad: int
    bar: int
    lines: int
    is_card: bool = False


def find_unit(size_wh: tuple[int, int]) -> float:
    """What sizes are measured by, pixels: the height, but in a tall phone video, where words must still fit, less."""
    return min(size_wh[1], size_wh[0] * 0.75)


def place_panel(place: Place, size_wh: tuple[int, int], strip_height: int = 0) -> Panel | None:
    """The panel on a picture of this size; None where no words are drawn.

    size_wh: of the picture alone; strip_height: of the strip `below` it, pixels.
    """
    width, height = size_wh
    unit = find_unit(size_wh)
    if place == "corner":
        return _make_card(size_wh, unit)
    if place == "bottom":
        return _make_line(size_wh, unit)
    if place == "below":
        return _fit_lines((0, height), width, strip_height, unit)
    return None


def count_rows(size_wh: tuple[int, int], stored_height: int) -> int:
    """Rows that a strip below the picture adds, an even number.

    size_wh: of the picture as it is shown; stored_height: its rows, which are others where pixels are not square.
    """
    pad, bar = _find_pad(find_unit(size_wh)), _find_bar(find_unit(size_wh))
    name_px, small_px = _find_sizes(find_unit(size_wh))
    shown = pad + find_height(name_px) + find_height(small_px) + pad // 2 + bar
    return max(2, 2 * round(shown * stored_height / max(size_wh[1], 1) / 2))


def _find_sizes(unit: float) -> tuple[int, int]:
    return max(LEAST_PX, round(unit * NAME_SHARE)), max(LEAST_PX, round(unit * SMALL_SHARE))


def _find_pad(unit: float) -> int:
    return max(2, round(unit * PAD_SHARE))


def _find_bar(unit: float) -> int:
    return max(2, round(unit * 0.008))


def _make_card(size_wh: tuple[int, int], unit: float) -> Panel:
    """A card in the upper left corner; the second line is left out where its letters could not be read."""
    name_px, small_px = _find_sizes(unit)
    pad, bar = _find_pad(unit), _find_bar(unit)
    lines = 2 if unit * SMALL_SHARE >= LEAST_PX else 1
    height = pad + find_height(name_px) + (find_height(small_px) if lines == 2 else 0) + pad // 2 + bar
    most = size_wh[0] if size_wh[0] < size_wh[1] else int(max(CARD_WIDTH_SHARE * size_wh[0], 8 * name_px))
    width = min(most, int(PANEL_SHARE * size_wh[0] * size_wh[1] / height))
    return Panel((0, 0), width, height, name_px, small_px, pad, bar, lines, is_card=True)


def _make_line(size_wh: tuple[int, int], unit: float) -> Panel:
    """A strip of one line along the lower edge."""
    bar = _find_bar(unit)
    height = max(min(round(unit * 0.085), int(size_wh[1] * PANEL_SHARE)), find_height(LEAST_PX))
    bar = bar if height - bar >= find_height(LEAST_PX) else 0
    name_px = max(LEAST_PX, int((height - bar) * 0.8))
    small_px = max(LEAST_PX, int(name_px * 0.55))
    return Panel((0, size_wh[1] - height), size_wh[0], height, name_px, small_px, _find_pad(unit), bar, 1)


def _fit_lines(at: tuple[int, int], width: int, height: int, unit: float) -> Panel:
    """Two lines in a strip of a given height."""
    name_px, small_px = _find_sizes(unit)
    return Panel(at, width, height, name_px, small_px, _find_pad(unit), _find_bar(unit), 2)
