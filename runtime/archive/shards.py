"""Recordings watched in pieces, on whatever machine: what is seen of the pieces, joined, is what one run sees.

A piece is one or more stretches (sources/frame_sampling.py) of a recording.  Its decoding begins at a key frame before
the warm-up that its first stretch needs, its looks at its own beginning; smoothing runs over the looks of all pieces in
a row.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, takewhile
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..core.model_metadata import ModelInfo
from ..cropping.croppers import choose_view
from ..errors import NoFrameError, SourceError
from ..pipelines.annotate import Wishes, open_recording
from ..sources.base import Seen
from ..sources.frame_sampling import SAME_S, STRETCH_S, WARM_UP_S
from ..sources.time_range import Span
from ..sources.video import VideoSource
from ..tracking.hmm_smoother import Hindsight
from ..tracking.observer import Looker
from ..tracking.sampling_observer import LOOKS_PER_S, Watcher

if TYPE_CHECKING:
    from pathlib import Path

    from ..classifier import PoseClassifier
    from ..core.frames import TimedFrame
    from ..core.types import Segment
    from ..sources.remote import RemoteFile

SHORTEST_LAST = 0.5
"""A last piece shorter than this share of a stretch goes with the one before it: its warm-up would cost as much."""


@dataclass(frozen=True)
class Piece:
    """Looks from `start_s` on and before `end_s` (None: to the end); seconds of the recording's own time."""

    start_s: float
    end_s: float | None


@dataclass(frozen=True)
class Looks:
    """What was seen in a piece.

    times_s: float64 (N,); rows: calibrated probabilities, float32 (N, C); end_s: when the last frame ends that was
    read, looked at or not; trouble: why it ended early, if it broke; damage: what was left out, if anything.
    """

    times_s: npt.NDArray[np.float64]
    rows: npt.NDArray[np.float32]
    end_s: float
    trouble: str | None = None
    damage: str = ""


@dataclass(frozen=True)
class Told:
    """What is known of a whole recording.  looks: how many; picture: its summary, PNG; trouble: what broke it off;
    damage: what was left out of the picture."""

    segments: tuple[Segment, ...]
    looks: int
    picture: bytes | None = None
    trouble: str | None = None
    damage: str = ""


