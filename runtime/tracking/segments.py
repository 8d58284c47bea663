"""A class as it goes by: which pose is held since when, and the segments so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import chain

from ..core.types import NO_POSE, Hold, Segment
from ..people.sides import NO_SIDE, HeldSide
from .causal_smoother import SmoothedPose


class Timeline(tuple[Segment, ...]):
    """Segments in the order of their time, without gaps; a notebook shows them as a strip and a table."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        from ..drawing.notebook import format_timeline

        return format_timeline(self)


def merge_segments(timelines: Iterable[tuple[Segment, ...]]) -> tuple[Segment, ...]:
    """Join the timelines of several people in the order of their time, then of the people's numbers."""
    lasting = (each for each in chain.from_iterable(timelines) if each.end_s > each.start_s)
    return tuple(sorted(lasting, key=lambda each: (each.start_s, each.person or 0)))


def end_at_sight(segments: tuple[Segment, ...], seen_s: float) -> tuple[Segment, ...]:
    """End the last segment, of a pose, at `seen_s`, seconds; what follows is `none`, of no confidence."""
    if not segments or (last := segments[-1]).pose == NO_POSE or not last.start_s <= seen_s < last.end_s:
        return segments
    rest = Segment(seen_s, last.end_s, NO_POSE, 0.0, last.person)
    return (*segments[:-1], replace(last, end_s=seen_s), rest)


class Session:
    """Turn smoothed poses into holds and segments."""

    def __init__(self, person: int | None = None) -> None:
        """person: whose it is, where several people are followed."""
        self._person = person
        self._segments: list[Segment] = []
        self._current: SmoothedPose | None = None
        self._sum, self._frames, self._sure = 0.0, 0, 0.0
        self._end_s = self._led_s = 0.0
        self._held: HeldSide = NO_SIDE
        self._angles: Mapping[str, int] = {}

    def update(
        self, time_s: float, smoothed: SmoothedPose, held: HeldSide = NO_SIDE, angles: Mapping[str, int] | None = None
    ) -> Hold:
        """Take the smoothed pose of the frame at `time_s`, its side, and the angles of the joints by name.

        Who turns to the other side begins another hold of the same pose.
        """
        current = self._current
        if current is None or smoothed.pose != current.pose:
            current = self._begin(time_s, smoothed)
        elif held.turned_s is not None and held.turned_s != self._held.turned_s:
            current = self._begin(time_s, replace(smoothed, since_s=max(held.turned_s, current.since_s)))
        self._held, self._angles = held, angles or {}
        if smoothed.leads:  # the frames after its end say nothing of how sure it was
            self._sum += smoothed.confidence
            self._frames += 1
        if smoothed.leads or smoothed.pose == NO_POSE or not self._frames:
            self._sure = smoothed.confidence
        if smoothed.leads or smoothed.pose == NO_POSE:
            self._led_s = time_s
        self._end_s = time_s
        hold_s = self._led_s - current.since_s
        return Hold(smoothed.pose, self._sure, hold_s, smoothed.leads, side=held.side, angles=self._angles)

    def _begin(self, time_s: float, smoothed: SmoothedPose) -> SmoothedPose:
        self._close(smoothed.since_s)
        self._current, self._sum, self._frames, self._led_s = smoothed, 0.0, 0, time_s
        return smoothed

    def segments(self, seen_s: float | None = None) -> tuple[Segment, ...]:
        """All segments, the running one included, without gaps.

        seen_s: where the running one ends if it is a pose, seconds; what follows is `none`, of no confidence.
        """
        if self._current is None:
            return ()
        running = (self._segment(self._current, max(self._end_s, self._current.since_s)),)
        return (*self._segments, *(running if seen_s is None else end_at_sight(running, seen_s)))

    def _close(self, end_s: float) -> None:
        if self._current is not None and end_s > self._current.since_s:
            self._segments.append(self._segment(self._current, end_s))

    def _segment(self, smoothed: SmoothedPose, end_s: float) -> Segment:
        confidence, side = self._sum / max(self._frames, 1), self._held.side
        return Segment(smoothed.since_s, end_s, smoothed.pose, confidence, self._person, side, self._angles)
