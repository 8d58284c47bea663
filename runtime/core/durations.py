"""How the holds of a pose are summed up as text; one of them is `format_hold` in ..system.progress."""

from __future__ import annotations

from ..system.progress import format_hold


def describe_holds(holds: int, total_s: float, longest_s: float) -> str:
    """Describe how often and for how long a pose was held: `2 times, 1:05 in total, longest 40.9 s`."""
    if holds == 1:
        return f"once, {format_hold(total_s)}"
    return f"{holds} times, {format_hold(total_s)} in total, longest {format_hold(longest_s)}"
