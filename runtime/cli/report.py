"""What is printed at the end of a run: what was held when, for how long altogether, and the files written."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.durations import describe_holds
from ..core.goals import describe_unclear
from ..core.labels import display_name, explain_sides, name_with_side
from ..core.types import NO_POSE, Segment
from ..system.files import find_result, name_part
from ..system.plain_text import format_count, print
from ..system.progress import format_duration, format_hold
from .references import describe_difference

if TYPE_CHECKING:
    from ..people.reference import Reference
    from ..pipelines.loop import RunResult

WRITTEN = "written: "
TOGETHER = ", all people together"
"""Behind a sum over several people."""


def report_run(
    args: argparse.Namespace, watched: RunResult, reference: Reference | None, goals_s: Mapping[str, float]
) -> None:
    """Print what was held when in one video, by a camera or in the demo, and the files written."""
    from ..sinks.timeline import has_people, has_sides

    say = partial(print, file=sys.stderr if args.events else sys.stdout)
    poses = [segment for segment in watched.segments if segment.pose != NO_POSE]
    several = has_people(poses)
    header = "  from    to      pose             held     confidence" + "  person" * several
    say(header if poses else "no pose was held")
    for segment in poses:
        person = f"{'':10}{segment.person}" if several else ""
        name = name_with_side(segment.pose, segment.side)
        say(
            f"  {format_duration(segment.start_s):7} {format_duration(segment.end_s):7} "
            f"{name:16} {format_hold(segment.duration_s):7}  {segment.confidence:.0%}{person}"
        )
        if words := describe_difference(reference, segment):
            say(words)
    for person, own in divide_people(poses):
        for line in describe_totals(own):
            say(f"person {person}, {line}" if person else line)
    if has_sides(poses):
        say(explain_sides(is_flipped=args.flip))
    if words := describe_unclear(poses, goals_s):
        say(words)
    rate = watched.frames / max(watched.wall_s, 1e-9)
    say(f"{format_count(watched.frames, 'frame')} in {watched.wall_s:.1f} s ({rate:.0f} frames per second)")
    videos = (args.save, args.record) if watched.frames else ()
    others = (args.timeline, args.summary) if watched.frames or watched.whole else ()
    for line in list_results([path for path in (*videos, *others) if path]):
        say(line)


def is_complete(watched: RunResult, outputs: Iterable[Path]) -> bool:
    """Whether all was seen and written.  Then stopping a run in its last moment is no failure: exit code 0."""
    return watched.whole and not any(name_part(path).exists() for path in outputs)


def divide_people(segments: Iterable[Segment]) -> list[tuple[int | None, tuple[Segment, ...]]]:
    """The segments of each person, by number; all of them as those of None where one person alone is followed."""
    own: dict[int | None, list[Segment]] = {}
    for segment in segments:
        own.setdefault(segment.person, []).append(segment)
    return [(person, tuple(own[person])) for person in sorted(own, key=lambda person: person or 0)]


def describe_totals(segments: tuple[Segment, ...], who: str = "") -> list[str]:
    """A line for each pose: how often it was held, and for how long.  who: whose holds these are."""
    from ..drawing.summary import add_up

    return [
        f"{display_name(total.pose)}: {describe_holds(total.holds, total.total_s, total.best_s)}{who}"
        for total in add_up(segments)
    ]


def list_results(paths: Sequence[Path], others: Sequence[str] = ()) -> list[str]:
    """List the files written, and those that are not whole, which lie under the names under which they grew.

    others: what else has been written, in words.
    """
    found = [(path, result) for path in paths if (result := find_result(path))]
    whole = [str(result) for path, result in found if result == path]
    written = [f"{'' if number else WRITTEN:{len(WRITTEN)}}{what}" for number, what in enumerate([*whole, *others])]
    return written + [f"incomplete: {result}" for path, result in found if result != path]
