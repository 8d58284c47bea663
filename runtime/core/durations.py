"""How the holds of a pose are summed up as text; a duration itself is `format_duration` in ..system.progress."""

from __future__ import annotations

from ..system.progress import format_duration


def describe_holds(holds: int, total_s: float, longest_s: float) -> str:
    """Describe how often and for how long a pose was held: `2 times, 1:05 in total, longest 0:40`."""
    if holds == 1:
        return f"once, {format_duration(total_s)}"
    return f"{holds} times, {format_duration(total_s)} in total, longest {format_duration(longest_s)}"
