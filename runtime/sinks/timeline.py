"""Writes a timeline as CSV, JSON or WebVTT, by its suffix."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Generic, TypeVar

from ..core.labels import name_with_side
from ..core.types import NO_POSE, Segment
from ..errors import OutputError
from ..system.files import hold_signals, name_part, write_text, write_then_rename
from ..system.plain_text import escape_json, show_name

T = TypeVar("T")

EVERY_S = 5.0
"""Seconds of a timeline that a power cut may cost."""
FORMATS = (".csv", ".json", ".vtt")


def check_format(path: Path) -> None:
    """Raise OutputError unless the suffix names a format."""
    if path.suffix.lower() not in FORMATS:
        raise OutputError(f"{path} does not have the suffix of a timeline; use one of {', '.join(FORMATS)}")


def write_timeline(path: Path, segments: tuple[Segment, ...], columns: Sequence[str] | None = None) -> None:
    """Write the segments.  CSV and JSON include `none` (no pose); WebVTT (chapters in a player) only has the poses.

    columns: as `format_csv` has them.
    """
    write_text(path, format_timeline(path.suffix, segments, columns))


def format_timeline(suffix: str, segments: tuple[Segment, ...], columns: Sequence[str] | None = None) -> str:
    """Format a timeline.  suffix: one of `FORMATS`.  columns: as `format_csv` has them."""
    if suffix.lower() == ".csv":
        return format_csv(segments, columns)
    return {".json": format_json, ".vtt": format_vtt}[suffix.lower()](segments)


def choose_columns(*, finds_people: bool, is_group: bool) -> tuple[str, ...]:
    """The columns of a CSV behind the first four: they do not depend on what is seen."""
    return (*(("person",) if is_group else ()), *(("side",) if finds_people else ()))


class GrowingFile(Generic[T]):
    """A growing file: written every few seconds under its `.part` name, so that a power cut costs little."""

    def __init__(self, path: Path, write: Callable[[Path, T], None], *, force: bool = False) -> None:
        """force: replace a file that is at `path` when this one is complete."""
        self._path, self._part, self._due_s = path, name_part(path), time.monotonic() + EVERY_S
        self._write, self._force = write, force

    def autosave(self, read: Callable[[], T]) -> None:
        """Write the current content if it is due; this takes at most a hundredth of the time."""
        started_s = time.monotonic()
        if started_s >= self._due_s:
            self._keep_part(read())
            now_s = time.monotonic()
            self._due_s = now_s + max(EVERY_S, 100 * (now_s - started_s))

    def finish(self, content: T, *, whole: bool = True) -> None:
        """Write the content under its own name; incomplete content, if there is any, under its `.part` name.

        Raises TakenError if another program has created the file meanwhile, OutputError e.g. on a full disk.
        """
        if not whole:
            if content:
                with hold_signals():
                    self._keep_part(content)
            return
        with (
            hold_signals(),
            self._naming_the_file(),
            write_then_rename(self._path, replace=self._force, grows=True) as temporary,
        ):
            self._write(temporary, content)

    def _keep_part(self, content: T) -> None:
        with self._naming_the_file():
            self._write(self._part, content)

    @contextmanager
    def _naming_the_file(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            kept = f"; {self._part} holds the previous state" if self._part.exists() else ""
            raise OutputError(f"cannot write {self._path}: {error.strerror or error}{kept}") from error


class TimelineFile(GrowingFile[tuple[Segment, ...]]):
    """A growing timeline."""

    def __init__(
        self, path: Path, zero_s: float = 0.0, *, force: bool = False, columns: Sequence[str] | None = None
    ) -> None:
        """zero_s: the time of the segments that becomes 0 in the file.  columns: as `format_csv` has them."""
        super().__init__(
            path, lambda to, segments: write_timeline(to, shift_segments(segments, zero_s), columns), force=force
        )


def shift_segments(segments: tuple[Segment, ...], zero_s: float) -> tuple[Segment, ...]:
    """Shift times so that `zero_s` becomes 0; segments before it are dropped."""
    return tuple(
        replace(segment, start_s=max(segment.start_s - zero_s, 0.0), end_s=segment.end_s - zero_s)
        for segment in segments
        if segment.end_s >= zero_s
    )


def format_csv(segments: tuple[Segment, ...], columns: Sequence[str] | None = None) -> str:
    """Format as start_s,end_s,pose,confidence with milliseconds.

    columns: those behind them, of person and side, see `choose_columns`; None: those that any segment has.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    if columns is None:
        columns = choose_columns(finds_people=has_sides(segments), is_group=has_people(segments))
    writer.writerow(("start_s", "end_s", "pose", "confidence", *columns))
    for segment in segments:
        row = f"{segment.start_s:.3f}", f"{segment.end_s:.3f}", segment.pose, f"{segment.confidence:.3f}"
        writer.writerow((*row, *(getattr(segment, name) for name in columns)))
    return buffer.getvalue()


def has_people(segments: Iterable[Segment]) -> bool:
    """Whether segments say whose they are: several people were followed."""
    return any(segment.person is not None for segment in segments)


def has_sides(segments: Iterable[Segment]) -> bool:
    """Whether segments say on which side a pose was held."""
    return any(segment.side is not None for segment in segments)


def format_json(segments: tuple[Segment, ...]) -> str:
    """Format as a list of objects with the CSV's columns, and the angles of the joints where they are known."""
    rows = [
        {
            "start_s": round(segment.start_s, 3),
            "end_s": round(segment.end_s, 3),
            "pose": segment.pose,
            "confidence": round(segment.confidence, 3),
            **({} if segment.person is None else {"person": segment.person}),
            **({} if segment.side is None else {"side": segment.side}),
            **({"angles": dict(segment.angles)} if segment.angles else {}),
        }
        for segment in segments
    ]
    return escape_json(json.dumps(rows, indent=2, ensure_ascii=False)) + "\n"


def format_vtt(segments: tuple[Segment, ...]) -> str:
    """Format as WebVTT cues (W3C), one per pose segment."""
    cues = [
        f"{_clock(segment.start_s)} --> {_clock(segment.end_s)}\n{_escape(_name_cue(segment))}\n"
        for segment in segments
        if segment.pose != NO_POSE
    ]
    return "\n".join(["WEBVTT\n", *cues])


def _name_cue(segment: Segment) -> str:
    name = show_name(name_with_side(segment.pose, segment.side))
    return name if segment.person is None else f"{segment.person}: {name}"


def _clock(seconds: float) -> str:
    ms = round(seconds * 1000)
    return f"{ms // 3_600_000:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d}.{ms % 1000:03d}"


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
