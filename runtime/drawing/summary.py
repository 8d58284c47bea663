"""A class at a glance: a coloured strip with minutes, and what was held how often, how long, how long at most."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from ..core.labels import display_name, explain_sides
from ..core.types import NO_POSE, Segment
from ..errors import OutputError
from ..system.claims import check_growing_output
from ..system.files import name_part, write_then_rename
from ..system.progress import format_duration, format_hold
from .text import FONT

WIDTH, MARGIN, STRIP, ROW, LABEL = 1600, 60, 120, 56, 48
BAR_LEFT = 470
INK, QUIET, PAPER, RESTING = "#22272e", "#6a737d", "#ffffff", "#e3e6ea"
PALETTE = (
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#b5a300", "#7b5ea7", "#4d4d4d", "#8c510a",
    "#1b7837", "#c51b7d",
)  # fmt: skip
"""Okabe and Ito's colours, which colour-blind people tell apart, and more of that kind."""
TICKS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)


@dataclass(frozen=True)
class PoseTotal:
    """How often a pose was held, for how many seconds altogether and the longest time.

    sides_s: how many seconds of these on which side, where that is known.
    """

    pose: str
    holds: int
    total_s: float
    best_s: float
    sides_s: Mapping[str, float] = field(default_factory=dict)


def add_up(segments: tuple[Segment, ...]) -> tuple[PoseTotal, ...]:
    """Totals of the poses, the longest first."""
    held: dict[str, list[Segment]] = {}
    for segment in segments:
        if segment.pose != NO_POSE:
            held.setdefault(segment.pose, []).append(segment)
    totals = [_add_up_pose(pose, of_pose) for pose, of_pose in held.items()]
    return tuple(sorted(totals, key=lambda total: -total.total_s))


def _add_up_pose(pose: str, segments: Sequence[Segment]) -> PoseTotal:
    times_s = [segment.duration_s for segment in segments]
    sides_s = {
        side: total_s
        for side in ("left", "right")
        if (total_s := sum(segment.duration_s for segment in segments if segment.side == side))
    }
    return PoseTotal(pose, len(times_s), sum(times_s), max(times_s), sides_s)


def check_summary_output(path: Path, *, force: bool = False) -> None:
    """Refuse a path that is no PNG or is taken.  Raises OutputError."""
    if path.suffix.lower() != ".png":
        raise OutputError(f"{path} should end in .png: the summary is a picture")
    check_growing_output(path, force=force)


def write_summary(
    path: Path,
    segments: tuple[Segment, ...],
    title: str,
    *,
    replace: bool = True,
    whole: bool = True,
    is_flipped: bool = False,
) -> None:
    """Draw the summary and write it as a PNG in one step.

    replace: what lies there; else TakenError is raised, and says where the picture is.  whole: otherwise it is kept
    under the name of a file that has not grown to its end.  is_flipped: the picture was flipped (`--flip`).
    """
    picture = draw_summary(segments, title, is_flipped=is_flipped)
    with write_then_rename(path if whole else name_part(path), replace=replace or not whole, grows=whole) as temporary:
        picture.save(temporary, format="PNG")


def choose_colours(segments: Iterable[Segment]) -> dict[str, str]:
    """Each pose's colour, by the order in which they first came, as on the live page."""
    poses = dict.fromkeys(segment.pose for segment in segments if segment.pose != NO_POSE)
    return {pose: PALETTE[number % len(PALETTE)] for number, pose in enumerate(poses)}


def draw_summary(segments: tuple[Segment, ...], title: str, *, is_flipped: bool = False) -> Image.Image:
    """Draw a class: title, strip, minutes, a row for each pose; of several people, all that of each.

    is_flipped: the picture was flipped; said where poses have sides.  Returns an RGB picture.
    """
    people = sorted({segment.person for segment in segments if segment.person is not None})
    if not people:
        timelines: list[tuple[str, tuple[Segment, ...]]] = [("", segments)]
    else:
        timelines = [(str(n), tuple(segment for segment in segments if segment.person == n)) for n in people]
    colours = choose_colours(segments)
    heights = [STRIP + 80 + ROW * max(len(add_up(each)), 1) + (LABEL if name else 0) for name, each in timelines]
    top = 130
    footer = explain_sides(is_flipped=is_flipped) if any(segment.side for segment in segments) else ""
    bottom = top + sum(heights)
    picture = Image.new("RGB", (WIDTH, bottom + MARGIN + (ROW if footer else 0)), PAPER)
    pen = ImageDraw.Draw(picture)
    span_s = (min(s.start_s for s in segments), max(s.end_s for s in segments)) if segments else (0.0, 0.0)
    _write(pen, (MARGIN, 38), _shorten(title, 40, WIDTH * 0.6), 40)
    words = format_duration(span_s[1] - span_s[0])
    if not people:
        words += f", in poses {format_duration(sum(total.total_s for total in add_up(segments)))}"
    _write(pen, (WIDTH - MARGIN, 46), words, 30, QUIET, anchor="ra")
    for (name, each), height in zip(timelines, heights, strict=True):
        _draw_timeline(pen, each, colours, span_s, name, top)
        top += height
    _write(pen, (MARGIN, bottom + 10), footer, 24, QUIET)
    return picture


