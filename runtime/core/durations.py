"""How times and holds are written as text: whole seconds, rounded down, as the overlay counts them."""

from __future__ import annotations

import math

from ..system.progress import format_duration


def format_clock(seconds: float) -> str:
    """Format seconds as m:ss or h:mm:ss, rounded down: 59.9 is 0:59.  Files keep the decimals."""
    return format_duration(math.floor(seconds + 1e-6))


def describe_holds(holds: int, total_s: float, longest_s: float) -> str:
    """Describe how often and for how long a pose was held: `2 times, 1:05 in total, longest 0:40`."""
    if holds == 1:
        return f"once, {format_clock(total_s)}"
    return f"{holds} times, {format_clock(total_s)} in total, longest {format_clock(longest_s)}"
