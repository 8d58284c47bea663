"""Values of options that all commands have in common, read with bounds; what is refused is told in a line."""

from __future__ import annotations

import argparse

LONGEST = 60
"""Characters of a value that a line repeats."""


def read_whole(text: str, what: str, least: int, most: int) -> int:
    """A whole number from `least` to `most`.  what: what it should be, with its bounds, for who gave another."""
    if not (text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most):
        raise argparse.ArgumentTypeError(f"{quote(text)} is not {what}")
    return int(text)


def quote(text: str) -> str:
    """A value in quotation marks, not at length."""
    return repr(text) if len(text) <= LONGEST else f"{text[: LONGEST - 3]!r}..."