def _draw_timeline(
    pen: ImageDraw.ImageDraw,
    segments: tuple[Segment, ...],
    colours: dict[str, str],
    span_s: tuple[float, float],
    name: str,
    top: int,
) -> None:
    """The strip of one timeline, and a row for each pose.  name: of the person, if there are several."""
    totals = add_up(segments)
    if name:
        held_s = sum(total.total_s for total in totals)
        _write(pen, (MARGIN, top), f"person {name}, in poses {format_duration(held_s)}", 30, QUIET)
        top += LABEL
    _draw_strip(pen, segments, colours, span_s, top)
    words_width = max((_font(27).getlength(_describe_total(total)) for total in totals), default=0)
    room = max(60, min(560, round(WIDTH - MARGIN - BAR_LEFT - words_width - 40)))
    for number, total in enumerate(totals):
        share = total.total_s / max(totals[0].total_s, 1e-6)
        _draw_row(pen, total, colours[total.pose], max(6, room * share), top + STRIP + 80 + number * ROW)
    if not totals:
        _write(pen, (MARGIN, top + STRIP + 80), "no pose was held", 28, QUIET)


def _draw_strip(
    pen: ImageDraw.ImageDraw,
    segments: tuple[Segment, ...],
    colours: dict[str, str],
    span_s: tuple[float, float],
    top: int,
) -> None:
    """The class from left to right, ticks in whole seconds or minutes under it."""
    start_s, end_s = span_s if segments else (0.0, 1.0)
    scale = (WIDTH - 2 * MARGIN) / max(end_s - start_s, 1e-6)
    pen.rectangle((MARGIN, top, WIDTH - MARGIN, top + STRIP), fill=RESTING)
    for segment in segments:
        if segment.pose in colours:
            left = MARGIN + (segment.start_s - start_s) * scale
            right = max(left + 1, MARGIN + (segment.end_s - start_s) * scale)  # a short hold is seen in a long class
            pen.rectangle((left, top, right, top + STRIP), fill=colours[segment.pose])
    step_s = next((tick for tick in TICKS_S if tick * scale >= 110), TICKS_S[-1])
    for number in range(math.ceil(start_s / step_s - 0.1), int(end_s / step_s + 1e-6) + 1):  # on whole steps
        x = MARGIN + max(number * step_s - start_s, 0) * scale
        pen.line((x, top + STRIP, x, top + STRIP + 10), fill=QUIET, width=2)
        _write(pen, (round(x), top + STRIP + 16), format_duration(number * step_s), 22, QUIET, anchor="ma")


def _draw_row(pen: ImageDraw.ImageDraw, total: PoseTotal, colour: str, bar: float, y: int) -> None:
    """Colour, name, a bar of the total, and the numbers.  bar: its length, pixels."""
    pen.rounded_rectangle((MARGIN, y + 4, MARGIN + 32, y + 36), 6, fill=colour)
    _write(pen, (MARGIN + 52, y), _shorten(display_name(total.pose), 30, 330), 30)
    pen.rounded_rectangle((BAR_LEFT, y + 10, BAR_LEFT + bar, y + 30), 5, fill=colour)
    _write(pen, (WIDTH - MARGIN, y + 2), _describe_total(total), 27, QUIET, anchor="ra")


def _describe_total(total: PoseTotal) -> str:
    return f"{format_hold(total.total_s)}   {_describe_holds(total)}"


def _describe_holds(total: PoseTotal) -> str:
    """How often; how long on each side, or the longest where that is not all of it."""
    often = "once" if total.holds == 1 else f"{total.holds} times"
    if total.sides_s:
        return ", ".join((often, *(f"{side} {format_hold(held_s)}" for side, held_s in total.sides_s.items())))
    return often if total.holds == 1 else f"{often}, longest {format_hold(total.best_s)}"


def _write(
    pen: ImageDraw.ImageDraw, at: tuple[int, int], text: str, size: int, colour: str = INK, anchor: str = "la"
) -> None:
    pen.text(at, text, fill=colour, font=_font(size), anchor=anchor)


def _shorten(text: str, size: int, room: float) -> str:
    """The text, or as much of its beginning as fits."""
    if _font(size).getlength(text) <= room:
        return text
    while text and _font(size).getlength(text + "…") > room:
        text = text[:-1]
    return text + "…"


def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(FONT), size)
