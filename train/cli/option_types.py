"""Values of options: each function reads one kind, and refuses others with a line that says what would do."""

from __future__ import annotations

import argparse


def read_whole(text: str, what: str, least: int, most: int = 2**63 - 1) -> int:
    """A whole number from `least` to `most`.  what: what it should be, for the line that refuses others."""
    if not (text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most):
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
    return int(text)


def _whole(text: str, what: str, least: int, most: int) -> int:
    return read_whole(text, f"{what}, {least} to {most}", least, most)


def read_count(text: str) -> int:
    """A number of photos."""
    return _whole(text, "a number of photos", 1, 1_000_000)


def read_sheet_count(text: str) -> int:
    """A number of photos that fits on a sheet."""
    return _whole(text, "a number of photos", 1, 1000)


def read_index(text: str) -> int:
    """A number such as a camera or a seed has."""
    return _whole(text, "a number", 0, 2**31)


def read_requests(text: str) -> int:
    """A number of requests at once."""
    return _whole(text, "a number of requests", 1, 1000)


def read_side(text: str) -> int:
    """A side of the network's input, pixels."""
    side = _whole(text, "a number of pixels", 32, 1024)
    if side % 32:
        raise argparse.ArgumentTypeError(f"{text!r} is not a multiple of 32, such as 160, 192 or 224")
    return side


def read_seconds(text: str) -> float:
    """Seconds above 0."""
    if not (seconds := _read_number(text)) > 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0, such as 10")
    return seconds


def read_wait(text: str) -> float:
    """Seconds, 0 or more."""
    if (seconds := _read_number(text)) < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds, 0 or more")
    return seconds


def _read_number(text: str) -> float:
    """A number up to an hour's seconds, or -1."""
    try:
        seconds = float(text)
    except ValueError:
        return -1.0
    return seconds if 0 <= seconds <= 3600 else -1.0