def plan_pieces(length_s: float | None, span: Span | None = None) -> list[Piece]:
    """Cut a recording at whole stretches; one whose length is not known, or short, is one piece.

    length_s: from the recording's start to its end.
    """
    span = span or Span()
    end_s = span.end_s if length_s is None else min(length_s, span.end_s or length_s)
    cuts = [span.start_s]
    while end_s and (cut := (int((cuts[-1] + SAME_S) // STRETCH_S) + 1) * STRETCH_S) < end_s:
        cuts.append(cut)
    if len(cuts) > 1 and end_s and end_s - cuts[-1] < SHORTEST_LAST * STRETCH_S:
        cuts.pop()
    return [Piece(start, end) for start, end in pairwise([*cuts, None]) if start is not None]


def read_pieces(path: Path | RemoteFile, wishes: Wishes, threads: int | None = None) -> list[Piece]:
    """Open a recording and say in which pieces it is watched.  Raises SourceError, OptionError.

    One whose times begin anew in the middle is one piece: when what lies there is, only reading up to it tells.
    """
    with open_recording(path, LOOKS_PER_S, wishes.span, threads, wishes.mounting) as source:
        choose_view(wishes.roi, wishes.zoom, source.info.size_wh)
        rest_s = source.info.duration_s
        start_s = wishes.span.start_s if wishes.span else 0.0
        planned = plan_pieces(None if rest_s is None else start_s + rest_s, wishes.span)
        is_whole = len(planned) > 1 and isinstance(source, VideoSource) and source.goes_back()
    return [Piece(start_s, None)] if is_whole else planned


def watch_piece(
    classifier: PoseClassifier, path: Path | RemoteFile, wishes: Wishes, piece: Piece, threads: int | None = None
) -> Looks:
    """Look at a piece.  Raises SourceError where the recording can't be opened, OptionError for a region outside."""
    times_s: list[float] = []
    rows: list[npt.NDArray[np.floating]] = []
    seen, trouble, damage = Seen(), None, ""
    try:
        with open_recording(path, LOOKS_PER_S, _find_span(wishes, piece), threads, wishes.mounting) as source:
            view, seen = choose_view(wishes.roi, wishes.zoom, source.info.size_wh), source.info.seen
            watcher = Watcher(Looker(classifier, view), piece.start_s)
            try:
                for step in watcher.look_through(_frames_before(source.frames(), piece.end_s)):
                    times_s += [look.time_s for look in step.looks]
                    rows += [look.probabilities for look in step.looks]
            finally:
                damage = source.damage if isinstance(source, VideoSource) else ""
            if source.info.seen.jumps_s and not (
                piece.end_s is None and piece.start_s == (wishes.span or Span()).start_s
            ):
                raise SourceError(f"{path} can't be watched in pieces, its times begin anew; watch it alone")
    except NoFrameError as error:
        if piece.start_s == (wishes.span or Span()).start_s:  # else the recording is shorter than it says
            raise SourceError(str(error)) from error
    except SourceError as error:
        if not times_s and piece.start_s == (wishes.span or Span()).start_s:
            raise
        trouble = str(error)
    seen_rows = np.array(rows, np.float32).reshape(len(rows), len(classifier.labels))
    return Looks(np.array(times_s), seen_rows, seen.end_s, trouble, damage)


def join_looks(looks: Sequence[Looks]) -> Looks:
    """The looks of all pieces of a recording, in order, as one run has them: it ends where the first of them broke."""
    broken = next((n for n, each in enumerate(looks) if each.trouble), len(looks) - 1)
    kept = looks[: broken + 1]
    ends_s = [each.end_s for each in kept if len(each.times_s)]
    return Looks(
        np.concatenate([each.times_s for each in kept]),
        np.concatenate([each.rows for each in kept]),
        ends_s[-1] if ends_s else 0.0,
        kept[-1].trouble,
        _join_damage([each.damage for each in kept if each.damage]),
    )


def _join_damage(damages: Sequence[str]) -> str:
    """What is said of several pieces; no sum: near a cut the same packet is met by both sides."""
    others = len(damages) - 1
    return damages[0] + (f"; more in {others} other piece{'s' * (others > 1)}" if others else "") if damages else ""


def tell(looks: Looks, info: ModelInfo, title: str | None = None) -> Told:
    """Smooth what was seen of a whole recording.  title: of a summary picture; None: none is drawn."""
    hindsight = Hindsight(info.labels, info.threshold)
    for time_s, row in zip(looks.times_s.tolist(), looks.rows, strict=True):
        hindsight.update(time_s, row)
    segments = hindsight.segments(end_s=looks.end_s)
    picture = None if title is None else _draw(segments, title)
    return Told(segments, len(looks.times_s), picture, looks.trouble, looks.damage)


def _find_span(wishes: Wishes, piece: Piece) -> Span | None:
    """What is read for a piece: from its warm-up on, where it needs one.  Its end is the looks' affair: frames keep
    their own lengths."""
    span = wishes.span or Span()
    if piece.start_s == span.start_s:
        return wishes.span
    needs_s = WARM_UP_S if wishes.zoom and not wishes.roi else 0.0
    return replace(span, start_s=max(piece.start_s - needs_s, span.start_s))


def _frames_before(frames: Iterable[TimedFrame], end_s: float | None) -> Iterator[TimedFrame]:
    if end_s is None:
        return iter(frames)
    return takewhile(lambda frame: frame.time_s < end_s - SAME_S, frames)


def _draw(segments: tuple[Segment, ...], title: str) -> bytes:
    from ..drawing.summary import draw_summary

    buffer = io.BytesIO()
    draw_summary(segments, title).save(buffer, format="PNG")
    return buffer.getvalue()
