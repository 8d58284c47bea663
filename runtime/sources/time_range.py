"""A part of a recording, from `--from` to `--to`, in the recording's own time."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from ..errors import OptionError
from ..system.option_types import quote
from ..system.progress import format_duration

CLOCK = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d*)?|\.\d+)")
LONGEST_S = 1e9
FORMS = "seconds (90, 90.5), minutes (1:30) or hours (1:02:03.5)"


@dataclass(frozen=True)
class TimeRange:
    """Frames from `start_s` until before `end_s` (None: to the end); seconds from the recording's start.

    Raises OptionError where there is nothing between the two.
    """

    start_s: float = 0.0
    end_s: float | None = None

    def __post_init__(self) -> None:
        if math.isnan(self.start_s) or math.isnan(self.end_s or 0.0):
            raise OptionError(f"a time must be a number of seconds; got {self.start_s} to {self.end_s}")
        if self.start_s < 0:
            raise OptionError(f"--from must not be negative; got {self.start_s:g}; give 0 or more")
        if max(self.start_s, self.end_s or 0.0) > LONGEST_S:
            raise OptionError(f"no recording lasts {max(self.start_s, self.end_s or 0.0):g} s; give an earlier time")
        if self.end_s is not None and self.end_s <= self.start_s:
            raise OptionError(
                f"--from {format_moment(self.start_s)} is not before --to {format_moment(self.end_s)}; "
                "give a later --to or an earlier --from"
            )


def parse_time_range(start: str | None, end: str | None) -> TimeRange | None:
    """Read the values of `--from` and `--to`; None if neither was given.  Raises OptionError."""
    if start is None and end is None:
        return None
    return TimeRange(
        0.0 if start is None else parse_moment("--from", start), None if end is None else parse_moment("--to", end)
    )


def parse_moment(option: str, text: str) -> float:
    """Read 90, 1:30 or 1:02:03.5 as seconds.  option: its name, for the message.  Raises OptionError."""
    found = CLOCK.fullmatch(text.strip())
    if not found:
        raise OptionError(f"{option} {quote(text)} is not a time; give {FORMS}")
    hours, minutes, seconds = (float(part or 0) for part in found.groups())
    if (found[2] and seconds >= 60) or (found[1] and minutes >= 60):
        raise OptionError(f"{option} {quote(text)} has minutes or seconds above 59; give {FORMS}")
    return hours * 3600 + minutes * 60 + seconds


def format_moment(seconds: float) -> str:
    """Format a time as m:ss or h:mm:ss, with milliseconds if it has any."""
    whole = int(seconds)
    ms = round((seconds - whole) * 1000)
    return format_duration(whole) + (f".{ms:03d}".rstrip("0") if 0 < ms < 1000 else "")
