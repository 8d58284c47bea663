"""Results as small HTML for notebooks: plain markup, escaped, inline styles, legible on light and dark pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import PurePath

from ..core.labels import display_name
from ..core.types import NO_POSE, Segment
from ..system.plain_text import show_name
from ..system.progress import format_duration, format_hold
from .summary import choose_colours

MOST_ROWS = 100
BAR, GROUND, ALARM = "#3d8bcd", "rgba(127,127,127,0.25)", "#e0484d"
"""Both stand out from white and from black; texts have the page's own colour."""
CELL = "text-align:left;padding:2px 14px 2px 0;border:none;color:inherit;background:none;white-space:nowrap"


class Html(str):
    """Markup, where any other text is escaped."""

    __slots__ = ()


def escape_text(text: str) -> str:
    """Text for markup, names and messages from elsewhere made harmless: controls and what is not UTF-8 by number."""
    return escape(show_name(text))


def name_pose(label: str) -> str:
    """A label as people read it."""
    return "no pose" if label == NO_POSE else display_name(label)


def format_paragraph(text: str, *, strong: str = "", colour: str = "inherit") -> Html:
    """A line of text.  strong: what stands before it in bold."""
    bold = f"<b>{escape_text(strong)}</b> " if strong else ""
    return Html(f'<div style="margin:2px 0;color:{colour}">{bold}{escape_text(text)}</div>')


def format_bar(fraction: float) -> Html:
    """A bar, 0 to 1 of its length filled."""
    width = round(100 * min(max(fraction, 0.0), 1.0), 1)
    filled = f'<div style="width:{width:g}%;height:100%;background:{BAR}"></div>'
    return Html(
        f'<div style="width:140px;height:10px;border-radius:3px;overflow:hidden;background:{GROUND}">{filled}</div>'
    )


def format_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Html:
    """A table; cells are escaped unless they are Html.  head: may be empty."""
    titles = "".join(f'<th style="{CELL};font-weight:600">{escape_text(title)}</th>' for title in head)
    body = "".join(f"<tr>{''.join(map(_format_cell, row))}</tr>" for row in rows)
    top = f"<thead><tr>{titles}</tr></thead>" if head else ""
    return Html(
        f'<table style="border-collapse:collapse;table-layout:auto;margin:4px 0">{top}<tbody>{body}</tbody></table>'
    )


def _format_cell(text: str) -> str:
    return f'<td style="{CELL}">{text if isinstance(text, Html) else escape_text(text)}</td>'


def format_prediction(pose: str, confidence: float, probabilities: Mapping[str, float], most: int = 5) -> Html:
    """The answer for one frame, and the likeliest labels with their bars."""
    likeliest = sorted(probabilities.items(), key=lambda row: -row[1])[:most]
    rows = [(name_pose(label), format_bar(share), f"{share:.1%}") for label, share in likeliest]
    how = f"{confidence:.0%}{' that no single pose is shown' if pose == NO_POSE else ''}"
    return Html(f"{format_paragraph(how, strong=name_pose(pose))}{format_table((), rows)}")


def format_timeline(segments: Sequence[Segment]) -> Html:
    """A coloured strip of what was held when, and a row for each hold."""
    held = [segment for segment in segments if segment.pose != NO_POSE]
    if not held:
        return format_paragraph("no pose was seen")
    colours = choose_colours(segments)
    several = any(segment.person is not None for segment in held)
    rows = [
        (
            Html(f"{_format_patch(colours[segment.pose])}{escape_text(name_pose(segment.pose))}"),
            format_duration(segment.start_s),
            format_duration(segment.end_s),
            format_hold(segment.duration_s),
            f"{segment.confidence:.0%}",
            *([f"{segment.person}"] if several else []),
        )
        for segment in held[:MOST_ROWS]
    ]
    table = format_table(("pose", "from", "to", "held", "confidence", *(["person"] if several else [])), rows)
    rest = f"and {len(held) - MOST_ROWS} more" if len(held) > MOST_ROWS else ""
    return Html(f"{_format_strips(segments, colours)}{table}{format_paragraph(rest) if rest else ''}")


def format_run(segments: Sequence[Segment], frames: int, wall_s: float, ending: str, files: Sequence[PurePath]) -> Html:
    """The timeline of a run and where it lies.  ending: why it did not come to its end, if it did not."""
    lines = [format_paragraph(f"{frames} frames in {wall_s:.1f} s")]
    lines += [format_paragraph(", ".join(map(str, files)), strong="written:")] if files else []
    alarm = [format_paragraph(ending, colour=ALARM)] if ending else []
    return Html("".join([*alarm, format_timeline(segments), *lines]))


def _format_patch(colour: str) -> str:
    return (
        f'<span style="display:inline-block;width:10px;height:10px;border-radius:2px;margin-right:6px;'
        f'background:{colour}"></span>'
    )


def _format_strips(segments: Sequence[Segment], colours: Mapping[str, str]) -> str:
    """A strip for each of several people, all on one scale; one without a name where there is one person."""
    start_s, end_s = min(each.start_s for each in segments), max(each.end_s for each in segments)
    people = sorted({each.person for each in segments}, key=lambda person: person or 0)
    strips = []
    for person in people:
        own = [each for each in segments if each.person == person]
        away = [Segment(start_s, own[0].start_s, NO_POSE, 0.0)] if own[0].start_s > start_s else []
        name = "" if person is None else format_paragraph(f"person {person}")
        strips.append(name + _format_strip([*away, *own], colours, end_s - start_s))
    return "".join(strips)


def _format_strip(segments: Sequence[Segment], colours: Mapping[str, str], whole_s: float) -> str:
    """One piece for each segment, as wide as it is long."""
    pieces = "".join(
        f'<div title="{escape_text(name_pose(segment.pose))}, {format_duration(segment.duration_s)}" '
        f'style="width:{100 * segment.duration_s / max(whole_s, 1e-9):.3f}%;'
        f'background:{colours.get(segment.pose, "none")}"></div>'
        for segment in segments
    )
    return (
        f'<div style="display:flex;max-width:640px;height:14px;border-radius:3px;overflow:hidden;margin:4px 0;'
        f'background:{GROUND}">{pieces}</div>'
    )
