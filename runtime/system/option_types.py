"""Reads values of options that all commands share, with bounds."""

from __future__ import annotations

import argparse

LONGEST = 60
"""Characters of a value that a message repeats."""


def read_whole(text: str, what: str, least: int, most: int) -> int:
    """Read a whole number from `least` to `most`.  what: what it should be, with its bounds, for the message."""
    if not (text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most):
        raise argparse.ArgumentTypeError(f"{quote(text)} is not {what}")
    return int(text)


def quote(text: str) -> str:
    """Quote a value, shortened."""
    return repr(text) if len(text) <= LONGEST else f"{text[: LONGEST - 3]!r}..."
